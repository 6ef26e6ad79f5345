//! Pages into TIFF files: grey, in strips, uncompressed or LZW, which every program reads.

use std::fs::File;
use std::path::Path;

use tiff::encoder::{DirectoryEncoder, Rational, TiffEncoder, TiffKind, TiffKindBig, TiffValue};
use tiff::tags::{CompressionMethod, PhotometricInterpretation, ResolutionUnit, SampleFormat, Tag};
use tiff::{TiffError, TiffResult};

use super::tiff_meta::per_unit;
use super::{OutputMeta, TiffCompression, lzw};
use crate::error::{Error, Result};
use crate::region::Shape;
use crate::volume::Voxels;

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
    voxels: Voxels<'a>,
    /// Rows of a strip.
    rows: usize,
    /// Packed strips; empty where they are written as they are.
    strips: Vec<Vec<u8>>,
}

impl<'a> Packed<'a> {
    /// Packs one slice.
    pub(super) fn new(voxels: Voxels<'a>, shape: Shape, compression: TiffCompression) -> Self {
        let voxel = match voxels {
            Voxels::U8(_) => 1,
            Voxels::U16(_) => 2,
            Voxels::F32(_) => 4,
        };
        let rows = STRIP.div_ceil(shape.x * voxel);
        let strip = rows * shape.x;
        let strips = match (compression, voxels) {
            (TiffCompression::None, _) => Vec::new(),
            (TiffCompression::Lzw, Voxels::U8(v)) => v.chunks(strip).map(lzw::encode).collect(),
            (TiffCompression::Lzw, Voxels::U16(v)) => lzw_of(v, strip, u16::to_ne_bytes),
            (TiffCompression::Lzw, Voxels::F32(v)) => lzw_of(v, strip, f32::to_ne_bytes),
        };
        Self { shape, voxels, rows, strips }
    }

    /// Bits of a voxel, and the TIFF sample format of its type.
    fn sample(&self) -> (u16, SampleFormat) {
        match self.voxels {
            Voxels::U8(_) => (8, SampleFormat::Uint),
            Voxels::U16(_) => (16, SampleFormat::Uint),
            Voxels::F32(_) => (32, SampleFormat::IEEEFP),
        }
    }
}

/// Packed strips of `strip` values.
fn lzw_of<T: Copy, const N: usize>(values: &[T], strip: usize, bytes: impl Fn(T) -> [u8; N]) -> Vec<Vec<u8>> {
    values.chunks(strip).map(|strip| lzw::encode(&bytes_of(strip, &bytes))).collect()
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
    let plain = page.rows * page.shape.x;
    let (offsets, counts) = match page.voxels {
        _ if !page.strips.is_empty() => write_strips(&mut directory, page.strips.iter().map(Vec::as_slice)),
        Voxels::U8(v) => write_strips(&mut directory, v.chunks(plain)),
        Voxels::U16(v) => write_strips(&mut directory, v.chunks(plain)),
        Voxels::F32(v) => write_strips(&mut directory, v.chunks(plain)),
    }?;
    directory.write_tag(Tag::StripOffsets, K::convert_slice(&offsets))?;
    directory.write_tag(Tag::StripByteCounts, K::convert_slice(&counts))?;
    directory.finish()
}

/// Where strips came to lie in a file, and how many bytes they have.
type Strips<K> = (Vec<<K as TiffKind>::OffsetType>, Vec<<K as TiffKind>::OffsetType>);

fn write_strips<'v, K: TiffKind, V: TiffValue + ?Sized + 'v>(
    directory: &mut DirectoryEncoder<'_, File, K>,
    strips: impl Iterator<Item = &'v V>,
) -> TiffResult<Strips<K>> {
    let mut found = (Vec::new(), Vec::new());
    for strip in strips {
        found.0.push(K::convert_offset(directory.write_data(strip)?)?);
        found.1.push(K::convert_offset(strip.bytes() as u64)?);
    }
    Ok(found)
}

/// The bytes of values, as this machine has them; the file says in which order they are.
fn bytes_of<T: Copy, const N: usize>(values: &[T], bytes: impl Fn(T) -> [u8; N]) -> Vec<u8> {
    values.iter().flat_map(|&value| bytes(value)).collect()
}

fn failure(target: &Path, error: TiffError) -> Error {
    match error {
        TiffError::IoError(e) => Error::write(target, e),
        other => Error::Encode { path: target.to_path_buf(), what: other.to_string() },
    }
}
