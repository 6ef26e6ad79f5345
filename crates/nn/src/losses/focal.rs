//! Focal loss (Lin et al. 2017, arXiv 1708.02002, Eq. 4): `−(1 − p_y)^γ log p_y`, cross entropy that all
//! but forgets the pixels it already gets right.

use burn::tensor::{Int, Tensor};

use super::by_hand::{ByHand, Lanes, Pixels, by_label};
use super::{Loss, negative_log_likelihood};

/// Keeps the slope of `x^γ` finite at `x = 0` for γ below 1.
const TINY: f64 = 1e-30;

/// Cross entropy weighed by how wrong the network is.
#[derive(Debug, Clone, Copy)]
pub struct Focal {
    /// γ: 0 is cross entropy.
    pub gamma: f64,
}

impl Loss for Focal {
    fn per_pixel(&self, log_p: Tensor<4>, labels: Tensor<3, Int>) -> Tensor<3> {
        let nll = negative_log_likelihood(log_p, labels);
        let wrong = nll.clone().neg().exp().neg().add_scalar(1.0).clamp_min(TINY); // 1 − p_y
        wrong.powf_scalar(self.gamma) * nll
    }

    fn by_hand(&self) -> Option<&dyn ByHand> {
        Some(self)
    }
}

impl ByHand for Focal {
    fn judge(&self, pixels: &Pixels<'_>, losses: &mut Lanes, slopes: &mut [Lanes]) {
        let gamma = self.gamma as f32;
        by_label(pixels, losses, slopes, |log_p, p| {
            let wrong = (1.0 - p).max(TINY as f32);
            let weight = wrong.powf(gamma);
            // d (1 − p) / d log p = −p
            (-weight * log_p, gamma * weight / wrong * p * log_p - weight)
        });
    }
}
