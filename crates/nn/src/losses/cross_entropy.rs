//! Cross entropy (Eq. 6): `−log p_y`.

use burn::tensor::{Int, Tensor};

use super::{Loss, negative_log_likelihood};

/// Cross entropy with the hard label.
#[derive(Debug, Clone, Copy)]
pub struct CrossEntropy;

impl Loss for CrossEntropy {
    fn per_pixel(&self, log_p: Tensor<4>, labels: Tensor<3, Int>) -> Tensor<3> {
        negative_log_likelihood(log_p, labels)
    }
}
