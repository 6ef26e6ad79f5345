//! The roster of losses (Sec. IV-F) and the masked mean that turns pixel losses into one number (Eq. 9).
//!
//! A new loss is one file and one line here.

use burn::tensor::{Int, Tensor};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

mod bootstrapping;
pub mod by_hand;
mod cross_entropy;
mod focal;
mod generalized_cross_entropy;
mod label_smoothing;
mod symmetric_cross_entropy;

pub use bootstrapping::Bootstrapping;
use by_hand::ByHand;
pub use cross_entropy::CrossEntropy;
pub use focal::Focal;
pub use generalized_cross_entropy::GeneralizedCrossEntropy;
pub use label_smoothing::LabelSmoothing;
pub use symmetric_cross_entropy::SymmetricCrossEntropy;

/// A loss per pixel.
pub trait Loss: Send + Sync {
    /// The loss of each pixel.
    ///
    /// # Shapes
    /// - `log_p`: log-probabilities `[n, k, h, w]` (log-softmax of the logits, Eq. 4)
    /// - `labels`: `[n, h, w]`, each in `0..k`
    /// - output: `[n, h, w]`
    fn per_pixel(&self, log_p: Tensor<4>, labels: Tensor<3, Int>) -> Tensor<3>;

    /// The same with its gradient by hand, if it has one; what has none is composed of tensors on the CPU too.
    fn by_hand(&self) -> Option<&dyn ByHand> {
        None
    }
}

/// Which loss, and the parameters of those that have one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossConfig {
    /// A name of the roster.
    pub name: String,
    /// ε of label smoothing, in `[0, 1)`.
    pub smoothing: f64,
    /// q of generalised cross entropy, in `[0.01, 1]`; less is cross entropy but for rounding.
    pub q: f64,
    /// α of symmetric cross entropy: weight of cross entropy, 0 to 100.
    pub alpha: f64,
    /// β of symmetric cross entropy: weight of reverse cross entropy, 0 to 100.
    pub beta: f64,
    /// A of symmetric cross entropy: what stands for log 0, in `[-100, 0)`.
    pub log_zero: f64,
    /// β of soft bootstrapping: the label's share of the target, in `(0, 1]`.
    pub soft_beta: f64,
    /// β of hard bootstrapping: the label's share of the target, in `(0, 1]`.
    pub hard_beta: f64,
    /// γ of the focal loss, 0 to 10.
    pub gamma: f64,
}

impl Default for LossConfig {
    fn default() -> Self {
        Self {
            name: "label-smoothing".into(),
            smoothing: 0.1,
            q: 0.7,
            alpha: 0.1,
            beta: 1.0,
            log_zero: -4.0,
            soft_beta: 0.95,
            hard_beta: 0.8,
            gamma: 2.0,
        }
    }
}

impl LossConfig {
    /// Checks ranges, so that no loss has to; of all losses, whichever is named.
    ///
    /// # Errors
    /// [`Error::BadSetting`], naming the setting.
    pub fn check(&self) -> Result<()> {
        let share = |x: f64| x > 0.0 && x <= 1.0;
        let weight = |x: f64| (0.0..=100.0).contains(&x);
        let no_weight = self.alpha + self.beta == 0.0;
        #[rustfmt::skip]
        let settings = [
            ("loss.smoothing", self.smoothing, (0.0..1.0).contains(&self.smoothing), "a number in [0, 1)"),
            ("loss.q", self.q, (0.01..=1.0).contains(&self.q), "0.01 to 1"),
            ("loss.alpha", self.alpha, weight(self.alpha), "0 to 100"),
            ("loss.beta", self.beta, weight(self.beta) && !no_weight, "0 to 100, and not 0 when alpha is"),
            ("loss.log_zero", self.log_zero, (-100.0..0.0).contains(&self.log_zero), "a number in [-100, 0)"),
            ("loss.soft_beta", self.soft_beta, share(self.soft_beta), "a number in (0, 1]"),
            ("loss.hard_beta", self.hard_beta, share(self.hard_beta), "a number in (0, 1]"),
            ("loss.gamma", self.gamma, (0.0..=10.0).contains(&self.gamma), "0 to 10"),
        ];
        match settings.into_iter().find(|(_, _, allowed, _)| !allowed) {
            Some((setting, got, _, expected)) => {
                Err(Error::BadSetting { setting, got: got.to_string(), expected })
            }
            None => Ok(()),
        }
    }
}

/// Makes a loss from its settings.
type Make = fn(&LossConfig) -> Box<dyn Loss>;

/// Every loss: its name and how it is made.
const ROSTER: &[(&str, Make)] = &[
    ("cross-entropy", |_| Box::new(CrossEntropy)),
    ("label-smoothing", |c| Box::new(LabelSmoothing { epsilon: c.smoothing })),
    ("generalized-cross-entropy", |c| Box::new(GeneralizedCrossEntropy { q: c.q })),
    ("symmetric-cross-entropy", |c| {
        Box::new(SymmetricCrossEntropy { alpha: c.alpha, beta: c.beta, log_zero: c.log_zero })
    }),
    ("bootstrapping", |c| Box::new(Bootstrapping { beta: c.soft_beta, hard: false })),
    ("bootstrapping-hard", |c| Box::new(Bootstrapping { beta: c.hard_beta, hard: true })),
    ("focal", |c| Box::new(Focal { gamma: c.gamma })),
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
    config.check()?;
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

/// `−log p` of the labelled class of each pixel, which most losses begin with.
///
/// # Shapes
/// - `log_p`: `[n, k, h, w]`
/// - `labels`, output: `[n, h, w]`
pub fn negative_log_likelihood(log_p: Tensor<4>, labels: Tensor<3, Int>) -> Tensor<3> {
    log_p.gather(1, labels.unsqueeze_dim(1)).squeeze_dim(1).neg() // [n, h, w]
}
