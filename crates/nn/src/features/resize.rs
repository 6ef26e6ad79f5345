//! Bilinear resizing.

use burn::tensor::{Device, Tensor, TensorData};

use super::Features;

/// The weights `[to, from]` with which pixels along one axis are mixed: centres at half-integers, edges
/// repeated.
fn mixing(from: usize, to: usize, device: &Device) -> Tensor<2> {
    let mut weights = vec![0.0_f32; to * from];
    for (i, row) in weights.chunks_exact_mut(from).enumerate() {
        let at = ((i as f64 + 0.5) * from as f64 / to as f64 - 0.5).max(0.0);
        let below = (at as usize).min(from - 1);
        let above = (below + 1).min(from - 1);
        let part = (at - below as f64) as f32;
        row[below] += 1.0 - part;
        row[above] += part;
    }
    Tensor::from_data(TensorData::new(weights, [to, from]), device)
}

/// Bilinear interpolation to a height and width, pixels being areas (not `align_corners`).
///
/// Two matrix products: burn's GPU back ends lack the gradient of their interpolation.
///
/// # Shapes
/// `[n, c, h, w] → [n, c, size[0], size[1]]`
pub fn bilinear(x: Tensor<4>, size: [usize; 2]) -> Tensor<4> {
    let ([_, _, h, w], device) = (x.dims(), x.device());
    let rows = mixing(h, size[0], &device).unsqueeze::<4>();
    let columns = mixing(w, size[1], &device).transpose().unsqueeze::<4>();
    rows.matmul(x.matmul(columns)) // [n, c, h, size[1]], then [n, c, size[0], size[1]]
}

impl Features {
    /// [`bilinear`] interpolation to a height and width.
    ///
    /// # Shapes
    /// `[n, c, h, w] → [n, c, size[0], size[1]]`
    #[must_use]
    pub fn resize(self, size: [usize; 2]) -> Self {
        let [_, _, h, w] = self.dims();
        if [h, w] == size { self } else { self.map(|x| bilinear(x, size)) }
    }
}
