//! The metadata of OME-NGFF, read from 0.1 to 0.5, which moved it under `ome`.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::error::{Error, Result};

/// What a Zarr folder says of itself.
pub(super) enum Node {
    /// An array.
    Array,
    /// A group with `multiscales`.
    Image(Multiscale),
}

/// The full level of a multiscale image.
pub(super) struct Multiscale {
    /// The array's path within the group.
    pub(super) path: String,
    pub(super) version: String,
    /// Voxel size `[z, y, x]`, where the scale tells it.
    pub(super) voxel_size: Option<[f64; 3]>,
    pub(super) unit: Option<String>,
    /// The first voxel's centre `[z, y, x]`, where a translation tells it.
    pub(super) origin: Option<[f64; 3]>,
}

/// Reads the metadata files at the top of a Zarr folder.
pub(super) fn read(folder: &Path) -> Result<Node> {
    let load = |name: &str| -> Result<Option<Value>> {
        let path = folder.join(name);
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|e| Error::damaged(&path, format!("no valid JSON: {e}"))),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::read(&path, e)),
        }
    };
    let v3 = load("zarr.json")?;
    if v3.as_ref().is_some_and(|v| v["node_type"] == "array") || folder.join(".zarray").exists() {
        return Ok(Node::Array);
    }
    let attributes = match v3 {
        Some(mut v3) => v3.get_mut("attributes").map(Value::take).unwrap_or_default(),
        None => load(".zattrs")?.unwrap_or(Value::Null),
    };
    // 0.5 moved everything under `ome`.
    let ome = attributes.get("ome").unwrap_or(&attributes);
    multiscale(ome).map(Node::Image).ok_or_else(|| {
        Error::unsupported(
            folder,
            "a Zarr group that is no multiscale image is",
            "an image of OME-Zarr or an array; open one of those in the group",
        )
    })
}

fn multiscale(ome: &Value) -> Option<Multiscale> {
    let image = ome.get("multiscales")?.get(0)?;
    let full = image.get("datasets")?.get(0)?;
    let version = image.get("version").or_else(|| ome.get("version")).and_then(Value::as_str);
    let axes: &[Value] = image.get("axes").and_then(Value::as_array).map_or(&[], Vec::as_slice);
    let unit = axes.last().and_then(|axis| axis.get("unit")).and_then(Value::as_str);
    Some(Multiscale {
        path: full.get("path")?.as_str()?.to_string(),
        version: version.unwrap_or("of an unknown version").to_string(),
        voxel_size: unit.and_then(|_| scale(image, full)),
        origin: unit.and_then(|_| translation(image, full)),
        unit: unit.map(str::to_string),
    })
}

/// The last three numbers of one of a node's transforms: its `scale` or its `translation`.
fn transform(node: &Value, kind: &str) -> Option<[f64; 3]> {
    let transforms = node.get("coordinateTransformations")?.as_array()?;
    let values = transforms.iter().find(|t| t["type"] == kind)?.get(kind)?.as_array()?;
    let [Some(z), Some(y), Some(x)] = values.last_chunk::<3>()?.each_ref().map(Value::as_f64) else {
        return None;
    };
    Some([z, y, x])
}

/// The level's scale times that of the whole image.
fn scale(image: &Value, level: &Value) -> Option<[f64; 3]> {
    let (level, whole) = (transform(level, "scale")?, transform(image, "scale").unwrap_or([1.0; 3]));
    Some(std::array::from_fn(|axis| level[axis] * whole[axis]))
}

/// The level's translation, scaled and moved as the whole image is.
fn translation(image: &Value, level: &Value) -> Option<[f64; 3]> {
    let (inner, outer) = (transform(level, "translation"), transform(image, "translation"));
    if inner.is_none() && outer.is_none() {
        return None;
    }
    let (inner, outer) = (inner.unwrap_or_default(), outer.unwrap_or_default());
    let whole = transform(image, "scale").unwrap_or([1.0; 3]);
    Some(std::array::from_fn(|axis| inner[axis] * whole[axis] + outer[axis]))
}
