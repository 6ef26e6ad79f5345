//! Voxels in and out: slabs, tiles and the file formats of synchrotron tomography.
//!
//! A volume is opened with [`open`], whatever its format, and read box by box, as `f32` or as the
//! file has its voxels, so that it may be larger than memory; results are streamed out slice after
//! slice with [`create`].
//! Everything is counted in voxels and written `[z, y, x]`, `x` running fastest.
//!
//! ```
//! use tomosieve_volume::{
//!     OpenOptions, OutputKind, OutputMeta, Region, Shape, Slabs, VoxelType, Voxels, create, open,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("scan.tif");
//!
//! // Write three slices of 2×4 voxels, one after another.
//! let shape = Shape::new(3, 2, 4);
//! let mut writer =
//!     create(OutputKind::TiffStack, &path, shape, VoxelType::U16, &OutputMeta::default())?;
//! for z in 0..3 {
//!     writer.write(Voxels::U16(&[z; 8]))?;
//! }
//! writer.finish()?;
//!
//! // Read them slab by slab: two slices at once, one more on either side.
//! let volume = open(&path, &OpenOptions::default())?;
//! assert_eq!(volume.shape(), shape);
//! for slab in Slabs::new(shape, 2, 1) {
//!     let region = slab.region(shape)?;
//!     let mut voxels = vec![0.0; region.voxels()];
//!     volume.read(&region, &mut voxels)?;
//!     assert_eq!(voxels[0], slab.with_halo.start as f32);
//! }
//! # Ok(())
//! # }
//! ```

pub mod copy;
pub mod error;
pub mod formats;
pub mod read_ahead;
pub mod region;
pub mod slab;
pub mod tile;
pub mod volume;
pub mod voxels;

pub use copy::{copy, output_type};
pub use error::{Error, ErrorKind, Result};
pub use formats::memory::Memory;
pub use formats::{
    FormatInfo, LabelTable, OmeVersion, OpenOptions, OutputKind, OutputMeta, TiffCompression, create, exists,
    open,
};
pub use read_ahead::{read_ahead, slab_depth};
pub use region::{Region, Shape};
pub use slab::{Slab, Slabs, depth_for, reflect};
pub use tile::{Tile, Tiles};
pub use volume::{VolumeInfo, VolumeReader, VolumeWriter, VoxelType};
pub use voxels::{VoxelBuffer, Voxels};
