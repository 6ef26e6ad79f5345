//! Voxels that lie in a file one after another: raw files, `.npy`, and `ImageJ`'s big stacks.

use std::ops::Range;

use rayon::prelude::*;

use super::convert::Voxel;
use super::source::Source;
use crate::error::{Error, Result};
use crate::region::{Region, Shape};
use crate::volume::{VolumeInfo, VoxelType};

/// Bytes read in one go: large enough for disk speed, small beside any slab.
const BLOCK: usize = 1 << 20;

/// Which axis runs fastest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// `x` fastest: the order of C and numpy.
    C,
    /// `z` fastest: the order of Fortran.
    Fortran,
}

impl Order {
    /// See [`crate::VolumeReader::slices_at_once`]: where z runs fastest, any slab reads through the whole file.
    pub(crate) fn slices_at_once(self, shape: Shape) -> usize {
        match self {
            Self::C => 1,
            Self::Fortran => shape.z,
        }
    }

    /// See [`crate::VolumeReader::read_overhead`]: a block a thread, or a block and a column.
    pub(crate) fn read_overhead(self, info: &VolumeInfo, threads: usize) -> usize {
        let Shape { z, y, x } = info.shape;
        let block = |row: usize| BLOCK.max(row * info.voxel_type.bytes());
        match self {
            Self::C => threads.min(z) * block(x),
            Self::Fortran => block(z) + y * z * size_of::<f32>(),
        }
    }
}

/// A run of voxels within a file.
#[derive(Debug)]
pub(crate) struct Flat {
    pub(crate) source: Source,
    pub(crate) offset: u64,
    pub(crate) shape: Shape,
    pub(crate) voxel_type: VoxelType,
    pub(crate) big_endian: bool,
    pub(crate) order: Order,
}

impl Flat {
    /// Checks that the file is long enough for the shape; returns the bytes that follow.
    pub(crate) fn check_length(&self) -> Result<u64> {
        let path = self.source.path();
        let end = self
            .shape
            .checked_bytes(self.voxel_type.bytes())
            .and_then(|bytes| bytes.checked_add(self.offset))
            .ok_or_else(|| Error::damaged(path, format!("a shape of {} cannot be counted", self.shape)))?;
        self.source.len().checked_sub(end).ok_or_else(|| {
            Error::damaged(
                path,
                format!(
                    "the file has {} bytes; {} voxels of {} from byte {} on need {end}",
                    self.source.len(),
                    self.shape,
                    self.voxel_type,
                    self.offset
                ),
            )
        })
    }

    /// See [`crate::VolumeReader::read`].
    pub(crate) fn read<T: Voxel>(&self, at: &Region, into: &mut [T]) -> Result<()> {
        at.check_read(self.shape, into.len())?;
        if into.is_empty() {
            return Ok(());
        }
        match self.order {
            Order::C => self.read_c(at, into),
            Order::Fortran => self.read_fortran(at, into),
        }
    }

    fn read_c<T: Voxel>(&self, at: &Region, into: &mut [T]) -> Result<()> {
        let [_, height, width] = at.size;
        into.par_chunks_mut(height * width).zip(at.range(0).into_par_iter()).try_for_each(|(slice, z)| {
            let row = z as u64 * self.shape.y as u64;
            let plane = Plane {
                source: &self.source,
                offset: self.offset + row * self.row_bytes(),
                width: self.shape.x,
                voxel_type: self.voxel_type,
                big_endian: self.big_endian,
            };
            plane.read(at.range(1), at.range(2), slice)
        })
    }

    fn row_bytes(&self) -> u64 {
        (self.shape.x * self.voxel_type.bytes()) as u64
    }

    /// A column `x` of the file is a plane `[y, z]` with z fastest: it is read as such and turned.
    /// A thin slab thus reads the whole file, which the caller has been told in the notes.
    fn read_fortran<T: Voxel>(&self, at: &Region, into: &mut [T]) -> Result<()> {
        let [depth, height, width] = at.size;
        let mut column = vec![T::zeroed(); height * depth];
        for x in at.range(2) {
            let row = x as u64 * self.shape.y as u64;
            let plane = Plane {
                source: &self.source,
                offset: self.offset + row * (self.shape.z * self.voxel_type.bytes()) as u64,
                width: self.shape.z,
                voxel_type: self.voxel_type,
                big_endian: self.big_endian,
            };
            plane.read(at.range(1), at.range(0), &mut column)?;
            for z in 0..depth {
                for y in 0..height {
                    into[(z * height + y) * width + x - at.start[2]] = column[y * depth + z];
                }
            }
        }
        Ok(())
    }
}

/// Rows of voxels one after another in a file.
#[derive(Debug)]
pub(crate) struct Plane<'a> {
    pub(crate) source: &'a Source,
    /// Where row 0 starts.
    pub(crate) offset: u64,
    /// Voxels in a row of the file.
    pub(crate) width: usize,
    pub(crate) voxel_type: VoxelType,
    pub(crate) big_endian: bool,
}

impl Plane<'_> {
    /// Reads a window of the plane; `into` has `rows × cols` values.
    pub(crate) fn read<T: Voxel>(
        &self,
        rows: Range<usize>,
        cols: Range<usize>,
        into: &mut [T],
    ) -> Result<()> {
        let voxel = self.voxel_type.bytes();
        let row_bytes = self.width * voxel;
        let (skip, wanted) = (cols.start * voxel, cols.len() * voxel);
        if wanted == 0 {
            return Ok(());
        }
        if wanted == row_bytes && self.voxel_type == T::TYPE {
            return self.read_in_place(self.offset + rows.start as u64 * row_bytes as u64, into);
        }
        // Whole rows in blocks are faster than one call a row, unless most would be thrown away.
        let whole_rows = wanted * 8 >= row_bytes;
        let at_once = if whole_rows { (BLOCK / row_bytes).max(1) } else { 1 };
        let mut bytes = vec![0; if whole_rows { at_once.min(rows.len()) * row_bytes } else { wanted }];
        let mut into = into.chunks_mut(at_once * cols.len());
        for first in rows.clone().step_by(at_once) {
            let count = at_once.min(rows.end - first);
            let Some(into) = into.next() else { break };
            let start = self.offset + first as u64 * row_bytes as u64;
            if !whole_rows {
                self.source.read_at(start + skip as u64, &mut bytes)?;
                T::decode(&bytes, self.voxel_type, self.big_endian, into);
                continue;
            }
            let block = &mut bytes[..count * row_bytes];
            self.source.read_at(start, block)?;
            if wanted == row_bytes {
                T::decode(block, self.voxel_type, self.big_endian, into);
                continue;
            }
            for (row, into) in block.chunks_exact(row_bytes).zip(into.chunks_mut(cols.len())) {
                T::decode(&row[skip..skip + wanted], self.voxel_type, self.big_endian, into);
            }
        }
        Ok(())
    }

    /// Reads voxels that follow one another and are wanted as they are: straight to where they go.
    fn read_in_place<T: Voxel>(&self, mut offset: u64, into: &mut [T]) -> Result<()> {
        for block in into.chunks_mut(BLOCK / size_of::<T>()) {
            self.source.read_at(offset, bytemuck::cast_slice_mut(block))?;
            T::reorder(block, self.big_endian); // while it is in the cache
            offset += size_of_val(block) as u64;
        }
        Ok(())
    }
}
