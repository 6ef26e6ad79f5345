//! A trained network as a function of voxels: crops in, class probabilities out.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use tomosieve_nn::kernel_ops::FrozenFilters;
use tomosieve_nn::kernels::{Isa, softmax, together};
use tomosieve_nn::networks::Network;
use tomosieve_nn::segmenter::Segmenter;

/// Crops to class probabilities.
pub trait Predict: Sync {
    /// Class probabilities (Eq. 4) of crops.
    ///
    /// # Shapes
    /// - `images`: `shape` = `[n, c, h, w]`, scaled grey values
    /// - output: `[n, k, h, w]`
    fn probabilities(&self, images: Vec<f32>, shape: [usize; 4]) -> Vec<f32>;
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
    fn probabilities(&self, images: Vec<f32>, shape: [usize; 4]) -> Vec<f32> {
        together(|| {
            let x = Tensor::<4>::from_data(TensorData::new(images, shape), &self.device);
            let logits = self.filters.used_in(|| self.network.forward(x)); // [n, k, h, w]
            let mut values = to_vec(logits);
            let plane = shape[2] * shape[3];
            let classes = values.len() / (shape[0] * plane);
            softmax(Isa::best(), &mut values, classes, plane);
            values
        })
    }
}

/// The values of a tensor, row-major.
pub(crate) fn to_vec<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().try_into_vec().unwrap_or_default()
}
