//! Arguments of `convert`.

use std::path::PathBuf;

use bytesize::ByteSize;
use clap::Args;
use tomosieve_volume::{OmeVersion, OutputKind, VoxelType};

use super::Raw;

/// Arguments of `convert`.
#[derive(Debug, Args)]
pub(crate) struct Convert {
    /// A volume of any format that is read; a dataset within HDF5 as file.h5::/path
    pub input: PathBuf,
    /// The output: its extension tells the format, a name without one is a folder of TIFF slices
    pub output: PathBuf,
    /// The format, whatever the output's name
    #[arg(long, value_name = "NAME", value_parser = kind)]
    pub format: Option<OutputKind>,
    /// Voxel type of the output: uint8, uint16 or float32 [default: the input's where it can be]
    #[arg(long, value_name = "TYPE", value_parser = output_type)]
    pub to: Option<VoxelType>,
    /// The voxels are labels: coarser levels keep the most frequent one, and the output says so
    #[arg(long)]
    pub labels: bool,
    /// Version of OME-Zarr: 0.4 or 0.5 [default: 0.4, or 0.5 where that would be over 10000 files]
    #[arg(long, value_name = "VERSION", value_parser = ome_version)]
    pub ome_version: Option<OmeVersion>,
    /// Most memory for voxels on their way
    #[arg(long, value_name = "SIZE", default_value = "1GiB")]
    pub max_memory: ByteSize,
    /// How to read the input.
    #[command(flatten)]
    pub raw: Raw,
    /// Replace an output that is there
    #[arg(long)]
    pub force: bool,
    /// Print what would be written and how much disk it would take
    #[arg(long)]
    pub dry_run: bool,
}

/// Parses the name of a format that is written.
fn kind(text: &str) -> std::result::Result<OutputKind, String> {
    OutputKind::ALL.into_iter().find(|kind| kind.name() == text).ok_or_else(|| {
        let known: Vec<&str> = OutputKind::ALL.iter().map(|kind| kind.name()).collect();
        format!("expected one of {}", known.join(", "))
    })
}

/// Parses a version of OME-Zarr.
fn ome_version(text: &str) -> std::result::Result<OmeVersion, String> {
    OmeVersion::ALL
        .into_iter()
        .find(|version| version.name() == text)
        .ok_or_else(|| "expected 0.4 or 0.5".into())
}

/// Parses a voxel type that is written.
fn output_type(text: &str) -> std::result::Result<VoxelType, String> {
    let written = [VoxelType::U8, VoxelType::U16, VoxelType::F32];
    VoxelType::from_name(text)
        .filter(|voxel_type| written.contains(voxel_type))
        .ok_or_else(|| "expected uint8, uint16 or float32".into())
}
