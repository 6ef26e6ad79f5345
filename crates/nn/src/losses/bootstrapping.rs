//! Bootstrapping (Reed et al. 2015, arXiv 1412.6596, Eq. 6 and 7): cross entropy with a target that is
//! β parts label and 1 − β parts the network's own opinion.
//!
//! - soft: `−Σ_k (β·y_k + (1 − β)·p_k) log p_k`, the gradient passing through the target too, which makes
//!   the second part the entropy of the prediction
//! - hard: `−Σ_k (β·y_k + (1 − β)·z_k) log p_k` with `z` the most likely class

use burn::tensor::{Int, Tensor};

use super::by_hand::{ByHand, Lanes, Pixels, by_label};
use super::{Loss, negative_log_likelihood};

/// Cross entropy that believes the label only in part.
#[derive(Debug, Clone, Copy)]
pub struct Bootstrapping {
    /// β: the label's share of the target.
    pub beta: f64,
    /// Whether the network's opinion is its most likely class rather than its probabilities.
    pub hard: bool,
}

impl Loss for Bootstrapping {
    fn per_pixel(&self, log_p: Tensor<4>, labels: Tensor<3, Int>) -> Tensor<3> {
        let own = if self.hard {
            log_p.clone().max_dim(1).squeeze_dim(1).neg() // [n, h, w]
        } else {
            (log_p.clone().exp() * log_p.clone()).sum_dim(1).squeeze_dim(1).neg() // [n, h, w]
        };
        let label = negative_log_likelihood(log_p, labels);
        label.mul_scalar(self.beta) + own.mul_scalar(1.0 - self.beta)
    }

    fn by_hand(&self) -> Option<&dyn ByHand> {
        Some(self)
    }
}

impl ByHand for Bootstrapping {
    fn judge(&self, pixels: &Pixels<'_>, losses: &mut Lanes, slopes: &mut [Lanes]) {
        let (label, own) = (self.beta as f32, 1.0 - self.beta as f32);
        by_label(pixels, losses, slopes, |log_p, _| (-label * log_p, -label));
        if self.hard {
            for (pixel, loss) in losses.iter_mut().enumerate() {
                let of = |class: &usize| pixels.log_p[*class][pixel];
                let classes = 0..pixels.log_p.len();
                let likely =
                    classes.rev().max_by(|a, b| of(a).total_cmp(&of(b))).expect("at least one class");
                *loss -= own * of(&likely);
                slopes[likely][pixel] -= own;
            }
            return;
        }
        for ((slopes, log_p), p) in slopes.iter_mut().zip(pixels.log_p).zip(pixels.p) {
            for (((slope, loss), log_p), p) in slopes.iter_mut().zip(&mut *losses).zip(log_p).zip(p) {
                *loss -= own * p * log_p;
                *slope -= own * p * (log_p + 1.0);
            }
        }
    }
}
