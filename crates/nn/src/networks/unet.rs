//! U-Net (Ronneberger et al. 2015, arXiv 1505.04597), with or without its skip connections.
//!
//! Without them (`unet-noskip`, the paper's U-Net\*, Sec. IV-E) the label noise of stage 1 cannot pass
//! around the bottleneck, and self-correction finds something to correct.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::{Device, Tensor};

use super::NetworkConfig;
use crate::blocks::{DoubleConv, Upsample, conv_point};
use crate::encoder;
use crate::features::Features;
use crate::segmenter::{Segmenter, Tap};

/// A U-Net of `widths.len()` levels.
#[derive(Module, Debug)]
pub struct UNet {
    encoder: Vec<DoubleConv>,
    up: Vec<Upsample>,
    decoder: Vec<DoubleConv>,
    head: Conv2d,
    skips: bool,
}

impl UNet {
    /// A U-Net for patches of `slices` channels and `classes` classes.
    pub fn new(config: &NetworkConfig, skips: bool, slices: usize, classes: usize, device: &Device) -> Self {
        let (widths, style) = (&config.widths, config.style());
        let encoder = encoder::levels(widths, slices, style, device);
        let levels = || widths.windows(2).rev().map(|pair| (pair[1], pair[0])); // (coarse, fine)
        let up = levels().map(|(coarse, fine)| Upsample::new(coarse, fine, device)).collect();
        let joined = if skips { 2 } else { 1 };
        let decoder = levels().map(|(_, fine)| DoubleConv::new(joined * fine, fine, style, device)).collect();
        let head = Conv2dConfig::new([widths[0], classes], [1, 1]).init(device);
        Self { encoder, up, decoder, head, skips }
    }
}

impl Segmenter for UNet {
    fn stride(&self) -> usize {
        1 << self.up.len()
    }

    fn logits(&self, x: Tensor<4>, tap: Tap<'_>) -> Tensor<4> {
        let (mut passed, mut x) = encoder::encode(&self.encoder, Features::enter(x), self.skips, tap);
        for (level, (up, block)) in self.up.iter().zip(&self.decoder).enumerate() {
            x = up.forward(x);
            if let Some(skip) = passed.pop() {
                x = skip.cat(x); // [n, 2·fine, h, w]
            }
            x = tap(&format!("decoder.{level}"), block.forward(x));
        }
        conv_point(&self.head, x).leave() // [n, k, h, w]
    }
}
