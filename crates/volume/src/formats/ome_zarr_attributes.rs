//! The metadata of OME-NGFF that is written: 0.4 on Zarr v2 (<https://ngff.openmicroscopy.org/0.4/>)
//! and 0.5 on Zarr v3 (<https://ngff.openmicroscopy.org/0.5/>).

use serde_json::{Map, Value, json};

use super::pyramid::{Rule, factors};
use super::{OmeVersion, OutputMeta, units};
use crate::region::Shape;
use crate::volume::VoxelType;

/// A level's array: what is one file, and what is packed on its own within it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grid {
    pub(super) shape: Shape,
    /// What one file holds.
    pub(super) file: Shape,
    /// What is packed on its own: the whole file, or a part of a shard.
    pub(super) chunk: Shape,
}

/// The metadata of an array: its chunk numbers are divided by `/`, and packed by what every reader
/// knows.
pub(super) fn array(version: OmeVersion, grid: &Grid, voxel_type: VoxelType) -> Value {
    let [shape, file, chunk] = [grid.shape, grid.file, grid.chunk].map(<[usize; 3]>::from);
    if version == OmeVersion::V04 {
        let dtype = match voxel_type {
            VoxelType::U8 => "|u1",
            VoxelType::U16 => "<u2",
            _ => "<f4",
        };
        return json!({
            "zarr_format": 2,
            "shape": shape,
            "chunks": file,
            "dtype": dtype,
            "compressor": { "id": "zlib", "level": 1 },
            "fill_value": 0,
            "order": "C",
            "filters": null,
            "dimension_separator": "/",
        });
    }
    let bytes = json!({ "name": "bytes", "configuration": { "endian": "little" } });
    json!({
        "zarr_format": 3,
        "node_type": "array",
        "shape": shape,
        "data_type": voxel_type.name(),
        "chunk_grid": { "name": "regular", "configuration": { "chunk_shape": file } },
        "chunk_key_encoding": { "name": "default", "configuration": { "separator": "/" } },
        "fill_value": if voxel_type == VoxelType::F32 { json!(0.0) } else { json!(0) },
        "codecs": [{ "name": "sharding_indexed", "configuration": {
            "chunk_shape": chunk,
            "codecs": [bytes, { "name": "gzip", "configuration": { "level": 1 } }],
            "index_codecs": [bytes, { "name": "crc32c" }],
            "index_location": "end",
        }}],
        "dimension_names": ["z", "y", "x"],
        "attributes": {},
    })
}

/// The files of a group and what they hold.
pub(super) fn group(version: OmeVersion, attributes: Map<String, Value>) -> Vec<(&'static str, Value)> {
    match version {
        OmeVersion::V04 => vec![(".zgroup", json!({ "zarr_format": 2 })), (".zattrs", attributes.into())],
        OmeVersion::V05 => {
            let mut ome = Map::new();
            ome.insert("version".into(), version.name().into());
            ome.extend(attributes);
            let group = json!({ "zarr_format": 3, "node_type": "group", "attributes": { "ome": ome } });
            vec![("zarr.json", group)]
        }
    }
}

/// The group's attributes: the levels, and for labels how they are shown.
pub(super) fn attributes(
    version: OmeVersion,
    name: &str,
    levels: &[Shape],
    meta: &OutputMeta,
    rule: Rule,
) -> Map<String, Value> {
    let unit = meta.unit.as_deref().and_then(units::ome).filter(|_| meta.voxel_size.is_some());
    let axes = ["z", "y", "x"].map(|name| match unit {
        Some(unit) => json!({ "name": name, "type": "space", "unit": unit }),
        None => json!({ "name": name, "type": "space" }),
    });
    let size = meta.voxel_size.unwrap_or([1.0; 3]);
    let origin = meta.origin.filter(|_| meta.voxel_size.is_some()).unwrap_or_default();
    let mut scale = size;
    let mut datasets = Vec::new();
    for (level, &shape) in levels.iter().enumerate() {
        if level > 0 {
            let by = factors(levels[level - 1], shape);
            scale = std::array::from_fn(|axis| scale[axis] * by[axis] as f64);
        }
        // A coarse voxel's centre is the mean of its fine voxels' centres, not the first of them.
        let shift: [f64; 3] = std::array::from_fn(|axis| origin[axis] + (scale[axis] - size[axis]) / 2.0);
        datasets.push(json!({
            "path": level.to_string(),
            "coordinateTransformations": [
                { "type": "scale", "scale": scale },
                { "type": "translation", "translation": shift },
            ],
        }));
    }
    let mut attributes = Map::new();
    let mut image = json!({
        "name": name,
        "axes": axes,
        "datasets": datasets,
        "type": if rule == Rule::Mode { "mode" } else { "mean" },
    });
    // From 0.5 on the version stands once, beside everything.
    if version == OmeVersion::V04 {
        image["version"] = version.name().into();
    }
    attributes.insert("multiscales".into(), json!([image]));
    if let Some(labels) = image_label(version, meta) {
        attributes.insert("image-label".into(), labels);
    }
    attributes
}

/// How labels are shown. Empty lists are invalid, so they are left out.
fn image_label(version: OmeVersion, meta: &OutputMeta) -> Option<Value> {
    let table = meta.labels.as_ref()?;
    let mut label = json!({});
    if version == OmeVersion::V04 {
        label["version"] = version.name().into();
    }
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
