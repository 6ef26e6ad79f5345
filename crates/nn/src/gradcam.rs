//! Grad-CAM: where in a patch a network finds what speaks for a class (Sec. IV-K, Fig. 11).
//!
//! With `A_k` the channels of one activation inside the network, `y` the logits of the class and `M` the
//! pixels that the network gives to it,
//!
//! ```text
//! α_k = 1/(h·w) Σ_ij ∂(Σ_{p ∈ M} y_p) / ∂A_k,ij        map = relu(Σ_k α_k A_k)
//! ```
//!
//! (Selvaraju et al. 2017, arXiv 1610.02391, Eq. 1 and 2, there with one logit per image; the sum over a set
//! `M` of pixels is that of Vinogradova et al. 2020, arXiv 2002.11434, Eq. 2). A class that the network gives
//! no pixel to has a map of zeros. The map is interpolated bilinearly to the size of the patch. It is not
//! normalised here: maps of neighbouring patches can be blended before [`normalise`] makes 1 of the largest
//! value there is.

use burn::tensor::{Device, Tensor};

use crate::features::bilinear;
use crate::segmenter::Segmenter;
use crate::{Error, Result};

/// A network and the activation at which it is asked.
#[derive(Debug)]
pub struct GradCam<S> {
    network: S,
    layer: String,
}

impl<S: Segmenter> GradCam<S> {
    /// Asks a network for patches of `slices` channels at the activation called `layer`, or at its
    /// [`default_layer`].
    ///
    /// The network must live on `device`, one with autodiff, and be made without dropout, which would act
    /// there.
    ///
    /// # Errors
    /// [`Error::UnknownName`] when the network has no such activation, naming those it has.
    pub fn new(network: S, slices: usize, layer: Option<&str>, device: &Device) -> Result<Self> {
        // Of all gradients only those between the activation and the logits are wanted.
        let network = network.no_grad();
        let found = layers(&network, slices, device);
        let layer = match layer {
            None => default_layer(&found).to_owned(),
            Some(name) if found.iter().any(|layer| layer.name == name) => name.to_owned(),
            Some(name) => {
                let known: Vec<&str> = found.iter().map(|layer| layer.name.as_str()).collect();
                return Err(Error::unknown("layer", name, &known));
            }
        };
        Ok(Self { network, layer })
    }

    /// The activation at which it asks.
    pub fn layer(&self) -> &str {
        &self.layer
    }

    /// The maps of some classes, not normalised.
    ///
    /// # Shapes
    /// `[n, slices, h, w] → [n, classes, h, w]`
    ///
    /// # Panics
    /// If the network has no such class.
    pub fn maps(&self, x: &Tensor<4>, classes: &[usize]) -> Tensor<4> {
        Tensor::cat(classes.iter().map(|&class| self.map(x.clone(), class)).collect(), 1)
    }

    /// The map of one class, `[n, 1, h, w]`.
    fn map(&self, x: Tensor<4>, class: usize) -> Tensor<4> {
        let [n, _, h, w] = x.dims();
        let mut tapped = None;
        let logits = self.network.forward_tapped(x, &mut |name, activation| {
            if name != self.layer {
                return activation;
            }
            // burn keeps the gradients of leaves alone.
            activation.map(|a| tapped.insert(a.detach().require_grad()).clone())
        });
        let its_own = logits.clone().argmax(1).equal_elem(class as i64).float(); // M, [n, 1, h, w]
        let score = (logits.slice([0..n, class..class + 1, 0..h, 0..w]) * its_own).sum();
        let gradients = score.backward();
        let activation = tapped.expect("a layer that was found when this was made");
        let gradient = activation.grad(&gradients).expect("the logits depend on every activation");
        let weights = gradient.mean_dim(3).mean_dim(2); // α, [n, c, 1, 1]
        let map = (weights * activation.inner()).sum_dim(1).clamp_min(0.0); // [n, 1, h', w']
        let s = self.network.stride();
        let padded = [h.next_multiple_of(s), w.next_multiple_of(s)];
        bilinear(map, padded).slice([0..n, 0..1, 0..h, 0..w])
    }
}

/// An activation that a network shows on its way from patch to logits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Its name, such as `encoder.2`.
    pub name: String,
    /// Pixels of the patch along one side of one of its own.
    pub stride: usize,
}

/// The activations of a network for patches of `slices` channels, in their order from patch to logits.
pub fn layers<S: Segmenter>(network: &S, slices: usize, device: &Device) -> Vec<Layer> {
    let side = network.stride();
    let mut found = Vec::new();
    network.forward_tapped(Tensor::zeros([1, slices, side, side], device), &mut |name, activation| {
        let [_, _, h, _] = activation.dims();
        found.push(Layer { name: name.to_owned(), stride: side / h });
        activation
    });
    found
}

/// Coarser activations than this have too few pixels in a window as large as a training crop to make a map of.
const COARSEST: usize = 16;

/// The name of the last of the coarsest activations, none coarser than 16 pixels: the bottleneck of a U-Net of
/// up to five levels, the pyramid of a DeepLabv3+. What a network knows of a pixel's surroundings is gathered
/// there.
///
/// # Panics
/// If there are no activations as fine as that.
pub fn default_layer(layers: &[Layer]) -> &str {
    let fine = layers.iter().filter(|layer| layer.stride <= COARSEST);
    let coarsest = fine.max_by_key(|layer| layer.stride); // the last of equals
    &coarsest.expect("a network begins with fine activations").name
}

/// Divides a map by its largest value and returns that; a map of zeros stays what it is.
pub fn normalise(map: &mut [f32]) -> f32 {
    let peak = map.iter().copied().fold(0.0, f32::max);
    if peak > 0.0 {
        map.iter_mut().for_each(|value| *value /= peak);
    }
    peak
}
