//! OME-Zarr, and plain Zarr arrays (v2 and v3): reading.
//!
//! Codecs: none, blosc, gzip, zlib, zstd, crc32c, sharding and transpose. Axes before the last
//! three (time, channel) must have length one. A chunk that is not there holds the fill value, as
//! the format says: a chunk that was lost cannot be told from one that was never written.

use std::ops::Range;
use std::path::Path;

use rayon::prelude::*;
use zarrs::array::{Array, ArrayBytes, ArraySubset};
use zarrs::filesystem::FilesystemStore;
use zarrs::plugin::ExtensionName;

use super::OME_ZARR;
use super::convert::{BIG_ENDIAN, Voxel};
use super::ome_zarr_meta::{self, Node};
use super::typed::Typed;
use super::zarr_trust::{self, Checked};
use crate::error::{Error, Result};
use crate::region::{Region, Shape};
use crate::volume::{VolumeInfo, VolumeReader, VoxelType};
use crate::voxels::VoxelBuffer;

/// Reads the full level of an OME-Zarr image, or a plain Zarr array.
pub struct OmeZarr {
    info: VolumeInfo,
    array: Array<Checked>,
    /// Axes before z, all of length one.
    leading: usize,
    /// The edges of a chunk along `[z, y, x]`.
    chunk: [usize; 3],
}

/// What a chunk and a region share, and where its rows go.
struct Part<'a, T> {
    start: [usize; 3],
    size: [usize; 3],
    rows: Vec<&'a mut [T]>,
}

/// Whether a folder holds Zarr's metadata.
pub(super) fn is_zarr(folder: &Path) -> bool {
    ["zarr.json", ".zarray", ".zgroup", ".zattrs"].iter().any(|name| folder.join(name).is_file())
}

impl OmeZarr {
    /// Opens a folder; only metadata is read.
    ///
    /// # Errors
    ///
    /// If the metadata is damaged, the array has other than three axes (besides those of length
    /// one before them), or its type or codec is not understood.
    pub fn open(folder: &Path) -> Result<Self> {
        let mut notes = Vec::new();
        let (path, voxel_size, unit, origin) = match ome_zarr_meta::read(folder)? {
            Node::Array => ("/".to_string(), None, None, None),
            Node::Image(image) => {
                notes.push(format!(
                    "the full level `{}` of the image is read (OME-Zarr {}).",
                    image.path, image.version
                ));
                (format!("/{}", image.path), image.voxel_size, image.unit, image.origin)
            }
        };
        let store = FilesystemStore::new(folder)
            .map_err(|e| Error::damaged(folder, format!("no Zarr store: {e}")))?;
        let array = zarr_trust::open(store, &path).map_err(|e| {
            Error::unsupported(folder, format!("the array `{path}` ({e}) is"), "Zarr v2 or v3")
        })?;
        let (leading, shape) = volume_shape(folder, array.shape())?;
        if leading > 0 {
            notes.push(format!("{leading} axes of length one before z are left out."));
        } else if array.shape().len() == 2 {
            notes.push("the array has two axes, taken as one slice.".into());
        }
        notes.push("the last axes are taken as z, y, x.".into());
        let name = array.data_type().name_v3().unwrap_or_default();
        let voxel_type = VoxelType::ALL.into_iter().find(|t| t.name() == name).ok_or_else(|| {
            let expected = "integers of up to 32 bits, or floats";
            Error::unsupported(folder, format!("an array of `{name}` is"), expected)
        })?;
        let chunk = array
            .chunk_shape(&vec![0; array.shape().len()])
            .map_err(|e| Error::damaged(folder, e.to_string()))?;
        let edge = |axis: usize| (chunk.len() + axis).checked_sub(3).map_or(1, |n| chunk[n].get() as usize);
        let chunk = std::array::from_fn(edge);
        let info = VolumeInfo { notes, ..VolumeInfo::new(OME_ZARR, folder, shape, voxel_type) };
        let info = VolumeInfo { voxel_size, unit, origin, ..info };
        Ok(Self { info, array, leading, chunk })
    }

    /// The same region of the array, with the axes before z.
    fn subset(&self, start: [usize; 3], size: [usize; 3]) -> ArraySubset {
        let skip = 3 - (self.array.shape().len() - self.leading).min(3);
        let axes = |of: [usize; 3], lead: u64| -> Vec<u64> {
            let leading = std::iter::repeat_n(lead, self.leading);
            leading.chain(of[skip..].iter().map(|&n| n as u64)).collect()
        };
        let ranges: Vec<_> =
            axes(start, 0).into_iter().zip(axes(size, 1)).map(|(start, size)| start..start + size).collect();
        ArraySubset::new_with_ranges(&ranges)
    }

    /// Parts a region, and the buffer for it, as its chunks do.
    fn parts<'a, T>(&self, at: &Region, into: &'a mut [T]) -> Vec<Part<'a, T>> {
        let [depth, height, _] = self.chunk;
        let [zs, ys, xs] = std::array::from_fn(|axis| cuts(at.range(axis), self.chunk[axis]));
        let mut parts = Vec::with_capacity(zs.len() * ys.len() * xs.len());
        for z in &zs {
            for y in &ys {
                parts.extend(xs.iter().map(|x| Part {
                    start: [z.start, y.start, x.start],
                    size: [z.len(), y.len(), x.len()],
                    rows: Vec::with_capacity(z.len() * y.len()),
                }));
            }
        }
        for (row, mut values) in into.chunks_exact_mut(at.size[2]).enumerate() {
            let (z, y) = (at.start[0] + row / at.size[1], at.start[1] + row % at.size[1]);
            let down = (z / depth - at.start[0] / depth) * ys.len() + y / height - at.start[1] / height;
            for part in &mut parts[down * xs.len()..][..xs.len()] {
                part.rows.extend(values.split_off_mut(..part.size[2]));
            }
        }
        parts
    }

    /// Unpacks one chunk, or what is asked for of it, and puts its rows where they go.
    fn read_part<T: Voxel>(&self, part: Part<'_, T>) -> Result<()> {
        let (source, voxel_type) = (&self.info.source, self.info.voxel_type);
        let Part { start, size, rows } = part;
        let bytes: ArrayBytes<'static> =
            self.array.retrieve_array_subset(&self.subset(start, size)).map_err(|e| {
                Error::damaged(source, format!("slices {} to {}: {e}", start[0], start[0] + size[0]))
            })?;
        let bytes = bytes.into_fixed().map_err(|e| Error::damaged(source, e.to_string()))?;
        let row = size[2] * voxel_type.bytes();
        if bytes.len() != rows.len() * row {
            return Err(Error::damaged(source, "the chunks hold another number of voxels"));
        }
        // zarrs hands out the machine's own byte order.
        for (bytes, into) in bytes.chunks_exact(row).zip(rows) {
            T::decode(bytes, voxel_type, BIG_ENDIAN, into);
        }
        Ok(())
    }
}

/// A range in pieces that end at the multiples of `edge`.
fn cuts(range: Range<usize>, edge: usize) -> Vec<Range<usize>> {
    let pieces = range.start / edge..range.end.div_ceil(edge);
    pieces.map(|n| range.start.max(n * edge)..range.end.min((n + 1) * edge)).collect()
}

/// How many axes of length one come before the volume, and its shape.
fn volume_shape(folder: &Path, axes: &[u64]) -> Result<(usize, Shape)> {
    let refuse = || {
        let lengths: Vec<String> = axes.iter().map(ToString::to_string).collect();
        let expected = "three axes z, y, x, with only axes of length one before them";
        Error::unsupported(folder, format!("an array of {} is", lengths.join("×")), expected)
    };
    let axis = |n: &u64| usize::try_from(*n).ok().filter(|&n| n > 0);
    let shape = match axes {
        [y, x] => Shape::new(1, axis(y).ok_or_else(refuse)?, axis(x).ok_or_else(refuse)?),
        [before @ .., z, y, x] if before.iter().all(|&n| n == 1) => {
            Shape::new(axis(z).ok_or_else(refuse)?, axis(y).ok_or_else(refuse)?, axis(x).ok_or_else(refuse)?)
        }
        _ => return Err(refuse()),
    };
    shape.checked_bytes(8).ok_or_else(refuse)?;
    Ok((axes.len().saturating_sub(3), shape))
}

impl VolumeReader for OmeZarr {
    fn info(&self) -> &VolumeInfo {
        &self.info
    }

    fn slices_at_once(&self) -> usize {
        self.chunk[0]
    }

    fn read_overhead(&self, threads: usize) -> usize {
        // Of each thread's chunk what is packed, what is unpacked and what is asked for, and where the rows of a layer of
        // chunks go.
        let shape = self.info.shape;
        let [depth, height, width] = self.chunk;
        let chunk = depth.saturating_mul(height).saturating_mul(width);
        let layer = depth.min(shape.z).saturating_mul(shape.slice_voxels());
        let unpacked = chunk.saturating_mul(3 * threads.min(layer.div_ceil(chunk)));
        let rows = (layer / width).saturating_mul(size_of::<&[f32]>());
        unpacked.saturating_mul(self.info.voxel_type.bytes()).saturating_add(rows)
    }

    fn read(&self, at: &Region, into: &mut [f32]) -> Result<()> {
        self.fill(at, into)
    }

    fn read_native(&self, at: &Region, into: &mut VoxelBuffer) -> Result<()> {
        self.fill_native(at, into)
    }
}

impl Typed for OmeZarr {
    fn fill<T: Voxel>(&self, at: &Region, into: &mut [T]) -> Result<()> {
        at.check_read(self.info.shape, into.len())?;
        if into.is_empty() {
            return Ok(());
        }
        // Each chunk goes straight to its place: no layer of them is put together first.
        let parts = self.parts(at, into);
        let results: Vec<Result<()>> = parts.into_par_iter().map(|part| self.read_part(part)).collect();
        results.into_iter().collect()
    }
}
