//! The metadata of OME-NGFF 0.4: <https://ngff.openmicroscopy.org/0.4/>.
//!
//! Written for images and labels; read from 0.1 to 0.5, which moved it under `ome`.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::OutputMeta;
use super::pyramid::{Rule, factors};
use super::units;
use crate::error::{Error, Result};
use crate::region::Shape;
use crate::volume::VoxelType;

const VERSION: &str = "0.4";

/// A Zarr v2 array: `/` between chunk numbers, and zlib, which every reader knows.
pub(super) fn array(shape: Shape, chunk: Shape, voxel_type: VoxelType) -> Value {
    let dtype = match voxel_type {
        VoxelType::U8 => "|u1",
        VoxelType::U16 => "<u2",
        _ => "<f4",
    };
    json!({
        "zarr_format": 2,
        "shape": [shape.z, shape.y, shape.x],
        "chunks": [chunk.z, chunk.y, chunk.x],
        "dtype": dtype,
        "compressor": { "id": "zlib", "level": 1 },
        "fill_value": 0,
        "order": "C",
        "filters": null,
        "dimension_separator": "/",
    })
}

/// The group's attributes: the levels, and for labels how they are shown.
pub(super) fn attributes(name: &str, levels: &[Shape], meta: &OutputMeta, rule: Rule) -> Map<String, Value> {
    let unit = meta.unit.as_deref().and_then(units::ome).filter(|_| meta.voxel_size.is_some());
    let axes = ["z", "y", "x"].map(|name| match unit {
        Some(unit) => json!({ "name": name, "type": "space", "unit": unit }),
        None => json!({ "name": name, "type": "space" }),
    });
    let size = meta.voxel_size.unwrap_or([1.0; 3]);
    let mut scale = size;
    let mut datasets = Vec::new();
    for (level, &shape) in levels.iter().enumerate() {
        if level > 0 {
            let by = factors(levels[level - 1], shape);
            scale = std::array::from_fn(|axis| scale[axis] * by[axis] as f64);
        }
        // A coarse voxel's centre is the mean of its fine voxels' centres, not the first of them.
        let shift: [f64; 3] = std::array::from_fn(|axis| (scale[axis] - size[axis]) / 2.0);
        datasets.push(json!({
            "path": level.to_string(),
            "coordinateTransformations": [
                { "type": "scale", "scale": scale },
                { "type": "translation", "translation": shift },
            ],
        }));
    }
    let mut attributes = Map::new();
    attributes.insert(
        "multiscales".into(),
        json!([{
            "version": VERSION,
            "name": name,
            "axes": axes,
            "datasets": datasets,
            "type": if rule == Rule::Mode { "mode" } else { "mean" },
        }]),
    );
    if let Some(labels) = image_label(meta) {
        attributes.insert("image-label".into(), labels);
    }
    attributes
}

/// How labels are shown. Empty lists are invalid, so they are left out.
fn image_label(meta: &OutputMeta) -> Option<Value> {
    let table = meta.labels.as_ref()?;
    let mut label = json!({ "version": VERSION });
    if !table.colours.is_empty() {
        let colour = |(value, rgba)| json!({ "label-value": value, "rgba": rgba });
        label["colors"] = table.colours.iter().enumerate().map(colour).collect();
    }
    if !table.names.is_empty() {
        let class = |(value, name)| json!({ "label-value": value, "class name": name });
        label["properties"] = table.names.iter().enumerate().map(class).collect();
    }
    Some(label)
}

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
        Some(mut v3) => v3["attributes"].take(),
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
        unit: unit.map(str::to_string),
    })
}

/// The last three numbers of the level's scale, times those of the whole image.
fn scale(image: &Value, level: &Value) -> Option<[f64; 3]> {
    let of = |node: &Value| -> Option<[f64; 3]> {
        let transforms = node.get("coordinateTransformations")?.as_array()?;
        let scale = transforms.iter().find(|t| t["type"] == "scale")?.get("scale")?.as_array()?;
        let last = scale.last_chunk::<3>()?;
        let [Some(z), Some(y), Some(x)] = last.each_ref().map(Value::as_f64) else {
            return None;
        };
        Some([z, y, x])
    };
    let (level, whole) = (of(level)?, of(image).unwrap_or([1.0; 3]));
    Some(std::array::from_fn(|axis| level[axis] * whole[axis]))
}
