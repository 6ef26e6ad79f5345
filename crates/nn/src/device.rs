//! Device names to devices: the one place that knows which back ends this build has.
//!
//! `Device::default()` is never used: it takes the first back end compiled in, which may not be the
//! one the user meant.

use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::tensor::Device;

use crate::{Error, Result};

/// Every device family by name, whether this build has it, and the cargo feature that brings it.
pub const FAMILIES: &[(&str, bool)] = &[
    ("cpu", true),
    ("vulkan", cfg!(feature = "vulkan")),
    ("wgpu", cfg!(feature = "wgpu")),
    ("metal", cfg!(feature = "metal")),
    ("cuda", cfg!(feature = "cuda")),
    ("rocm", cfg!(feature = "rocm")),
];

/// The families this build can run on.
pub fn built() -> Vec<&'static str> {
    FAMILIES.iter().filter(|(_, built)| *built).map(|(name, _)| *name).collect()
}

/// The device called `name`: `cpu`, or a GPU family with an optional index such as `cuda:1`.
///
/// # Errors
/// [`Error::UnknownName`] for a family that does not exist or an index that is no number,
/// [`Error::DeviceNotBuilt`] for one this build was compiled without.
pub fn by_name(name: &str) -> Result<Device> {
    let (family, index) = match name.split_once(':') {
        Some((family, index)) => (family, index.parse::<usize>().ok()),
        None => (name, Some(0)),
    };
    let names: Vec<&str> = FAMILIES.iter().map(|(name, _)| *name).collect();
    let (Some((_, built_in)), Some(index)) = (FAMILIES.iter().find(|(n, _)| *n == family), index) else {
        return Err(Error::unknown("device", name, &names));
    };
    if !built_in {
        return Err(Error::DeviceNotBuilt { feature: family.to_owned(), built: built().join(", ") });
    }
    Ok(open(family, index))
}

/// The device of a family that is known to be compiled in.
#[cfg_attr(
    not(any(feature = "wgpu", feature = "vulkan", feature = "metal", feature = "cuda", feature = "rocm")),
    allow(unused_variables, clippy::match_single_binding)
)]
fn open(family: &str, index: usize) -> Device {
    #[cfg(any(feature = "wgpu", feature = "vulkan", feature = "metal"))]
    use burn::tensor::DeviceKind;
    match family {
        #[cfg(feature = "vulkan")]
        "vulkan" => Device::vulkan(DeviceKind::DiscreteGpu(index)),
        #[cfg(feature = "wgpu")]
        "wgpu" => Device::wgpu(DeviceKind::DiscreteGpu(index)),
        #[cfg(feature = "metal")]
        "metal" => Device::metal(DeviceKind::DiscreteGpu(index)),
        #[cfg(feature = "cuda")]
        "cuda" => Device::cuda(index),
        #[cfg(feature = "rocm")]
        "rocm" => Device::rocm(index),
        _ => Device::flex(),
    }
}

/// Seeds the device's random generator and keeps everyone else from it while the guard lives.
///
/// The generator of a back end is one for the whole process: without this, two networks made or trained
/// at the same time would draw from each other's sequence.
pub fn seeded(device: &Device, seed: u64) -> MutexGuard<'static, ()> {
    static GENERATOR: Mutex<()> = Mutex::new(());
    let guard = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
    device.seed(seed);
    guard
}
