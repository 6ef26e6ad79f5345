//! Bare voxels without a header: `.raw`, `.bin`, `.vol`, `.dat`.
//!
//! Shape and type are told by the caller, by a sidecar such as `scan.raw.json` (see
//! `raw_sidecar.rs`), or by a name such as `scan_1500x2048x2048_uint16.raw`. Names write the axes
//! either way round: where two are equal they are the slice's; else this crate takes `z×y×x`, and
//! says so in its notes. `_le` or `_be` in the name tells the byte order.

use std::path::Path;

use super::convert::Voxel;
use super::flat::{Flat, Order};
use super::source::Source;
use super::typed::Typed;
use super::{OpenOptions, RAW, raw_sidecar};
use crate::error::{Error, Result};
use crate::region::Region;
use crate::volume::{VolumeInfo, VolumeReader};
use crate::voxels::VoxelBuffer;

/// Reads a file of bare voxels, `x` fastest.
#[derive(Debug)]
pub struct Raw {
    info: VolumeInfo,
    flat: Flat,
}

impl Raw {
    /// Opens a file with the shape, type, byte order and offset told, or else inferred.
    ///
    /// # Errors
    ///
    /// If shape or type are known from neither, or the file's length does not agree with them.
    pub fn open(path: &Path, options: &OpenOptions) -> Result<Self> {
        let source = Source::open(path)?;
        let beside = raw_sidecar::sidecar(path)?.unwrap_or_default();
        let stem = path.file_stem().map(|s| s.to_string_lossy().to_ascii_lowercase());
        let named = stem.as_deref().map(raw_sidecar::parse_name).unwrap_or_default();
        let mut notes = Vec::new();
        if options.shape.is_none() {
            notes.extend(if beside.shape.is_some() { beside.note } else { named.note });
        }
        let shape = options.shape.or(beside.shape).or(named.shape).filter(|shape| shape.voxels() > 0);
        let shape = shape.ok_or_else(|| Error::Untold {
            path: path.to_path_buf(),
            what: "the shape",
            remedy: "give it as z×y×x, in a sidecar, or in the name like `scan_1500x2048x2048_uint16.raw`",
        })?;
        let voxel_type = options.voxel_type.or(beside.voxel_type).or_else(|| {
            notes.extend(named.voxel_type.map(|t| format!("the type {t} comes from the file name.")));
            named.voxel_type
        });
        let voxel_type = voxel_type.ok_or_else(|| Error::Untold {
            path: path.to_path_buf(),
            what: "the voxel type",
            remedy: "give it, in a sidecar, or in the name like `scan_1500x2048x2048_uint16.raw`",
        })?;
        let told = options.big_endian.or(beside.big_endian).or(named.big_endian);
        let big_endian = told.unwrap_or_else(|| {
            if voxel_type.bytes() > 1 {
                notes.push("the bytes are taken as little-endian.".into());
            }
            false
        });
        let offset = if options.offset > 0 { options.offset } else { beside.offset.unwrap_or(0) };
        let flat = Flat { source, offset, shape, voxel_type, big_endian, order: Order::C };
        let rest = flat.check_length()?;
        if rest > 0 {
            return Err(Error::damaged(
                path,
                format!(
                    "the file has {} bytes, {rest} more than {shape} voxels of {voxel_type} after \
                     an offset of {offset}; correct the shape, type or offset",
                    flat.source.len()
                ),
            ));
        }
        let info = VolumeInfo {
            voxel_size: beside.voxel_size,
            unit: beside.unit,
            origin: beside.origin,
            notes,
            ..VolumeInfo::new(RAW, path, shape, voxel_type)
        };
        Ok(Self { info, flat })
    }
}

impl VolumeReader for Raw {
    fn info(&self) -> &VolumeInfo {
        &self.info
    }

    fn read(&self, at: &Region, into: &mut [f32]) -> Result<()> {
        self.fill(at, into)
    }

    fn read_native(&self, at: &Region, into: &mut VoxelBuffer) -> Result<()> {
        self.fill_native(at, into)
    }
}

impl Typed for Raw {
    fn fill<T: Voxel>(&self, at: &Region, into: &mut [T]) -> Result<()> {
        self.flat.read(at, into)
    }
}
