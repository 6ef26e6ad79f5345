//! Stored bytes to voxels, in loops tight enough for the compiler to vectorise.

use std::borrow::Cow;

use bytemuck::Pod;
use half::f16;

use crate::volume::VoxelType;
use crate::voxels::Voxels;

/// Whether this machine's own order of bytes is big-endian.
pub(crate) const BIG_ENDIAN: bool = cfg!(target_endian = "big");

/// A type that voxels are handed out in: the file's own ([`VoxelType::native`]), or `f32`.
pub(crate) trait Voxel: Pod + Send + Sync {
    /// Its name.
    const TYPE: VoxelType;

    /// Converts `bytes` of the type `stored` into as many values; both lengths must agree. What is not converted to
    /// `f32` keeps its type.
    fn decode(bytes: &[u8], stored: VoxelType, big_endian: bool, into: &mut [Self]);

    /// Turns values, whose bytes lie as the file has them, into this machine's order.
    fn reorder(values: &mut [Self], big_endian: bool);
}

/// One loop a type and byte order: the choice stays outside of the loop.
macro_rules! each {
    ($bytes:expr, $big_endian:expr, $into:expr, $type:ty, $convert:expr) => {{
        const N: usize = size_of::<$type>();
        let pairs = $into.iter_mut().zip($bytes.as_chunks::<N>().0);
        let convert: fn($type) -> Self = $convert;
        if $big_endian {
            pairs.for_each(|(to, from)| *to = convert(<$type>::from_be_bytes(*from)));
        } else {
            pairs.for_each(|(to, from)| *to = convert(<$type>::from_le_bytes(*from)));
        }
    }};
}

/// An integer that is handed out as it is.
macro_rules! as_stored {
    ($type:ty, $voxel_type:expr) => {
        impl Voxel for $type {
            const TYPE: VoxelType = $voxel_type;

            fn decode(bytes: &[u8], stored: VoxelType, big_endian: bool, into: &mut [Self]) {
                debug_assert_eq!((stored, bytes.len()), (Self::TYPE, size_of_val(into)));
                each!(bytes, big_endian, into, $type, |v| v);
            }

            fn reorder(values: &mut [Self], big_endian: bool) {
                if big_endian != BIG_ENDIAN {
                    values.iter_mut().for_each(|value| *value = value.swap_bytes());
                }
            }
        }
    };
}

as_stored!(u8, VoxelType::U8);
as_stored!(u16, VoxelType::U16);

impl Voxel for f32 {
    const TYPE: VoxelType = VoxelType::F32;

    fn decode(bytes: &[u8], stored: VoxelType, big_endian: bool, into: &mut [Self]) {
        debug_assert_eq!(bytes.len(), into.len() * stored.bytes());
        match stored {
            VoxelType::U8 => each!(bytes, big_endian, into, u8, Self::from),
            VoxelType::I8 => each!(bytes, big_endian, into, i8, Self::from),
            VoxelType::U16 => each!(bytes, big_endian, into, u16, Self::from),
            VoxelType::I16 => each!(bytes, big_endian, into, i16, Self::from),
            VoxelType::U32 => each!(bytes, big_endian, into, u32, |v| v as f32),
            VoxelType::I32 => each!(bytes, big_endian, into, i32, |v| v as f32),
            VoxelType::F16 => each!(bytes, big_endian, into, f16, f16::to_f32),
            VoxelType::F32 => each!(bytes, big_endian, into, f32, |v| v),
            VoxelType::F64 => each!(bytes, big_endian, into, f64, |v| v as f32),
        }
    }

    fn reorder(values: &mut [Self], big_endian: bool) {
        if big_endian != BIG_ENDIAN {
            values.iter_mut().for_each(|value| *value = Self::from_bits(value.to_bits().swap_bytes()));
        }
    }
}

/// The little-endian bytes of some voxels: their own, on a machine that has them so.
pub(crate) fn little_endian(voxels: Voxels<'_>) -> Cow<'_, [u8]> {
    let mut bytes = Cow::Borrowed(voxels.bytes());
    if BIG_ENDIAN {
        bytes.to_mut().chunks_exact_mut(voxels.voxel_type().bytes()).for_each(<[u8]>::reverse);
    }
    bytes
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "conversions are exact")]
mod tests {
    use super::*;

    #[test]
    fn every_type_in_both_byte_orders() {
        let half = f16::from_f32(-1.5);
        let cases: [(VoxelType, Vec<u8>, f32); 9] = [
            (VoxelType::U8, vec![200], 200.0),
            (VoxelType::I8, vec![0x80], -128.0),
            (VoxelType::U16, 65_535u16.to_le_bytes().into(), 65_535.0),
            (VoxelType::I16, (-300i16).to_le_bytes().into(), -300.0),
            (VoxelType::U32, 70_000u32.to_le_bytes().into(), 70_000.0),
            (VoxelType::I32, (-70_000i32).to_le_bytes().into(), -70_000.0),
            (VoxelType::F16, half.to_le_bytes().into(), -1.5),
            (VoxelType::F32, 0.25f32.to_le_bytes().into(), 0.25),
            (VoxelType::F64, (-0.125f64).to_le_bytes().into(), -0.125),
        ];
        for (voxel_type, mut bytes, expected) in cases {
            let mut value = [0.0];
            f32::decode(&bytes, voxel_type, false, &mut value);
            assert_eq!(value, [expected], "{voxel_type} little-endian");
            bytes.reverse();
            f32::decode(&bytes, voxel_type, true, &mut value);
            assert_eq!(value, [expected], "{voxel_type} big-endian");
        }
    }

    #[test]
    fn voxels_as_little_endian_bytes() {
        assert_eq!(*little_endian(Voxels::U8(&[1, 2])), [1, 2]);
        assert_eq!(*little_endian(Voxels::U16(&[0x0102, 3])), [2, 1, 3, 0]);
        assert_eq!(*little_endian(Voxels::F32(&[0.25])), 0.25_f32.to_le_bytes());
    }

    #[test]
    fn what_keeps_its_type_keeps_its_value() {
        fn check<T: Voxel + PartialEq + std::fmt::Debug>(bytes: &[u8], big_endian: bool, expected: T) {
            let mut decoded = [T::zeroed()];
            T::decode(bytes, T::TYPE, big_endian, &mut decoded);
            let mut in_place: [T; 1] = [bytemuck::pod_read_unaligned(bytes)];
            T::reorder(&mut in_place, big_endian);
            assert_eq!((decoded, in_place), ([expected], [expected]));
        }
        check(&[200], true, 200_u8);
        check(&[200], false, 200_u8);
        check(&[1, 2], true, 0x0102_u16);
        check(&[1, 2], false, 0x0201_u16);
        check(&0.25_f32.to_be_bytes(), true, 0.25_f32);
        check(&0.25_f32.to_le_bytes(), false, 0.25_f32);
    }
}
