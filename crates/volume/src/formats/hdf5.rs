//! HDF5: what beamlines keep reconstructions in, read through the crate `rust-hdf5`.
//!
//! Chunked and contiguous datasets, virtual datasets over other files, and the filters gzip,
//! shuffle, fletcher32, szip, LZF, LZ4, zstd, blosc and bitshuffle with LZ4. Which dataset is the volume is
//! told after the file's name (`scan.h5::/path`) or found (see `hdf5_find.rs`).
//! Format: <https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html>.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use bytemuck::NoUninit;
use rayon::prelude::*;
use rust_hdf5::format::messages::datatype::IeeeFormat;
use rust_hdf5::{DatatypeMessage, Filter, H5Dataset, H5File, H5Type};

use super::HDF5;
use super::convert::{BIG_ENDIAN, Voxel};
use super::hdf5_find::{Found, find};
use super::typed::Typed;
use crate::error::{Error, Result};
use crate::region::{Region, Shape};
use crate::volume::{VolumeInfo, VolumeReader, VoxelType};
use crate::voxels::VoxelBuffer;

/// A chunk is held whole: larger ones are refused before memory is taken for them.
const MAX_CHUNK: usize = 1 << 30;
/// Chunks up to this may be of any file; larger ones only of a file that can hold something of it.
const SMALL_CHUNK: usize = 1 << 26;

/// Reads a dataset of an HDF5 file.
pub struct Hdf5 {
    info: VolumeInfo,
    dataset: String,
    /// Axes before z, all of length one.
    leading: usize,
    /// `[z, y]` of the pieces that are read at once: whole chunks.
    piece: [usize; 2],
    /// Open handles, one a thread that reads: each has its own position and index of chunks.
    handles: Mutex<Vec<Handle>>,
}

struct Handle {
    dataset: H5Dataset,
    _file: H5File,
}

impl Hdf5 {
    /// Opens a file, and the dataset named or else found in it; only metadata is read.
    ///
    /// # Errors
    ///
    /// If the file is no HDF5 or damaged, the dataset is not there, is not known among several, is
    /// no volume of real numbers or holds projections, or a file a virtual dataset is made of is
    /// missing.
    pub fn open(path: &Path, dataset: Option<&str>) -> Result<Self> {
        let file = guard(path, || open_file(path))?;
        let Found { dataset, shape, leading, voxel_type, voxel_size, unit, origin, mut notes } =
            guard(path, || find(path, &file, dataset))?;
        let handle = guard(path, || Handle::new(path, file, &dataset))?;
        guard(path, || check_filters(path, &handle.dataset))?;
        let chunk = guard(path, || chunk(path, &handle.dataset, &mut notes))?;
        let piece = piece(chunk, leading, shape);
        let info =
            VolumeInfo { voxel_size, unit, origin, notes, ..VolumeInfo::new(HDF5, path, shape, voxel_type) };
        Ok(Self { info, dataset, leading, piece, handles: Mutex::new(vec![handle]) })
    }

    /// Reads a box of whole rows.
    fn read_box<T: Voxel>(&self, z: &Range<usize>, y: &Range<usize>, x: &Range<usize>) -> Result<Vec<T>> {
        let pooled = self.handles.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let handle = match pooled {
            Some(handle) => handle,
            None => guard(&self.info.source, || {
                Handle::new(&self.info.source, open_file(&self.info.source)?, &self.dataset)
            })?,
        };
        let spatial = [z, y, x].map(|range| (range.start, range.len()));
        // A single slice has no axis z in the file.
        let axes = 3 - (handle.dataset.ndims() - self.leading).min(3);
        let (starts, counts): (Vec<_>, Vec<_>) =
            std::iter::repeat_n((0, 1), self.leading).chain(spatial[axes..].iter().copied()).unzip();
        let values = z.len() * y.len() * x.len();
        let voxels = guard(&self.info.source, || {
            values_of(&handle.dataset, self.info.voxel_type, &starts, &counts)
                .map_err(|e| failure(&self.info.source, &e))
        });
        match voxels {
            Ok(voxels) if voxels.len() == values => {
                self.handles.lock().unwrap_or_else(PoisonError::into_inner).push(handle);
                Ok(voxels)
            }
            Ok(voxels) => Err(Error::damaged(
                &self.info.source,
                format!("{} voxels came where {values} were asked for", voxels.len()),
            )),
            Err(error) => {
                // After a panic its lock is poisoned, and to drop it could panic again.
                std::mem::forget(handle);
                Err(error)
            }
        }
    }
}

impl Handle {
    fn new(path: &Path, file: H5File, dataset: &str) -> Result<Self> {
        let dataset = file.dataset(dataset).map_err(|e| failure(path, &e))?;
        Ok(Self { dataset, _file: file })
    }
}

/// Opens for reading, without locks: many file systems of clusters have none.
fn open_file(path: &Path) -> Result<H5File> {
    H5File::options().no_locking().open(path).map_err(|e| match e {
        rust_hdf5::Hdf5Error::Io(e) => Error::read(path, e),
        other => failure(path, &other),
    })
}

/// Runs what parses a file. The parser is young: should a damaged file make it panic, that is
/// still a damaged file.
fn guard<T>(path: &Path, read: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(Error::damaged(path, "the structure of the HDF5 file contradicts itself")))
}

/// What the crate says of a file, on one line.
pub(super) fn failure(path: &Path, error: &dyn std::error::Error) -> Error {
    let text = error.to_string();
    Error::damaged(path, text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The chunk's axes. A virtual dataset is read in pieces that suit the first file it is made of;
/// that all of those are there is checked, since the format fills in zeros for one that is not.
fn chunk(path: &Path, dataset: &H5Dataset, notes: &mut Vec<String>) -> Result<Option<Vec<usize>>> {
    let mappings = dataset.virtual_mappings().map_err(|e| failure(path, &e))?;
    let Some(first) = mappings.first() else {
        let chunk = dataset.chunk_dims();
        return chunk.map(|chunk| check_chunk(path, dataset, chunk)).transpose();
    };
    let folder = path.parent().unwrap_or(Path::new("."));
    let place = |name: &str| if name == "." { path.to_path_buf() } else { folder.join(name) };
    let mut files: Vec<&str> = mappings.iter().map(|m| m.source_file_name.as_str()).collect();
    files.sort_unstable();
    files.dedup();
    // `%b` stands for a number: such files may come or not, as the format has it.
    if let Some(missing) = files.iter().find(|name| !name.contains('%') && !place(name).is_file()) {
        return Err(Error::NotFound { path: place(missing) });
    }
    notes.push(format!("the dataset is virtual, made of {} other files.", files.len()));
    let source = H5File::options().no_locking().open(place(&first.source_file_name));
    let chunk = source.and_then(|file| Ok(file.dataset(&first.source_dset_name)?.chunk_dims()));
    Ok(chunk.ok().flatten())
}

/// A chunk is decoded whole, in memory that is taken for it before.
fn check_chunk(path: &Path, dataset: &H5Dataset, chunk: Vec<usize>) -> Result<Vec<usize>> {
    let stored = std::fs::metadata(path).map_or(0, |meta| meta.len());
    let expanded = usize::try_from(stored).unwrap_or(MAX_CHUNK).saturating_mul(1 << 10);
    let most = SMALL_CHUNK.max(expanded).min(MAX_CHUNK);
    let bytes = chunk.iter().try_fold(dataset.element_size(), |bytes, &axis| bytes.checked_mul(axis));
    if bytes.is_some_and(|bytes| (1..=most).contains(&bytes)) {
        return Ok(chunk);
    }
    let sizes: Vec<String> = chunk.iter().map(ToString::to_string).collect();
    let found = format!("a dataset in chunks of {} is", sizes.join("×"));
    Err(Error::unsupported(path, found, format!("chunks of at most {} MiB", most >> 20)))
}

/// The filters that are undone here: those of HDF5 itself, LZF, blosc, LZ4, bitshuffle and zstd.
const FILTERS: [u16; 11] = [1, 2, 3, 4, 5, 6, 32000, 32001, 32004, BITSHUFFLE, 32015];
const BITSHUFFLE: u16 = 32008;
/// Names of some that are not: <https://github.com/HDFGroup/hdf5_plugins/blob/master/docs/RegisteredFilterPlugins.md>.
const OTHER_FILTERS: [(u16, &str); 5] =
    [(307, "bzip2"), (32013, "zfp"), (32019, "jpeg"), (32024, "sz3"), (32026, "blosc2")];

/// Whether what the voxels are packed by is known here.
fn check_filters(path: &Path, dataset: &H5Dataset) -> Result<()> {
    let filters = dataset.filters().map_err(|e| failure(path, &e))?;
    // Bitshuffle packs by nothing, LZ4 or, not undone here, zstd: its fifth number tells.
    let zstd = |filter: &Filter| filter.id == BITSHUFFLE && filter.cd_values.get(4) == Some(&3);
    let Some(filter) = filters.iter().find(|filter| !FILTERS.contains(&filter.id) || zstd(filter)) else {
        return Ok(());
    };
    let known = OTHER_FILTERS.iter().find(|(id, _)| *id == filter.id);
    let name =
        known.map_or(if zstd(filter) { "bitshuffle and zstd" } else { "an unknown program" }, |(_, n)| n);
    Err(Error::unsupported(
        path,
        format!("a dataset packed by {name} (filter {}) is", filter.id),
        "gzip, szip, LZF, LZ4, zstd, blosc or bitshuffle with LZ4; repack it with `h5repack -f GZIP=1`",
    ))
}

/// How many slices and rows are read at once: whole chunks, or about as many voxels as pay.
fn piece(chunk: Option<Vec<usize>>, leading: usize, shape: Shape) -> [usize; 2] {
    let row = shape.x.max(1);
    let Some(chunk) = chunk.filter(|chunk| chunk.len() > leading) else {
        // Rows that lie one after another: a megabyte or so.
        return [1, ((1 << 20) / row).clamp(1, shape.y)];
    };
    match chunk[leading..] {
        [z, y, _] => [z.clamp(1, shape.z), y.clamp(1, shape.y)],
        [y, _] => [1, y.clamp(1, shape.y)],
        _ => [1, shape.y],
    }
}

/// Reads a box.
fn values_of<T: Voxel>(
    dataset: &H5Dataset,
    voxel_type: VoxelType,
    starts: &[usize],
    counts: &[usize],
) -> rust_hdf5::Result<Vec<T>> {
    // The crate asks for elements of the right size, and hands out the machine's own byte order.
    fn words<W: H5Type + NoUninit, T: Voxel>(words: &[W], voxel_type: VoxelType) -> Vec<T> {
        let mut values = vec![T::zeroed(); words.len()];
        T::decode(bytemuck::cast_slice(words), voxel_type, BIG_ENDIAN, &mut values);
        values
    }
    Ok(match voxel_type.bytes() {
        1 => words(&dataset.read_slice::<u8>(starts, counts)?, voxel_type),
        2 => words(&dataset.read_slice::<u16>(starts, counts)?, voxel_type),
        4 => words(&dataset.read_slice::<u32>(starts, counts)?, voxel_type),
        _ => words(&dataset.read_slice::<u64>(starts, counts)?, voxel_type),
    })
}

/// The voxel type of a dataset's datatype, if voxels can have it.
pub(super) fn voxel_type(datatype: &DatatypeMessage) -> Option<VoxelType> {
    match datatype {
        DatatypeMessage::FixedPoint { size, signed, bit_offset: 0, bit_precision, .. }
            if u32::from(*bit_precision) == size * 8 =>
        {
            match (size, signed) {
                (1, false) => Some(VoxelType::U8),
                (1, true) => Some(VoxelType::I8),
                (2, false) => Some(VoxelType::U16),
                (2, true) => Some(VoxelType::I16),
                (4, false) => Some(VoxelType::U32),
                (4, true) => Some(VoxelType::I32),
                _ => None,
            }
        }
        // numpy's booleans.
        DatatypeMessage::Enum { base, .. } => voxel_type(base).filter(|t| t.bytes() == 1),
        DatatypeMessage::FloatingPoint { .. } => datatype.ieee_format().map(|format| match format {
            IeeeFormat::Binary16 => VoxelType::F16,
            IeeeFormat::Binary32 => VoxelType::F32,
            IeeeFormat::Binary64 => VoxelType::F64,
        }),
        _ => None,
    }
}

impl VolumeReader for Hdf5 {
    fn info(&self) -> &VolumeInfo {
        &self.info
    }

    fn slices_at_once(&self) -> usize {
        self.piece[0]
    }

    fn read_overhead(&self, threads: usize) -> usize {
        // Each thread has a box: packed, unpacked, in order, and as values.
        let values = self.piece[0] * self.piece[1] * self.info.shape.x;
        let voxel_type = self.info.voxel_type;
        threads.max(2) * values * (3 * voxel_type.bytes() + voxel_type.native().bytes())
    }

    fn read(&self, at: &Region, into: &mut [f32]) -> Result<()> {
        self.fill(at, into)
    }

    fn read_native(&self, at: &Region, into: &mut VoxelBuffer) -> Result<()> {
        self.fill_native(at, into)
    }
}

impl Typed for Hdf5 {
    fn fill<T: Voxel>(&self, at: &Region, into: &mut [T]) -> Result<()> {
        at.check_read(self.info.shape, into.len())?;
        if into.is_empty() {
            return Ok(());
        }
        let [_, height, width] = at.size;
        let cut = |axis: usize| {
            let (range, step) = (at.range(axis), self.piece[axis]);
            let first = range.start / step;
            (first..range.end.div_ceil(step))
                .map(move |n| (n * step).max(range.start)..((n + 1) * step).min(range.end))
        };
        let boxes: Vec<_> = cut(0).flat_map(|z| cut(1).map(move |y| (z.clone(), y))).collect();
        for boxes in boxes.chunks(rayon::current_num_threads().max(2)) {
            let read: Vec<Result<Vec<T>>> =
                boxes.par_iter().map(|(z, y)| self.read_box(z, y, &at.range(2))).collect();
            for ((z, y), voxels) in boxes.iter().zip(read) {
                let voxels = voxels?;
                let slices = z.clone().zip(voxels.chunks_exact(y.len() * width));
                for (z, slice) in slices {
                    let to = ((z - at.start[0]) * height + y.start - at.start[1]) * width;
                    into[to..to + slice.len()].copy_from_slice(slice);
                }
            }
        }
        Ok(())
    }
}
