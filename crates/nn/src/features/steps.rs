//! From one resolution to another without weights, in either layout.

use burn::tensor::ops::PadMode;
use burn::tensor::{Tensor, s};
use tomosieve_kernels::Resample;

use super::Features;
use super::Layout::{Blocked, Plain};
use crate::kernel_ops;

/// Pixels `[n, ⌈c/8⌉, h, w, 8]` with the halo around them.
pub(super) fn with_halo(x: Tensor<5>) -> Tensor<5> {
    x.pad([(1, 1), (1, 1), (0, 0)], PadMode::Constant(0.0))
}

impl Features {
    /// Every second row and column, from the first on: after a convolution, its stride of 2.
    ///
    /// # Shapes
    /// `[n, c, h, w] → [n, c, ⌈h/2⌉, ⌈w/2⌉]`
    #[must_use]
    pub fn every_second(self) -> Self {
        let layout = match self.layout {
            Plain(x) => Plain(x.slice(s![.., .., ..;2, ..;2])),
            Blocked(x) => x.then(|x| kernel_ops::resample(x, Resample::Half)),
        };
        Self { layout, ..self }
    }

    /// Every pixel four times: nearest-neighbour up-sampling by 2.
    ///
    /// # Shapes
    /// `[n, c, h, w] → [n, c, 2h, 2w]`
    #[must_use]
    pub fn nearest2(self) -> Self {
        let [n, c, h, w] = self.dims();
        let layout = match self.layout {
            Plain(x) => {
                let twice = x.reshape([n * c, h, 1, w, 1]).expand([n * c, h, 2, w, 2]);
                Plain(twice.reshape([n, c, 2 * h, 2 * w]))
            }
            Blocked(x) => x.then(|x| kernel_ops::resample(x, Resample::Double)),
        };
        Self { layout, ..self }
    }
}
