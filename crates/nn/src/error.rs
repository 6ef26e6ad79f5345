//! What can go wrong with networks, devices and model files.

use std::path::PathBuf;

/// The result of this crate's fallible functions.
pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong with networks, devices and model files.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A name that is in no roster.
    #[error("unknown {kind} `{got}`; known: {}", known.join(", "))]
    UnknownName {
        /// What was looked up: network, loss, device or layer.
        kind: &'static str,
        /// The name that was asked for.
        got: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// A device this build was compiled without.
    #[error("this build has no {feature} (built with: {built}); rebuild with `--features {feature}`")]
    DeviceNotBuilt {
        /// The missing cargo feature.
        feature: String,
        /// The features this build has.
        built: String,
    },
    /// A setting outside its range.
    #[error("{setting} is {got}; expected {expected}")]
    BadSetting {
        /// The setting's name as the config spells it.
        setting: &'static str,
        /// The value found.
        got: String,
        /// What is allowed.
        expected: &'static str,
    },
    /// A model file that cannot be read or written.
    #[error("`{path}`: {reason}")]
    ModelFile {
        /// The file.
        path: PathBuf,
        /// What was found, what was expected, what to do.
        reason: String,
    },
}

impl Error {
    /// The error for a `name` missing from a roster of `names`.
    pub(crate) fn unknown(kind: &'static str, got: &str, names: &[&str]) -> Self {
        let known = names.iter().map(|name| (*name).to_owned()).collect();
        Self::UnknownName { kind, got: got.to_owned(), known }
    }
}
