//! Pixel accuracy, intersection over union and Dice from a confusion matrix and a mapping (paper Sec. IV-C).
//!
//! With `n_cc'` the pixels of truth class `c` whose cluster maps to `c'`:
//!
//! - accuracy `Σ_{c≠bg} n_cc / Σ_{c≠bg} Σ_c' n_cc'`: over pixels whose truth is not background;
//! - `IoU_c = n_cc / (Σ_c' n_cc' + Σ_c' n_c'c − n_cc)` from the *full* matrix, so a class painted onto the background
//!   pays for it; `Dice_c = 2 IoU_c / (1 + IoU_c)`;
//! - mIoU, mean Dice: over the non-background classes that occur in the truth;
//! - the `_all` variants count the background as one more class.
//!
//! A ratio without a denominator (a class neither true nor predicted) is NaN, written as `null` in JSON.

use serde::{Deserialize, Deserializer, Serialize};

use super::confusion::ConfusionMatrix;
use super::error::MetricsError;
use super::matching::match_clusters;

/// Scores of a segmentation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Pixel accuracy over pixels that are not background in truth.
    #[serde(deserialize_with = "null_is_nan")]
    pub accuracy: f64,
    /// Mean `IoU` over non-background classes in the truth.
    #[serde(deserialize_with = "null_is_nan")]
    pub miou: f64,
    /// `IoU` by truth class.
    #[serde(deserialize_with = "nulls_are_nan")]
    pub iou: Vec<f64>,
    /// Mean Dice (F1) over non-background classes in the truth.
    #[serde(deserialize_with = "null_is_nan")]
    pub dice: f64,
    /// Dice (F1) by truth class.
    #[serde(deserialize_with = "nulls_are_nan")]
    pub dice_by_class: Vec<f64>,
    /// Pixel accuracy with the background.
    #[serde(deserialize_with = "null_is_nan")]
    pub accuracy_all: f64,
    /// Mean `IoU` with the background.
    #[serde(deserialize_with = "null_is_nan")]
    pub miou_all: f64,
    /// Mean Dice (F1) with the background.
    #[serde(deserialize_with = "null_is_nan")]
    pub dice_all: f64,
    /// Truth class of each predicted cluster.
    pub mapping: Vec<u8>,
    /// Pixels by truth class.
    pub support: Vec<u64>,
    /// The class left out of the headline numbers.
    pub background: Option<u8>,
}

impl Scores {
    /// Scores under the best matching of clusters to classes ([`match_clusters`]).
    pub fn matched(matrix: &ConfusionMatrix, background: Option<u8>) -> Self {
        Self::mapped(matrix, match_clusters(matrix), background)
    }

    /// Scores under a given mapping, e.g. one found on other slices.
    ///
    /// # Errors
    /// [`MetricsError::Mapping`] unless the mapping names one truth class for each cluster.
    pub fn with_mapping(
        matrix: &ConfusionMatrix,
        mapping: Vec<u8>,
        background: Option<u8>,
    ) -> Result<Self, MetricsError> {
        let (truth, predicted) = (matrix.truth_classes(), matrix.predicted_classes());
        if mapping.len() != predicted || mapping.iter().any(|&class| usize::from(class) >= truth) {
            return Err(MetricsError::Mapping {
                got: format!("{mapping:?}"),
                expected: format!("{predicted} classes below {truth}"),
            });
        }
        Ok(Self::mapped(matrix, mapping, background))
    }

    fn mapped(matrix: &ConfusionMatrix, mapping: Vec<u8>, background: Option<u8>) -> Self {
        let classes = matrix.truth_classes();
        let mut correct = vec![0_u64; classes];
        let mut claimed = vec![0_u64; classes];
        for (cluster, (&class, total)) in mapping.iter().zip(matrix.predicted_totals()).enumerate() {
            let class = usize::from(class);
            correct[class] += matrix.count(class, cluster);
            claimed[class] += total;
        }
        let support = matrix.truth_totals();
        let by_class = |score: fn(u64, u64, u64) -> f64| -> Vec<f64> {
            (0..classes).map(|c| score(correct[c], support[c], claimed[c])).collect()
        };
        let iou = by_class(|hit, truth, claim| ratio(hit, truth + claim - hit));
        let dice_by_class = by_class(|hit, truth, claim| ratio(2 * hit, truth + claim));

        let every: Vec<usize> = (0..classes).collect();
        let foreground: Vec<usize> =
            every.iter().copied().filter(|&c| background.is_none_or(|bg| usize::from(bg) != c)).collect();
        let sum = |counts: &[u64], of: &[usize]| of.iter().map(|&c| counts[c]).sum::<u64>();
        let accuracy = |of: &[usize]| ratio(sum(&correct, of), sum(&support, of));
        let mean = |scores: &[f64], of: &[usize]| {
            let present: Vec<f64> = of.iter().filter(|&&c| support[c] > 0).map(|&c| scores[c]).collect();
            present.iter().sum::<f64>() / present.len() as f64
        };
        Self {
            accuracy: accuracy(&foreground),
            miou: mean(&iou, &foreground),
            dice: mean(&dice_by_class, &foreground),
            accuracy_all: accuracy(&every),
            miou_all: mean(&iou, &every),
            dice_all: mean(&dice_by_class, &every),
            iou,
            dice_by_class,
            mapping,
            support,
            background,
        }
    }
}

/// `a / b`, NaN for 0 / 0.
fn ratio(a: u64, b: u64) -> f64 {
    a as f64 / b as f64
}

/// JSON has no NaN; it is written as `null` and read back.
fn null_is_nan<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or(f64::NAN))
}

/// [`null_is_nan`] for lists.
fn nulls_are_nan<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<f64>, D::Error> {
    let scores: Vec<Option<f64>> = Vec::deserialize(from)?;
    Ok(scores.into_iter().map(|score| score.unwrap_or(f64::NAN)).collect())
}
