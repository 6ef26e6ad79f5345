//! OME-Zarr 0.4 on Zarr v2: writing, with a pyramid.
//!
//! Slices are gathered until they fill a layer of chunks, so each chunk is written once. The
//! pyramid is made when all slices are there, each level from the one below, chunk by chunk. At
//! most one layer of chunks is in memory.

use std::path::Path;
use std::sync::Arc;

use rayon::prelude::*;
use serde_json::{Map, Value, json};
use zarrs::array::{Array, ArrayMetadata, ArrayMetadataOptions, ArraySubset, Element, ElementOwned};
use zarrs::filesystem::FilesystemStore;

use super::ome_zarr_meta;
use super::partial::{Partial, Progress};
use super::pyramid::{Averaged, Rule, factors, levels, shrink};
use super::{OME_ZARR, OutputMeta};
use crate::error::{Error, Result};
use crate::region::Shape;
use crate::volume::{VolumeWriter, VoxelType, Voxels};

/// A megabyte of labels, near-cubic: quick to view from any side.
const CHUNK: Shape = Shape::new(64, 128, 128);

/// What can be written.
pub(super) trait Stored: Averaged + Element + ElementOwned + Send + Sync + 'static {
    /// The voxels, if they are of this type.
    fn of(voxels: Voxels<'_>) -> &[Self];
}

impl Stored for u8 {
    fn of(voxels: Voxels<'_>) -> &[Self] {
        if let Voxels::U8(v) = voxels { v } else { &[] }
    }
}

impl Stored for u16 {
    fn of(voxels: Voxels<'_>) -> &[Self] {
        if let Voxels::U16(v) = voxels { v } else { &[] }
    }
}

impl Stored for f32 {
    fn of(voxels: Voxels<'_>) -> &[Self] {
        if let Voxels::F32(v) = voxels { v } else { &[] }
    }
}

/// Writes OME-Zarr.
pub(super) struct OmeZarrWriter<T> {
    partial: Partial,
    progress: Progress,
    /// Slices that do not fill a layer of chunks yet.
    buffer: Vec<T>,
    levels: Vec<Level>,
    rule: Rule,
}

/// A level of the pyramid.
struct Level {
    shape: Shape,
    chunk: Shape,
    array: Array<FilesystemStore>,
}

/// Starts a writer for the type.
pub(super) fn create(
    path: &Path,
    shape: Shape,
    voxel_type: VoxelType,
    meta: &OutputMeta,
) -> Result<Box<dyn VolumeWriter>> {
    let progress = Progress::new(path, OME_ZARR, shape, voxel_type)?;
    if meta.labels.is_some() && voxel_type == VoxelType::F32 {
        return Err(Error::OutputType {
            path: path.to_path_buf(),
            found: voxel_type,
            format: "labels",
            expected: "uint8 or uint16".into(),
        });
    }
    Ok(match voxel_type {
        VoxelType::U8 => Box::new(OmeZarrWriter::<u8>::new(path, progress, meta)?),
        VoxelType::U16 => Box::new(OmeZarrWriter::<u16>::new(path, progress, meta)?),
        _ => Box::new(OmeZarrWriter::<f32>::new(path, progress, meta)?),
    })
}

impl<T: Stored> OmeZarrWriter<T> {
    fn new(path: &Path, progress: Progress, meta: &OutputMeta) -> Result<Self> {
        let rule = if meta.labels.is_some() { Rule::Mode } else { Rule::Mean };
        let shapes = levels(progress.shape);
        let name = path.file_name().map(|name| name.to_string_lossy());
        let name = name.as_deref().unwrap_or_default();
        let name = name.trim_end_matches(".zarr").trim_end_matches(".ome");
        let attributes = ome_zarr_meta::attributes(name, &shapes, meta, rule);
        let partial = Partial::new(path)?;
        partial.create_folder()?;
        write_group(&partial, attributes)?;
        let store = FilesystemStore::new(partial.path()).map_err(|e| failure(path, &e))?;
        let store = Arc::new(store);
        let levels = shapes
            .into_iter()
            .enumerate()
            .map(|(number, shape)| Level::create(&store, path, number, shape, progress.voxel_type))
            .collect::<Result<_>>()?;
        Ok(Self { partial, progress, buffer: Vec::new(), levels, rule })
    }

    /// Writes the buffered slices as layer `layer` of the full level's chunks.
    fn flush(&mut self) -> Result<()> {
        let full = &self.levels[0];
        let slice = full.shape.slice_voxels();
        let depth = self.buffer.len() / slice;
        let layer = (self.progress.written - depth) / full.chunk.z;
        let (buffer, shape) = (&self.buffer, full.shape);
        full.store_layer(self.partial.target(), layer, |[_, y, x], [z_len, y_len, x_len]| {
            let mut voxels = Vec::with_capacity(z_len * y_len * x_len);
            for z in 0..z_len {
                for y in y..y + y_len {
                    let row = (z * shape.y + y) * shape.x;
                    voxels.extend_from_slice(&buffer[row + x..row + x + x_len]);
                }
            }
            Ok(voxels)
        })?;
        self.buffer.clear();
        Ok(())
    }

    /// Makes level `number` from the one below.
    fn coarsen(&self, number: usize) -> Result<()> {
        let target = self.partial.target();
        let (finer, level) = (&self.levels[number - 1], &self.levels[number]);
        let by = factors(finer.shape, level.shape);
        let below: [usize; 3] = finer.shape.into();
        for layer in 0..level.shape.z.div_ceil(level.chunk.z) {
            level.store_layer(target, layer, |start, size| {
                let ranges: [_; 3] = std::array::from_fn(|axis| {
                    let start = start[axis] * by[axis];
                    start..(start + size[axis] * by[axis]).min(below[axis])
                });
                let shape = ranges.clone().map(|range| range.len());
                let subset = ranges.map(|range| range.start as u64..range.end as u64);
                let subset = ArraySubset::new_with_ranges(&subset);
                let voxels: Vec<T> =
                    finer.array.retrieve_array_subset(&subset).map_err(|e| failure(target, &e))?;
                Ok(shrink(&voxels, shape.into(), by, self.rule))
            })?;
        }
        Ok(())
    }
}

impl Level {
    fn create(
        store: &Arc<FilesystemStore>,
        target: &Path,
        number: usize,
        shape: Shape,
        voxel_type: VoxelType,
    ) -> Result<Self> {
        let chunk = Shape::new(CHUNK.z.min(shape.z), CHUNK.y.min(shape.y), CHUNK.x.min(shape.x));
        let metadata = ome_zarr_meta::array(shape, chunk, voxel_type);
        let metadata: ArrayMetadata = serde_json::from_value(metadata).map_err(|e| failure(target, &e))?;
        let array = Array::new_with_metadata(store.clone(), &format!("/{number}"), metadata)
            .map_err(|e| failure(target, &e))?;
        // No library's name in the file: the same voxels give the same bytes.
        let plain = ArrayMetadataOptions::default().with_include_zarrs_metadata(false);
        array.store_metadata_opt(&plain).map_err(|e| failure(target, &e))?;
        Ok(Self { shape, chunk, array })
    }

    /// Writes one layer of chunks, each of the voxels `make` gives for its start and size within
    /// the level. Chunks that reach past the end are padded with zeros.
    fn store_layer<T: Stored>(
        &self,
        target: &Path,
        layer: usize,
        make: impl Fn([usize; 3], [usize; 3]) -> Result<Vec<T>> + Sync,
    ) -> Result<()> {
        let (shape, chunk) = (self.shape, self.chunk);
        let columns = shape.x.div_ceil(chunk.x);
        let chunks = shape.y.div_ceil(chunk.y) * columns;
        let store_one = |index: usize| -> Result<()> {
            let at = [layer, index / columns, index % columns];
            let edges: [usize; 3] = chunk.into();
            let ends: [usize; 3] = shape.into();
            let start: [usize; 3] = std::array::from_fn(|axis| at[axis] * edges[axis]);
            let size: [usize; 3] = std::array::from_fn(|axis| edges[axis].min(ends[axis] - start[axis]));
            let voxels = pad(make(start, size)?, size, chunk);
            self.array.store_chunk(&at.map(|n| n as u64), voxels).map_err(|e| failure(target, &e))
        };
        let results: Vec<Result<()>> = (0..chunks).into_par_iter().map(store_one).collect();
        results.into_iter().collect()
    }
}

/// Puts a box of voxels into the corner of a whole chunk.
fn pad<T: Stored>(voxels: Vec<T>, size: [usize; 3], chunk: Shape) -> Vec<T> {
    if size == <[usize; 3]>::from(chunk) {
        return voxels;
    }
    let mut padded = vec![T::default(); chunk.voxels()];
    for (row, from) in voxels.chunks_exact(size[2]).enumerate() {
        let to = (row / size[1] * chunk.y + row % size[1]) * chunk.x;
        padded[to..to + size[2]].copy_from_slice(from);
    }
    padded
}

fn write_group(partial: &Partial, attributes: Map<String, Value>) -> Result<()> {
    let files = [(".zgroup", json!({ "zarr_format": 2 })), (".zattrs", attributes.into())];
    for (name, value) in files {
        let path = partial.path().join(name);
        std::fs::write(path, format!("{value:#}\n"))
            .map_err(|e| Error::write(&partial.target().join(name), e))?;
    }
    Ok(())
}

fn failure(target: &Path, error: &dyn std::error::Error) -> Error {
    Error::Encode { path: target.to_path_buf(), what: error.to_string() }
}

impl<T: Stored> VolumeWriter for OmeZarrWriter<T> {
    fn write(&mut self, voxels: Voxels<'_>) -> Result<()> {
        self.progress.check(self.partial.target(), voxels)?;
        let (slice, depth) = (self.levels[0].shape.slice_voxels(), self.levels[0].chunk.z);
        for voxels in T::of(voxels).chunks_exact(slice) {
            self.buffer.extend_from_slice(voxels);
            self.progress.written += 1;
            if self.progress.written.is_multiple_of(depth) {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.progress.check_complete(self.partial.target())?;
        if !self.buffer.is_empty() {
            self.flush()?;
        }
        self.buffer = Vec::new();
        for number in 1..self.levels.len() {
            self.coarsen(number)?;
        }
        self.partial.commit()
    }
}
