//! Generalised cross entropy (Zhang & Sabuncu 2018, arXiv 1805.07836, Eq. 6): `(1 − p_y^q) / q`.
//!
//! Between cross entropy (`q → 0`) and the mean absolute error (`q = 1`): pixels the network disagrees
//! with pull less, so wrong labels do.

use burn::tensor::{Int, Tensor};

use super::by_hand::{ByHand, Lanes, Pixels, by_label};
use super::{Loss, negative_log_likelihood};

/// Cross entropy whose gradient is weighed by `p_y^q`.
#[derive(Debug, Clone, Copy)]
pub struct GeneralizedCrossEntropy {
    /// q.
    pub q: f64,
}

impl Loss for GeneralizedCrossEntropy {
    fn per_pixel(&self, log_p: Tensor<4>, labels: Tensor<3, Int>) -> Tensor<3> {
        let nll = negative_log_likelihood(log_p, labels);
        let power = nll.mul_scalar(-self.q).exp(); // p_y^q
        power.neg().add_scalar(1.0).div_scalar(self.q)
    }

    fn by_hand(&self) -> Option<&dyn ByHand> {
        Some(self)
    }
}

impl ByHand for GeneralizedCrossEntropy {
    fn judge(&self, pixels: &Pixels<'_>, losses: &mut Lanes, slopes: &mut [Lanes]) {
        let q = self.q as f32;
        by_label(pixels, losses, slopes, |log_p, _| {
            let power = (q * log_p).exp(); // p_y^q
            ((1.0 - power) / q, -power)
        });
    }
}
