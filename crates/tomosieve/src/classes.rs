//! How many classes? As many as grey values have peaks once their noise is gone.
//!
//! Clustering cannot tell: phases that lie closer together than noise is wide make one peak of what the scanner saw. But a
//! network that has learned narrow bands of grey values knows every voxel's value without noise ([`crate::denoised`]), and in
//! these each phase has a peak of its own. So a trial learns more classes than there are likely to be, and its peaks are
//! counted.
//!
//! Nor does a user always know. Classes that are shades of one phase cost accuracy: noise decides between them, and a band of grey
//! values that spans two phases is learned as one. So when stage 2 has learned what it was asked for, the peaks are counted as
//! well, and where they are fewer, stages 1 and 2 begin anew with as many ([`merge`]). A missing class is worse than one too
//! many; so here any hint of a valley counts, and a rare class that the neighbouring slices know ([`Denoised::phases`]).

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::denoised::{Denoised, Peak};
use crate::input::Input;
use crate::ledger::{Ledger, Stage};
use crate::plan;
use crate::progress::Progress;
use crate::run_dir::RunDir;
use crate::stages::train::Learning;
use crate::stages::{Context, cluster, train};
use crate::{Error, Result};

/// Classes of the trial.
pub const MOST: usize = 10;
/// How many times as many labels as are of the most frequent class stage 2 finds again at least, where its grey values without
/// noise are to be believed: one that has learned nothing finds these.
const LEARNED: f64 = 1.25;

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

/// That fewer classes were learned than were asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Merged {
    /// What the stages with the first number depend on, and with the second.
    keys: [String; 2],
    /// Classes that were asked for, and that were learned instead.
    classes: [usize; 2],
}

impl Merged {
    fn all(run: &RunDir) -> Result<Vec<Self>> {
        Ok(run.read_json(&run.merged())?.unwrap_or_default())
    }
}

/// The configuration with a number of classes: its own or, if it has none, the one found for this volume, which is kept in the
/// run folder; or the fewer that were learned instead, as is kept there as well.
///
/// # Errors
/// What the first two stages say.
pub fn settle(mut config: Config, input: &Input, run: &RunDir, progress: &dyn Progress) -> Result<Config> {
    if config.input.classes == 0 {
        let found = find(&config, input, run, progress)?;
        progress.note(&found.to_string());
        config.input.classes = found.classes;
    }
    if config.input.merge {
        let merged = Merged::all(run)?;
        let fewer = |config: &Config| {
            let here = |merged: &&Merged| merged.keys[0] == key(config, input);
            merged.iter().find(here).map(|merged| merged.classes[1])
        };
        while let Some(classes) = fewer(&config).filter(|fewer| (2..config.input.classes).contains(fewer)) {
            config.input.classes = classes;
        }
    }
    Ok(config)
}

/// What stages 1 and 2 depend on.
fn key(config: &Config, input: &Input) -> String {
    Ledger::key(Stage::Train, config, input)
}

/// The configuration with as many classes as stage 2 saw phases, if these are fewer than the classes it learned; its result and
/// that of stage 1 no longer count then.
///
/// # Errors
/// [`Error::RunFile`] when a file of the run folder is damaged or cannot be written.
pub fn merge(
    config: &Config,
    input: &Input,
    run: &RunDir,
    ledger: &mut Ledger,
    progress: &dyn Progress,
) -> Result<Option<Config>> {
    if !config.input.merge || config.input.slices < 3 || config.train.blind <= 0.0 {
        return Ok(None);
    }
    let learning = Learning::read(run)?;
    let (Some(denoised), Some(check)) =
        (run.read_json::<Denoised>(&run.denoised())?, learning.as_ref().and_then(|of| of.checks.last()))
    else {
        return Ok(None);
    };
    let found = &check.found;
    let of_most = found.of.iter().copied().max().unwrap_or(0);
    let told: Vec<Option<f64>> = found.recalls().collect();
    // At most half of them go at a time: with many classes that noise divides a network learns less, and tells less apart.
    let asked = config.input.classes;
    let phases = denoised.phases(&told).max(asked.div_ceil(2)).max(2);
    if phases >= asked || (found.same.iter().sum::<u64>() as f64) < LEARNED * of_most as f64 {
        return Ok(None);
    }
    let mut fewer = config.clone();
    fewer.input.classes = phases;
    progress.note(&format!("{}; learning anew", instead(asked, fewer.input.classes)));
    let merged =
        Merged { keys: [key(config, input), key(&fewer, input)], classes: [asked, fewer.input.classes] };
    let mut all = Merged::all(run)?;
    all.retain(|other| other.keys[0] != merged.keys[0]);
    all.push(merged);
    ledger.forget(run, Stage::Cluster)?;
    run.write_json(&run.merged(), &all)?;
    Ok(Some(fewer))
}

/// How many classes were asked for where those of `config` were learned instead.
///
/// # Errors
/// [`Error::RunFile`] when the file that tells is damaged.
pub fn asked(config: &Config, input: &Input, run: &RunDir) -> Result<Option<usize>> {
    let merged = Merged::all(run)?;
    let (mut key, mut asked) = (key(config, input), config.input.classes);
    let before = |key: &str, classes| {
        merged.iter().rfind(|merged| merged.keys[1] == key && merged.classes[0] > classes)
    };
    while let Some(before) = before(&key, asked) {
        (key, asked) = (before.keys[0].clone(), before.classes[0]);
    }
    Ok((asked > config.input.classes).then_some(asked))
}

/// That fewer classes were learned, in words.
pub fn instead(asked: usize, classes: usize) -> String {
    format!(
        "{classes} classes instead of {asked}: without their noise, grey values tell no more phases apart (`--set \
         input.merge=false` keeps all {asked})"
    )
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
