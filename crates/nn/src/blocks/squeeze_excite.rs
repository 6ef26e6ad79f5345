//! Squeeze-and-excitation (Hu et al. 2018, arXiv 1709.01507).

use burn::module::Module;
use burn::nn::{Linear, LinearConfig, PRelu, PReluConfig};
use burn::tensor::Device;
use burn::tensor::activation::sigmoid;

use crate::features::Features;

/// Weighs each channel by what all channels' means say: `x · sigmoid(W₂ prelu(W₁ mean(x)))`.
#[derive(Module, Debug)]
pub struct SqueezeExcite {
    squeeze: Linear,
    act: PRelu,
    excite: Linear,
}

impl SqueezeExcite {
    /// A gate of `c` channels with `c/8` hidden ones, at least one.
    pub fn new(c: usize, device: &Device) -> Self {
        let hidden = (c / 8).max(1);
        Self {
            squeeze: LinearConfig::new(c, hidden).with_bias(false).init(device),
            act: PReluConfig::new().with_num_parameters(hidden).init(device),
            excite: LinearConfig::new(hidden, c).with_bias(false).init(device),
        }
    }

    /// `[n, c, h, w] → [n, c, h, w]`
    pub fn forward(&self, x: Features) -> Features {
        let hidden = self.act.forward(self.squeeze.forward(x.clone().means())); // [n, c/8]
        x.scale(sigmoid(self.excite.forward(hidden)))
    }
}
