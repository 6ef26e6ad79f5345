//! Arguments of every command that opens a volume.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use tomosieve_volume::{OpenOptions, Shape, VoxelType};

/// What a raw file does not say itself.
#[derive(Debug, Args)]
pub(crate) struct Raw {
    /// Shape of a raw volume
    #[arg(long, value_name = "Z,Y,X", value_parser = super::shape)]
    pub shape: Option<Shape>,
    /// Voxel type of a raw volume, such as u16 or float32
    #[arg(long, value_name = "TYPE", value_parser = super::voxel_type)]
    pub dtype: Option<VoxelType>,
    /// Byte order of a raw volume
    #[arg(long, value_enum)]
    pub endian: Option<Endian>,
    /// Bytes before the first voxel of a raw volume
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    pub offset: u64,
    /// Folder for the unpacked copy of a volume packed as one stream, such as .nii.gz
    #[arg(long, value_name = "FOLDER")]
    pub scratch: Option<PathBuf>,
}

/// Byte order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Endian {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
}

impl Raw {
    /// The reader's options.
    pub(crate) fn options(&self) -> OpenOptions {
        OpenOptions {
            shape: self.shape,
            voxel_type: self.dtype,
            big_endian: self.endian.map(|order| order == Endian::Big),
            offset: self.offset,
            scratch: self.scratch.clone(),
        }
    }
}
