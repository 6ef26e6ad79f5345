//! What can go wrong in a run, and what each failure means to the caller.

use std::path::PathBuf;

/// The result of this crate's fallible functions.
pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong in a run. Each message is one line that names what was found, what was expected
/// and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A configuration that cannot be used.
    #[error("{0}")]
    Config(String),
    /// A volume, label or other voxel file that cannot be read or written.
    #[error(transparent)]
    Volume(#[from] tomosieve_volume::Error),
    /// Values that cannot be clustered.
    #[error(transparent)]
    Cluster(tomosieve_cluster::Error),
    /// A network, loss, device or model file that cannot be used.
    #[error(transparent)]
    Network(tomosieve_nn::Error),
    /// Labels that cannot be compared.
    #[error(transparent)]
    Metrics(#[from] crate::metrics::MetricsError),
    /// A phantom that cannot be made.
    #[error(transparent)]
    Phantom(#[from] crate::phantom::PhantomError),
    /// An input that was read but cannot be segmented, or does not fit another.
    #[error("{0}")]
    Input(String),
    /// Less memory or disk than the work needs, found before it starts.
    #[error("{0}")]
    Resources(String),
    /// A result that is there and is worse than it may be.
    #[error("{0}")]
    Quality(String),
    /// Results in the way of new ones.
    #[error("{0}")]
    Exists(String),
    /// A file of the run folder that cannot be read or written.
    #[error("`{}`: {reason}", path.display())]
    RunFile {
        /// The file.
        path: PathBuf,
        /// What was found and what to do.
        reason: String,
    },
    /// Stopped by a signal; the run folder holds a checkpoint.
    #[error("stopped during {stage}; the same command continues from here")]
    Stopped {
        /// The stage that was stopped.
        stage: &'static str,
    },
}

impl Error {
    /// The error for a name that is none of the `known` ones, with the nearest of them if one is near.
    pub(crate) fn unknown<S: AsRef<str>>(kind: &str, got: &str, known: &[S]) -> Self {
        let known: Vec<&str> = known.iter().map(AsRef::as_ref).collect();
        let near = known
            .iter()
            .map(|name| (strsim::jaro_winkler(got, name), name))
            .filter(|(likeness, _)| *likeness > 0.8)
            .max_by(|a, b| a.0.total_cmp(&b.0));
        let hint = near.map_or(String::new(), |(_, name)| format!("did you mean `{name}`? "));
        Self::Config(format!("unknown {kind} `{got}`; {hint}known: {}", known.join(", ")))
    }

    /// An error about one file of the run folder.
    pub(crate) fn file(path: impl Into<PathBuf>, reason: impl std::fmt::Display) -> Self {
        Self::RunFile { path: path.into(), reason: reason.to_string() }
    }
}

// A name that another crate does not know is met with the same words, whatever was named.

impl From<tomosieve_nn::Error> for Error {
    fn from(error: tomosieve_nn::Error) -> Self {
        match error {
            tomosieve_nn::Error::UnknownName { kind, got, known } => Self::unknown(kind, &got, &known),
            other => Self::Network(other),
        }
    }
}

impl From<tomosieve_cluster::Error> for Error {
    fn from(error: tomosieve_cluster::Error) -> Self {
        match error {
            tomosieve_cluster::Error::UnknownMethod { got, known } => {
                Self::unknown("clustering", &got, &known)
            }
            other => Self::Cluster(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Layers;

    #[test]
    fn a_near_miss_of_any_roster_is_met_with_the_name_meant() {
        for (setting, message) in [
            (
                "network.name=unet-noskp",
                "unknown network `unet-noskp`; did you mean `unet-noskip`? known: unet,",
            ),
            ("loss.name=focla", "unknown loss `focla`; did you mean `focal`? known: cross-entropy,"),
            ("cluster.method=kmean", "unknown clustering `kmean`; did you mean `kmeans`? known: kmeans,"),
            ("views.strong=[\"gama\"]", "unknown view `gama`; did you mean `gamma`? known: gamma,"),
            ("views.weak=[\"x\"]", "unknown view `x`; known: dihedral,"),
        ] {
            let error = Layers::defaults().unwrap().set(setting).unwrap().build().unwrap_err().to_string();
            assert!(error.starts_with(message), "{error}");
        }
    }
}
