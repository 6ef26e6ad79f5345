//! Cross entropy (Eq. 6): `−log p_y`.

use burn::tensor::{Int, Tensor};

use super::by_hand::{ByHand, Lanes, Pixels, by_label};
use super::{Loss, negative_log_likelihood};

/// Cross entropy with the hard label.
#[derive(Debug, Clone, Copy)]
pub struct CrossEntropy;

impl Loss for CrossEntropy {
    fn per_pixel(&self, log_p: Tensor<4>, labels: Tensor<3, Int>) -> Tensor<3> {
        negative_log_likelihood(log_p, labels)
    }

    fn by_hand(&self) -> Option<&dyn ByHand> {
        Some(self)
    }
}

impl ByHand for CrossEntropy {
    fn judge(&self, pixels: &Pixels<'_>, losses: &mut Lanes, slopes: &mut [Lanes]) {
        by_label(pixels, losses, slopes, |log_p, _| (-log_p, -1.0));
    }
}
