//! The contract every network fulfils: a patch in, one logit per class and pixel out (Sec. III-C, Eq. 3).

use burn::module::Module;
use burn::tensor::{Tensor, ops::PadMode};

use crate::features::Features;

/// A look at (and a chance to replace) each named activation on its way through a network.
///
/// Grad-CAM needs the gradient at an inner activation; the closure gets the activation's name and value
/// and returns what the network goes on with. [`Features::map`] shows it as `[n, c, h, w]`.
pub type Tap<'a> = &'a mut dyn FnMut(&str, Features) -> Features;

/// A network that segments: `[n, c, h, w] → [n, k, h, w]`.
pub trait Segmenter: Module {
    /// Heights and widths must be multiples of this; [`forward_tapped`](Self::forward_tapped) pads to it.
    fn stride(&self) -> usize;

    /// Logits of a patch whose height and width are multiples of [`stride`](Self::stride).
    ///
    /// # Shapes
    /// - `x`: `[n, c, h, w]`
    /// - output: `[n, k, h, w]`
    fn logits(&self, x: Tensor<4>, tap: Tap<'_>) -> Tensor<4>;

    /// Logits of a patch of any size, each named activation passed through `tap`.
    ///
    /// Sizes that are no multiple of the stride are padded at the bottom and right by repeating the
    /// edge, and cropped again.
    ///
    /// # Shapes
    /// - `x`: `[n, c, h, w]`
    /// - output: `[n, k, h, w]`
    fn forward_tapped(&self, x: Tensor<4>, tap: Tap<'_>) -> Tensor<4> {
        let [n, _, h, w] = x.dims();
        let s = self.stride();
        let (pad_h, pad_w) = (h.next_multiple_of(s) - h, w.next_multiple_of(s) - w);
        if pad_h == 0 && pad_w == 0 {
            return self.logits(x, tap);
        }
        let y = self.logits(x.pad([(0, pad_h), (0, pad_w)], PadMode::Edge), tap);
        let k = y.dims()[1];
        y.slice([0..n, 0..k, 0..h, 0..w])
    }

    /// Logits of a patch of any size.
    ///
    /// # Shapes
    /// - `x`: `[n, c, h, w]`
    /// - output: `[n, k, h, w]`
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.forward_tapped(x, &mut |_, activation| activation)
    }
}
