//! Our model files: a network with all it takes to use it on another volume.

use std::collections::BTreeMap;
use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;
use tomosieve_nn::checkpoint;
use tomosieve_nn::networks::{Network, NetworkConfig};

use crate::config::Config;
use crate::predictor::Predictor;
use crate::scale::Scale;
use crate::stages::cluster::Stage1;
use crate::{Error, Result};

/// Writes a network with its configuration, classes and scale in the file's header.
///
/// # Errors
/// When the file cannot be written.
pub fn save(network: &Network, config: &Config, stage1: &Stage1, made_by: &str, path: &Path) -> Result<()> {
    let json = |value: serde_json::Result<String>| value.map_err(|e| Error::file(path, e));
    let metadata = BTreeMap::from([
        ("version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("stage".to_owned(), made_by.to_owned()),
        ("network".to_owned(), json(serde_json::to_string(&config.network.resolved()))?),
        ("slices".to_owned(), config.input.slices.to_string()),
        ("classes".to_owned(), stage1.clusters.classes().to_string()),
        ("scale".to_owned(), json(serde_json::to_string(&stage1.scale))?),
        ("class_means".to_owned(), json(serde_json::to_string(&stage1.clusters.means))?),
        ("config".to_owned(), config.to_toml()?),
    ]);
    Ok(checkpoint::save(&network.valid(), &metadata, path)?)
}

/// A model ready to segment.
pub struct Model {
    /// The network.
    pub predictor: Predictor,
    /// What it is called and how large it is.
    pub network: NetworkConfig,
    /// c.
    pub slices: usize,
    /// K.
    pub classes: usize,
    /// Scale of the grey values it was trained on.
    pub scale: Scale,
    /// The stage that made it: `train`, or `correct`.
    pub made_by: String,
}

/// Reads a model written by [`save`].
///
/// # Errors
/// When the file is missing, damaged or not a model of ours.
pub fn load(path: &Path, device: &Device) -> Result<Model> {
    let metadata = checkpoint::metadata(path)?;
    let entry = |name: &str| {
        metadata.get(name).ok_or_else(|| Error::file(path, format!("no `{name}` in the model's header")))
    };
    let damaged = |e: serde_json::Error| Error::file(path, format!("damaged header: {e}"));
    let config: NetworkConfig = serde_json::from_str(entry("network")?).map_err(damaged)?;
    let slices: usize = serde_json::from_str(entry("slices")?).map_err(damaged)?;
    let classes: usize = serde_json::from_str(entry("classes")?).map_err(damaged)?;
    if !(1..=99).contains(&slices) || !(2..=255).contains(&classes) {
        return Err(Error::file(path, format!("damaged header: {slices} slices, {classes} classes")));
    }
    // No network of such widths fits into a file that is smaller than one 1×1 convolution of each.
    let least =
        config.widths.iter().fold(0_u64, |sum, &w| sum.saturating_add(4 * (w as u64).saturating_pow(2)));
    let length = std::fs::metadata(path).map_or(0, |meta| meta.len());
    if least > length {
        let widths = &config.widths;
        return Err(Error::file(
            path,
            format!("damaged header: widths {widths:?} in a file of {length} bytes"),
        ));
    }
    let network = Network::new(&config, slices, classes, 0, device)
        .map_err(|e| Error::file(path, format!("damaged header: {e}")))?;
    let network = checkpoint::load(network, path)?;
    Ok(Model {
        predictor: Predictor::new(&network, device),
        network: config,
        slices,
        classes,
        scale: serde_json::from_str(entry("scale")?).map_err(damaged)?,
        made_by: entry("stage")?.clone(),
    })
}

/// The network of the model at `path`, already [`load`]ed, on a device with autodiff: to ask for gradients, not to
/// train on, since it drops nothing out.
///
/// # Errors
/// When the file has gone or changed since.
pub fn load_traced(path: &Path, model: &Model, device: &Device) -> Result<Network> {
    let config = NetworkConfig { dropout: 0.0, ..model.network.clone() };
    let network = Network::new(&config, model.slices, model.classes, 0, device)?;
    Ok(checkpoint::load(network, path)?)
}
