//! What can be written, and what is written beside the voxels.

use std::path::Path;

use super::ome_zarr_labels::LabelsGroup;
use super::{
    FORMATS, HDF5, MHA, NIFTI, NPY, NRRD, OME_ZARR, TIFF_FOLDER, TIFF_STACK, by_extension, hdf5_write, mha,
    nifti, npy, nrrd, ome_zarr_write, tiff_folder, tiff_stack,
};
use crate::error::Result;
use crate::region::Shape;
use crate::volume::{VolumeInfo, VolumeWriter, VoxelType};

/// The outputs that can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutputKind {
    /// A folder of TIFF files, one slice each.
    TiffFolder,
    /// One TIFF file with a page a slice; `BigTIFF` where it may exceed 4 GiB.
    TiffStack,
    /// OME-Zarr 0.4 or 0.5, with a pyramid.
    OmeZarr,
    /// HDF5: `/exchange/data`, and the same as NXdata.
    Hdf5,
    /// NRRD, as 3D Slicer reads it; labels with its keys for segments.
    Nrrd,
    /// MetaImage with its voxels in the file.
    Mha,
    /// NIfTI-1, or -2 where an axis is long; packed where the name ends in `.gz`.
    Nifti,
    /// Numpy's `.npy`.
    Npy,
}

impl OutputKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::TiffFolder,
        Self::TiffStack,
        Self::OmeZarr,
        Self::Hdf5,
        Self::Nrrd,
        Self::Mha,
        Self::Nifti,
        Self::Npy,
    ];

    /// The format's name in [`names`](super::names).
    pub const fn name(self) -> &'static str {
        match self {
            Self::TiffFolder => TIFF_FOLDER,
            Self::TiffStack => TIFF_STACK,
            Self::OmeZarr => OME_ZARR,
            Self::Hdf5 => HDF5,
            Self::Nrrd => NRRD,
            Self::Mha => MHA,
            Self::Nifti => NIFTI,
            Self::Npy => NPY,
        }
    }

    /// The extension files of the kind bear; a folder of slices bears none.
    pub fn extension(self) -> Option<&'static str> {
        let format = FORMATS.iter().find(|format| format.name == self.name());
        format.and_then(|format| format.extensions.first().copied())
    }

    /// The kind a path's extension tells; a name without one is a folder of slices, or labels if it
    /// lies in the group `labels` of an OME-Zarr image.
    pub fn of(path: &Path) -> Option<Self> {
        if LabelsGroup::of(path).is_some() {
            return Some(Self::OmeZarr);
        }
        match by_extension(path) {
            Some(format) => Self::ALL.into_iter().find(|kind| kind.name() == format.name),
            None => path.extension().is_none().then_some(Self::TiffFolder),
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

/// A version of OME-Zarr.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OmeVersion {
    /// 0.4 on Zarr v2: read by every viewer; a file a chunk.
    V04,
    /// 0.5 on Zarr v3: shards, which are files of many chunks.
    V05,
}

impl OmeVersion {
    /// Every version that is written.
    pub const ALL: [Self; 2] = [Self::V04, Self::V05];

    /// As the format spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::V04 => "0.4",
            Self::V05 => "0.5",
        }
    }
}

/// What is written beside the voxels.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OutputMeta {
    /// Edge lengths of a voxel `[z, y, x]`, in [`OutputMeta::unit`]; `.npy` cannot bear them.
    pub voxel_size: Option<[f64; 3]>,
    /// The unit of [`OutputMeta::voxel_size`], e.g. `µm` or `micrometer`.
    pub unit: Option<String>,
    /// Where the centre of the first voxel lies `[z, y, x]`, in [`OutputMeta::unit`].
    pub origin: Option<[f64; 3]>,
    /// File names without extension for a folder of slices, one a slice; else `slice_00000` on.
    pub names: Option<Vec<String>>,
    /// How TIFF voxels are packed.
    pub compression: TiffCompression,
    /// The version of OME-Zarr; else 0.4, or 0.5 where that would be more than ten thousand files.
    pub ome_version: Option<OmeVersion>,
    /// That the voxels are labels, and how they are shown: OME-Zarr pyramids then keep the most
    /// frequent label instead of the mean.
    pub labels: Option<LabelTable>,
}

impl OutputMeta {
    /// The voxel size, unit and origin of an input, for an output made from it.
    pub fn like(info: &VolumeInfo) -> Self {
        Self { voxel_size: info.voxel_size, unit: info.unit.clone(), origin: info.origin, ..Self::default() }
    }
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
        OutputKind::Hdf5 => Box::new(hdf5_write::Hdf5Writer::create(path, shape, voxel_type, meta)?),
        OutputKind::Nrrd => Box::new(nrrd::create(path, shape, voxel_type, meta)?),
        OutputKind::Mha => Box::new(mha::create(path, shape, voxel_type, meta)?),
        OutputKind::Nifti => Box::new(nifti::create(path, shape, voxel_type, meta)?),
        OutputKind::Npy => Box::new(npy::create(path, shape, voxel_type)?),
    })
}
