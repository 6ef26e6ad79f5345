//! Symmetric cross entropy (Wang et al. 2019, arXiv 1908.06112, Eq. 7): cross entropy plus its reverse,
//! in which prediction and label change places, `α·CE + β·RCE`.
//!
//! With a hard label and `log 0 := A < 0`, the reverse part `−Σ_k p_k log y_k` is `−A·(1 − p_y)`.

use burn::tensor::{Int, Tensor};

use super::by_hand::{ByHand, Lanes, Pixels, by_label};
use super::{Loss, negative_log_likelihood};

/// Cross entropy and reverse cross entropy.
#[derive(Debug, Clone, Copy)]
pub struct SymmetricCrossEntropy {
    /// α: weight of cross entropy.
    pub alpha: f64,
    /// β: weight of reverse cross entropy.
    pub beta: f64,
    /// A: what stands for log 0.
    pub log_zero: f64,
}

impl Loss for SymmetricCrossEntropy {
    fn per_pixel(&self, log_p: Tensor<4>, labels: Tensor<3, Int>) -> Tensor<3> {
        let nll = negative_log_likelihood(log_p, labels);
        let wrong = nll.clone().neg().exp().neg().add_scalar(1.0); // 1 − p_y
        nll.mul_scalar(self.alpha) + wrong.mul_scalar(-self.log_zero * self.beta)
    }

    fn by_hand(&self) -> Option<&dyn ByHand> {
        Some(self)
    }
}

impl ByHand for SymmetricCrossEntropy {
    fn judge(&self, pixels: &Pixels<'_>, losses: &mut Lanes, slopes: &mut [Lanes]) {
        let (alpha, reverse) = (self.alpha as f32, (-self.log_zero * self.beta) as f32);
        by_label(pixels, losses, slopes, |log_p, p| {
            (reverse * (1.0 - p) - alpha * log_p, -alpha - reverse * p)
        });
    }
}
