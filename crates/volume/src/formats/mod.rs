//! The roster of formats: which file is opened by which, and which outputs can be written.
//!
//! A new format is a file of its own and a line in [`names`], and in [`open`] or [`create`].

use std::ffi::OsStr;
use std::path::Path;

use crate::error::{Error, Result};
use crate::region::Shape;
use crate::volume::{VolumeReader, VolumeWriter, VoxelType};

mod convert;
mod flat;
pub mod memory;
pub mod npy;
mod numbering;
pub mod ome_zarr;
mod ome_zarr_meta;
mod ome_zarr_write;
mod partial;
mod pyramid;
pub mod raw;
mod source;
pub mod tiff_folder;
mod tiff_header;
mod tiff_meta;
mod tiff_page;
pub mod tiff_stack;
mod tiff_tags;
mod tiff_write;
mod units;

const TIFF_FOLDER: &str = "tiff-folder";
const TIFF_STACK: &str = "tiff-stack";
const OME_ZARR: &str = "ome-zarr";
const NPY: &str = "npy";
const RAW: &str = "raw";
const MEMORY: &str = "memory";

/// What is told about a format to those who choose one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FormatInfo {
    /// Its name in [`crate::VolumeInfo::format`].
    pub name: &'static str,
    /// Its file extensions, without the dot; none for a folder.
    pub extensions: &'static [&'static str],
    /// Whether it is read.
    pub reads: bool,
    /// Whether it is written.
    pub writes: bool,
}

const FORMATS: [FormatInfo; 5] = {
    const fn format(name: &'static str, extensions: &'static [&'static str], writes: bool) -> FormatInfo {
        FormatInfo { name, extensions, reads: true, writes }
    }
    [
        format(TIFF_FOLDER, &[], true),
        format(TIFF_STACK, &["tif", "tiff", "btf", "tf8"], true),
        format(OME_ZARR, &["zarr"], true),
        format(NPY, &["npy"], true),
        format(RAW, &["raw", "bin", "vol", "dat"], false),
    ]
};

/// Every format.
pub fn names() -> &'static [FormatInfo] {
    &FORMATS
}

/// What a file may not say of itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OpenOptions {
    /// The shape of a raw file.
    pub shape: Option<Shape>,
    /// The voxel type of a raw file.
    pub voxel_type: Option<VoxelType>,
    /// Whether a raw file's bytes are big-endian.
    pub big_endian: Option<bool>,
    /// Bytes before a raw file's first voxel.
    pub offset: u64,
}

/// Opens a volume; the format is told by the path. Only headers are read.
///
/// A folder is OME-Zarr if it holds Zarr's metadata, a TIFF stack if its only TIFF has several pages, else a
/// folder of TIFF slices. A file with an
/// extension unknown here is raw if `options` tell its shape.
///
/// # Errors
///
/// If nothing is there, no format answers to the path, or the format's own `open` fails.
pub fn open(path: &Path, options: &OpenOptions) -> Result<Box<dyn VolumeReader>> {
    let meta = std::fs::metadata(path).map_err(|e| Error::read(path, e))?;
    if meta.is_dir() {
        if ome_zarr::is_zarr(path) {
            return Ok(Box::new(ome_zarr::OmeZarr::open(path)?));
        }
        if let Some(file) = tiff_folder::only_file(path) {
            let stack = tiff_stack::TiffStack::open(&file)?;
            if stack.shape().z > 1 {
                return Ok(Box::new(stack));
            }
        }
        return Ok(Box::new(tiff_folder::TiffFolder::open(path)?));
    }
    let extension = path.extension().and_then(OsStr::to_str).unwrap_or_default();
    let format = FORMATS
        .iter()
        .find(|format| format.extensions.iter().any(|known| known.eq_ignore_ascii_case(extension)))
        .map(|format| format.name);
    match format {
        Some(TIFF_STACK) => Ok(Box::new(tiff_stack::TiffStack::open(path)?)),
        Some(NPY) => Ok(Box::new(npy::Npy::open(path)?)),
        Some(RAW) => Ok(Box::new(raw::Raw::open(path, options)?)),
        None if options.shape.is_some() => Ok(Box::new(raw::Raw::open(path, options)?)),
        _ => Err(Error::UnknownFormat { path: path.to_path_buf(), known: known_formats() }),
    }
}

/// "tiff-folder (a folder), npy (.npy), …".
fn known_formats() -> String {
    let one = |format: &FormatInfo| match format.extensions {
        [] => format!("{} (a folder)", format.name),
        extensions => format!("{} (.{})", format.name, extensions.join(", .")),
    };
    FORMATS.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// The outputs that can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutputKind {
    /// A folder of TIFF files, one slice each.
    TiffFolder,
    /// One TIFF file with a page a slice; `BigTIFF` where it may exceed 4 GiB.
    TiffStack,
    /// OME-NGFF 0.4 on Zarr v2, with a pyramid.
    OmeZarr,
    /// Numpy's `.npy`.
    Npy,
}

impl OutputKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::TiffFolder, Self::TiffStack, Self::OmeZarr, Self::Npy];

    /// The format's name in [`names`].
    pub const fn name(self) -> &'static str {
        match self {
            Self::TiffFolder => TIFF_FOLDER,
            Self::TiffStack => TIFF_STACK,
            Self::OmeZarr => OME_ZARR,
            Self::Npy => NPY,
        }
    }
}

/// How TIFF voxels are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TiffCompression {
    /// Not at all: fastest, and read by every program.
    #[default]
    None,
    /// LZW: good for labels, and read by nearly every program.
    Lzw,
}

/// How label values are shown and called; the place in each list is the label's value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LabelTable {
    /// Red, green, blue, opacity of each label.
    pub colours: Vec<[u8; 4]>,
    /// The name of each class.
    pub names: Vec<String>,
}

/// What is written beside the voxels.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OutputMeta {
    /// Edge lengths of a voxel `[z, y, x]`, in [`OutputMeta::unit`]; `.npy` cannot bear them.
    pub voxel_size: Option<[f64; 3]>,
    /// The unit of [`OutputMeta::voxel_size`], e.g. `µm` or `micrometer`.
    pub unit: Option<String>,
    /// File names without extension for a folder of slices, one a slice; else `slice_00000` on.
    pub names: Option<Vec<String>>,
    /// How TIFF voxels are packed.
    pub compression: TiffCompression,
    /// That the voxels are labels, and how they are shown: OME-Zarr pyramids then keep the most
    /// frequent label instead of the mean.
    pub labels: Option<LabelTable>,
}

/// Starts an output of voxels of type `uint8`, `uint16` or `float32`.
///
/// # Errors
///
/// If the shape has no voxels, the type cannot be written, or the output cannot be created.
pub fn create(
    kind: OutputKind,
    path: &Path,
    shape: Shape,
    voxel_type: VoxelType,
    meta: &OutputMeta,
) -> Result<Box<dyn VolumeWriter>> {
    Ok(match kind {
        OutputKind::TiffFolder => {
            Box::new(tiff_folder::TiffFolderWriter::create(path, shape, voxel_type, meta)?)
        }
        OutputKind::TiffStack => {
            Box::new(tiff_stack::TiffStackWriter::create(path, shape, voxel_type, meta)?)
        }
        OutputKind::OmeZarr => ome_zarr_write::create(path, shape, voxel_type, meta)?,
        OutputKind::Npy => Box::new(npy::NpyWriter::create(path, shape, voxel_type)?),
    })
}
