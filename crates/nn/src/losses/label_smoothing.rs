//! Label smoothing (Szegedy et al. 2016, arXiv 1512.00567): cross entropy with the target
//! `(1 − ε)·onehot + ε/K`, the paper's default (Sec. IV-F). It keeps the confidence that stage 3
//! thresholds from saturating: the best attainable probability is `1 − ε + ε/K`.

use burn::tensor::{Int, Tensor};

use super::by_hand::{ByHand, Lanes, Pixels, by_label};
use super::{Loss, negative_log_likelihood};

/// Cross entropy with a smoothed label.
#[derive(Debug, Clone, Copy)]
pub struct LabelSmoothing {
    /// ε: the share of the target spread over all classes.
    pub epsilon: f64,
}

impl Loss for LabelSmoothing {
    fn per_pixel(&self, log_p: Tensor<4>, labels: Tensor<3, Int>) -> Tensor<3> {
        let uniform = log_p.clone().mean_dim(1).squeeze_dim(1).neg(); // [n, h, w]
        let hard = negative_log_likelihood(log_p, labels);
        hard.mul_scalar(1.0 - self.epsilon) + uniform.mul_scalar(self.epsilon)
    }

    fn by_hand(&self) -> Option<&dyn ByHand> {
        Some(self)
    }
}

impl ByHand for LabelSmoothing {
    fn judge(&self, pixels: &Pixels<'_>, losses: &mut Lanes, slopes: &mut [Lanes]) {
        let (hard, each) = (1.0 - self.epsilon as f32, self.epsilon as f32 / pixels.p.len() as f32);
        by_label(pixels, losses, slopes, |log_p, _| (-hard * log_p, -hard));
        for (slopes, log_p) in slopes.iter_mut().zip(pixels.log_p) {
            for ((slope, loss), log_p) in slopes.iter_mut().zip(&mut *losses).zip(log_p) {
                *loss -= each * log_p;
                *slope -= each;
            }
        }
    }
}
