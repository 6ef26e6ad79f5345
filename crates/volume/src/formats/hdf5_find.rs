//! Which dataset of an HDF5 file is the volume, and how large its voxels are.
//!
//! In this order: the one named; the one NeXus points to (`@default` from group to group, then
//! `@signal`: <https://manual.nexusformat.org/datarules.html>); the paths reconstructions are
//! known to lie at; the only dataset of three axes. Projections look alike, and are refused.

use std::path::Path;

use rust_hdf5::{H5Dataset, H5File};

use super::hdf5::{failure, voxel_type};
use crate::error::{Error, Result};
use crate::region::Shape;
use crate::volume::VoxelType;

/// Where reconstruction programs put a volume: tomocupy and TomoPy, NXtomoproc, nabu, httomo.
const KNOWN: [&str; 6] = [
    "exchange/data",
    "entry/data/data",
    "entry0000/reconstruction/results/data",
    "entry/reconstruction/results/data",
    "entry1/tomo_entry/data/data",
    "data",
];
/// What lies beside projections, and not beside a reconstruction.
const BESIDE_PROJECTIONS: [&str; 3] = ["data_white", "data_dark", "image_key"];
/// The angles of projections, one each.
const ANGLES: [&str; 2] = ["theta", "rotation_angle"];

/// The volume in a file.
pub(super) struct Found {
    /// Its path, from `/` on.
    pub(super) dataset: String,
    pub(super) shape: Shape,
    /// Axes of length one before z.
    pub(super) leading: usize,
    pub(super) voxel_type: VoxelType,
    pub(super) voxel_size: Option<[f64; 3]>,
    pub(super) unit: Option<String>,
    pub(super) origin: Option<[f64; 3]>,
    pub(super) notes: Vec<String>,
}

/// Finds the volume, or takes the one named.
pub(super) fn find(path: &Path, file: &H5File, named: Option<&str>) -> Result<Found> {
    let named = named.map(|name| name.trim_matches('/')).filter(|name| !name.is_empty());
    let (name, how) = match named {
        Some(name) => (signal(file, name).unwrap_or_else(|| name.to_string()), None),
        None => search(path, file).map(|(name, how)| (name, Some(how)))?,
    };
    let dataset = file.dataset(&name).map_err(|e| {
        let others = listed(&volumes(file));
        Error::damaged(path, format!("no dataset `/{name}` can be opened ({e}); it holds {others}"))
    })?;
    let (leading, shape) = axes(&dataset).ok_or_else(|| {
        let axes: Vec<String> = dataset.shape().iter().map(ToString::to_string).collect();
        let found = format!("the dataset `/{name}` of {} is", axes.join("×"));
        Error::unsupported(path, found, "three axes z, y, x, or two; before them only axes of length one")
    })?;
    let datatype = dataset.datatype().map_err(|e| failure(path, &e))?;
    let voxel_type = voxel_type(&datatype).ok_or_else(|| {
        let expected = "integers of up to 32 bits, or floats";
        Error::unsupported(path, format!("the dataset `/{name}` of {datatype} is"), expected)
    })?;
    let mut notes = Vec::new();
    if let Some(how) = how {
        if let Some(sign) = projections(file, &dataset, &name, shape) {
            return Err(Error::unsupported(
                path,
                format!("`/{name}` holds projections ({sign}), which are"),
                format!("a reconstruction; reconstruct it, or if it is one name it as `FILE::/{name}`"),
            ));
        }
        notes.push(format!("the volume is the dataset `/{name}`: {how}."));
    }
    notes.push("its last axes are taken as z, y, x.".into());
    let group = name.rsplit_once('/').map_or("", |(group, _)| group);
    let scale = coordinates(file, group, shape).or_else(|| element_size(&dataset));
    let scale = scale.unwrap_or_default();
    Ok(Found {
        dataset: format!("/{name}"),
        shape,
        leading,
        voxel_type,
        voxel_size: scale.size,
        unit: scale.unit,
        origin: scale.origin,
        notes,
    })
}

/// The path of the volume nobody named, and how it was found.
fn search(path: &Path, file: &H5File) -> Result<(String, &'static str)> {
    let default = file.attr_string("default").ok();
    if let Some(name) = default.and_then(|group| signal(file, group.trim_matches('/'))) {
        return Ok((name, "the file's @default and @signal point to it"));
    }
    let candidates = volumes(file);
    if let Some(known) = KNOWN.iter().find(|known| candidates.iter().any(|c| c == *known)) {
        return Ok(((*known).to_string(), "reconstructions are kept there"));
    }
    match &candidates[..] {
        [only] => Ok((only.clone(), "no other has three axes")),
        [] => Err(Error::unsupported(path, "an HDF5 file without a dataset of three axes is", "a volume")),
        several => Err(Error::WhichDataset {
            path: path.to_path_buf(),
            example: several[0].clone(),
            candidates: listed(several),
        }),
    }
}

/// Follows `@default` from a group on, and `@signal` to the dataset.
fn signal(file: &H5File, group: &str) -> Option<String> {
    let mut group = group.to_string();
    // No file nests deeper; a file may point in circles.
    for _ in 0..8 {
        let node = file.root_group().group(&group).ok()?;
        if let Ok(signal) = node.attr_string("signal") {
            let name = format!("{group}/{signal}");
            return file.dataset(&name).is_ok().then_some(name);
        }
        group = format!("{group}/{}", node.attr_string("default").ok()?);
    }
    None
}

/// The paths of all datasets of three axes whose values can be voxels.
fn volumes(file: &H5File) -> Vec<String> {
    let mut names = file.dataset_names();
    names.sort_unstable();
    names.dedup();
    names.retain(|name| {
        let Ok(dataset) = file.dataset(name) else { return false };
        let three = axes(&dataset).is_some_and(|(leading, _)| dataset.ndims() - leading == 3);
        three && dataset.datatype().is_ok_and(|datatype| voxel_type(&datatype).is_some())
    });
    names
}

fn listed(names: &[String]) -> String {
    let mut text = names.iter().take(12).map(|name| format!("`/{name}`")).collect::<Vec<_>>().join(", ");
    if names.len() > 12 {
        text = format!("{text} and {} more", names.len() - 12);
    }
    if text.is_empty() { "no volume".into() } else { text }
}

/// How many axes of length one come before the volume, and its shape.
fn axes(dataset: &H5Dataset) -> Option<(usize, Shape)> {
    let axes = dataset.shape();
    let (leading, shape) = match axes[..] {
        [y, x] => (0, Shape::new(1, y, x)),
        [ref before @ .., z, y, x] if before.iter().all(|&n| n == 1) => (before.len(), Shape::new(z, y, x)),
        _ => return None,
    };
    (shape.voxels() > 0 && shape.checked_bytes(8).is_some()).then_some((leading, shape))
}

/// By what a dataset is known to hold projections.
fn projections(file: &H5File, dataset: &H5Dataset, name: &str, shape: Shape) -> Option<String> {
    let beside = |other: &str| match name.rsplit_once('/') {
        Some((group, _)) => format!("{group}/{other}"),
        None => other.to_string(),
    };
    let there = |other: &&&str| file.dataset(&beside(other)).is_ok();
    if let Some(other) = BESIDE_PROJECTIONS.iter().find(there) {
        return Some(format!("`{other}` lies beside it"));
    }
    let angles = |other: &&&str| file.dataset(&beside(other)).is_ok_and(|d| d.shape() == [shape.z]);
    if let Some(other) = ANGLES.iter().find(angles) {
        return Some(format!("`{other}` with {} angles lies beside it", shape.z));
    }
    let axes = dataset.attr("axes").and_then(|axes| axes.read_string()).ok()?;
    axes.starts_with("theta").then(|| format!("its axes are `{axes}`"))
}

/// Voxel size, unit and origin.
#[derive(Default)]
struct Scale {
    size: Option<[f64; 3]>,
    unit: Option<String>,
    origin: Option<[f64; 3]>,
}

/// From the coordinates along each axis, as NXdata keeps them: `z`, `y` and `x` beside the volume.
fn coordinates(file: &H5File, group: &str, shape: Shape) -> Option<Scale> {
    let lengths: [usize; 3] = shape.into();
    let mut axes = [[0.0; 2]; 3];
    let mut unit = None;
    for (axis, name) in ["z", "y", "x"].into_iter().enumerate() {
        let dataset = file.dataset(&format!("{group}/{name}")).ok()?;
        if dataset.shape() != [lengths[axis]] || voxel_type(&dataset.datatype().ok()?) != Some(VoxelType::F64)
        {
            return None;
        }
        let last = lengths[axis] - 1;
        let at = |n: usize| dataset.read_slice::<f64>(&[n], &[1]).ok()?.first().copied();
        axes[axis] = [at(0)?, (at(last)? - at(0)?) / last.max(1) as f64];
        unit = dataset.attr("units").and_then(|unit| unit.read_string()).ok();
    }
    // A single slice tells no distance: it is taken as thick as its voxels are wide.
    let width = axes[2][1];
    let size = axes.map(|[_, step]| if step == 0.0 { width } else { step });
    size.iter().all(|&step| step.is_finite() && step > 0.0).then(|| Scale {
        size: Some(size),
        origin: Some(axes.map(|[first, _]| first)),
        unit,
    })
}

/// From the attribute `element_size_um`, as Fiji and ilastik keep it: `[z, y, x]` in micrometres.
fn element_size(dataset: &H5Dataset) -> Option<Scale> {
    let attribute = dataset.attr("element_size_um").ok()?;
    let size: [f64; 3] = attribute.read_numeric_as::<f64>().ok()?.try_into().ok()?;
    size.iter().all(|&step| step.is_finite() && step > 0.0).then(|| Scale {
        size: Some(size),
        origin: None,
        unit: Some("µm".into()),
    })
}
