//! UNet3+ (Huang et al. 2020, arXiv 2004.08790): every level of the decoder sees all scales.
//!
//! A decoder level takes the encoder's activations of its own and all finer levels, and the decoder's of
//! all coarser ones (the coarsest decoder level is the encoder's). Each is brought to the level's size by
//! max pooling or bilinear interpolation and to the finest width by a 3×3 convolution; their concatenation
//! is fused by one more (its Eq. 1). Deep supervision and the classification-guided module, which
//! needs an image-level label, are left out.

use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::{Device, Tensor};

use super::NetworkConfig;
use crate::blocks::{BlockStyle, ChannelDropout, ConvNormAct, DoubleConv, conv_square};
use crate::encoder;
use crate::features::Features;
use crate::segmenter::{Segmenter, Tap};

/// The full-scale aggregation of one decoder level.
#[derive(Module, Debug)]
pub struct FullScale {
    branches: Vec<ConvNormAct>,
    fuse: ConvNormAct,
    dropout: ChannelDropout,
    level: usize,
}

impl FullScale {
    /// The aggregation at `level` of scales with `channels` each, finest first, at `width` channels a scale.
    pub fn new(level: usize, channels: &[usize], width: usize, style: BlockStyle, device: &Device) -> Self {
        let fused = channels.len() * width;
        Self {
            branches: channels.iter().map(|&c| ConvNormAct::new(c, width, style, device)).collect(),
            fuse: ConvNormAct::new(fused, fused, style, device),
            dropout: ChannelDropout::new(style.dropout),
            level,
        }
    }

    /// The level's activation from one activation of each scale, finest first.
    ///
    /// # Shapes
    /// `scales[k]`: `[n, channels[k], h / 2^k, w / 2^k]` → `[n, scales · width, h / 2^level, w / 2^level]`
    pub fn forward(&self, scales: &[Features]) -> Features {
        let [_, _, h, w] = scales[self.level].dims();
        let resized = scales.iter().cloned().enumerate().map(|(k, x)| match k.checked_sub(self.level) {
            Some(0) => x,
            Some(_) => x.resize([h, w]),
            None => (k..self.level).fold(x, |x, _| x.max_pool2()),
        });
        let joined = Features::join(resized.zip(&self.branches).map(|(x, conv)| conv.forward(x)));
        self.fuse.forward_dropped(joined, &self.dropout)
    }
}

/// A UNet3+ of `widths.len()` levels.
#[derive(Module, Debug)]
pub struct UNet3Plus {
    encoder: Vec<DoubleConv>,
    decoder: Vec<FullScale>,
    head: Conv2d,
}

impl UNet3Plus {
    /// A UNet3+ for patches of `slices` channels and `classes` classes.
    pub fn new(config: &NetworkConfig, slices: usize, classes: usize, device: &Device) -> Self {
        let (widths, style) = (&config.widths, config.style());
        let (width, bottleneck) = (widths[0], widths.len() - 1);
        let fused = widths.len() * width;
        let mut channels = widths.clone();
        let mut decoder = Vec::with_capacity(bottleneck);
        for level in (0..bottleneck).rev() {
            decoder.push(FullScale::new(level, &channels, width, style, device));
            channels[level] = fused; // finer levels see this one's decoder
        }
        let head = Conv2dConfig::new([fused, classes], [3, 3])
            .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
            .init(device);
        Self { encoder: encoder::levels(widths, slices, style, device), decoder, head }
    }
}

impl Segmenter for UNet3Plus {
    fn stride(&self) -> usize {
        1 << self.decoder.len()
    }

    fn logits(&self, x: Tensor<4>, tap: Tap<'_>) -> Tensor<4> {
        let (mut scales, coarsest) = encoder::encode(&self.encoder, Features::enter(x), true, tap);
        scales.push(coarsest);
        for (step, aggregation) in self.decoder.iter().enumerate() {
            let x = aggregation.forward(&scales);
            scales[aggregation.level] = tap(&format!("decoder.{step}"), x);
        }
        let x = scales.swap_remove(0); // [n, levels · widths[0], h, w]
        conv_square(&self.head, x).leave() // [n, k, h, w]
    }
}
