//! The roster of losses (Sec. IV-F) and the masked mean that turns pixel losses into one number (Eq. 9).
//!
//! A new loss is one file and one line here.

use burn::tensor::{Int, Tensor};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

mod cross_entropy;
mod label_smoothing;

pub use cross_entropy::CrossEntropy;
pub use label_smoothing::LabelSmoothing;

/// A loss per pixel.
pub trait Loss: Send + Sync {
    /// The loss of each pixel.
    ///
    /// # Shapes
    /// - `log_p`: log-probabilities `[n, k, h, w]` (log-softmax of the logits, Eq. 4)
    /// - `labels`: `[n, h, w]`, each in `0..k`
    /// - output: `[n, h, w]`
    fn per_pixel(&self, log_p: Tensor<4>, labels: Tensor<3, Int>) -> Tensor<3>;
}

/// Which loss, and the parameters of those that have one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossConfig {
    /// A name of the roster.
    pub name: String,
    /// ε of label smoothing, in `[0, 1)`.
    pub smoothing: f64,
}

impl Default for LossConfig {
    fn default() -> Self {
        Self { name: "label-smoothing".into(), smoothing: 0.1 }
    }
}

/// Makes a loss from its settings.
type Make = fn(&LossConfig) -> Box<dyn Loss>;

/// Every loss: its name and how it is made.
const ROSTER: &[(&str, Make)] = &[
    ("cross-entropy", |_| Box::new(CrossEntropy)),
    ("label-smoothing", |c| Box::new(LabelSmoothing { epsilon: c.smoothing })),
];

/// The names of all losses.
pub fn names() -> Vec<&'static str> {
    ROSTER.iter().map(|(name, _)| *name).collect()
}

/// The configured loss.
///
/// # Errors
/// [`Error::UnknownName`] or [`Error::BadSetting`].
pub fn by_config(config: &LossConfig) -> Result<Box<dyn Loss>> {
    if !(0.0..1.0).contains(&config.smoothing) {
        return Err(Error::BadSetting {
            setting: "loss.smoothing",
            got: config.smoothing.to_string(),
            expected: "a number in [0, 1)",
        });
    }
    let entry = ROSTER.iter().find(|(name, _)| *name == config.name);
    let (_, make) = entry.ok_or_else(|| Error::unknown("loss", &config.name, &names()))?;
    Ok(make(config))
}

/// Mean of the pixel losses over the pixels that count (Eq. 9): `Σ w·l / max(count, 1)`.
///
/// `weights` is 0 where a pixel is masked and the weight of its class elsewhere; `count` is the number
/// of pixels not masked. A batch masked altogether gives 0 and no gradient, never a NaN.
///
/// # Shapes
/// - `loss`, `weights`: `[n, h, w]`
/// - output: `[1]`
pub fn masked_mean(loss: Tensor<3>, weights: Tensor<3>, count: usize) -> Tensor<1> {
    (loss * weights).sum().div_scalar(count.max(1) as f64)
}

/// `−log p` of the labelled class of each pixel, `[n, h, w]`.
fn negative_log_likelihood(log_p: Tensor<4>, labels: Tensor<3, Int>) -> Tensor<3> {
    log_p.gather(1, labels.unsqueeze_dim(1)).squeeze_dim(1).neg() // [n, h, w]
}
