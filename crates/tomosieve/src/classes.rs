//! How many classes? As many as grey values have peaks once their noise is gone.
//!
//! Clustering cannot tell: phases that lie closer together than noise is wide make one peak of what the scanner saw. But a
//! network that has learned narrow bands of grey values knows every voxel's value without noise ([`crate::denoised`]), and in
//! these each phase has a peak of its own. So a trial learns more classes than there are likely to be, and its peaks are
//! counted.

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::denoised::{Denoised, Peak};
use crate::input::Input;
use crate::ledger::{Ledger, Stage};
use crate::plan;
use crate::progress::Progress;
use crate::run_dir::RunDir;
use crate::stages::{Context, cluster, train};
use crate::{Error, Result};

/// Classes of the trial.
pub const MOST: usize = 10;

/// How many classes a volume has, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// What the answer depends on.
    pub key: String,
    /// K.
    pub classes: usize,
    /// The peaks of the grey values without noise.
    pub peaks: Vec<Peak>,
}

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let values = self.peaks.iter().map(Peak::at).collect::<Vec<_>>();
        let shares = self.peaks.iter().map(|peak| format!("{:.1} %", 100.0 * peak.share)).collect::<Vec<_>>();
        let valleys = self.peaks.iter().filter_map(|peak| peak.valley);
        write!(f, "{} classes, as many as grey values have peaks without their noise", self.classes)?;
        write!(f, ": at {}, of {} of the voxels", values.join(", "), shares.join(", "))?;
        match valleys.max_by(f64::total_cmp) {
            Some(highest) => write!(
                f,
                "; the shallowest valley between two stands at {:.0} % of the lower of them",
                100.0 * highest
            ),
            None => Ok(()),
        }
    }
}

/// The configuration with a number of classes: its own, or the one found for this volume, which is kept in the run folder.
///
/// # Errors
/// What the first two stages say.
pub fn settle(mut config: Config, input: &Input, run: &RunDir, progress: &dyn Progress) -> Result<Config> {
    if config.input.classes == 0 {
        let found = find(&config, input, run, progress)?;
        progress.note(&found.to_string());
        config.input.classes = found.classes;
    }
    Ok(config)
}

/// How many classes the volume has: two at least.
///
/// # Errors
/// What the first two stages say.
pub fn find(config: &Config, input: &Input, run: &RunDir, progress: &dyn Progress) -> Result<Found> {
    let config = trial(config);
    let key = Ledger::key(Stage::Train, &config, input);
    if let Some(found) = run.read_json::<Found>(&run.classes())?.filter(|found| found.key == key) {
        return Ok(found);
    }
    progress.note(&format!("looking for the number of classes, with {MOST} to begin with"));
    let folder = RunDir::create(&run.trial().join(&key))?; // what is in it was made with the same settings
    let memory = plan::memory_limit(&config)?;
    let context = Context { config: &config, input, run: &folder, progress, memory };
    cluster::fit(&context)?;
    train::run(&context)?;
    let denoised: Option<Denoised> = folder.read_json(&folder.denoised())?;
    let denoised = denoised.ok_or_else(|| Error::file(folder.denoised(), "missing"))?;
    let peaks = denoised.peaks();
    let found = Found { key, classes: peaks.len().max(2), peaks };
    run.write_json(&run.classes(), &found)?;
    RunDir::beside(&run.trial()).remove_all()?;
    Ok(found)
}

/// The settings of the trial: many classes, and one start.
pub fn trial(config: &Config) -> Config {
    let mut config = config.clone();
    (config.input.classes, config.starts) = (MOST, 1);
    // Means ask how likely each class really is.
    config.train.rare = 0.0;
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_is_said() {
        let peak = |value, share, valley| Peak { bin: 0, value, share, valley };
        let peaks = vec![peak(0.05, 0.6, None), peak(0.5, 0.3, Some(0.01)), peak(0.7, 0.1, Some(0.44))];
        let found = Found { key: "k".into(), classes: 3, peaks };
        insta::assert_snapshot!(
            found,
            @"3 classes, as many as grey values have peaks without their noise: at 0.05000, 0.5000, 0.7000, of 60.0 %, 30.0 %, 10.0 % of the voxels; the shallowest valley between two stands at 44 % of the lower of them"
        );
    }
}
