//! Activations that know how they lie in memory, so that a network is written once and runs fast on
//! CPUs and GPUs.
//!
//! On the CPU [`Features`] holds the blocked layout of [`crate::kernel_ops`] between the first
//! convolution and the logits; elsewhere it is a plain `[n, c, h, w]` and the methods are composed of
//! burn's operations, which also are what the tests hold the kernels against. A network enters once
//! and leaves once.

use burn::tensor::activation::prelu;
use burn::tensor::module::{conv_transpose2d, conv2d, max_pool2d};
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions, MaxPoolOptions};
use burn::tensor::{Device, Tensor};
use tomosieve_kernels::BLOCK;

use crate::kernel_ops::{self, ConvNormActParams, NormActParams};

mod activation;
mod channelwise;
mod dilated;
mod resize;
mod steps;

use activation::Activation;

pub use resize::bilinear;

/// An activation `[n, c, h, w]` in the layout of its device.
#[derive(Debug, Clone)]
pub struct Features {
    layout: Layout,
    channels: usize,
}

#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "there are a few at a time")]
enum Layout {
    /// `[n, c, h, w]`
    Plain(Tensor<4>),
    /// `[n, ⌈c/8⌉, h + 2, w + 2, 8]`
    Blocked(Activation),
}
use Layout::{Blocked, Plain};

impl Features {
    /// The activation in the layout that suits its device.
    pub fn enter(x: Tensor<4>) -> Self {
        let channels = x.dims()[1];
        let blocked = kernel_ops::available(&x.device());
        Self { layout: if blocked { Blocked(kernel_ops::enter(x).into()) } else { Plain(x) }, channels }
    }

    /// The activation as plain `[n, c, h, w]` wherever it is, for operations composed of burn's.
    pub fn plain(x: Tensor<4>) -> Self {
        Self { channels: x.dims()[1], layout: Plain(x) }
    }

    /// Back to `[n, c, h, w]`.
    pub fn leave(self) -> Tensor<4> {
        match self.layout {
            Plain(x) => x,
            Blocked(x) => kernel_ops::leave(x.read(), self.channels),
        }
    }

    /// The blocked values, if there are any.
    fn blocks(self) -> Option<Tensor<5>> {
        match self.layout {
            Plain(_) => None,
            Blocked(x) => Some(x.read()),
        }
    }

    /// Does something to the plain `[n, c, h, w]` and comes back to this layout; slow on the CPU.
    #[must_use]
    pub fn map(self, change: impl FnOnce(Tensor<4>) -> Tensor<4>) -> Self {
        match self.layout {
            Plain(x) => Self::plain(change(x)),
            Blocked(_) => Self::enter(change(self.leave())),
        }
    }

    /// `[n, c, h, w]`, whatever the layout.
    pub fn dims(&self) -> [usize; 4] {
        match &self.layout {
            Plain(x) => x.dims(),
            Blocked(x) => {
                let [n, _, rows, columns, _] = x.dims();
                [n, self.channels, rows - 2, columns - 2]
            }
        }
    }

    /// Where it lies.
    pub fn device(&self) -> Device {
        match &self.layout {
            Plain(x) => x.device(),
            Blocked(x) => x.device(),
        }
    }

    /// `m · prelu(norm(x ∗ weight + bias))`: 3×3 convolution of padding 1, group norm, `PReLU` and channel
    /// dropout.
    ///
    /// # Shapes
    /// `[n, c, h, w] → [n, c_out, h, w]`
    #[must_use]
    pub fn conv_norm_act(self, params: ConvNormActParams) -> Self {
        let channels = params.weight.dims()[0];
        let layout = match self.layout {
            Plain(x) => Plain(composed_conv_norm_act(x, params)),
            Blocked(x) => x.then_awaiting(|x, pending| kernel_ops::conv_norm_act(x, params, pending)),
        };
        Self { layout, channels }
    }

    /// `m · prelu(norm(x))`: group norm, `PReLU` and channel dropout.
    ///
    /// # Shapes
    /// `[n, c, h, w] → [n, c, h, w]`
    #[must_use]
    pub fn norm_act(self, params: NormActParams) -> Self {
        let layout = match self.layout {
            Plain(x) => Plain(composed_norm_act(x, params)),
            Blocked(x) => x.then_awaiting(|x, pending| kernel_ops::norm_act(x, params, pending)),
        };
        Self { layout, ..self }
    }

    /// The sum of everything, as `[1]`.
    pub fn sum(self) -> Tensor<1> {
        match self.layout {
            Plain(x) => x.sum(),
            Blocked(x) => kernel_ops::pixels(x.read()).sum(), // halo and missing channels are zero
        }
    }

    /// Maximum of 2×2, stride 2.
    ///
    /// # Shapes
    /// `[n, c, h, w] → [n, c, ⌊h/2⌋, ⌊w/2⌋]`
    #[must_use]
    pub fn max_pool2(self) -> Self {
        let layout = match self.layout {
            Plain(x) => Plain(max_pool2d(x, MaxPoolOptions::new([2, 2]))),
            Blocked(x) => x.then_awaiting(|x, pending| kernel_ops::max_pool2(x, pending.take())),
        };
        Self { layout, ..self }
    }

    /// Transposed 2×2 convolution of stride 2, weight `[c, c_out, 2, 2]`, bias `[c_out]`.
    ///
    /// # Shapes
    /// `[n, c, h, w] → [n, c_out, 2h, 2w]`
    #[must_use]
    pub fn up2(self, weight: Tensor<4>, bias: Tensor<1>) -> Self {
        let channels = weight.dims()[1];
        let layout = match self.layout {
            Plain(x) => {
                let options = ConvTransposeOptions::new([2, 2], [0, 0], [0, 0], [1, 1], 1);
                Plain(conv_transpose2d(x, weight, Some(bias), options))
            }
            Blocked(x) => {
                x.then_awaiting(|x, pending| kernel_ops::conv_spread(x, weight, bias, pending.take()))
            }
        };
        Self { layout, channels }
    }

    /// 2×2 convolution of stride 2, weight `[c_out, c, 2, 2]`, bias `[c_out]`; height and width even.
    ///
    /// # Shapes
    /// `[n, c, 2h, 2w] → [n, c_out, h, w]`
    #[must_use]
    pub fn down2(self, weight: Tensor<4>, bias: Tensor<1>) -> Self {
        let channels = weight.dims()[0];
        let layout = match self.layout {
            Plain(x) => Plain(conv2d(x, weight, Some(bias), ConvOptions::new([2, 2], [0, 0], [1, 1], 1))),
            Blocked(x) => {
                x.then_awaiting(|x, pending| kernel_ops::conv_collect(x, weight, bias, pending.take()))
            }
        };
        Self { layout, channels }
    }

    /// 1×1 convolution, weight `[c_out, c, 1, 1]`, bias `[c_out]`.
    ///
    /// # Shapes
    /// `[n, c, h, w] → [n, c_out, h, w]`
    #[must_use]
    pub fn conv_point(self, weight: Tensor<4>, bias: Tensor<1>) -> Self {
        let channels = weight.dims()[0];
        let layout = match self.layout {
            Plain(x) => Plain(conv2d(x, weight, Some(bias), ConvOptions::new([1, 1], [0, 0], [1, 1], 1))),
            Blocked(x) => {
                x.then_awaiting(|x, pending| kernel_ops::conv_point(x, weight, bias, pending.take()))
            }
        };
        Self { layout, channels }
    }

    /// 3×3 convolution of padding 1, weight `[c_out, c, 3, 3]`, bias `[c_out]`.
    ///
    /// # Shapes
    /// `[n, c, h, w] → [n, c_out, h, w]`
    #[must_use]
    pub fn conv_square(self, weight: Tensor<4>, bias: Tensor<1>) -> Self {
        let channels = weight.dims()[0];
        let layout = match self.layout {
            Plain(x) => Plain(conv2d(x, weight, Some(bias), ConvOptions::new([1, 1], [1, 1], [1, 1], 1))),
            Blocked(x) => {
                x.then_awaiting(|x, pending| kernel_ops::conv_square(x, weight, bias, pending.take()))
            }
        };
        Self { layout, channels }
    }

    /// Channels of `self`, then those of `other`.
    ///
    /// # Shapes
    /// `[n, a, h, w], [n, b, h, w] → [n, a + b, h, w]`
    #[must_use]
    pub fn cat(self, other: Self) -> Self {
        Self::join([self, other])
    }

    /// The channels of all parts in order, in the layout of the first.
    ///
    /// # Shapes
    /// `[n, a, h, w], [n, b, h, w], … → [n, a + b + …, h, w]`
    ///
    /// # Panics
    /// If there are no parts.
    #[must_use]
    pub fn join(parts: impl IntoIterator<Item = Self>) -> Self {
        let parts: Vec<Self> = parts.into_iter().collect();
        let channels = parts.iter().map(|part| part.channels).sum();
        let whole_blocks = parts[..parts.len() - 1].iter().all(|part| part.channels.is_multiple_of(BLOCK));
        let blocked = |part: &Self| matches!(part.layout, Blocked(_));
        if whole_blocks && parts.iter().all(blocked) {
            let blocks = parts.into_iter().filter_map(Self::blocks);
            return Self { layout: Blocked(kernel_ops::join(blocks).into()), channels };
        }
        let enter = if blocked(&parts[0]) { Self::enter } else { Self::plain };
        enter(Tensor::cat(parts.into_iter().map(Self::leave).collect(), 1))
    }

    /// Every pixel times its factor, the same for all channels.
    ///
    /// # Shapes
    /// `[n, c, h, w]`, factors `[n, 1, h, w] → [n, c, h, w]`
    #[must_use]
    pub fn weigh(self, factors: Tensor<4>) -> Self {
        let layout = match self.layout {
            Plain(x) => Plain(x * factors),
            Blocked(x) => x.then(|x| kernel_ops::weigh(x, factors)),
        };
        Self { layout, channels: self.channels }
    }

    /// The sum of two activations of the same shape.
    ///
    /// # Panics
    /// If the layouts differ.
    #[must_use]
    #[allow(clippy::should_implement_trait)]
    pub fn add(self, other: Self) -> Self {
        assert_eq!(self.channels, other.channels, "channels of a sum");
        let layout = match (self.layout, other.layout) {
            (Plain(a), Plain(b)) => Plain(a + b),
            (Blocked(a), Blocked(b)) => a.with(b, kernel_ops::sum),
            _ => panic!("a sum of activations in two layouts"),
        };
        Self { layout, channels: self.channels }
    }
}

/// [`Features::conv_norm_act`] of burn's operations.
fn composed_conv_norm_act(x: Tensor<4>, params: ConvNormActParams) -> Tensor<4> {
    let ConvNormActParams { weight, bias, gamma, beta, slope, mask, groups, epsilon } = params;
    let z = conv2d(x, weight, Some(bias), ConvOptions::new([1, 1], [1, 1], [1, 1], 1));
    composed_norm_act(z, NormActParams { gamma, beta, slope, mask, groups, epsilon })
}

/// [`Features::norm_act`] of burn's operations.
fn composed_norm_act(z: Tensor<4>, params: NormActParams) -> Tensor<4> {
    let [n, c, h, w] = z.dims();
    let grouped = z.reshape([n, params.groups, c / params.groups * h * w]);
    let centred = grouped.clone() - grouped.mean_dim(2);
    let variance = centred.clone().square().mean_dim(2); // [n, groups, 1]
    let normed = (centred / (variance + params.epsilon).sqrt()).reshape([n, c, h, w]);
    let [gamma, beta] = [params.gamma, params.beta].map(|t| t.reshape([1, c, 1, 1]));
    let y = prelu(normed * gamma + beta, params.slope);
    match params.mask {
        Some(mask) => y * mask.reshape([n, c, 1, 1]),
        None => y,
    }
}
