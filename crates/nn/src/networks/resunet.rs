//! ResUNet, the deep residual U-Net (Zhang et al. 2018, arXiv 1711.10684), with or without its long
//! skip connections; the residual ones inside the units stay.
//!
//! Pre-activation residual units take the place of a U-Net's double convolutions, a stride of 2 in each
//! unit that of its pooling, and nearest-neighbour up-sampling that of its up-convolutions.
//! About 2.0 M parameters with `widths = [16, 32, 64, 128, 256]` (7 slices, 4 classes), without skips with
//! `[16, 32, 64, 128, 272]`. The published network has the four levels `[64, 128, 256, 512]`.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::NetworkConfig;
use crate::blocks::{Conv, Residual};
use crate::encoder;
use crate::features::Features;
use crate::segmenter::{Segmenter, Tap};

/// A ResUNet of `widths.len()` levels, the last of which the paper calls the bridge.
#[derive(Module, Debug)]
pub struct ResUNet {
    encoder: Vec<Residual>,
    decoder: Vec<Residual>,
    head: Conv,
    skips: bool,
}

impl ResUNet {
    /// A ResUNet for patches of `slices` channels and `classes` classes.
    pub fn new(config: &NetworkConfig, skips: bool, slices: usize, classes: usize, device: &Device) -> Self {
        let (widths, style) = (&config.widths, config.style());
        let mouth = Residual::new(slices, widths[0], 1, style, device).of_raw();
        let down = widths.windows(2).map(|pair| Residual::new(pair[0], pair[1], 2, style, device));
        let up = widths.windows(2).rev().map(|pair| {
            let joined = pair[1] + if skips { pair[0] } else { 0 };
            Residual::new(joined, pair[0], 1, style, device)
        });
        Self {
            encoder: std::iter::once(mouth).chain(down).collect(),
            decoder: up.collect(),
            head: Conv::point(widths[0], classes, 1, device),
            skips,
        }
    }
}

impl Segmenter for ResUNet {
    fn stride(&self) -> usize {
        1 << self.decoder.len()
    }

    fn logits(&self, x: Tensor<4>, tap: Tap<'_>) -> Tensor<4> {
        let x = Features::enter(x); // [n, slices, h, w]
        let (mut passed, mut x) =
            encoder::walk(&self.encoder, x, self.skips, tap, |_, unit, x| unit.forward(x));
        for (level, unit) in self.decoder.iter().enumerate() {
            x = x.nearest2();
            if let Some(skip) = passed.pop() {
                x = x.cat(skip); // [n, coarse + fine, h, w]
            }
            x = tap(&format!("decoder.{level}"), unit.forward(x));
        }
        self.head.forward(x).leave() // [n, k, h, w]
    }
}
