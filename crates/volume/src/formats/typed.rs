//! One function for all types that voxels are handed out in: a format says how it fills a slice of any of them.

use super::convert::Voxel;
use crate::error::Result;
use crate::region::Region;
use crate::volume::{VolumeReader, VoxelType};
use crate::voxels::VoxelBuffer;

/// A reader that fills slices of the type its voxels have in the file, or of `f32`.
pub(crate) trait Typed: VolumeReader {
    /// See [`VolumeReader::read`]; `T` is `f32` or the volume's own type.
    fn fill<T: Voxel>(&self, at: &Region, into: &mut [T]) -> Result<()>;

    /// See [`VolumeReader::read_native`].
    fn fill_native(&self, at: &Region, into: &mut VoxelBuffer) -> Result<()> {
        at.check_within(self.shape())?; // before memory is taken for it
        let voxels = at.voxels();
        match self.info().voxel_type {
            VoxelType::U8 => self.fill(at, into.u8s(voxels)),
            VoxelType::U16 => self.fill(at, into.u16s(voxels)),
            _ => self.read(at, into.f32s(voxels)),
        }
    }
}
