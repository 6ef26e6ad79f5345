//! A volume in memory: for tests, examples and small data.

use super::MEMORY;
use crate::error::{Error, Result};
use crate::region::{Region, Shape};
use crate::volume::{VolumeInfo, VolumeReader, VoxelType};

/// A volume held as `f32`, `[z, y, x]` with `x` fastest.
#[derive(Debug, Clone)]
pub struct Memory {
    info: VolumeInfo,
    voxels: Vec<f32>,
}

impl Memory {
    /// A volume of these voxels.
    ///
    /// # Errors
    ///
    /// [`Error::BufferSize`] if there are not as many as the shape has.
    pub fn new(shape: Shape, voxels: Vec<f32>) -> Result<Self> {
        if voxels.len() != shape.voxels() {
            return Err(Error::BufferSize { found: voxels.len(), expected: shape.voxels() });
        }
        let info = VolumeInfo::new(MEMORY, "memory", shape, VoxelType::F32);
        Ok(Self { info, voxels })
    }

    /// The description, to be changed.
    pub fn info_mut(&mut self) -> &mut VolumeInfo {
        &mut self.info
    }
}

impl VolumeReader for Memory {
    fn info(&self) -> &VolumeInfo {
        &self.info
    }

    fn read(&self, at: &Region, into: &mut [f32]) -> Result<()> {
        let shape = self.info.shape;
        // The description may have been given a shape the voxels do not have.
        if shape.voxels() != self.voxels.len() {
            return Err(Error::BufferSize { found: self.voxels.len(), expected: shape.voxels() });
        }
        at.check_read(shape, into.len())?;
        if into.is_empty() {
            return Ok(());
        }
        let [_, height, width] = at.size;
        for (row, into) in into.chunks_exact_mut(width).enumerate() {
            let (z, y) = (at.start[0] + row / height, at.start[1] + row % height);
            let from = (z * shape.y + y) * shape.x + at.start[2];
            into.copy_from_slice(&self.voxels[from..from + width]);
        }
        Ok(())
    }
}
