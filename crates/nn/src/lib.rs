//! Functions of tensors: the segmentation networks, the losses and the EMA teacher of the method of
//! arXiv 2603.00372, written once on [burn](https://burn.dev) and run on whichever device is named.
//!
//! Nothing here knows a file format or a volume. Axes are always `[n, c, h, w]`.
//!
//! ```
//! use burn::tensor::{Distribution, Tensor};
//! use tomosieve_nn::{device, networks::{Network, NetworkConfig}, segmenter::Segmenter};
//!
//! let device = device::by_name("cpu")?;
//! let config = NetworkConfig { name: "unet-noskip".into(), widths: vec![4, 8], ..NetworkConfig::default() };
//! let network = Network::new(&config, 7, 4, 0, &device)?;
//! let patch = Tensor::<4>::random([1, 7, 20, 30], Distribution::Default, &device);
//! assert_eq!(network.forward(patch).dims(), [1, 4, 20, 30]);
//! # Ok::<(), tomosieve_nn::Error>(())
//! ```

pub mod adam;
pub mod blocks;
pub mod checkpoint;
pub mod device;
pub mod encoder;
mod error;
pub mod features;
pub mod gradcam;
pub mod gradients;
pub mod kernel_ops;
pub mod losses;
pub mod networks;
pub mod segmenter;
pub mod teacher;

pub use error::{Error, Result};
pub use tomosieve_kernels as kernels;
