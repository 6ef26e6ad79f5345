//! Convolutions, norms and activations one by one, for the networks that order them in their own way.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{GroupNorm, GroupNormConfig, PRelu, PReluConfig, PaddingConfig2d};
use burn::tensor::{Device, Tensor};

use super::{BlockStyle, gcd};
use crate::features::Features;
use crate::kernel_ops::NormActParams;

/// A convolution with a bias whose output is as large as its input, divided by the stride.
#[derive(Module, Debug)]
pub struct Conv {
    conv: Conv2d,
}

impl Conv {
    /// 3×3, at every `stride`-th pixel (1 or 2).
    pub fn square(c_in: usize, c_out: usize, stride: usize, device: &Device) -> Self {
        Self { conv: three(c_in, c_out, 1).with_stride([stride; 2]).init(device) }
    }

    /// 3×3, its taps `rate` pixels apart.
    pub fn dilated(c_in: usize, c_out: usize, rate: usize, device: &Device) -> Self {
        Self { conv: three(c_in, c_out, rate).init(device) }
    }

    /// 3×3 on each channel by itself, its taps `rate` pixels apart, at every `stride`-th pixel (1 or 2).
    pub fn depthwise(c: usize, rate: usize, stride: usize, device: &Device) -> Self {
        Self { conv: three(c, c, rate).with_groups(c).with_stride([stride; 2]).init(device) }
    }

    /// 1×1, at every `stride`-th pixel (1 or 2).
    pub fn point(c_in: usize, c_out: usize, stride: usize, device: &Device) -> Self {
        Self { conv: Conv2dConfig::new([c_in, c_out], [1, 1]).with_stride([stride; 2]).init(device) }
    }

    /// `[n, c_in, h, w] → [n, c_out, ⌈h/stride⌉, ⌈w/stride⌉]`
    #[allow(clippy::missing_panics_doc)] // it is made with a bias
    pub fn forward(&self, x: Features) -> Features {
        let weight = self.conv.weight.val();
        let bias = self.conv.bias.as_ref().expect("made with a bias").val();
        let thin = |x: Features| if self.conv.stride == [1, 1] { x } else { x.every_second() };
        let rate = self.conv.dilation[0];
        if self.conv.kernel_size == [1, 1] {
            thin(x).conv_point(weight, bias)
        } else if self.conv.groups == 1 {
            thin(if rate == 1 { x.conv_square(weight, bias) } else { x.conv_dilated(weight, bias, rate) })
        } else {
            thin(x.conv_depthwise(weight, bias, rate))
        }
    }
}

/// A 3×3 convolution that keeps the size.
fn three(c_in: usize, c_out: usize, rate: usize) -> Conv2dConfig {
    Conv2dConfig::new([c_in, c_out], [3, 3])
        .with_dilation([rate, rate])
        .with_padding(PaddingConfig2d::Explicit(rate, rate, rate, rate))
}

/// A group norm's part of a [`NormActParams`].
fn params(norm: &GroupNorm, slope: Tensor<1>, mask: Option<Tensor<2>>) -> NormActParams {
    const WHY: &str = "made affine";
    NormActParams {
        gamma: norm.gamma.as_ref().expect(WHY).val(),
        beta: norm.beta.as_ref().expect(WHY).val(),
        slope,
        mask,
        groups: norm.num_groups,
        epsilon: norm.epsilon,
    }
}

/// Group norm → PReLU.
#[derive(Module, Debug)]
pub struct NormAct {
    norm: GroupNorm,
    act: PRelu,
}

impl NormAct {
    /// A unit of `c` channels.
    pub fn new(c: usize, style: BlockStyle, device: &Device) -> Self {
        let norm = GroupNormConfig::new(gcd(style.groups, c), c).init(device);
        Self { norm, act: PReluConfig::new().with_num_parameters(c).init(device) }
    }

    /// `[n, c, h, w] → [n, c, h, w]`
    pub fn forward(&self, x: Features) -> Features {
        self.forward_masked(x, None)
    }

    /// [`forward`](Self::forward), then dropout's factors `[n, c]`.
    pub fn forward_masked(&self, x: Features, mask: Option<Tensor<2>>) -> Features {
        x.norm_act(params(&self.norm, self.act.alpha.val(), mask))
    }
}

/// Group norm without an activation.
#[derive(Module, Debug)]
pub struct Norm {
    norm: GroupNorm,
}

impl Norm {
    /// A norm of `c` channels.
    pub fn new(c: usize, style: BlockStyle, device: &Device) -> Self {
        Self { norm: GroupNormConfig::new(gcd(style.groups, c), c).init(device) }
    }

    /// `[n, c, h, w] → [n, c, h, w]`
    pub fn forward(&self, x: Features) -> Features {
        self.forward_masked(x, None)
    }

    /// [`forward`](Self::forward), then dropout's factors `[n, c]`.
    pub fn forward_masked(&self, x: Features, mask: Option<Tensor<2>>) -> Features {
        let linear = Tensor::ones([self.norm.num_channels], &x.device());
        x.norm_act(params(&self.norm, linear, mask))
    }
}

/// Group norm → PReLU → convolution: what pre-activation blocks are made of.
#[derive(Module, Debug)]
pub struct PreAct {
    norm_act: NormAct,
    conv: Conv,
}

impl PreAct {
    /// A unit of `c` input channels before a convolution.
    pub fn new(c: usize, conv: Conv, style: BlockStyle, device: &Device) -> Self {
        Self { norm_act: NormAct::new(c, style, device), conv }
    }

    /// `[n, c, h, w]` to what the convolution makes of it.
    pub fn forward(&self, x: Features) -> Features {
        self.forward_masked(x, None)
    }

    /// [`forward`](Self::forward) with dropout's factors `[n, c]` between activation and convolution.
    pub fn forward_masked(&self, x: Features, mask: Option<Tensor<2>>) -> Features {
        self.conv.forward(self.norm_act.forward_masked(x, mask))
    }
}
