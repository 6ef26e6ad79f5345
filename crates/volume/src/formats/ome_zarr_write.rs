//! OME-Zarr: writing, with a pyramid. 0.4 on Zarr v2, or 0.5 on Zarr v3 in shards, each a file of
//! many chunks, which is chosen where chunks would be too many files.
//!
//! Slices are gathered until they fill a layer of chunks, so each chunk is written once. The
//! pyramid is made when all slices are there, each level from the one below, chunk by chunk. At
//! most one layer of chunks is in memory.

use std::path::Path;
use std::sync::Arc;

use rayon::prelude::*;
use serde_json::Value;
use zarrs::array::{Array, ArrayMetadata, ArrayMetadataOptions, ArraySubset, Element, ElementOwned};
use zarrs::filesystem::FilesystemStore;

use super::ome_zarr_attributes::{self, Grid};
use super::ome_zarr_labels::{self, LabelsGroup};
use super::partial::{Partial, Progress};
use super::pyramid::{Averaged, Rule, factors, levels, shrink};
use super::{OME_ZARR, OmeVersion, OutputMeta};
use crate::error::{Error, Result};
use crate::region::Shape;
use crate::volume::{VolumeWriter, VoxelType};
use crate::voxels::Voxels;

/// A megabyte of labels, near-cubic: quick to view from any side.
const CHUNK: Shape = Shape::new(64, 128, 128);
/// Chunks of a shard: no deeper than one, so that no more slices wait in memory.
const SHARD: Shape = Shape::new(1, 8, 8);
/// File systems of clusters suffer from more files than this.
const MAX_FILES: usize = 10_000;

/// The version that is written where none is told.
fn version(shape: Shape) -> OmeVersion {
    let files = shape.z.div_ceil(CHUNK.z) * shape.y.div_ceil(CHUNK.y) * shape.x.div_ceil(CHUNK.x);
    if files > MAX_FILES { OmeVersion::V05 } else { OmeVersion::V04 }
}

/// Files and chunks of a level.
fn grid(version: OmeVersion, shape: Shape) -> Grid {
    let [edges, shape_of, shard]: [[usize; 3]; 3] = [CHUNK.into(), shape.into(), SHARD.into()];
    let chunk: [usize; 3] = std::array::from_fn(|axis| edges[axis].min(shape_of[axis]));
    let file = match version {
        OmeVersion::V04 => chunk,
        OmeVersion::V05 => {
            std::array::from_fn(|axis| chunk[axis] * shape_of[axis].div_ceil(chunk[axis]).min(shard[axis]))
        }
    };
    Grid { shape, file: file.into(), chunk: chunk.into() }
}

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
    /// The group of the image that these labels are written into.
    listed: Option<LabelsGroup>,
}

/// A level of the pyramid.
struct Level {
    shape: Shape,
    /// What one file holds.
    chunk: Shape,
    /// What is packed on its own.
    part: Shape,
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
    // What lies in an image's group of labels is labels.
    let mut meta = meta.clone();
    if LabelsGroup::of(path).is_some() {
        meta.labels.get_or_insert_default();
    }
    if meta.labels.is_some() && voxel_type == VoxelType::F32 {
        return Err(Error::OutputType {
            path: path.to_path_buf(),
            found: voxel_type,
            format: "labels",
            expected: "uint8 or uint16".into(),
        });
    }
    Ok(match voxel_type {
        VoxelType::U8 => Box::new(OmeZarrWriter::<u8>::new(path, progress, &meta)?),
        VoxelType::U16 => Box::new(OmeZarrWriter::<u16>::new(path, progress, &meta)?),
        _ => Box::new(OmeZarrWriter::<f32>::new(path, progress, &meta)?),
    })
}

impl<T: Stored> OmeZarrWriter<T> {
    fn new(path: &Path, progress: Progress, meta: &OutputMeta) -> Result<Self> {
        let rule = if meta.labels.is_some() { Rule::Mode } else { Rule::Mean };
        let shapes = levels(progress.shape);
        let name = path.file_name().map(|name| name.to_string_lossy());
        let name = name.as_deref().unwrap_or_default();
        let name = name.trim_end_matches(".zarr").trim_end_matches(".ome");
        let listed = LabelsGroup::of(path);
        let told = listed.as_ref().map(|group| group.version).or(meta.ome_version);
        let version = told.unwrap_or_else(|| version(progress.shape));
        let mut attributes = ome_zarr_attributes::attributes(version, name, &shapes, meta, rule);
        if let Some(group) = &listed {
            group.create()?;
            attributes["image-label"]["source"] = ome_zarr_labels::source();
        }
        let partial = Partial::new(path)?;
        partial.create_folder()?;
        write_group(&partial, ome_zarr_attributes::group(version, attributes))?;
        let store = FilesystemStore::new(partial.path()).map_err(|e| failure(path, &e))?;
        let store = Arc::new(store);
        let levels = shapes
            .into_iter()
            .enumerate()
            .map(|(number, shape)| {
                Level::create(&store, path, number, version, grid(version, shape), progress.voxel_type)
            })
            .collect::<Result<_>>()?;
        Ok(Self { partial, progress, buffer: Vec::new(), levels, rule, listed })
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

    /// Makes level `number` from the one below, one chunk after another also where a file holds many.
    fn coarsen(&self, number: usize) -> Result<()> {
        let target = self.partial.target();
        let (finer, level) = (&self.levels[number - 1], &self.levels[number]);
        let by = factors(finer.shape, level.shape);
        let below: [usize; 3] = finer.shape.into();
        let part: [usize; 3] = level.part.into();
        let shrunk = |start: [usize; 3], size: [usize; 3]| -> Result<Vec<T>> {
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
        };
        for layer in 0..level.shape.z.div_ceil(level.chunk.z) {
            level.store_layer(target, layer, |start, size| {
                let mut file = vec![T::default(); size.iter().product()];
                for y in (0..size[1]).step_by(part[1]) {
                    for x in (0..size[2]).step_by(part[2]) {
                        let at = [start[0], start[1] + y, start[2] + x];
                        let extent = [size[0], part[1].min(size[1] - y), part[2].min(size[2] - x)];
                        for (row, voxels) in shrunk(at, extent)?.chunks_exact(extent[2]).enumerate() {
                            let to = (row / extent[1] * size[1] + y + row % extent[1]) * size[2] + x;
                            file[to..to + voxels.len()].copy_from_slice(voxels);
                        }
                    }
                }
                Ok(file)
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
        version: OmeVersion,
        grid: Grid,
        voxel_type: VoxelType,
    ) -> Result<Self> {
        let metadata = ome_zarr_attributes::array(version, &grid, voxel_type);
        let metadata: ArrayMetadata = serde_json::from_value(metadata).map_err(|e| failure(target, &e))?;
        let array = Array::new_with_metadata(store.clone(), &format!("/{number}"), metadata)
            .map_err(|e| failure(target, &e))?;
        // No library's name in the file: the same voxels give the same bytes.
        let plain = ArrayMetadataOptions::default().with_include_zarrs_metadata(false);
        array.store_metadata_opt(&plain).map_err(|e| failure(target, &e))?;
        Ok(Self { shape: grid.shape, chunk: grid.file, part: grid.chunk, array })
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

fn write_group(partial: &Partial, files: Vec<(&'static str, Value)>) -> Result<()> {
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
        let name = self.partial.target().file_name().map(|name| name.to_string_lossy().into_owned());
        self.partial.commit()?;
        match (self.listed, name) {
            (Some(group), Some(name)) => group.list(&name),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_where_chunks_would_be_too_many_files() {
        assert_eq!(version(Shape::new(2048, 2048, 2048)), OmeVersion::V04);
        assert_eq!(version(Shape::new(4096, 2560, 2560)), OmeVersion::V05);
        let sharded = grid(OmeVersion::V05, Shape::new(100, 2000, 300));
        assert_eq!((sharded.chunk, sharded.file), (CHUNK, Shape::new(64, 1024, 384)));
        let small = grid(OmeVersion::V05, Shape::new(3, 200, 20));
        assert_eq!((small.chunk, small.file), (Shape::new(3, 128, 20), Shape::new(3, 256, 20)));
        assert_eq!(grid(OmeVersion::V04, Shape::new(100, 2000, 300)).file, CHUNK);
    }
}
