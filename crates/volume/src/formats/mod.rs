//! The roster of formats: which file is opened by which, and which outputs can be written.
//!
//! A new format is a file of its own and a line in [`names`], and in [`open`] or [`create`].

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::region::Shape;
use crate::volume::{VolumeReader, VoxelType};

pub use output::{LabelTable, OmeVersion, OutputKind, OutputMeta, TiffCompression, create};

mod binary;
mod convert;
mod flat;
mod flat_write;
pub mod hdf5;
mod hdf5_find;
mod hdf5_write;
mod header;
mod lzw;
pub mod memory;
mod mha;
mod mrc;
mod nifti;
pub mod npy;
mod nrrd;
mod numbering;
pub mod ome_zarr;
mod ome_zarr_attributes;
mod ome_zarr_labels;
mod ome_zarr_meta;
mod ome_zarr_write;
mod output;
mod partial;
mod pyramid;
pub mod raw;
mod raw_sidecar;
mod source;
mod stored;
pub mod tiff_folder;
mod tiff_header;
mod tiff_meta;
mod tiff_page;
pub mod tiff_stack;
mod tiff_tags;
mod tiff_write;
mod typed;
mod units;
mod zarr_trust;

const TIFF_FOLDER: &str = "tiff-folder";
const TIFF_STACK: &str = "tiff-stack";
const OME_ZARR: &str = "ome-zarr";
const HDF5: &str = "hdf5";
const NRRD: &str = "nrrd";
const MHA: &str = "mha";
const NIFTI: &str = "nifti";
const MRC: &str = "mrc";
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

const FORMATS: [FormatInfo; 10] = {
    const fn format(name: &'static str, extensions: &'static [&'static str], writes: bool) -> FormatInfo {
        FormatInfo { name, extensions, reads: true, writes }
    }
    [
        format(TIFF_FOLDER, &[], true),
        format(TIFF_STACK, &["tif", "tiff", "btf", "tf8"], true),
        format(OME_ZARR, &["zarr"], true),
        format(HDF5, &["h5", "hdf5", "hdf", "nxs", "nx", "he5"], true),
        format(NRRD, &["nrrd", "nhdr"], true),
        format(MHA, &["mha", "mhd"], true),
        format(NIFTI, &["nii", "hdr", "nii.gz"], true),
        format(MRC, &["mrc", "rec", "map"], false),
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
    /// The folder for unpacked copies of volumes that are packed as one stream; else the system's
    /// own for temporary files.
    pub scratch: Option<PathBuf>,
}

/// Opens a volume; the format is told by the path. Only headers are read.
///
/// A folder is OME-Zarr if it holds Zarr's metadata, a TIFF stack if its only TIFF has several pages, else a
/// folder of TIFF slices. A file with an
/// extension unknown here is raw if `options` tell its shape. A dataset of an HDF5 file is named as
/// `scan.h5::/path` or `scan.h5/path`.
///
/// # Errors
///
/// If nothing is there, no format answers to the path, or the format's own `open` fails.
pub fn open(path: &Path, options: &OpenOptions) -> Result<Box<dyn VolumeReader>> {
    let (path, dataset) = split_dataset(path);
    let (path, dataset) = (path.as_path(), dataset.as_deref());
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
    let format = by_extension(path).map(|format| format.name);
    match format {
        Some(TIFF_STACK) => Ok(Box::new(tiff_stack::TiffStack::open(path)?)),
        Some(HDF5) => Ok(Box::new(hdf5::Hdf5::open(path, dataset)?)),
        Some(NRRD) => Ok(Box::new(nrrd::open(path, options)?)),
        Some(MHA) => Ok(Box::new(mha::open(path, options)?)),
        Some(NIFTI) => Ok(Box::new(nifti::open(path, options)?)),
        Some(MRC) => Ok(Box::new(mrc::open(path, options)?)),
        Some(NPY) => Ok(Box::new(npy::Npy::open(path)?)),
        Some(RAW) => Ok(Box::new(raw::Raw::open(path, options)?)),
        None if options.shape.is_some() => Ok(Box::new(raw::Raw::open(path, options)?)),
        _ => Err(Error::UnknownFormat { path: path.to_path_buf(), known: known_formats() }),
    }
}

/// The format a file's extension tells.
fn by_extension(path: &Path) -> Option<&'static FormatInfo> {
    let name = path.file_name()?.to_string_lossy().to_ascii_lowercase();
    let ends = |extension: &&str| name.strip_suffix(*extension).is_some_and(|stem| stem.ends_with('.'));
    FORMATS.iter().find(|format| format.extensions.iter().any(ends))
}

/// Whether [`open`] finds a file or folder at `path`, which may name a dataset within an HDF5 file.
pub fn exists(path: &Path) -> bool {
    split_dataset(path).0.exists()
}

/// The file of `scan.h5::/path` or `scan.h5/path`, and the dataset named in it.
fn split_dataset(path: &Path) -> (PathBuf, Option<String>) {
    let whole = || (path.to_path_buf(), None);
    let holds = |file: &Path| by_extension(file).is_some_and(|f| f.name == HDF5) && file.is_file();
    let Some(text) = path.to_str().filter(|_| !path.exists()) else { return whole() };
    if let Some((file, dataset)) = text.split_once("::") {
        return (PathBuf::from(file), Some(dataset.to_string()));
    }
    let Some(file) = path.ancestors().skip(1).find(|file| holds(file)) else { return whole() };
    match path.strip_prefix(file) {
        Ok(dataset) => (file.to_path_buf(), Some(dataset.display().to_string())),
        Err(_) => whole(),
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
