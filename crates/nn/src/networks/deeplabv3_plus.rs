//! DeepLabv3+ (Chen et al. 2018, arXiv 1802.02611) with its modified aligned Xception as encoder.
//!
//! The encoder's last level keeps the resolution of the one before (output stride 16 for five widths) and
//! looks further by a rate of 2 instead. Separable convolutions of several rates and an image-level
//! feature (ASPP) look at its features, and a small decoder joins them with those of a quarter of the
//! resolution. Compared with the published encoder, the widths are the configuration's, and the last level
//! has one width. There is no long skip connection at full resolution, hence no variant without.
//! About 2.0 M parameters with `widths = [16, 32, 64, 144, 304]` (7 slices, 4 classes). The published network
//! has `[64, 128, 256, 728, 2048]`.

use burn::module::Module;
use burn::nn::{PRelu, PReluConfig};
use burn::tensor::{Device, Tensor};

use super::NetworkConfig;
use crate::blocks::{BlockStyle, ChannelDropout, Conv, ConvNormAct, DoubleConv, Norm, NormAct};
use crate::features::Features;
use crate::segmenter::{Segmenter, Tap};

/// Blocks of the encoder's middle flow.
const MIDDLE: usize = 16;

/// A 3×3 convolution of each channel by itself → group norm → PReLU → 1×1 convolution → group norm → PReLU.
#[derive(Module, Debug)]
pub struct Separable {
    depthwise: Conv,
    between: NormAct,
    point: Conv,
    after: Option<NormAct>,
}

impl Separable {
    /// A unit from `c_in` to `c_out` channels, taps `rate` apart, at every `stride`-th pixel (1 or 2).
    pub fn new(
        [c_in, c_out]: [usize; 2],
        rate: usize,
        stride: usize,
        style: BlockStyle,
        device: &Device,
    ) -> Self {
        Self {
            depthwise: Conv::depthwise(c_in, rate, stride, device),
            between: NormAct::new(c_in, style, device),
            point: Conv::point(c_in, c_out, 1, device),
            after: Some(NormAct::new(c_out, style, device)),
        }
    }

    /// The unit that ends with its 1×1 convolution.
    #[must_use]
    pub fn linear(self) -> Self {
        Self { after: None, ..self }
    }

    /// `[n, c_in, h, w] → [n, c_out, ⌈h/stride⌉, ⌈w/stride⌉]`
    pub fn forward(&self, x: Features) -> Features {
        let y = self.point.forward(self.between.forward(self.depthwise.forward(x)));
        match &self.after {
            Some(after) => after.forward(y),
            None => y,
        }
    }
}

/// PReLU → [`Separable`] three times, the last one strided and without its PReLU, and a residual connection
/// around.
#[derive(Module, Debug)]
pub struct Xception {
    act: PRelu,
    units: Vec<Separable>,
    norm: Norm,
    dropout: ChannelDropout,
    shortcut: Option<Conv>,
    shortcut_norm: Option<Norm>,
}

impl Xception {
    /// A block from `c_in` to `c_out` channels that divides height and width by `stride` (1 or 2).
    pub fn new([c_in, c_out]: [usize; 2], stride: usize, style: BlockStyle, device: &Device) -> Self {
        let unit = |c_in, stride| Separable::new([c_in, c_out], 1, stride, style, device);
        let project = c_in != c_out || stride != 1;
        Self {
            act: PReluConfig::new().with_num_parameters(c_in).init(device),
            units: vec![unit(c_in, 1), unit(c_out, 1), unit(c_out, stride).linear()],
            norm: Norm::new(c_out, style, device),
            dropout: ChannelDropout::new(style.dropout),
            shortcut: project.then(|| Conv::point(c_in, c_out, stride, device)),
            shortcut_norm: project.then(|| Norm::new(c_out, style, device)),
        }
    }

    /// `[n, c_in, h, w] → [n, c_out, ⌈h/stride⌉, ⌈w/stride⌉]`
    pub fn forward(&self, x: Features) -> Features {
        let active = x.clone().prelu(self.act.alpha.val());
        let y = self.units.iter().fold(active, |y, unit| unit.forward(y));
        let mask = self.dropout.mask(y.dims()[0], y.dims()[1], &y.device());
        let y = self.norm.forward_masked(y, mask);
        y.add(match (&self.shortcut, &self.shortcut_norm) {
            (Some(conv), Some(norm)) => norm.forward(conv.forward(x)),
            _ => x,
        })
    }
}

/// A convolution, then group norm and PReLU.
#[derive(Module, Debug)]
struct Activated {
    conv: Conv,
    norm_act: NormAct,
}

impl Activated {
    fn new(conv: Conv, c_out: usize, style: BlockStyle, device: &Device) -> Self {
        Self { conv, norm_act: NormAct::new(c_out, style, device) }
    }

    fn forward(&self, x: Features) -> Features {
        self.norm_act.forward(self.conv.forward(x))
    }
}

/// Atrous spatial pyramid pooling: a 1×1 convolution, separable ones of rates 6, 12 and 18 and the image's
/// mean, each to `c` channels, side by side and mixed by a 1×1 convolution.
///
/// The mean has no norm: one pixel has no deviation from its own mean.
#[derive(Module, Debug)]
pub struct Aspp {
    near: Activated,
    far: Vec<Separable>,
    image: Conv,
    image_act: PRelu,
    mix: Activated,
}

impl Aspp {
    /// A pyramid from `c_in` to `c` channels.
    pub fn new(c_in: usize, c: usize, style: BlockStyle, device: &Device) -> Self {
        let rates = [6, 12, 18];
        let point = |c_in| Conv::point(c_in, c, 1, device);
        Self {
            near: Activated::new(point(c_in), c, style, device),
            far: rates.map(|rate| Separable::new([c_in, c], rate, 1, style, device)).into(),
            image: point(c_in),
            image_act: PReluConfig::new().with_num_parameters(c).init(device),
            mix: Activated::new(point(5 * c), c, style, device),
        }
    }

    /// `[n, c_in, h, w] → [n, c, h, w]`
    pub fn forward(&self, x: Features) -> Features {
        let [n, _, h, w] = x.dims();
        let mut all = vec![self.near.forward(x.clone())];
        all.extend(self.far.iter().map(|unit| unit.forward(x.clone())));
        let means = x.means().unsqueeze_dims::<4>(&[2, 3]); // [n, c_in, 1, 1]
        let image = self.image.forward(Features::enter(means)).prelu(self.image_act.alpha.val()).leave();
        let c = image.dims()[1];
        all.push(Features::enter(image.expand([n, c, h, w])));
        self.mix.forward(Features::join(all)) // of [n, 5c, h, w]
    }
}

/// A DeepLabv3+ of `widths.len()` levels.
#[derive(Module, Debug)]
pub struct DeepLabV3Plus {
    mouth: Activated,
    entry: ConvNormAct,
    down: Vec<Xception>,
    middle: Vec<Xception>,
    exit: Xception,
    last: Vec<Separable>,
    aspp: Aspp,
    low: Activated,
    decoder: DoubleConv,
    head: Conv,
}

impl DeepLabV3Plus {
    /// A DeepLabv3+ for patches of `slices` channels and `classes` classes.
    ///
    /// `widths[i]` belongs to the resolution `2^-(i+1)`, but for the last, which shares that of the one
    /// before it. The pyramid and the decoder are as wide as `widths[2]`, the low-level features 3/16 of
    /// that, as published: 256 and 48.
    pub fn new(config: &NetworkConfig, slices: usize, classes: usize, device: &Device) -> Self {
        let (widths, style) = (&config.widths, config.style());
        let (first, core, last) = (widths[0], widths[widths.len() - 2], widths[widths.len() - 1]);
        let c = widths[2.min(widths.len() - 1)];
        let low = (3 * c).div_ceil(16);
        let half = first.div_ceil(2);
        let down = widths[..widths.len() - 1].windows(2);
        let dilated = || Separable::new([last, last], 2, 1, style, device);
        Self {
            mouth: Activated::new(Conv::square(slices, half, 2, device), half, style, device),
            entry: ConvNormAct::new(half, first, style, device),
            down: down.map(|pair| Xception::new([pair[0], pair[1]], 2, style, device)).collect(),
            middle: (0..MIDDLE).map(|_| Xception::new([core, core], 1, style, device)).collect(),
            exit: Xception::new([core, last], 1, style, device),
            last: (0..3).map(|_| dilated()).collect(),
            aspp: Aspp::new(last, c, style, device),
            low: Activated::new(
                Conv::point(widths[usize::from(widths.len() > 2)], low, 1, device),
                low,
                style,
                device,
            ),
            decoder: DoubleConv::new(c + low, c, style, device),
            head: Conv::point(c, classes, 1, device),
        }
    }
}

impl Segmenter for DeepLabV3Plus {
    fn stride(&self) -> usize {
        2 << self.down.len()
    }

    fn logits(&self, x: Tensor<4>, tap: Tap<'_>) -> Tensor<4> {
        let [_, _, h, w] = x.dims();
        let x = self.mouth.forward(Features::enter(x)); // [n, widths[0]/2, h/2, w/2]
        let mut x = tap("encoder.0", self.entry.forward(x));
        let mut low = x.clone();
        for (level, block) in self.down.iter().enumerate() {
            x = tap(&format!("encoder.{}", level + 1), block.forward(x));
            if level == 0 {
                low = x.clone(); // [n, widths[1], h/4, w/4]
            }
        }
        x = tap("middle", self.middle.iter().fold(x, |x, block| block.forward(x)));
        x = self.exit.forward(x);
        x = tap("exit", self.last.iter().fold(x, |x, unit| unit.forward(x))); // [n, widths[last], h/stride, w/stride]
        x = tap("pyramid", self.aspp.forward(x)); // [n, c, h/stride, w/stride]
        let [_, _, low_h, low_w] = low.dims();
        x = x.resize([low_h, low_w]).cat(self.low.forward(low));
        x = tap("decoder.0", self.decoder.forward(x)); // [n, c, h/4, w/4]
        self.head.forward(x).resize([h, w]).leave() // [n, k, h, w]
    }
}
