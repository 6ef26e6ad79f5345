//! The guard of stage 3: notices without labels that self-correction does harm.
//!
//! Self-correction can feed on its own mistakes. Two signs come before a collapse: a map that fits the image less well than
//! that of stage 2 did ([`Verdict::score`]), and a class whose share of the map leaves a band around its share of the pseudo
//! labels and of stage 2, unless the map fits better for it, as where classes that are no phases of their own go.

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
    /// The map had come to fit the image less well.
    #[serde(alias = "structure")]
    Score {
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
            Self::Share { .. } | Self::Score { .. } => "was stopped by its guard",
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
            Self::Score { score, before } => {
                let lost = 100.0 * (1.0 - score / before);
                write!(f, "its map had come to fit the image {lost:.1} % less well than that of stage 2")
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

/// Whether a score lies below another by more than this share of it.
pub fn falls_short(score: f64, of: f64, forgiven: f64) -> bool {
    score < (1.0 - forgiven) * of
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
    let (score, before) = (teacher.score(), stage2.score());
    if falls_short(score, before, config.guard_score) {
        return Some(Alarm::Score { score, before });
    }
    if score > before {
        return None;
    }
    let shares = teacher.shares.iter().zip(&pseudo_labels.shares).zip(&stage2.shares).enumerate();
    let left = |labels: f64, map: f64, share: f64| {
        share < config.guard_low * labels.min(map) || share > config.guard_high * labels.max(map)
    };
    shares
        .filter(|(_, ((_, labels), _))| **labels > 0.0)
        .find(|(_, ((share, labels), map))| left(**labels, **map, **share))
        .map(|(class, ((&share, &expected), _))| Alarm::Share { class, share, expected })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(shares: &[f64], structure: f64, spread: f64) -> Verdict {
        Verdict { shares: shares.to_vec(), structure, spread }
    }

    fn alarm(shares: &[f64], structure: f64, spread: f64) -> Option<Alarm> {
        let mut config = crate::Config::defaults().unwrap().correct;
        (config.guard_low, config.guard_high, config.guard_score) = (0.5, 1.75, 0.05);
        let pseudo_labels = verdict(&[0.5, 0.3, 0.2, 0.0], 9.0, 4.0);
        let stage2 = verdict(&[0.5, 0.25, 0.25, 0.0], 10.0, 2.0);
        judge(&verdict(shares, structure, spread), &pseudo_labels, &stage2, &config)
    }

    #[test]
    fn a_class_outside_its_band_alarms_unless_the_map_fits_better() {
        assert_eq!(alarm(&[0.55, 0.35, 0.1, 0.0], 10.0, 2.0), None);
        let dying = alarm(&[0.6, 0.31, 0.09, 0.0], 10.0, 2.0).unwrap();
        assert_eq!(dying.to_string(), "class 2 went from 20.00 % of the voxels to 9.00 %");
        assert!(matches!(alarm(&[0.3, 0.6, 0.1, 0.0], 10.0, 2.0), Some(Alarm::Share { class: 1, .. })));
        assert_eq!(alarm(&[0.6, 0.31, 0.09, 0.0], 10.1, 2.0), None);
        // The share of stage 2 counts as well as that of the pseudo labels: 0.25 × 1.75 and 0.25 × 0.5.
        assert_eq!(alarm(&[0.45, 0.13, 0.42, 0.0], 10.0, 2.0), None);
        assert!(matches!(alarm(&[0.47, 0.12, 0.41, 0.0], 10.0, 2.0), Some(Alarm::Share { class: 1, .. })));
        assert!(matches!(alarm(&[0.43, 0.13, 0.44, 0.0], 10.0, 2.0), Some(Alarm::Share { class: 2, .. })));
    }

    #[test]
    fn structure_that_is_lost_alarms_and_so_do_classes_that_spread() {
        let same = [0.5, 0.3, 0.2, 0.0];
        for (structure, spread) in [(9.6, 2.0), (10.0, 2.1), (14.0, 2.9), (9.0, 1.8)] {
            assert_eq!(alarm(&same, structure, spread), None, "{structure} {spread}");
        }
        for (structure, spread) in [(9.0, 2.0), (10.0, 2.0 / 0.9), (18.0, 4.0)] {
            let worse = alarm(&same, structure, spread).unwrap().to_string();
            assert_eq!(worse, "its map had come to fit the image 10.0 % less well than that of stage 2");
        }
        // Without noise nothing varies within right classes, and without structure there is none to lose.
        assert!(verdict(&same, 10.0, 0.0).score().is_finite());
        let mut config = crate::Config::defaults().unwrap().correct;
        config.guard_score = 0.05;
        let nothing = |spread| verdict(&same, 0.0, spread);
        assert_eq!(judge(&nothing(1.0), &nothing(1.0), &nothing(1.0), &config), None);
        let worse = judge(&nothing(1.1), &nothing(1.0), &nothing(1.0), &config);
        assert!(matches!(worse, Some(Alarm::Score { .. })), "{worse:?}");
    }
}
