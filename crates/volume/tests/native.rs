//! A volume as the file has it holds the values that it has as `f32`, whatever its type, byte order and order of axes.
//!
//! [`common::read`] reads both ways and compares; so does whatever else reads through it.

mod common;

use std::fs;

use common::{open_plain, read, region};
use proptest::prelude::*;
use tomosieve_volume::{Error, OpenOptions, Region, Shape, VoxelBuffer, VoxelType, Voxels, open};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_in_any_order(
        shape in [1usize..6, 1..20, 1..300].prop_map(Shape::from),
        voxel_type in prop::sample::select(VoxelType::ALL.to_vec()),
        big_endian in any::<bool>(),
        fortran in any::<bool>(),
        seed in any::<u64>(),
        cuts in prop::collection::vec([0.0f64..1.0, 0.0..1.0, 0.0..1.0, 0.0..1.0, 0.0..1.0, 0.0..1.0], 4),
    ) {
        let noise = |i: u64| ((i ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8;
        let bytes: Vec<u8> = (0..(shape.voxels() * voxel_type.bytes()) as u64).map(noise).collect();
        let folder = tempfile::tempdir().unwrap();
        let (raw, npy) = (folder.path().join("bare.raw"), folder.path().join("array.npy"));
        fs::write(&raw, &bytes).unwrap();
        let kind = match voxel_type.name().as_bytes()[0] { b'f' => 'f', b'i' => 'i', _ => 'u' };
        let order = if big_endian { '>' } else { '<' };
        let header = format!(
            "{{'descr': '{order}{kind}{}', 'fortran_order': {}, 'shape': ({}, {}, {}), }}\n",
            voxel_type.bytes(), if fortran { "True" } else { "False" }, shape.z, shape.y, shape.x
        );
        let length = (header.len() as u16).to_le_bytes();
        fs::write(&npy, [&b"\x93NUMPY\x01\x00"[..], &length, header.as_bytes(), &bytes].concat()).unwrap();
        let options = OpenOptions {
            shape: Some(shape),
            voxel_type: Some(voxel_type),
            big_endian: Some(big_endian),
            ..OpenOptions::default()
        };
        for volume in [open(&raw, &options).unwrap(), open_plain(&npy).unwrap()] {
            prop_assert_eq!(volume.info().voxel_type, voxel_type);
            for cut in &cuts {
                read(&*volume, &region(shape, cut)).unwrap();
            }
            read(&*volume, &Region::whole(shape)).unwrap();
        }
    }
}

#[test]
fn a_region_outside_is_refused_before_memory_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v_2x3x4_uint8.raw");
    fs::write(&path, [0; 24]).unwrap();
    let volume = open_plain(&path).unwrap();
    let outside = Region { start: [0; 3], size: [1 << 20, 1 << 20, 1 << 20] };
    let mut buffer = VoxelBuffer::default();
    let refused = volume.read_native(&outside, &mut buffer);
    assert!(matches!(refused, Err(Error::OutsideVolume { .. })));
    assert!(buffer.voxels().is_empty());
}

#[test]
fn more_than_is_read_in_one_go() {
    let folder = tempfile::tempdir().unwrap();
    let shape = Shape::new(2, 700, 1024);
    let words: Vec<u16> =
        (0..shape.voxels() as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 16) as u16).collect();
    for big_endian in [false, true] {
        let path = folder.path().join(if big_endian { "a_be.raw" } else { "a_le.raw" });
        let order = if big_endian { u16::to_be_bytes } else { u16::to_le_bytes };
        fs::write(&path, words.iter().flat_map(|&word| order(word)).collect::<Vec<u8>>()).unwrap();
        let options =
            OpenOptions { shape: Some(shape), voxel_type: Some(VoxelType::U16), ..OpenOptions::default() };
        let volume = open(&path, &options).unwrap();
        let mut native = VoxelBuffer::default();
        volume.read_native(&Region::whole(shape), &mut native).unwrap();
        assert!(native.voxels() == Voxels::U16(&words));
    }
}
