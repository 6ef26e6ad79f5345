//! From one resolution to another without weights, in either layout.

use burn::tensor::ops::PadMode;
use burn::tensor::{Tensor, s};
use tomosieve_kernels::BLOCK;

use super::Features;
use super::Layout::{Blocked, Plain};

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
            Blocked(x) => Blocked(with_halo(x.slice(s![.., .., 1..-1;2, 1..-1;2, ..]))),
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
            Blocked(x) => {
                let planes = n * x.dims()[1];
                let pixels = x.slice(s![.., .., 1..-1, 1..-1, ..]).reshape([planes, h, 1, w, 1, BLOCK]);
                let twice = pixels.expand([planes, h, 2, w, 2, BLOCK]);
                Blocked(with_halo(twice.reshape([n, planes / n, 2 * h, 2 * w, BLOCK])))
            }
        };
        Self { layout, ..self }
    }
}
