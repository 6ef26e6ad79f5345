//! Numpy's `.npy`: a short header, then the voxels.
//!
//! The header is a Python dictionary such as
//! `{'descr': '<u2', 'fortran_order': False, 'shape': (64, 512, 512), }`.
//! Format: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.

use std::path::Path;

use super::NPY;
use super::convert::Voxel;
use super::flat::{Flat, Order};
use super::flat_write::FlatWriter;
use super::partial::Progress;
use super::source::Source;
use super::typed::Typed;
use crate::error::{Error, Result};
use crate::region::{Region, Shape};
use crate::volume::{VolumeInfo, VolumeReader, VoxelType};
use crate::voxels::VoxelBuffer;

const MAGIC: &[u8] = b"\x93NUMPY";
/// Real headers have about a hundred bytes.
const MAX_HEADER: usize = 1 << 16;

/// Reads an array of three axes, or of two as one slice.
#[derive(Debug)]
pub struct Npy {
    info: VolumeInfo,
    flat: Flat,
}

impl Npy {
    /// Opens a file; only its header is read.
    ///
    /// # Errors
    ///
    /// If it is no `.npy` file, holds other than 2 or 3 axes of real numbers, or is too short.
    pub fn open(path: &Path) -> Result<Self> {
        let source = Source::open(path)?;
        let (header, offset) = read_header(&source)?;
        let (voxel_type, big_endian) = parse_descr(path, &header)?;
        let fortran = match value(&header, "fortran_order") {
            Some(text) if text.starts_with("True") => true,
            Some(text) if text.starts_with("False") => false,
            _ => return Err(Error::damaged(path, "the header tells no fortran_order")),
        };
        let mut notes = Vec::new();
        let shape = match parse_shape(path, &header)?[..] {
            [z, y, x] => Shape::new(z, y, x),
            [y, x] => {
                notes.push("the array has two axes, taken as one slice.".into());
                Shape::new(1, y, x)
            }
            ref axes => {
                let found = format!("an array of {} axes is", axes.len());
                return Err(Error::unsupported(path, found, "3 axes (z, y, x) or 2 (y, x)"));
            }
        };
        if shape.voxels() == 0 {
            return Err(Error::damaged(path, format!("a shape of {shape} holds no voxels")));
        }
        if fortran {
            notes.push("the array lies in Fortran order: each slab reads through the whole file.".into());
        }
        let order = if fortran { Order::Fortran } else { Order::C };
        notes.push("the axes are taken as z, y, x.".into());
        let info = VolumeInfo { notes, ..VolumeInfo::new(NPY, path, shape, voxel_type) };
        let flat = Flat { source, offset, shape, voxel_type, big_endian, order };
        flat.check_length()?;
        Ok(Self { info, flat })
    }
}

/// The header's text and where the voxels start.
fn read_header(source: &Source) -> Result<(String, u64)> {
    let path = source.path();
    let mut start = [0; 12];
    let short = source.len().min(12) as usize;
    source.read_at(0, &mut start[..short])?;
    if !start.starts_with(MAGIC) {
        return Err(Error::unsupported(path, "a file without numpy's header is", "a .npy file"));
    }
    // Version 1 counts the header in 2 bytes, versions 2 and 3 in 4.
    let (from, len) = match start[6] {
        1 => (10, usize::from(u16::from_le_bytes([start[8], start[9]]))),
        2 | 3 => (12, u32::from_le_bytes([start[8], start[9], start[10], start[11]]) as usize),
        other => {
            let found = format!("version {other} of the format is");
            return Err(Error::unsupported(path, found, "version 1, 2 or 3"));
        }
    };
    if len > MAX_HEADER {
        return Err(Error::damaged(path, format!("a header of {len} bytes")));
    }
    let mut header = vec![0; len];
    source.read_at(from, &mut header)?;
    let header = String::from_utf8(header).map_err(|_| Error::damaged(path, "the header is no text"))?;
    Ok((header, from + len as u64))
}

/// What follows `'key':` in the dictionary.
fn value<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let quoted = [format!("'{key}'"), format!("\"{key}\"")];
    let (_, rest) = quoted.iter().find_map(|key| header.split_once(key.as_str()))?;
    rest.trim_start().strip_prefix(':').map(str::trim_start)
}

fn parse_descr(path: &Path, header: &str) -> Result<(VoxelType, bool)> {
    let text = value(header, "descr").unwrap_or_default();
    let quote = text.chars().next().filter(|c| ['\'', '"'].contains(c));
    let descr = quote.and_then(|q| text[1..].split(q).next()).unwrap_or_default();
    let (order, kind) = match descr.split_at_checked(1) {
        Some((order @ ("<" | ">" | "|" | "="), kind)) => (order, kind),
        _ => ("=", descr),
    };
    let voxel_type = match kind {
        "u1" | "b1" => VoxelType::U8,
        "i1" => VoxelType::I8,
        "u2" => VoxelType::U16,
        "i2" => VoxelType::I16,
        "u4" => VoxelType::U32,
        "i4" => VoxelType::I32,
        "f2" => VoxelType::F16,
        "f4" => VoxelType::F32,
        "f8" => VoxelType::F64,
        _ => {
            let found = format!("an array of `{}` is", text.split(',').next().unwrap_or_default());
            return Err(Error::unsupported(path, found, "integers of up to 32 bits, or floats"));
        }
    };
    Ok((voxel_type, order == ">"))
}

fn parse_shape(path: &Path, header: &str) -> Result<Vec<usize>> {
    let inside = value(header, "shape")
        .and_then(|text| text.strip_prefix('('))
        .and_then(|text| text.split(')').next());
    inside
        .and_then(|text| {
            text.split(',')
                .map(str::trim)
                .filter(|axis| !axis.is_empty())
                .map(|axis| axis.parse().ok())
                .collect()
        })
        .ok_or_else(|| Error::damaged(path, "the header tells no shape"))
}

impl VolumeReader for Npy {
    fn info(&self) -> &VolumeInfo {
        &self.info
    }

    fn slices_at_once(&self) -> usize {
        self.flat.order.slices_at_once(self.info.shape)
    }

    fn read_overhead(&self, threads: usize) -> usize {
        self.flat.order.read_overhead(&self.info, threads)
    }

    fn read(&self, at: &Region, into: &mut [f32]) -> Result<()> {
        self.fill(at, into)
    }

    fn read_native(&self, at: &Region, into: &mut VoxelBuffer) -> Result<()> {
        self.fill_native(at, into)
    }
}

impl Typed for Npy {
    fn fill<T: Voxel>(&self, at: &Region, into: &mut [T]) -> Result<()> {
        self.flat.read(at, into)
    }
}

/// Starts a `.npy` file of three axes in C order.
pub(super) fn create(path: &Path, shape: Shape, voxel_type: VoxelType) -> Result<FlatWriter> {
    let progress = Progress::new(path, NPY, shape, voxel_type)?;
    let descr = match voxel_type {
        VoxelType::U8 => "|u1",
        VoxelType::U16 => "<u2",
        _ => "<f4",
    };
    let [z, y, x]: [usize; 3] = shape.into();
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({z}, {y}, {x}), }}");
    // The voxels start at a multiple of 64, as numpy lays them, for aligned mapping.
    let unpadded = 10 + header.len() + 1;
    header += &" ".repeat(unpadded.next_multiple_of(64) - unpadded);
    header.push('\n');
    let mut bytes = [MAGIC, &[1, 0], &(header.len() as u16).to_le_bytes()].concat();
    bytes.extend(header.bytes());
    FlatWriter::create(path, progress, &bytes, false)
}
