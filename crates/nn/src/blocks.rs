//! What the networks are built of (Sec. IV-E): convolution, group norm, PReLU and dropout.
//!
//! Group normalisation: Wu & He 2018 (arXiv 1803.08494). PReLU: He et al. 2015 (arXiv 1502.01852).
//! Channel dropout: Tompson et al. 2015 (arXiv 1411.4280).

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig};
use burn::nn::{GroupNorm, GroupNormConfig, PRelu, PReluConfig, PaddingConfig2d};
use burn::tensor::{Device, Distribution, Tensor};

use crate::features::Features;
use crate::kernel_ops::ConvNormActParams;

mod residual;
mod squeeze_excite;
mod units;

pub use residual::Residual;
pub use squeeze_excite::SqueezeExcite;
pub use units::{Conv, Norm, NormAct, PreAct};

/// The settings that every block of a network shares.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BlockStyle {
    /// Upper bound of the number of groups of a group norm; a layer of `c` channels uses `gcd(groups, c)`.
    pub groups: usize,
    /// Probability with which dropout silences a channel while training.
    pub dropout: f64,
}

/// 3×3 convolution → group norm → PReLU.
#[derive(Module, Debug)]
pub struct ConvNormAct {
    conv: Conv2d,
    norm: GroupNorm,
    act: PRelu,
}

impl ConvNormAct {
    /// A unit from `c_in` to `c_out` channels.
    pub fn new(c_in: usize, c_out: usize, style: BlockStyle, device: &Device) -> Self {
        let conv = Conv2dConfig::new([c_in, c_out], [3, 3])
            .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
            .init(device);
        let norm = GroupNormConfig::new(gcd(style.groups, c_out), c_out).init(device);
        let act = PReluConfig::new().with_num_parameters(c_out).init(device);
        Self { conv, norm, act }
    }

    /// `[n, c_in, h, w] → [n, c_out, h, w]`
    pub fn forward(&self, x: Features) -> Features {
        self.forward_masked(x, None)
    }

    /// Channels of the output.
    fn channels(&self) -> usize {
        self.conv.weight.dims()[0]
    }

    /// [`forward`](Self::forward), then dropout.
    pub fn forward_dropped(&self, x: Features, dropout: &ChannelDropout) -> Features {
        let mask = dropout.mask(x.dims()[0], self.channels(), &x.device());
        self.forward_masked(x, mask)
    }

    /// [`forward`](Self::forward), then dropout's factors `[n, c_out]`.
    fn forward_masked(&self, x: Features, mask: Option<Tensor<2>>) -> Features {
        const WHY: &str = "made with a bias and an affine norm";
        x.conv_norm_act(ConvNormActParams {
            weight: self.conv.weight.val(),
            bias: self.conv.bias.as_ref().expect(WHY).val(),
            gamma: self.norm.gamma.as_ref().expect(WHY).val(),
            beta: self.norm.beta.as_ref().expect(WHY).val(),
            slope: self.act.alpha.val(),
            mask,
            groups: self.norm.num_groups,
            epsilon: self.norm.epsilon,
        })
    }
}

/// Two [`ConvNormAct`] and a channel dropout: one level of a U-Net.
#[derive(Module, Debug)]
pub struct DoubleConv {
    first: ConvNormAct,
    second: ConvNormAct,
    dropout: ChannelDropout,
}

impl DoubleConv {
    /// A level from `c_in` to `c_out` channels.
    pub fn new(c_in: usize, c_out: usize, style: BlockStyle, device: &Device) -> Self {
        Self {
            first: ConvNormAct::new(c_in, c_out, style, device),
            second: ConvNormAct::new(c_out, c_out, style, device),
            dropout: ChannelDropout::new(style.dropout),
        }
    }

    /// `[n, c_in, h, w] → [n, c_out, h, w]`
    pub fn forward(&self, x: Features) -> Features {
        self.second.forward_dropped(self.first.forward(x), &self.dropout)
    }
}

/// Transposed 2×2 convolution of stride 2: doubles height and width.
#[derive(Module, Debug)]
pub struct Upsample {
    conv: ConvTranspose2d,
}

impl Upsample {
    /// An up-convolution from `c_in` to `c_out` channels.
    pub fn new(c_in: usize, c_out: usize, device: &Device) -> Self {
        let conv = ConvTranspose2dConfig::new([c_in, c_out], [2, 2]).with_stride([2, 2]).init(device);
        Self { conv }
    }

    /// `[n, c_in, h, w] → [n, c_out, 2h, 2w]`
    #[allow(clippy::missing_panics_doc)] // it is made with a bias
    pub fn forward(&self, x: Features) -> Features {
        let bias = self.conv.bias.as_ref().expect("made with a bias");
        x.up2(self.conv.weight.val(), bias.val())
    }
}

/// A 1×1 convolution made with a bias: `[n, c_in, h, w] → [n, c_out, h, w]`.
pub(crate) fn conv_point(conv: &Conv2d, x: Features) -> Features {
    let bias = conv.bias.as_ref().expect("made with a bias");
    x.conv_point(conv.weight.val(), bias.val())
}

/// A 3×3 convolution of padding 1 made with a bias: `[n, c_in, h, w] → [n, c_out, h, w]`.
pub(crate) fn conv_square(conv: &Conv2d, x: Features) -> Features {
    let bias = conv.bias.as_ref().expect("made with a bias");
    x.conv_square(conv.weight.val(), bias.val())
}

/// Silences whole channels at random while training and scales the others up; the identity otherwise.
///
/// Neighbouring voxels of a CT slice are correlated, so silencing single ones would hide little.
#[derive(Module, Debug)]
pub struct ChannelDropout {
    probability: f64,
}

impl ChannelDropout {
    /// Dropout that silences a channel with the given probability in `[0, 1)`.
    pub fn new(probability: f64) -> Self {
        Self { probability }
    }

    /// The factors `[n, c]` of a batch's channels; none unless on a device with autodiff, that is while
    /// training.
    pub fn mask(&self, n: usize, c: usize, device: &Device) -> Option<Tensor<2>> {
        if self.probability == 0.0 || !device.is_autodiff() {
            return None;
        }
        let keep = 1.0 - self.probability;
        Some(Tensor::random([n, c], Distribution::Bernoulli(keep), device).div_scalar(keep))
    }
}

/// Greatest common divisor.
pub(crate) fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a.max(1) } else { gcd(b, a % b) }
}
