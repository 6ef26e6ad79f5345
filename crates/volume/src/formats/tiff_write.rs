//! Pages into TIFF files: grey, in strips, uncompressed or LZW, which every program reads.

use std::borrow::Cow;
use std::fs::File;
use std::path::Path;

use tiff::encoder::{Rational, TiffEncoder, TiffKind, TiffKindBig};
use tiff::tags::{CompressionMethod, PhotometricInterpretation, ResolutionUnit, SampleFormat, Tag};
use tiff::{TiffError, TiffResult};

use super::tiff_meta::per_unit;
use super::{OutputMeta, TiffCompression, lzw};
use crate::error::{Error, Result};
use crate::region::Shape;
use crate::volume::VoxelType;
use crate::voxels::Voxels;

/// What is written beside the voxels.
pub(super) struct PageMeta {
    pub(super) compression: TiffCompression,
    pub(super) description: Option<String>,
    /// Voxels per unit along `[y, x]`; 1 where nothing is known.
    resolution: [Rational; 2],
}

impl PageMeta {
    pub(super) fn new(meta: &OutputMeta, description: Option<String>) -> Self {
        let resolution = meta.voxel_size.and_then(|[_, y, x]| Some([per_unit(y)?, per_unit(x)?]));
        let resolution = resolution.unwrap_or([Rational { n: 1, d: 1 }, Rational { n: 1, d: 1 }]);
        Self { compression: meta.compression, description, resolution }
    }
}

/// Slice `index` of some slices.
pub(super) fn slice(voxels: Voxels<'_>, index: usize, shape: Shape) -> Voxels<'_> {
    let size = shape.slice_voxels();
    let range = index * size..(index + 1) * size;
    match voxels {
        Voxels::U8(v) => Voxels::U8(&v[range]),
        Voxels::U16(v) => Voxels::U16(&v[range]),
        Voxels::F32(v) => Voxels::F32(&v[range]),
    }
}

/// Bytes of a strip, about, before it is packed.
const STRIP: usize = 1_000_000;

/// A slice ready to be written: its strips, packed if the file is to be.
pub(super) struct Packed<'a> {
    shape: Shape,
    voxel_type: VoxelType,
    /// Rows of a strip.
    rows: usize,
    /// Strips as the file will have them, in this machine's byte order, which the file tells.
    strips: Vec<Cow<'a, [u8]>>,
}

impl<'a> Packed<'a> {
    /// Packs one slice.
    pub(super) fn new(voxels: Voxels<'a>, shape: Shape, compression: TiffCompression) -> Self {
        let row = shape.x * voxels.voxel_type().bytes();
        let rows = STRIP.div_ceil(row);
        let plain = voxels.bytes().chunks(rows * row);
        let strips = match compression {
            TiffCompression::None => plain.map(Cow::Borrowed).collect(),
            TiffCompression::Lzw => plain.map(|strip| Cow::Owned(lzw::encode(strip))).collect(),
        };
        Self { shape, voxel_type: voxels.voxel_type(), rows, strips }
    }

    /// Bits of a voxel, and the TIFF sample format of its type.
    fn sample(&self) -> (u16, SampleFormat) {
        match self.voxel_type {
            VoxelType::U8 => (8, SampleFormat::Uint),
            VoxelType::U16 => (16, SampleFormat::Uint),
            _ => (32, SampleFormat::IEEEFP),
        }
    }
}

/// A TIFF file in the making. Strips are large pieces, so the file needs no buffer, and no failure can hide in one.
pub(super) enum Encoder {
    /// Offsets of 32 bits: at most 4 GiB.
    Standard(TiffEncoder<File>),
    /// Offsets of 64 bits.
    Big(TiffEncoder<File, TiffKindBig>),
}

impl Encoder {
    pub(super) fn new(file: File, big: bool, target: &Path) -> Result<Self> {
        if big {
            TiffEncoder::new_big(file).map(Self::Big)
        } else {
            TiffEncoder::new(file).map(Self::Standard)
        }
        .map_err(|e| failure(target, e))
    }

    /// Appends one slice.
    pub(super) fn page(&mut self, target: &Path, page: &Packed<'_>, meta: &PageMeta) -> Result<()> {
        match self {
            Self::Standard(encoder) => write_page(encoder, page, meta),
            Self::Big(encoder) => write_page(encoder, page, meta),
        }
        .map_err(|e| failure(target, e))
    }
}

fn write_page<K: TiffKind>(
    encoder: &mut TiffEncoder<File, K>,
    page: &Packed<'_>,
    meta: &PageMeta,
) -> TiffResult<()> {
    let (bits, format) = page.sample();
    let compression = match meta.compression {
        TiffCompression::None => CompressionMethod::None,
        TiffCompression::Lzw => CompressionMethod::LZW,
    };
    let mut directory = encoder.image_directory()?;
    directory.write_tag(Tag::ImageWidth, u32::try_from(page.shape.x)?)?;
    directory.write_tag(Tag::ImageLength, u32::try_from(page.shape.y)?)?;
    directory.write_tag(Tag::BitsPerSample, bits)?;
    directory.write_tag(Tag::SampleFormat, format.to_u16())?;
    directory.write_tag(Tag::SamplesPerPixel, 1_u16)?;
    directory.write_tag(Tag::PhotometricInterpretation, PhotometricInterpretation::BlackIsZero.to_u16())?;
    directory.write_tag(Tag::Compression, compression.to_u16())?;
    directory.write_tag(Tag::RowsPerStrip, u32::try_from(page.rows)?)?;
    let [y, x] = &meta.resolution;
    directory.write_tag(Tag::ResolutionUnit, ResolutionUnit::None.to_u16())?;
    directory.write_tag(Tag::YResolution, Rational { n: y.n, d: y.d })?;
    directory.write_tag(Tag::XResolution, Rational { n: x.n, d: x.d })?;
    if let Some(text) = &meta.description {
        directory.write_tag(Tag::ImageDescription, text.as_str())?;
    }
    let (mut offsets, mut counts) = (Vec::new(), Vec::new());
    for strip in &page.strips {
        offsets.push(K::convert_offset(directory.write_data(&**strip)?)?);
        counts.push(K::convert_offset(strip.len() as u64)?);
    }
    directory.write_tag(Tag::StripOffsets, K::convert_slice(&offsets))?;
    directory.write_tag(Tag::StripByteCounts, K::convert_slice(&counts))?;
    directory.finish()
}

fn failure(target: &Path, error: TiffError) -> Error {
    match error {
        TiffError::IoError(e) => Error::write(target, e),
        other => Error::Encode { path: target.to_path_buf(), what: other.to_string() },
    }
}
