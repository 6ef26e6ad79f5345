//! Pages into TIFF files: grey, in strips, uncompressed or LZW, which every program reads.

use std::fs::File;
use std::path::Path;

use tiff::encoder::colortype::{ColorType, Gray8, Gray16, Gray32Float};
use tiff::encoder::{Compression, Rational, TiffEncoder, TiffKind, TiffKindBig, TiffValue};
use tiff::tags::{ResolutionUnit, Tag};
use tiff::{TiffError, TiffResult};

use super::tiff_meta::per_unit;
use super::{OutputMeta, TiffCompression};
use crate::error::{Error, Result};
use crate::region::Shape;
use crate::volume::Voxels;

/// What is written beside the voxels.
pub(super) struct PageMeta {
    pub(super) compression: TiffCompression,
    pub(super) description: Option<String>,
    /// Voxels per unit along `[y, x]`.
    resolution: Option<[Rational; 2]>,
}

impl PageMeta {
    pub(super) fn new(meta: &OutputMeta, description: Option<String>) -> Self {
        let resolution = meta.voxel_size.and_then(|[_, y, x]| Some([per_unit(y)?, per_unit(x)?]));
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

/// A TIFF file in the making. The encoder writes large pieces, so the file needs no buffer, and
/// no failure can hide in one.
pub(super) enum Encoder {
    /// Offsets of 32 bits: at most 4 GiB.
    Standard(TiffEncoder<File>),
    /// Offsets of 64 bits.
    Big(TiffEncoder<File, TiffKindBig>),
}

impl Encoder {
    pub(super) fn new(file: File, big: bool, meta: &PageMeta, target: &Path) -> Result<Self> {
        let compression = match meta.compression {
            TiffCompression::None => Compression::Uncompressed,
            TiffCompression::Lzw => Compression::Lzw,
        };
        if big {
            TiffEncoder::new_big(file).map(|e| Self::Big(e.with_compression(compression)))
        } else {
            TiffEncoder::new(file).map(|e| Self::Standard(e.with_compression(compression)))
        }
        .map_err(|e| failure(target, e))
    }

    /// Appends one slice.
    pub(super) fn page(
        &mut self,
        target: &Path,
        shape: Shape,
        voxels: Voxels<'_>,
        meta: &PageMeta,
    ) -> Result<()> {
        match self {
            Self::Standard(encoder) => write_page(encoder, shape, voxels, meta),
            Self::Big(encoder) => write_page(encoder, shape, voxels, meta),
        }
        .map_err(|e| failure(target, e))
    }
}

fn write_page<K: TiffKind>(
    encoder: &mut TiffEncoder<File, K>,
    shape: Shape,
    voxels: Voxels<'_>,
    meta: &PageMeta,
) -> TiffResult<()> {
    match voxels {
        Voxels::U8(v) => write_grey::<Gray8, K>(encoder, shape, v, meta),
        Voxels::U16(v) => write_grey::<Gray16, K>(encoder, shape, v, meta),
        Voxels::F32(v) => write_grey::<Gray32Float, K>(encoder, shape, v, meta),
    }
}

fn write_grey<C: ColorType, K: TiffKind>(
    encoder: &mut TiffEncoder<File, K>,
    shape: Shape,
    voxels: &[C::Inner],
    meta: &PageMeta,
) -> TiffResult<()>
where
    [C::Inner]: TiffValue,
{
    let mut page = encoder.new_image::<C>(u32::try_from(shape.x)?, u32::try_from(shape.y)?)?;
    if let Some([y, x]) = &meta.resolution {
        page.resolution_unit(ResolutionUnit::None);
        page.y_resolution(Rational { n: y.n, d: y.d });
        page.x_resolution(Rational { n: x.n, d: x.d });
    }
    if let Some(text) = &meta.description {
        page.encoder().write_tag(Tag::ImageDescription, text.as_str())?;
    }
    page.write_data(voxels)
}

fn failure(target: &Path, error: TiffError) -> Error {
    match error {
        TiffError::IoError(e) => Error::write(target, e),
        other => Error::Encode { path: target.to_path_buf(), what: other.to_string() },
    }
}
