//! The guard of stage 3: notices without labels that self-correction does harm.
//!
//! Self-correction can feed on its own mistakes. Two signs come before a collapse: a class whose share of
//! the teacher's map leaves a band around its share of the pseudo labels, and the loss of structure that
//! stage 2 found and the image confirms ([`crate::structure`]).

use serde::{Deserialize, Serialize};

use crate::config::CorrectConfig;
use crate::jury::Verdict;

/// Why the guard stepped in.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Alarm {
    /// A class left its band.
    Share {
        /// The class.
        class: usize,
        /// Its share of the teacher's map.
        share: f64,
        /// Its share of the pseudo labels.
        expected: f64,
    },
    /// Structure was lost.
    Structure {
        /// The score of the teacher's map.
        score: f64,
        /// That of stage 2.
        before: f64,
    },
    /// With one slice at a time no other slice can confirm a correction.
    Unconfirmed,
    /// The pseudo labels are not noisy enough for a correction.
    Settled {
        /// Share of them that the neighbouring slices confirm ([`crate::jury::confirmed`]).
        confirmed: f64,
    },
}

impl Alarm {
    /// What it means for the stage.
    pub fn meaning(&self) -> &'static str {
        match self {
            Self::Share { .. } | Self::Structure { .. } => "was stopped by its guard",
            Self::Unconfirmed | Self::Settled { .. } => "was left out",
        }
    }
}

impl std::fmt::Display for Alarm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Share { class, share, expected } => {
                let (share, expected) = (100.0 * share, 100.0 * expected);
                write!(f, "class {class} went from {expected:.2} % of the voxels to {share:.2} %")
            }
            Self::Structure { score, before } => {
                let lost = 100.0 * (1.0 - score / before);
                write!(f, "{lost:.1} % of the structure that stage 2 had found was lost")
            }
            Self::Unconfirmed => {
                write!(f, "with input.slices = 1 there are no neighbouring slices that could confirm it")
            }
            Self::Settled { confirmed } => {
                write!(f, "the neighbouring slices confirm {:.1} % of the pseudo labels", 100.0 * confirmed)
            }
        }
    }
}

/// What is wrong with a teacher, if anything, given what the pseudo labels and the network of stage 2 are
/// like.
///
/// Classes absent from the pseudo labels at hand are not judged.
pub fn judge(
    teacher: &Verdict,
    pseudo_labels: &Verdict,
    stage2: &Verdict,
    config: &CorrectConfig,
) -> Option<Alarm> {
    let (low, high) = (config.guard_low, config.guard_high);
    let pairs = teacher.shares.iter().zip(&pseudo_labels.shares).enumerate();
    let left = pairs
        .filter(|(_, (_, expected))| **expected > 0.0)
        .find(|(_, (share, expected))| **share < low * **expected || **share > high * **expected)
        .map(|(class, (&share, &expected))| Alarm::Share { class, share, expected });
    let (score, before) = (teacher.structure, stage2.structure);
    let lost = score < before - config.guard_structure * before.abs();
    left.or_else(|| lost.then_some(Alarm::Structure { score, before }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(shares: &[f64], structure: f64) -> Verdict {
        Verdict { shares: shares.to_vec(), structure }
    }

    fn alarm(shares: &[f64], structure: f64) -> Option<Alarm> {
        let mut config = crate::Config::defaults().unwrap().correct;
        (config.guard_low, config.guard_high, config.guard_structure) = (0.5, 1.75, 0.05);
        let pseudo_labels = verdict(&[0.5, 0.3, 0.2, 0.0], 9.0);
        judge(&verdict(shares, structure), &pseudo_labels, &verdict(&[], 10.0), &config)
    }

    #[test]
    fn a_class_outside_its_band_alarms() {
        assert_eq!(alarm(&[0.55, 0.35, 0.1, 0.0], 10.0), None);
        let dying = alarm(&[0.6, 0.31, 0.09, 0.0], 10.0).unwrap();
        assert_eq!(dying.to_string(), "class 2 went from 20.00 % of the voxels to 9.00 %");
        assert!(matches!(alarm(&[0.3, 0.6, 0.1, 0.0], 10.0), Some(Alarm::Share { class: 1, .. })));
    }

    #[test]
    fn lost_structure_alarms_and_more_of_it_does_not() {
        let same = [0.5, 0.3, 0.2, 0.0];
        assert_eq!(alarm(&same, 9.6), None);
        assert_eq!(alarm(&same, 14.0), None);
        let lost = alarm(&same, 9.0).unwrap();
        assert_eq!(lost.to_string(), "10.0 % of the structure that stage 2 had found was lost");
    }
}
