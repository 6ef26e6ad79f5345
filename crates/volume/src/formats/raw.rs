//! Bare voxels without a header: `.raw`, `.bin`, `.vol`, `.dat`.
//!
//! Shape and type are told by the caller, or by a name such as
//! `scan_1500x2048x2048_uint16.raw`. Names write the axes either way round: this crate takes
//! `z×y×x`, and says so in its notes. `_le` or `_be` in the name tells the byte order.

use std::path::Path;

use super::flat::{Flat, Order};
use super::source::Source;
use super::{OpenOptions, RAW};
use crate::error::{Error, Result};
use crate::region::{Region, Shape};
use crate::volume::{VolumeInfo, VolumeReader, VoxelType};

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
        let stem = path.file_stem().map(|s| s.to_string_lossy().to_ascii_lowercase());
        let named = stem.as_deref().map(parse_name).unwrap_or_default();
        let mut notes = Vec::new();
        let shape = options.shape.or_else(|| {
            notes.extend(
                named
                    .shape
                    .map(|shape| format!("the shape {shape} comes from the file name, read as z×y×x.")),
            );
            named.shape
        });
        let shape = shape.filter(|shape| shape.voxels() > 0).ok_or_else(|| Error::Untold {
            path: path.to_path_buf(),
            what: "the shape",
            remedy: "give it as z×y×x, or name the file like `scan_1500x2048x2048_uint16.raw`",
        })?;
        let voxel_type = options.voxel_type.or_else(|| {
            notes.extend(named.voxel_type.map(|t| format!("the type {t} comes from the file name.")));
            named.voxel_type
        });
        let voxel_type = voxel_type.ok_or_else(|| Error::Untold {
            path: path.to_path_buf(),
            what: "the voxel type",
            remedy: "give it, or name the file like `scan_1500x2048x2048_uint16.raw`",
        })?;
        let big_endian = options.big_endian.or(named.big_endian).unwrap_or_else(|| {
            if voxel_type.bytes() > 1 {
                notes.push("the bytes are taken as little-endian.".into());
            }
            false
        });
        let offset = options.offset;
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
            shape,
            voxel_type,
            format: RAW,
            voxel_size: None,
            unit: None,
            notes,
            source: path.to_path_buf(),
        };
        Ok(Self { info, flat })
    }
}

/// What a file name tells.
#[derive(Debug, Default, PartialEq)]
struct Named {
    shape: Option<Shape>,
    voxel_type: Option<VoxelType>,
    big_endian: Option<bool>,
}

fn parse_name(stem: &str) -> Named {
    let mut named = Named::default();
    for word in stem.split(['_', '-', ' ', '.']) {
        let axes: Vec<Option<usize>> = word.split(['x', '×']).map(|n| n.parse().ok()).collect();
        if let [Some(z), Some(y), Some(x)] = axes[..] {
            named.shape = Some(Shape::new(z, y, x));
        }
        named.voxel_type = VoxelType::from_name(word).or(named.voxel_type);
        named.big_endian = match word {
            "le" => Some(false),
            "be" => Some(true),
            _ => named.big_endian,
        };
    }
    named
}

impl VolumeReader for Raw {
    fn info(&self) -> &VolumeInfo {
        &self.info
    }

    fn read(&self, at: &Region, into: &mut [f32]) -> Result<()> {
        self.flat.read(at, into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_shape_type_and_byte_order() {
        let named = parse_name("scan_12x34x56_uint16_be");
        assert_eq!(named.shape, Some(Shape::new(12, 34, 56)));
        assert_eq!(named.voxel_type, Some(VoxelType::U16));
        assert_eq!(named.big_endian, Some(true));
        assert_eq!(parse_name("sample_20x_objective"), Named::default());
    }
}
