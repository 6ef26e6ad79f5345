//! Convolutions with holes (atrous convolutions; Yu & Koltun 2016, arXiv 1511.07122).
//!
//! A convolution of rate `r` takes its neighbours from every `r`-th pixel. The `r × r` sub-images of
//! every `r`-th pixel thus do not see each other, and on each of them it is an ordinary convolution,
//! for which there is a kernel.

use burn::tensor::module::conv2d;
use burn::tensor::ops::{ConvOptions, PadMode};
use burn::tensor::{Tensor, s};
use tomosieve_kernels::BLOCK;

use super::Features;
use super::Layout::{self, Blocked, Plain};
use super::steps::with_halo;
use crate::kernel_ops;

impl Features {
    /// 3×3 convolution of padding `rate` whose taps are `rate` pixels apart, weight `[c_out, c, 3, 3]`,
    /// bias `[c_out]`.
    ///
    /// # Shapes
    /// `[n, c, h, w] → [n, c_out, h, w]`
    #[must_use]
    pub fn conv_dilated(self, weight: Tensor<4>, bias: Tensor<1>, rate: usize) -> Self {
        let [_, _, h, w] = self.dims();
        let channels = weight.dims()[0];
        let layout: Layout = match self.layout {
            Plain(x) => {
                let options = ConvOptions::new([1, 1], [rate, rate], [rate, rate], 1);
                Plain(conv2d(x, weight, Some(bias), options))
            }
            Blocked(x) if rate >= h.max(w) => {
                // Only the middle tap meets the image.
                let middle = weight.slice(s![.., .., 1..2, 1..2]);
                x.then_awaiting(|x, pending| kernel_ops::conv_point(x, middle, bias, pending.take()))
            }
            Blocked(x) => x.then(|x| on_every(rate, x, |x| kernel_ops::conv_square(x, weight, bias, None))),
        };
        Self { layout, channels }
    }

    /// 3×3 convolution of each channel by itself, of padding `rate` and taps `rate` pixels apart, weight
    /// `[c, 1, 3, 3]`, bias `[c]`.
    ///
    /// # Shapes
    /// `[n, c, h, w] → [n, c, h, w]`
    #[must_use]
    pub fn conv_depthwise(self, weight: Tensor<4>, bias: Tensor<1>, rate: usize) -> Self {
        let c = self.channels;
        let layout = match self.layout {
            Plain(x) => {
                let options = ConvOptions::new([1, 1], [rate, rate], [rate, rate], c);
                Plain(conv2d(x, weight, Some(bias), options))
            }
            Blocked(x) => x.then(|x| kernel_ops::conv_depthwise(x, weight, bias, rate)),
        };
        Self { layout, ..self }
    }
}

/// Does something to each of the sub-images of every `rate`-th pixel of a blocked tensor.
fn on_every(rate: usize, x: Tensor<5>, change: impl FnOnce(Tensor<5>) -> Tensor<5>) -> Tensor<5> {
    if rate == 1 {
        return change(x);
    }
    let [n, blocks, rows, columns, _] = x.dims();
    let [h, w] = [rows - 2, columns - 2];
    let [few_h, few_w] = [h.div_ceil(rate), w.div_ceil(rate)];
    // The halo and what lacks to a multiple of the rate: both are zero.
    let below = [(0, few_h * rate - h), (0, few_w * rate - w), (0, 0)];
    let pixels = x.slice(s![.., .., 1..-1, 1..-1, ..]).pad(below, PadMode::Constant(0.0));
    let apart = pixels
        .reshape([n, blocks, few_h, rate, few_w, rate, BLOCK])
        .permute([0, 3, 5, 1, 2, 4, 6]) // [n, rate, rate, blocks, few_h, few_w, 8]
        .reshape([n * rate * rate, blocks, few_h, few_w, BLOCK]);
    let y = change(with_halo(apart));
    let blocks = y.dims()[1];
    let together = y
        .slice(s![.., .., 1..-1, 1..-1, ..])
        .reshape([n, rate, rate, blocks, few_h, few_w, BLOCK])
        .permute([0, 3, 4, 1, 5, 2, 6]) // [n, blocks, few_h, rate, few_w, rate, 8]
        .reshape([n, blocks, few_h * rate, few_w * rate, BLOCK]);
    with_halo(together.slice(s![.., .., 0..h, 0..w, ..]))
}
