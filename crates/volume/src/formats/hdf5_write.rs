//! HDF5: writing one volume, as DXchange and as NeXus have it.
//!
//! The voxels are `/exchange/data`, in chunks packed by shuffle and gzip, which every HDF5 library
//! undoes; `/entry/data` shows the same dataset as NXdata with the coordinates along each axis. The
//! file is of the generation of HDF5 1.8. Chunks are packed here, on all threads, so that the crate
//! that writes the file has to place them only.

use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use rayon::prelude::*;
use rust_hdf5::types::VarLenUnicode;
use rust_hdf5::{H5Dataset, H5File, H5Type, Hdf5Error, LibverBound};

use super::convert::little_endian;
use super::partial::{Partial, Progress};
use super::tiff_write::slice;
use super::{HDF5, OutputMeta, units};
use crate::error::{Error, Result};
use crate::region::Shape;
use crate::volume::{VolumeWriter, VoxelType};
use crate::voxels::Voxels;

/// Half a megabyte of labels: few slices, so that one slice is read without many others.
const CHUNK: Shape = Shape::new(8, 256, 256);
/// Gzip's level: the next ones take twice the time for a few per cent.
const LEVEL: u32 = 1;

/// Writes an HDF5 file.
pub(super) struct Hdf5Writer {
    dataset: H5Dataset,
    file: H5File,
    progress: Progress,
    chunk: Shape,
    /// Slices that do not fill a layer of chunks yet, as bytes.
    buffer: Vec<u8>,
    // Dropped last: the file is closed before it is removed.
    partial: Partial,
}

impl Hdf5Writer {
    pub(super) fn create(
        path: &Path,
        shape: Shape,
        voxel_type: VoxelType,
        meta: &OutputMeta,
    ) -> Result<Self> {
        let progress = Progress::new(path, HDF5, shape, voxel_type)?;
        let partial = Partial::new(path)?;
        let chunk = Shape::new(CHUNK.z.min(shape.z), CHUNK.y.min(shape.y), CHUNK.x.min(shape.x));
        let start = || -> rust_hdf5::Result<(H5Dataset, H5File)> {
            let file = H5File::options().no_locking().libver(LibverBound::V18).create(partial.path())?;
            let dataset = match voxel_type {
                VoxelType::U8 => dataset::<u8>(&file, shape, chunk)?,
                VoxelType::U16 => dataset::<u16>(&file, shape, chunk)?,
                _ => dataset::<f32>(&file, shape, chunk)?,
            };
            describe(&file, &dataset, shape, meta)?;
            Ok((dataset, file))
        };
        let (dataset, file) = start().map_err(|e| failure(path, e))?;
        Ok(Self { dataset, file, progress, chunk, buffer: Vec::new(), partial })
    }

    /// Packs the buffered slices as one layer of chunks and writes them.
    fn flush(&mut self) -> Result<()> {
        let (shape, chunk) = (self.progress.shape, self.chunk);
        let voxel = self.progress.voxel_type.bytes();
        let depth = self.buffer.len() / (shape.slice_voxels() * voxel);
        let layer = (self.progress.written - depth) / chunk.z;
        let (down, across) = (shape.y.div_ceil(chunk.y), shape.x.div_ceil(chunk.x));
        let pack_one = |index: usize| -> std::io::Result<Vec<u8>> {
            let (y, x) = (index / across * chunk.y, index % across * chunk.x);
            let width = chunk.x.min(shape.x - x) * voxel;
            // Chunks that reach past the end are padded with zeros.
            let mut bytes = vec![0; chunk.voxels() * voxel];
            for z in 0..depth {
                for row in 0..chunk.y.min(shape.y - y) {
                    let from = ((z * shape.y + y + row) * shape.x + x) * voxel;
                    let to = (z * chunk.y + row) * chunk.x * voxel;
                    bytes[to..to + width].copy_from_slice(&self.buffer[from..from + width]);
                }
            }
            let mut packed = ZlibEncoder::new(Vec::new(), Compression::new(LEVEL));
            packed.write_all(&shuffle(bytes, voxel))?;
            packed.finish()
        };
        let target = self.partial.target();
        let chunks: Vec<std::io::Result<Vec<u8>>> =
            (0..down * across).into_par_iter().map(pack_one).collect();
        for (index, packed) in chunks.into_iter().enumerate() {
            let packed = packed.map_err(|e| Error::write(target, e))?;
            let at = [layer, index / across, index % across];
            self.dataset.write_chunk_raw_at(&at, &packed, 0).map_err(|e| failure(target, e))?;
        }
        self.buffer.clear();
        Ok(())
    }
}

fn dataset<T: H5Type>(file: &H5File, shape: Shape, chunk: Shape) -> rust_hdf5::Result<H5Dataset> {
    file.create_group("exchange")?
        .new_dataset::<T>()
        .shape(<[usize; 3]>::from(shape))
        .chunk(&<[usize; 3]>::from(chunk))
        .shuffle_deflate(LEVEL)
        .create("data")
}

/// All first bytes of the voxels, then all second ones: alike bytes pack better.
fn shuffle(bytes: Vec<u8>, voxel: usize) -> Vec<u8> {
    if voxel == 1 {
        return bytes;
    }
    (0..voxel).flat_map(|byte| bytes[byte..].iter().step_by(voxel).copied()).collect()
}

/// Attributes, classes, coordinates, and the way NeXus points to the volume.
fn describe(file: &H5File, dataset: &H5Dataset, shape: Shape, meta: &OutputMeta) -> rust_hdf5::Result<()> {
    let text = |name: &str, value: &str| {
        let attribute = dataset.new_attr::<VarLenUnicode>().shape(()).create(name)?;
        attribute.write_string(value)
    };
    text("axes", "z:y:x")?;
    text("description", if meta.labels.is_some() { "SegmentationLabels" } else { "ReconData" })?;
    if let Some(table) = &meta.labels {
        if !table.names.is_empty() {
            let names: Vec<&str> = table.names.iter().map(String::as_str).collect();
            let attribute = dataset.new_attr::<VarLenUnicode>().shape([names.len()]).create("class_names")?;
            attribute.write_string_array(&names)?;
        }
        if !table.colours.is_empty() {
            let attribute =
                dataset.new_attr::<u8>().shape([table.colours.len(), 4]).create("class_colours")?;
            attribute.write_array(table.colours.as_flattened())?;
        }
    }
    file.set_attr_string("NX_class", "NXroot")?;
    file.set_attr_string("default", "entry")?;
    let entry = file.create_group("entry")?;
    entry.set_attr_string("NX_class", "NXentry")?;
    entry.set_attr_string("default", "data")?;
    let data = entry.create_group("data")?;
    data.set_attr_string("NX_class", "NXdata")?;
    data.set_attr_string("signal", "data")?;
    data.link("data", "/exchange/data")?;
    let Some(size) = meta.voxel_size else { return Ok(()) };
    let unit = meta.unit.as_deref().unwrap_or("pixel");
    if let Some(ratio) = units::ratio(unit, "µm") {
        let attribute = dataset.new_attr::<f64>().shape([3]).create("element_size_um")?;
        attribute.write_array(&size.map(|n| n * ratio))?;
    }
    data.set_attr_string_array("axes", &["z", "y", "x"])?;
    let origin = meta.origin.unwrap_or_default();
    let lengths: [usize; 3] = shape.into();
    for (axis, name) in ["z", "y", "x"].into_iter().enumerate() {
        let at: Vec<f64> = (0..lengths[axis]).map(|n| origin[axis] + n as f64 * size[axis]).collect();
        let coordinates = data.new_dataset::<f64>().shape([at.len()]).create(name)?;
        coordinates.write_raw(&at)?;
        coordinates.new_attr::<VarLenUnicode>().shape(()).create("units")?.write_string(unit)?;
    }
    Ok(())
}

fn failure(target: &Path, error: Hdf5Error) -> Error {
    match error {
        Hdf5Error::Io(e) => Error::write(target, e),
        other => Error::Encode { path: target.to_path_buf(), what: other.to_string() },
    }
}

impl VolumeWriter for Hdf5Writer {
    fn write(&mut self, voxels: Voxels<'_>) -> Result<()> {
        let slices = self.progress.check(self.partial.target(), voxels)?;
        for index in 0..slices {
            let slice = slice(voxels, index, self.progress.shape);
            self.buffer.extend_from_slice(&little_endian(slice));
            self.progress.written += 1;
            if self.progress.written.is_multiple_of(self.chunk.z) {
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
        let Self { dataset, file, partial, .. } = *self;
        drop(dataset);
        // What is flushed to the disk is flushed with the rename.
        file.close_no_sync().map_err(|e| failure(partial.target(), e))?;
        partial.commit()
    }
}
