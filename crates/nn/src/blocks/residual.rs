//! The residual unit with full pre-activation (He et al. 2016, arXiv 1603.05027).

use burn::module::Module;
use burn::tensor::Device;

use super::{BlockStyle, ChannelDropout, Conv, Norm, NormAct, PreAct};
use crate::features::Features;

/// `conv(act(norm(conv(act(norm(x)))))) + shortcut(x)` of 3×3 convolutions, the first of them strided.
///
/// Dropout silences channels between the two (Zagoruyko & Komodakis 2016, arXiv 1605.07146), so that the
/// shortcut stays whole.
#[derive(Module, Debug)]
pub struct Residual {
    before: Option<NormAct>,
    first: Conv,
    second: PreAct,
    shortcut: Option<Conv>,
    shortcut_norm: Option<Norm>,
    dropout: ChannelDropout,
}

impl Residual {
    /// A unit from `c_in` to `c_out` channels that divides height and width by `stride` (1 or 2).
    ///
    /// The shortcut is the identity where shapes allow it, else a 1×1 convolution of that stride.
    pub fn new(c_in: usize, c_out: usize, stride: usize, style: BlockStyle, device: &Device) -> Self {
        let second = Conv::square(c_out, c_out, 1, device);
        let project = c_in != c_out || stride != 1;
        Self {
            before: Some(NormAct::new(c_in, style, device)),
            first: Conv::square(c_in, c_out, stride, device),
            second: PreAct::new(c_out, second, style, device),
            shortcut: project.then(|| Conv::point(c_in, c_out, stride, device)),
            shortcut_norm: None,
            dropout: ChannelDropout::new(style.dropout),
        }
    }

    /// The unit at the mouth of a network: raw voxels meet a convolution before any norm.
    #[must_use]
    pub fn of_raw(self) -> Self {
        Self { before: None, ..self }
    }

    /// A shortcut that is always a 1×1 convolution, and normed: from `c_in` to `c_out`, by `stride`.
    #[must_use]
    pub fn with_normed_shortcut(
        self,
        [c_in, c_out, stride]: [usize; 3],
        style: BlockStyle,
        device: &Device,
    ) -> Self {
        let shortcut = Some(Conv::point(c_in, c_out, stride, device));
        Self { shortcut, shortcut_norm: Some(Norm::new(c_out, style, device)), ..self }
    }

    /// `[n, c_in, h, w] → [n, c_out, ⌈h/stride⌉, ⌈w/stride⌉]`
    pub fn forward(&self, x: Features) -> Features {
        let ready = match &self.before {
            Some(before) => before.forward(x.clone()),
            None => x.clone(),
        };
        let z = self.first.forward(ready);
        let mask = self.dropout.mask(z.dims()[0], z.dims()[1], &z.device());
        let y = self.second.forward_masked(z, mask);
        let mut short = x;
        if let Some(conv) = &self.shortcut {
            short = conv.forward(short);
        }
        if let Some(norm) = &self.shortcut_norm {
            short = norm.forward(short);
        }
        y.add(short)
    }
}
