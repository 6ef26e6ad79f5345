//! `metrics.json`: what came out, in numbers that need no truth.

use serde::{Deserialize, Serialize};

use crate::metrics::ConfusionMatrix;
use crate::stages::cluster::Stage1;

/// One class of the result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassSummary {
    /// Its label.
    pub class: usize,
    /// Mean grey value of its pseudo labels.
    pub mean_grey_value: f64,
    /// Share of the voxels in the pseudo labels.
    pub pseudo_label_fraction: f64,
    /// Share of the voxels in the result.
    pub fraction: f64,
    /// Mean confidence of its voxels, 0 to 1.
    pub confidence: f64,
}

/// The result in numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The stage whose network made the result: `correct`, or `train` where the guard fell back.
    pub model: String,
    /// Voxels of the volume.
    pub voxels: u64,
    /// NaN and infinite voxels among them.
    pub non_finite: u64,
    /// What shading was taken out, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shading: Option<String>,
    /// The classes, in ascending mean grey value.
    pub classes: Vec<ClassSummary>,
    /// Share of the voxels whose class differs from their pseudo label.
    pub changed: f64,
    /// Mean confidence of all voxels.
    pub confidence: f64,
    /// Voxels of pseudo label `row` that came out as class `column` (Fig. 9b of the paper).
    pub flow: Vec<Vec<u64>>,
    /// Scores against a truth, by stage, once `tomosieve evaluate` has run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluation: Option<serde_json::Value>,
}

impl Summary {
    /// The summary of a result: `flow` from pseudo labels to classes, `sure` the sum of each class'
    /// confidences in 255ths.
    pub fn new(stage1: &Stage1, flow: &ConfusionMatrix, sure: &[u64], model: &str) -> Self {
        let counts = flow.predicted_totals();
        let total = flow.total().max(1) as f64;
        let mean = |sum: u64, count: u64| sum as f64 / 255.0 / count.max(1) as f64;
        let classes = (0..counts.len())
            .map(|class| ClassSummary {
                class,
                mean_grey_value: stage1.clusters.means[class],
                pseudo_label_fraction: stage1.fractions[class],
                fraction: counts[class] as f64 / total,
                confidence: mean(sure[class], counts[class]),
            })
            .collect();
        let kept: u64 = (0..counts.len()).map(|class| flow.count(class, class)).sum();
        Self {
            model: model.to_owned(),
            voxels: stage1.voxels,
            non_finite: stage1.non_finite,
            shading: stage1.shading.as_ref().map(ToString::to_string),
            classes,
            changed: 1.0 - kept as f64 / total,
            confidence: mean(sure.iter().sum(), flow.total()),
            flow: flow.rows().to_vec(),
            evaluation: None,
        }
    }
}
