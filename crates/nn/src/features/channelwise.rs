//! One number a channel: global means, gates and slopes, in either layout.

use burn::tensor::Tensor;
use burn::tensor::activation::prelu;
use burn::tensor::ops::PadMode;
use tomosieve_kernels::BLOCK;

use super::Features;
use super::Layout::{Blocked, Plain};
use crate::kernel_ops;

/// Values of each channel `[n, c]` beside the blocked pixels: `[n, ⌈c/8⌉, 1, 1, 8]`, missing ones zero.
fn lanes(values: Tensor<2>) -> Tensor<5> {
    let [n, c] = values.dims();
    let blocks = c.div_ceil(BLOCK);
    let missing = blocks * BLOCK - c;
    let whole = if missing == 0 { values } else { values.pad([(0, missing)], PadMode::Constant(0.0)) };
    whole.reshape([n, blocks, 1, 1, BLOCK])
}

impl Features {
    /// The mean of each channel over all pixels (global average pooling).
    ///
    /// # Shapes
    /// `[n, c, h, w] → [n, c]`
    pub fn means(self) -> Tensor<2> {
        let [n, c, h, w] = self.dims();
        match self.layout {
            Plain(x) => x.reshape([n, c, h * w]).mean_dim(2).reshape([n, c]),
            Blocked(x) => {
                let [_, blocks, rows, columns, _] = x.dims();
                let x = kernel_ops::pixels(x.read());
                let sums = x.reshape([n, blocks, rows * columns, BLOCK]).sum_dim(2); // halo is zero
                sums.reshape([n, blocks * BLOCK]).slice([0..n, 0..c]).div_scalar((h * w) as f64)
            }
        }
    }

    /// Each channel times its own factor, `[n, c]`.
    ///
    /// # Shapes
    /// `[n, c, h, w], [n, c] → [n, c, h, w]`
    #[must_use]
    pub fn scale(self, factors: Tensor<2>) -> Self {
        let [n, c] = factors.dims();
        let layout = match self.layout {
            Plain(x) => Plain(x * factors.reshape([n, c, 1, 1])),
            Blocked(x) => x.then(|x| x * lanes(factors)),
        };
        Self { layout, ..self }
    }

    /// The product of two activations of the same shape.
    ///
    /// # Panics
    /// If the layouts differ.
    #[must_use]
    pub fn times(self, other: Self) -> Self {
        let layout = match (self.layout, other.layout) {
            (Plain(a), Plain(b)) => Plain(a * b),
            (Blocked(a), Blocked(b)) => a.with(b, |a, b| a * b),
            _ => panic!("a product of activations in two layouts"),
        };
        Self { layout, ..self }
    }

    /// `PReLU` with slopes `[c]` alone.
    ///
    /// # Shapes
    /// `[n, c, h, w] → [n, c, h, w]`
    #[must_use]
    pub fn prelu(self, slope: Tensor<1>) -> Self {
        let layout = match self.layout {
            Plain(x) => Plain(prelu(x, slope)),
            Blocked(x) => x.then(|x| kernel_ops::prelu(x, slope)),
        };
        Self { layout, ..self }
    }
}
