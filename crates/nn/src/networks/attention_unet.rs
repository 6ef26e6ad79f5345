//! Attention U-Net (Oktay et al. 2018, arXiv 1804.03999): gates that weigh what passes around the bottleneck.
//!
//! Without skip connections (`attention-unet-noskip`, the paper's Att. U-Net\*, Sec. IV-E) nothing of the
//! encoder but the bottleneck reaches the decoder. The gates stay: each weighs the up-sampled decoder
//! activation by the coarser one it came from.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{PRelu, PReluConfig};
use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Tensor};

use super::NetworkConfig;
use crate::blocks::{DoubleConv, Upsample, conv_point};
use crate::encoder;
use crate::features::{Features, bilinear};
use crate::segmenter::{Segmenter, Tap};

/// The additive attention gate, `x · σ(ψ(act(W_x x + W_g g + b_g)) + b_ψ)` (its Eq. 1 and 2, Fig. 2).
///
/// The weights, one per pixel, are computed on the coarse grid of `g`: `W_x` is a 2×2 convolution of stride
/// 2, `W_g` and `ψ` are 1×1, and the weights are interpolated bilinearly to the grid of `x`.
#[derive(Module, Debug)]
pub struct AttentionGate {
    of_x: Conv2d,
    of_g: Conv2d,
    act: PRelu,
    psi: Conv2d,
}

impl AttentionGate {
    /// A gate for `fine` channels steered by `coarse` ones.
    pub fn new(fine: usize, coarse: usize, device: &Device) -> Self {
        Self {
            of_x: Conv2dConfig::new([fine, fine], [2, 2]).with_stride([2, 2]).with_bias(false).init(device),
            of_g: Conv2dConfig::new([coarse, fine], [1, 1]).init(device),
            act: PReluConfig::new().with_num_parameters(fine).init(device),
            psi: Conv2dConfig::new([fine, 1], [1, 1]).init(device),
        }
    }

    /// `x` weighed pixel by pixel, as `g` has it.
    ///
    /// # Shapes
    /// `[n, fine, 2h, 2w], [n, coarse, h, w] → [n, fine, 2h, 2w]`
    pub fn forward(&self, x: Features, g: Features) -> Features {
        let [_, _, h, w] = x.dims();
        let bias = Tensor::zeros([self.of_x.weight.dims()[0]], &x.device()); // it has none
        let of_x = x.clone().down2(self.of_x.weight.val(), bias);
        let both = of_x.add(conv_point(&self.of_g, g)).prelu(self.act.alpha.val()); // [n, fine, h, w]
        let weights = sigmoid(conv_point(&self.psi, both).leave()); // [n, 1, h, w]
        x.weigh(bilinear(weights, [h, w]))
    }
}

/// An Attention U-Net of `widths.len()` levels.
#[derive(Module, Debug)]
pub struct AttentionUNet {
    encoder: Vec<DoubleConv>,
    gates: Vec<AttentionGate>,
    up: Vec<Upsample>,
    decoder: Vec<DoubleConv>,
    head: Conv2d,
    skips: bool,
}

impl AttentionUNet {
    /// An Attention U-Net for patches of `slices` channels and `classes` classes.
    pub fn new(config: &NetworkConfig, skips: bool, slices: usize, classes: usize, device: &Device) -> Self {
        let (widths, style) = (&config.widths, config.style());
        let levels = || widths.windows(2).rev().map(|pair| (pair[1], pair[0])); // (coarse, fine)
        let joined = if skips { 2 } else { 1 };
        Self {
            encoder: encoder::levels(widths, slices, style, device),
            gates: levels().map(|(coarse, fine)| AttentionGate::new(fine, coarse, device)).collect(),
            up: levels().map(|(coarse, fine)| Upsample::new(coarse, fine, device)).collect(),
            decoder: levels().map(|(_, fine)| DoubleConv::new(joined * fine, fine, style, device)).collect(),
            head: Conv2dConfig::new([widths[0], classes], [1, 1]).init(device),
            skips,
        }
    }
}

impl Segmenter for AttentionUNet {
    fn stride(&self) -> usize {
        1 << self.up.len()
    }

    fn logits(&self, x: Tensor<4>, tap: Tap<'_>) -> Tensor<4> {
        let (mut passed, mut x) = encoder::encode(&self.encoder, Features::enter(x), self.skips, tap);
        let steps = self.gates.iter().zip(&self.up).zip(&self.decoder);
        for (level, ((gate, up), block)) in steps.enumerate() {
            let risen = up.forward(x.clone()); // [n, fine, 2h, 2w]
            let gated = gate.forward(passed.pop().unwrap_or_else(|| risen.clone()), x);
            let gated = tap(&format!("gate.{level}"), gated);
            let joined = if self.skips { gated.cat(risen) } else { gated };
            x = tap(&format!("decoder.{level}"), block.forward(joined));
        }
        conv_point(&self.head, x).leave() // [n, k, h, w]
    }
}
