//! The tags of a TIFF page that decide how it is read, and which pages are refused.

use std::path::Path;

use tiff::TiffResult;
use tiff::tags::Tag;

use super::tiff_header::{GREY, Reader};
use crate::error::{Error, Result};
use crate::volume::VoxelType;

/// The number of the tag that tells what values mean.
pub(super) const PHOTOMETRIC: u16 = 262;
/// Values that are places in a palette: label images are often written so.
pub(super) const PALETTE: u16 = 3;

/// The tags that decide how a page is read.
pub(super) struct Tags {
    bits: u16,
    samples: u16,
    sample_format: u16,
    compression: u16,
    predictor: u16,
    pub(super) photometric: u16,
    tiled: bool,
    pub(super) rows_per_strip: usize,
    pub(super) offsets: Vec<u64>,
    pub(super) byte_counts: Vec<u64>,
}

impl Tags {
    pub(super) fn read(decoder: &mut Reader<'_>) -> TiffResult<Self> {
        let mut first = |tag, default: u16| -> TiffResult<u16> {
            let values = decoder.find_tag_unsigned_vec::<u16>(tag)?;
            Ok(values.and_then(|v| v.first().copied()).unwrap_or(default))
        };
        let (bits, samples) = (first(Tag::BitsPerSample, 1)?, first(Tag::SamplesPerPixel, 1)?);
        let sample_format = first(Tag::SampleFormat, 1)?;
        let (compression, predictor) = (first(Tag::Compression, 1)?, first(Tag::Predictor, 1)?);
        let photometric = first(Tag::PhotometricInterpretation, 1)?;
        let rows_per_strip = decoder.find_tag_unsigned::<u32>(Tag::RowsPerStrip)?;
        let tiled = decoder.find_tag(Tag::TileWidth)?.is_some();
        let (offsets, byte_counts) = if tiled {
            (Tag::TileOffsets, Tag::TileByteCounts)
        } else {
            (Tag::StripOffsets, Tag::StripByteCounts)
        };
        Ok(Self {
            bits,
            samples,
            sample_format,
            compression,
            predictor,
            photometric,
            tiled,
            rows_per_strip: rows_per_strip.map_or(usize::MAX, |rows| rows.max(1) as usize),
            offsets: decoder.find_tag_unsigned_vec(offsets)?.unwrap_or_default(),
            byte_counts: decoder.find_tag_unsigned_vec(byte_counts)?.unwrap_or_default(),
        })
    }

    /// Whether the voxels lie in the file as they are.
    pub(super) fn is_raw(&self) -> bool {
        self.compression == 1
            && self.predictor == 1
            && [1, PALETTE].contains(&self.photometric)
            && !self.tiled
    }

    pub(super) fn voxel_type(&self, path: &Path) -> Result<VoxelType> {
        let refuse = |found: String| Err(Error::unsupported(path, found, GREY));
        match self.photometric {
            0 | 1 | PALETTE => {}
            2 => return refuse("a colour (RGB) image is".into()),
            other => return refuse(format!("a colour image (photometric {other}) is")),
        }
        if self.samples != 1 {
            return refuse(format!("an image of {} samples a pixel is", self.samples));
        }
        Ok(match (self.sample_format, self.bits) {
            (1 | 4, 8) => VoxelType::U8,
            (1 | 4, 16) => VoxelType::U16,
            (1 | 4, 32) => VoxelType::U32,
            (2, 8) => VoxelType::I8,
            (2, 16) => VoxelType::I16,
            (2, 32) => VoxelType::I32,
            (3, 16) => VoxelType::F16,
            (3, 32) => VoxelType::F32,
            (3, 64) => VoxelType::F64,
            (format, bits) => {
                let kind = match format {
                    1 => "an unsigned integer",
                    2 => "a signed integer",
                    3 => "a float",
                    _ => "a sample format unknown here",
                };
                return refuse(format!("{kind} of {bits} bits is"));
            }
        })
    }
}
