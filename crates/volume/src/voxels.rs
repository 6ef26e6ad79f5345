//! Voxels in memory, `[z, y, x]` with `x` fastest, in one of the three types they are worked on in.
//!
//! A volume of 8 or 16 bits unsigned is handed out and written as such, so that a program that streams it moves no
//! more bytes than the file has; every other type is handed out as `f32`.

use rayon::prelude::*;

use crate::volume::VoxelType;

/// Some voxels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Voxels<'a> {
    /// 8-bit unsigned: labels, and probabilities scaled to 0–255.
    U8(&'a [u8]),
    /// 16-bit unsigned.
    U16(&'a [u16]),
    /// Single precision.
    F32(&'a [f32]),
}

impl<'a> Voxels<'a> {
    /// How many voxels there are.
    pub fn len(&self) -> usize {
        match self {
            Self::U8(v) => v.len(),
            Self::U16(v) => v.len(),
            Self::F32(v) => v.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The type a file of these voxels has.
    pub fn voxel_type(&self) -> VoxelType {
        match self {
            Self::U8(_) => VoxelType::U8,
            Self::U16(_) => VoxelType::U16,
            Self::F32(_) => VoxelType::F32,
        }
    }

    /// The voxels as `f32`: as they are, or converted into a buffer kept for them.
    ///
    /// ```
    /// use tomosieve_volume::Voxels;
    ///
    /// assert_eq!(Voxels::U16(&[7, 65_535]).as_f32(&mut Vec::new()), [7.0, 65_535.0]);
    /// ```
    pub fn as_f32<'b>(self, buffer: &'b mut Vec<f32>) -> &'b [f32]
    where
        'a: 'b,
    {
        fn converted<'b, T: Copy + Sync + Into<f32>>(values: &[T], buffer: &'b mut Vec<f32>) -> &'b [f32] {
            buffer.resize(values.len(), 0.0);
            buffer.par_iter_mut().zip(values).with_min_len(1 << 14).for_each(|(to, &from)| *to = from.into());
            buffer
        }
        match self {
            Self::U8(values) => converted(values, buffer),
            Self::U16(values) => converted(values, buffer),
            Self::F32(values) => values,
        }
    }

    /// The bytes of the voxels, in this machine's order.
    pub(crate) fn bytes(self) -> &'a [u8] {
        match self {
            Self::U8(v) => v,
            Self::U16(v) => bytemuck::cast_slice(v),
            Self::F32(v) => bytemuck::cast_slice(v),
        }
    }
}

/// A buffer for voxels of any of the types, that keeps its memory from one read to the next of the same type.
#[derive(Debug, Clone)]
pub enum VoxelBuffer {
    /// 8-bit unsigned.
    U8(Vec<u8>),
    /// 16-bit unsigned.
    U16(Vec<u16>),
    /// Single precision.
    F32(Vec<f32>),
}

impl Default for VoxelBuffer {
    fn default() -> Self {
        Self::F32(Vec::new())
    }
}

macro_rules! room {
    ($name:ident, $variant:ident, $type:ty) => {
        #[doc = concat!("Room for `len` voxels of the type `", stringify!($type), "`, whatever was there before.")]
        pub fn $name(&mut self, len: usize) -> &mut [$type] {
            if !matches!(self, Self::$variant(_)) {
                *self = Self::$variant(Vec::new());
            }
            let Self::$variant(values) = self else { return &mut [] }; // it was made one
            values.resize(len, <$type>::default());
            values
        }
    };
}

impl VoxelBuffer {
    room!(u8s, U8, u8);
    room!(u16s, U16, u16);
    room!(f32s, F32, f32);

    /// What is in the buffer.
    pub fn voxels(&self) -> Voxels<'_> {
        match self {
            Self::U8(v) => Voxels::U8(v),
            Self::U16(v) => Voxels::U16(v),
            Self::F32(v) => Voxels::F32(v),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_takes_any_type_and_keeps_its_memory() {
        let mut buffer = VoxelBuffer::default();
        assert!(buffer.voxels().is_empty());
        buffer.u16s(3).copy_from_slice(&[1, 2, 3]);
        assert_eq!(buffer.voxels(), Voxels::U16(&[1, 2, 3]));
        let place = buffer.u16s(2).as_ptr();
        assert_eq!(buffer.u16s(3).as_ptr(), place);
        assert_eq!(buffer.u8s(1), [0]);
        assert_eq!(buffer.voxels().voxel_type(), VoxelType::U8);
        assert_eq!(buffer.f32s(2), [0.0, 0.0]);
        assert_eq!(buffer.voxels().len(), 2);
    }

    #[test]
    fn any_type_as_floats() {
        let mut buffer = Vec::new();
        assert_eq!(Voxels::U8(&[0, 255]).as_f32(&mut buffer), [0.0, 255.0]);
        assert_eq!(Voxels::U16(&[65_535]).as_f32(&mut buffer), [65_535.0]);
        let floats = [0.5, -1.0];
        assert_eq!(Voxels::F32(&floats).as_f32(&mut buffer).as_ptr(), floats.as_ptr());
    }
}
