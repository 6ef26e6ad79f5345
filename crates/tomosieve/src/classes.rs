//! How many classes? Too many are made, corrected, and merged where the image shows no boundary between them.
//!
//! Clustering alone cannot tell: a phase of noisy or drifting grey values looks like several. But once a network has
//! learned what neighbouring slices agree on, a class that is no phase of its own gives itself away by its boundaries:
//! the image does not change across them. Neighbouring classes are merged, those with the least contrast first, until all
//! that are left are told apart by the image.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::input::Input;
use crate::ledger::{Ledger, Stage};
use crate::progress::Progress;
use crate::run_dir::RunDir;
use crate::stages::{Context, cluster, correct, train};
use crate::structure::Boundaries;
use crate::{Result, plan};

/// Classes to begin with.
pub const MOST: usize = 8;
/// Contrast of the clearest quarter of a boundary below which two classes are one, in units of what noise makes.
const FAINT: f64 = 1.75;
/// Share of the shorter of two classes' boundaries that must lie between the two to tell whether they are one.
const TOUCHING: f64 = 0.2;
/// Share of the map below which a class is none.
const RARE: f64 = 1e-3;

/// How many classes a volume has, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// What the answer depends on.
    pub key: String,
    /// K.
    pub classes: usize,
    /// Shares of the classes to begin with, by ascending grey value.
    pub shares: Vec<f64>,
    /// What was merged, in order.
    pub merges: Vec<Merge>,
    /// The faintest boundary that is left; none for a single class.
    pub faintest: Option<f64>,
}

/// Classes that turned out to be one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Merge {
    /// The classes to begin with that are merged.
    pub classes: RangeInclusive<usize>,
    /// Contrast across the boundary that fell, in units of noise; none where there was hardly a voxel.
    pub contrast: Option<f64>,
}

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} classes, out of {}", self.classes, self.shares.len())?;
        for (index, Merge { classes, contrast }) in self.merges.iter().enumerate() {
            let (first, last) = (classes.start(), classes.end());
            write!(f, "{} {first} to {last} are one (", if index == 0 { ":" } else { "," })?;
            match contrast {
                Some(contrast) => write!(f, "contrast {contrast:.2})")?,
                None => write!(f, "hardly a voxel)")?,
            }
        }
        match self.faintest {
            Some(faintest) => {
                write!(f, "; the faintest boundary left has {faintest:.2} times the contrast of noise")
            }
            None => Ok(()),
        }
    }
}

/// The configuration with a number of classes: its own, or the one found for this volume, which is kept in the run folder.
///
/// # Errors
/// What the first three stages say.
pub fn settle(mut config: Config, input: &Input, run: &RunDir, progress: &dyn Progress) -> Result<Config> {
    if config.input.classes == 0 {
        let found = find(&config, input, run, progress)?;
        progress.note(&found.to_string());
        config.input.classes = found.classes.max(2);
    }
    Ok(config)
}

/// How many classes the volume has.
///
/// # Errors
/// What the first three stages say.
pub fn find(config: &Config, input: &Input, run: &RunDir, progress: &dyn Progress) -> Result<Found> {
    let config = trial(config);
    let key = Ledger::key(Stage::Correct, &config, input);
    if let Some(found) = run.read_json::<Found>(&run.classes())?.filter(|found| found.key == key) {
        return Ok(found);
    }
    progress.note(&format!("looking for the number of classes, with {MOST} to begin with"));
    let folder = RunDir::create(&run.trial().join(&key))?; // what is in it was made with the same settings
    let memory = plan::memory_limit(&config)?;
    let context = Context { config: &config, input, run: &folder, progress, memory };
    cluster::fit(&context)?;
    if !folder.student(config.starts - 1).is_file() {
        train::run(&context)?;
    }
    correct::run(&context)?;
    let (shares, boundaries) = correct::boundaries(&context)?;
    let found = merged(key, shares, boundaries);
    run.write_json(&run.classes(), &found)?;
    RunDir::beside(&run.trial()).remove_all()?;
    Ok(found)
}

/// The settings of the search: many classes, and a self-correction so long and so strong that it forgets those that are
/// none.
pub fn trial(config: &Config) -> Config {
    let mut config = config.clone();
    config.input.classes = MOST;
    let correct = &mut config.correct;
    correct.guard = false; // classes that vanish are what is looked for
    (correct.steps, correct.epochs) = (correct.steps * 5 / 2, correct.epochs * 5 / 2);
    correct.momentum = 1.0 - 0.4 * (1.0 - correct.momentum);
    correct.learning_rate *= 5.0;
    correct.class_weight_power += 0.25;
    config.views.strength *= 1.75;
    config
}

/// Merges neighbouring classes until the image tells all that are left apart.
fn merged(key: String, shares: Vec<f64>, mut boundaries: Boundaries) -> Found {
    let mut groups: Vec<RangeInclusive<usize>> = (0..shares.len()).map(|class| class..=class).collect();
    let mut merges = Vec::new();
    let mut join =
        |groups: &mut Vec<RangeInclusive<usize>>, boundaries: &mut Boundaries, at: usize, contrast| {
            boundaries.join(at);
            let upper = groups.remove(at + 1);
            groups[at] = *groups[at].start()..=*upper.end();
            merges.push(Merge { classes: groups[at].clone(), contrast });
        };
    let share = |group: &RangeInclusive<usize>| shares[group.clone()].iter().sum::<f64>();
    while groups.len() > 1
        && let Some(rare) = groups.iter().position(|group| share(group) < RARE)
    {
        let at = rare.min(groups.len() - 2); // with the one above, the last with the one below
        join(&mut groups, &mut boundaries, at, None);
    }
    let faintest = |boundaries: &Boundaries, count: usize| {
        let touching = (0..count - 1).filter(|&at| boundaries.touching(at, at + 1) >= TOUCHING);
        let contrasts = touching.filter_map(|at| Some((at, boundaries.contrast(at, at + 1)?)));
        contrasts.min_by(|a, b| a.1.total_cmp(&b.1))
    };
    while let Some((at, contrast)) =
        faintest(&boundaries, groups.len()).filter(|(_, contrast)| *contrast < FAINT)
    {
        join(&mut groups, &mut boundaries, at, Some(contrast));
    }
    let faintest = faintest(&boundaries, groups.len()).map(|(_, contrast)| contrast);
    Found { key, classes: groups.len(), shares, merges, faintest }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faint_boundaries_fall_and_clear_ones_stay() {
        let mut boundaries = Boundaries::new(4);
        // 0|1 clear, 1|2 faint, 2|3 clear by itself and towards what 2 becomes part of.
        for (a, b, contrast) in [(0, 1, 3.0), (1, 2, 0.25), (2, 3, 2.0), (1, 3, 2.5)] {
            (0..100).for_each(|_| boundaries.add(a, b, contrast));
        }
        let found = merged("k".into(), vec![0.5, 0.2, 0.2, 0.1], boundaries);
        assert_eq!(found.classes, 3);
        assert_eq!(found.merges, [Merge { classes: 1..=2, contrast: Some(0.25) }]);
        assert_eq!(found.faintest, Some(2.5));
        assert_eq!(
            found.to_string(),
            "3 classes, out of 4: 1 to 2 are one (contrast 0.25); the faintest boundary left has 2.50 times the contrast \
             of noise"
        );
    }

    #[test]
    fn a_class_of_hardly_a_voxel_is_none() {
        let mut boundaries = Boundaries::new(3);
        for (a, b) in [(0, 1), (1, 2), (0, 2)] {
            boundaries.add(a, b, 3.0);
        }
        let found = merged("k".into(), vec![0.6, 0.4, 1e-6], boundaries);
        assert_eq!((found.classes, &found.merges[0].classes), (2, &(1..=2)));
        let nothing = merged("k".into(), vec![1.0, 0.0], Boundaries::new(2));
        assert_eq!((nothing.classes, nothing.faintest), (1, None));
    }
}
