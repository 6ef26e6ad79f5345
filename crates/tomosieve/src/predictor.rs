//! A trained network as a function of voxels: crops in, class probabilities out.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use tomosieve_nn::kernel_ops::{FrozenFilters, data};
use tomosieve_nn::kernels::{Buffer, Isa, softmax, together};
use tomosieve_nn::networks::Network;
use tomosieve_nn::segmenter::Segmenter;

/// Crops to class probabilities.
pub trait Predict: Sync {
    /// Class probabilities (Eq. 4) of crops.
    ///
    /// # Shapes
    /// - `images`: `shape` = `[n, c, h, w]`, scaled grey values
    /// - output: `[n, k, h, w]`
    fn probabilities(&self, images: Buffer, shape: [usize; 4]) -> Buffer;
}

/// A network on a device without autodiff: no graph, no dropout.
#[derive(Debug, Clone)]
pub struct Predictor {
    /// The network.
    pub network: Network,
    device: Device,
    filters: FrozenFilters,
}

impl Predictor {
    /// The network as it is now, frozen.
    pub fn new(network: &Network, device: &Device) -> Self {
        Self { network: network.valid(), device: device.clone(), filters: FrozenFilters::default() }
    }

    /// The device it runs on.
    pub fn device(&self) -> &Device {
        &self.device
    }
}

impl Predict for Predictor {
    fn probabilities(&self, images: Buffer, shape: [usize; 4]) -> Buffer {
        together(|| {
            let x = Tensor::<4>::from_data(data(images, shape), &self.device);
            let logits = self.filters.used_in(|| self.network.forward(x)); // [n, k, h, w]
            let classes = logits.dims()[1];
            let logits = values(logits);
            let logits = as_f32(&logits);
            let mut probabilities = Buffer::dirty(logits.len());
            softmax(Isa::best(), logits, classes, shape[2] * shape[3], &mut probabilities);
            probabilities
        })
    }
}

/// The values of a tensor, row-major, where it has them if that is the CPU.
pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> TensorData {
    tensor.into_data().convert::<f32>()
}

/// What [`values`] found.
pub(crate) fn as_f32(values: &TensorData) -> &[f32] {
    values.as_slice().expect("converted")
}
