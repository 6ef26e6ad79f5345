//! ResUNet++ (Jha et al. 2019, arXiv 1911.07067), with or without its long skip connections; the
//! residual ones inside the units stay.
//!
//! A ResUNet whose units end in squeeze-and-excitation, whose bridge looks through convolutions of
//! several rates (ASPP) and whose decoder attends before it up-samples. Orders and widths are those of
//! the authors' program, <https://github.com/DebeshJha/ResUNetPlusPlus>. Its attention compares the
//! decoder with the encoder one level finer, which is a way around the bridge too: without skips, the
//! decoder attends to itself alone.
//! About 2.0 M parameters with `widths = [16, 24, 48, 88, 176]` (7 slices, 4 classes), without skips with
//! `[16, 24, 48, 96, 184]`. The published network has `[16, 32, 64, 128, 256]`.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::NetworkConfig;
use crate::blocks::{BlockStyle, Conv, Norm, PreAct, Residual, SqueezeExcite};
use crate::encoder;
use crate::features::Features;
use crate::segmenter::{Segmenter, Tap};

/// A residual unit with a normed shortcut, then squeeze-and-excitation.
#[derive(Module, Debug)]
pub struct Unit {
    residual: Residual,
    excite: SqueezeExcite,
}

impl Unit {
    /// A unit from `c_in` to `c_out` channels that divides height and width by `stride` (1 or 2).
    pub fn new(c_in: usize, c_out: usize, stride: usize, style: BlockStyle, device: &Device) -> Self {
        let residual = Residual::new(c_in, c_out, stride, style, device);
        let residual = residual.with_normed_shortcut([c_in, c_out, stride], style, device);
        Self { residual, excite: SqueezeExcite::new(c_out, device) }
    }

    /// The unit for raw voxels, called the stem.
    pub fn stem(c_in: usize, c_out: usize, style: BlockStyle, device: &Device) -> Self {
        let unit = Self::new(c_in, c_out, 1, style, device);
        Self { residual: unit.residual.of_raw(), ..unit }
    }

    /// `[n, c_in, h, w] → [n, c_out, h/stride, w/stride]`
    pub fn forward(&self, x: Features) -> Features {
        self.excite.forward(self.residual.forward(x))
    }
}

/// Atrous spatial pyramid pooling: the normed outputs of 3×3 convolutions of rates 6, 12, 18 and 1 are
/// summed and mixed by a 1×1 convolution.
#[derive(Module, Debug)]
pub struct Aspp {
    branches: Vec<Conv>,
    norms: Vec<Norm>,
    mix: Conv,
}

impl Aspp {
    /// A pyramid from `c_in` to `c_out` channels.
    pub fn new(c_in: usize, c_out: usize, style: BlockStyle, device: &Device) -> Self {
        let rates = [6, 12, 18, 1];
        Self {
            branches: rates.map(|rate| Conv::dilated(c_in, c_out, rate, device)).into(),
            norms: rates.map(|_| Norm::new(c_out, style, device)).into(),
            mix: Conv::point(c_out, c_out, 1, device),
        }
    }

    /// `[n, c_in, h, w] → [n, c_out, h, w]`
    pub fn forward(&self, x: Features) -> Features {
        let branches = self.branches.iter().zip(&self.norms);
        let sum = branches.map(|(conv, norm)| norm.forward(conv.forward(x.clone()))).reduce(Features::add);
        self.mix.forward(sum.unwrap_or(x)) // there are four branches
    }
}

/// Multiplies the decoder's features by what they and the encoder's make of each other.
#[derive(Module, Debug)]
pub struct Attention {
    guide: Option<PreAct>,
    own: PreAct,
    joint: PreAct,
}

impl Attention {
    /// Attention of `c` channels to a guide of `c_guide` channels, or to itself alone.
    pub fn new(c: usize, c_guide: Option<usize>, style: BlockStyle, device: &Device) -> Self {
        let unit = |c_in| PreAct::new(c_in, Conv::square(c_in, c, 1, device), style, device);
        Self { guide: c_guide.map(unit), own: unit(c), joint: unit(c) }
    }

    /// # Shapes
    /// - `x`: `[n, c, h, w]`
    /// - `guide`: `[n, c_guide, 2h, 2w]`
    /// - output: `[n, c, h, w]`
    pub fn forward(&self, x: Features, guide: Option<Features>) -> Features {
        let mut sum = self.own.forward(x.clone());
        if let (Some(unit), Some(guide)) = (&self.guide, guide) {
            sum = sum.add(unit.forward(guide).max_pool2());
        }
        self.joint.forward(sum).times(x)
    }
}

/// A ResUNet++ of `widths.len() - 1` resolutions; the last width is that of the bridge's pyramid, which
/// is as coarse as the encoder's last level.
#[derive(Module, Debug)]
pub struct ResUNetPlusPlus {
    encoder: Vec<Unit>,
    bridge: Aspp,
    attention: Vec<Attention>,
    decoder: Vec<Unit>,
    pyramid: Aspp,
    head: Conv,
    skips: bool,
}

impl ResUNetPlusPlus {
    /// A ResUNet++ for patches of `slices` channels and `classes` classes.
    pub fn new(config: &NetworkConfig, skips: bool, slices: usize, classes: usize, device: &Device) -> Self {
        let (widths, style) = (&config.widths, config.style());
        let coarsest = widths.len() - 2;
        let stem = Unit::stem(slices, widths[0], style, device);
        let down = widths[..=coarsest].windows(2).map(|pair| Unit::new(pair[0], pair[1], 2, style, device));
        // Each decoder level is as wide as the encoder's one level coarser; that is where it comes from.
        let (mut attention, mut decoder) = (Vec::new(), Vec::new());
        for level in (1..=coarsest).rev() {
            let (fine, below) = (widths[level - 1], widths[level + 1]);
            attention.push(Attention::new(below, skips.then_some(fine), style, device));
            let joined = below + if skips { fine } else { 0 };
            decoder.push(Unit::new(joined, widths[level], 1, style, device));
        }
        Self {
            encoder: std::iter::once(stem).chain(down).collect(),
            bridge: Aspp::new(widths[coarsest], widths[coarsest + 1], style, device),
            attention,
            decoder,
            pyramid: Aspp::new(widths[1], widths[0], style, device),
            head: Conv::point(widths[0], classes, 1, device),
            skips,
        }
    }
}

impl Segmenter for ResUNetPlusPlus {
    fn stride(&self) -> usize {
        1 << self.decoder.len()
    }

    fn logits(&self, x: Tensor<4>, tap: Tap<'_>) -> Tensor<4> {
        let x = Features::enter(x); // [n, slices, h, w]
        let (mut passed, mut x) =
            encoder::walk(&self.encoder, x, self.skips, tap, |_, unit, x| unit.forward(x));
        x = tap("bridge", self.bridge.forward(x));
        for (level, (attention, unit)) in self.attention.iter().zip(&self.decoder).enumerate() {
            let skip = passed.pop();
            x = attention.forward(x, skip.clone()).nearest2();
            if let Some(skip) = skip {
                x = x.cat(skip); // [n, coarse + fine, h, w]
            }
            x = tap(&format!("decoder.{level}"), unit.forward(x));
        }
        x = tap("pyramid", self.pyramid.forward(x)); // [n, widths[0], h, w]
        self.head.forward(x).leave() // [n, k, h, w]
    }
}
