//! Stored bytes to `f32` and back, in loops tight enough for the compiler to vectorise.

use half::f16;

use crate::volume::{VoxelType, Voxels};

/// Converts `bytes` of `voxel_type` into as many values; both lengths must agree.
pub(crate) fn decode(bytes: &[u8], voxel_type: VoxelType, big_endian: bool, into: &mut [f32]) {
    debug_assert_eq!(bytes.len(), into.len() * voxel_type.bytes());
    // One loop a type and byte order: the choice stays outside of the loop.
    macro_rules! each {
        ($type:ty, $convert:expr) => {{
            const N: usize = size_of::<$type>();
            let pairs = into.iter_mut().zip(bytes.as_chunks::<N>().0);
            let convert: fn($type) -> f32 = $convert;
            if big_endian {
                pairs.for_each(|(to, from)| *to = convert(<$type>::from_be_bytes(*from)));
            } else {
                pairs.for_each(|(to, from)| *to = convert(<$type>::from_le_bytes(*from)));
            }
        }};
    }
    match voxel_type {
        VoxelType::U8 => each!(u8, f32::from),
        VoxelType::I8 => each!(i8, f32::from),
        VoxelType::U16 => each!(u16, f32::from),
        VoxelType::I16 => each!(i16, f32::from),
        VoxelType::U32 => each!(u32, |v| v as f32),
        VoxelType::I32 => each!(i32, |v| v as f32),
        VoxelType::F16 => each!(f16, f16::to_f32),
        VoxelType::F32 => each!(f32, |v| v),
        VoxelType::F64 => each!(f64, |v| v as f32),
    }
}

/// Appends the little-endian bytes of some voxels.
pub(crate) fn encode(voxels: Voxels<'_>, into: &mut Vec<u8>) {
    match voxels {
        Voxels::U8(v) => into.extend_from_slice(v),
        Voxels::U16(v) => into.extend(v.iter().flat_map(|v| v.to_le_bytes())),
        Voxels::F32(v) => into.extend(v.iter().flat_map(|v| v.to_le_bytes())),
    }
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
            decode(&bytes, voxel_type, false, &mut value);
            assert_eq!(value, [expected], "{voxel_type} little-endian");
            bytes.reverse();
            decode(&bytes, voxel_type, true, &mut value);
            assert_eq!(value, [expected], "{voxel_type} big-endian");
        }
    }
}
