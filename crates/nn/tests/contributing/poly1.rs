//! Poly-1 (Leng et al. 2022, arXiv 2204.12511, Eq. 6): `−log p_y + ε·(1 − p_y)`, cross entropy with a
//! heavier first term of its expansion in powers of `1 − p_y`.

use burn::tensor::{Int, Tensor};

use super::{Loss, negative_log_likelihood};

/// Cross entropy with a heavier first term.
#[derive(Debug, Clone, Copy)]
pub struct Poly1 {
    /// ε: what is added to the first coefficient, 1; 0 is cross entropy.
    pub epsilon: f64,
}

impl Loss for Poly1 {
    fn per_pixel(&self, log_p: Tensor<4>, labels: Tensor<3, Int>) -> Tensor<3> {
        let nll = negative_log_likelihood(log_p, labels); // −log p_y, [n, h, w]
        let wrong = nll.clone().neg().exp().neg().add_scalar(1.0); // 1 − p_y
        nll + wrong.mul_scalar(self.epsilon)
    }
}
