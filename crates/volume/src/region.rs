//! The size of a volume and boxes inside it.
//!
//! Everything is counted in voxels and written `[z, y, x]`; `x` runs fastest in every buffer.

use std::fmt;
use std::ops::Range;

use crate::error::{Error, Result};

/// The size of a volume in voxels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Number of slices.
    pub z: usize,
    /// Rows in a slice.
    pub y: usize,
    /// Columns in a slice.
    pub x: usize,
}

impl Shape {
    /// The shape `z×y×x`.
    pub const fn new(z: usize, y: usize, x: usize) -> Self {
        Self { z, y, x }
    }

    /// Voxels in the whole volume; saturates where a `usize` cannot count them.
    pub const fn voxels(&self) -> usize {
        self.z.saturating_mul(self.slice_voxels())
    }

    /// Voxels in one slice; saturates like [`Shape::voxels`].
    pub const fn slice_voxels(&self) -> usize {
        self.y.saturating_mul(self.x)
    }

    /// Whether `region` lies within the volume.
    pub fn contains(&self, region: &Region) -> bool {
        let axes: [usize; 3] = (*self).into();
        (0..3).all(|axis| {
            region.start[axis].checked_add(region.size[axis]).is_some_and(|end| end <= axes[axis])
        })
    }

    /// Voxels in the whole volume, if they and their bytes can be counted.
    pub(crate) fn checked_bytes(&self, bytes_per_voxel: usize) -> Option<u64> {
        let voxels = (self.z as u64).checked_mul(self.y as u64)?.checked_mul(self.x as u64)?;
        voxels.checked_mul(bytes_per_voxel as u64).filter(|&bytes| i64::try_from(bytes).is_ok())
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}×{}×{}", self.z, self.y, self.x)
    }
}

impl From<Shape> for [usize; 3] {
    fn from(shape: Shape) -> Self {
        [shape.z, shape.y, shape.x]
    }
}

impl From<[usize; 3]> for Shape {
    fn from([z, y, x]: [usize; 3]) -> Self {
        Self { z, y, x }
    }
}

/// A box of voxels: its first corner and its size, both `[z, y, x]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Region {
    /// The corner nearest the origin.
    pub start: [usize; 3],
    /// The size along each axis.
    pub size: [usize; 3],
}

impl Region {
    /// The region with this corner and size, checked to lie within `shape`.
    ///
    /// # Errors
    ///
    /// [`Error::OutsideVolume`] if any part lies outside.
    pub fn new(shape: Shape, start: [usize; 3], size: [usize; 3]) -> Result<Self> {
        let region = Self { start, size };
        region.check_within(shape)?;
        Ok(region)
    }

    /// The whole slices `z` of a volume.
    ///
    /// # Errors
    ///
    /// [`Error::OutsideVolume`] if the range ends past the last slice or runs backwards.
    pub fn slab(shape: Shape, z: Range<usize>) -> Result<Self> {
        // A range which runs backwards is given a size that cannot fit, so that one check serves.
        let size = z.end.checked_sub(z.start).unwrap_or(usize::MAX);
        Self::new(shape, [z.start, 0, 0], [size, shape.y, shape.x])
    }

    /// The whole volume.
    pub fn whole(shape: Shape) -> Self {
        Self { start: [0; 3], size: shape.into() }
    }

    /// The voxels in the region; saturates where a `usize` cannot count them.
    pub fn voxels(&self) -> usize {
        Shape::from(self.size).voxels()
    }

    /// The half-open range along one axis (0 is z, 1 is y, 2 is x).
    ///
    /// # Panics
    ///
    /// If `axis` is above 2.
    pub fn range(&self, axis: usize) -> Range<usize> {
        self.start[axis]..self.start[axis].saturating_add(self.size[axis])
    }

    /// Checks that the region lies within a volume of this shape.
    ///
    /// # Errors
    ///
    /// [`Error::OutsideVolume`] if any part lies outside.
    pub fn check_within(&self, shape: Shape) -> Result<()> {
        if shape.contains(self) {
            return Ok(());
        }
        Err(Error::OutsideVolume { start: self.start, size: self.size, shape })
    }

    /// What every reader asks first: the region lies within, and the buffer fits it.
    ///
    /// # Errors
    ///
    /// [`Error::OutsideVolume`] or [`Error::BufferSize`].
    pub fn check_read(&self, shape: Shape, buffer: usize) -> Result<()> {
        self.check_within(shape)?;
        if buffer == self.voxels() {
            return Ok(());
        }
        Err(Error::BufferSize { found: buffer, expected: self.voxels() })
    }
}
