//! Exit codes, which other programs rely on.

use tomosieve::Error;
use tomosieve_volume::ErrorKind;

/// Something failed.
pub(crate) const FAILED: u8 = 1;
/// A mistyped flag, a setting that does not exist, results in the way.
pub(crate) const USAGE: u8 = 2;
/// An input that cannot be read or does not fit.
pub(crate) const INPUT: u8 = 3;
/// Too little memory or disk, found before work started.
pub(crate) const RESOURCES: u8 = 4;
/// The result is worse than `--fail-under` allows.
pub(crate) const QUALITY: u8 = 5;
/// Stopped by a signal; a checkpoint is there and the same command goes on.
pub(crate) const STOPPED: u8 = 75;
/// Interrupted a second time, at once.
pub(crate) const INTERRUPTED: u8 = 130;

/// The exit code of an error.
#[allow(clippy::match_same_arms)] // grouped by what failed, not by the code
pub(crate) fn code(error: &Error) -> u8 {
    match error {
        Error::Config(_) | Error::Exists(_) | Error::Phantom(_) => USAGE,
        Error::Network(tomosieve_nn::Error::ModelFile { .. }) => FAILED,
        Error::Network(_) => USAGE,
        Error::Cluster(_) | Error::Input(_) | Error::Metrics(_) => INPUT,
        Error::Volume(e) => match e.kind() {
            ErrorKind::Input => INPUT,
            ErrorKind::Output => FAILED,
            ErrorKind::Memory => RESOURCES,
            ErrorKind::Usage => USAGE,
        },
        Error::Resources(_) => RESOURCES,
        Error::Quality(_) => QUALITY,
        Error::Stopped { .. } => STOPPED,
        Error::RunFile { .. } => FAILED,
    }
}
