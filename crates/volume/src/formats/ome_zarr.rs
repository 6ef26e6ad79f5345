//! OME-Zarr, and plain Zarr arrays (v2 and v3): reading.
//!
//! Codecs: none, blosc, gzip, zlib, zstd, crc32c, sharding and transpose. Axes before the last
//! three (time, channel) must have length one. A chunk that is not there holds the fill value, as
//! the format says: a chunk that was lost cannot be told from one that was never written.

use std::path::Path;

use zarrs::array::{Array, ArrayBytes, ArraySubset};
use zarrs::filesystem::FilesystemStore;
use zarrs::plugin::ExtensionName;

use super::OME_ZARR;
use super::convert::decode;
use super::ome_zarr_meta::{self, Node};
use super::zarr_trust::{self, Checked};
use crate::error::{Error, Result};
use crate::region::{Region, Shape};
use crate::volume::{VolumeInfo, VolumeReader, VoxelType};

/// Reads the full level of an OME-Zarr image, or a plain Zarr array.
pub struct OmeZarr {
    info: VolumeInfo,
    array: Array<Checked>,
    /// Axes before z, all of length one.
    leading: usize,
    /// Slices in a chunk.
    chunk_depth: usize,
    /// Voxels of a chunk.
    chunk_voxels: usize,
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
        let chunk_depth = if array.shape().len() < 3 { 1 } else { chunk[leading].get() as usize };
        let chunk_voxels =
            chunk.iter().fold(1_usize, |voxels, side| voxels.saturating_mul(side.get() as usize));
        let info = VolumeInfo { notes, ..VolumeInfo::new(OME_ZARR, folder, shape, voxel_type) };
        let info = VolumeInfo { voxel_size, unit, origin, ..info };
        Ok(Self { info, array, leading, chunk_depth, chunk_voxels })
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
        self.chunk_depth
    }

    fn read_overhead(&self, threads: usize) -> usize {
        // A layer of chunks, and of each thread's chunk what is packed and what is unpacked.
        let shape = self.info.shape;
        let layer = self.chunk_depth.min(shape.z).saturating_mul(shape.slice_voxels());
        let chunks = threads.min(layer.div_ceil(self.chunk_voxels.max(1)));
        let chunks = self.chunk_voxels.saturating_mul(2 * chunks);
        layer.saturating_add(chunks).saturating_mul(self.info.voxel_type.bytes())
    }

    fn read(&self, at: &Region, into: &mut [f32]) -> Result<()> {
        at.check_read(self.info.shape, into.len())?;
        if into.is_empty() {
            return Ok(());
        }
        let source = &self.info.source;
        let voxel_type = self.info.voxel_type;
        let [_, height, width] = at.size;
        let range = at.range(0);
        let (mut z, mut done) = (range.start, 0);
        // One layer of chunks at a time: what is decoded besides `into` stays small.
        while z < range.end {
            let end = ((z / self.chunk_depth + 1) * self.chunk_depth).min(range.end);
            let size = [end - z, height, width];
            let subset = self.subset([z, at.start[1], at.start[2]], size);
            let values = (end - z) * height * width;
            let bytes: ArrayBytes<'static> = self
                .array
                .retrieve_array_subset(&subset)
                .map_err(|e| Error::damaged(source, format!("slices {z} to {end}: {e}")))?;
            let bytes = bytes.into_fixed().map_err(|e| Error::damaged(source, e.to_string()))?;
            if bytes.len() != values * voxel_type.bytes() {
                return Err(Error::damaged(source, "the chunks hold another number of voxels"));
            }
            // zarrs hands out the machine's own byte order.
            let big_endian = cfg!(target_endian = "big");
            decode(&bytes, voxel_type, big_endian, &mut into[done..done + values]);
            (z, done) = (end, done + values);
        }
        Ok(())
    }
}
