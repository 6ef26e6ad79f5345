//! The guard of stage 3: notices without labels that a class dies or swallows the others.
//!
//! Self-correction can feed on its own mistakes. The sign that came before every collapse we saw is a
//! class whose share of the teacher's map leaves a band around its share of the pseudo labels.

use serde::{Deserialize, Serialize};

/// A class that left its band.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    /// The class.
    pub class: usize,
    /// Its share of the teacher's map.
    pub share: f64,
    /// Its share of the pseudo labels.
    pub expected: f64,
}

impl std::fmt::Display for Alarm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (share, expected) = (100.0 * self.share, 100.0 * self.expected);
        write!(f, "class {} went from {expected:.2} % of the voxels to {share:.2} %", self.class)
    }
}

/// The first class whose share left `[low, high]` times what is expected.
///
/// Classes absent from the pseudo labels at hand are not judged.
pub fn judge(shares: &[f64], expected: &[f64], low: f64, high: f64) -> Option<Alarm> {
    let pairs = shares.iter().zip(expected).enumerate();
    pairs
        .filter(|(_, (_, expected))| **expected > 0.0)
        .find(|(_, (share, expected))| **share < low * **expected || **share > high * **expected)
        .map(|(class, (&share, &expected))| Alarm { class, share, expected })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_class_outside_its_band_alarms() {
        let expected = [0.5, 0.3, 0.2, 0.0];
        assert_eq!(judge(&[0.55, 0.35, 0.1, 0.0], &expected, 0.5, 1.75), None);
        let dying = judge(&[0.6, 0.31, 0.09, 0.0], &expected, 0.5, 1.75).unwrap();
        assert_eq!(dying.class, 2);
        assert_eq!(dying.to_string(), "class 2 went from 20.00 % of the voxels to 9.00 %");
        assert_eq!(judge(&[0.3, 0.6, 0.1, 0.0], &expected, 0.5, 1.75).unwrap().class, 1);
    }
}
