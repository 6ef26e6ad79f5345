//! Copies: every input into every output, stops, and values that do not fit.

mod common;

use common::{entries, open_plain, read_all, values, write};
use tomosieve_volume::{
    Error, Memory, OutputKind, OutputMeta, Shape, VolumeReader, VoxelType, copy, create, output_type,
};

const SHAPE: Shape = Shape::new(37, 30, 41);

#[test]
fn any_output_becomes_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let all = values(SHAPE);
    let name = |kind: OutputKind, n: usize| {
        let path = folder.path().join(match kind.extension() {
            Some(extension) => format!("v{n}.{extension}"),
            None => format!("v{n}"),
        });
        assert_eq!(OutputKind::of(&path), Some(kind));
        path
    };
    for from in OutputKind::ALL {
        write(from, &name(from, 0), SHAPE, VoxelType::U16, &OutputMeta::default(), &all, 9).unwrap();
        let volume = open_plain(&name(from, 0)).unwrap();
        for to in OutputKind::ALL {
            let meta = OutputMeta::like(volume.info());
            let writer = create(to, &name(to, 1), SHAPE, VoxelType::U16, &meta).unwrap();
            let mut slices = 0;
            // So little memory that several slabs are needed.
            let memory = 16 * 30 * 41 * 7;
            let whole = copy(&*volume, writer, VoxelType::U16, memory, &mut |n| {
                slices += n;
                true
            });
            assert!(whole.unwrap(), "{from:?} to {to:?}");
            assert_eq!(slices, SHAPE.z);
            assert!(read_all(&*open_plain(&name(to, 1)).unwrap()) == all, "{from:?} to {to:?}");
        }
    }
}

#[test]
fn a_stop_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let volume = Memory::new(SHAPE, values(SHAPE)).unwrap();
    for kind in OutputKind::ALL {
        let path = folder.path().join("out.nii");
        let writer = create(kind, &path, SHAPE, VoxelType::U8, &OutputMeta::default()).unwrap();
        let memory = 16 * 30 * 41 * 3;
        assert!(!copy(&volume, writer, VoxelType::U8, memory, &mut |_| false).unwrap());
        assert!(entries(folder.path()).is_empty(), "{kind:?}");
    }
}

#[test]
fn values_that_do_not_fit_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let shape = Shape::new(1, 1, 2);
    for (value, voxel_type) in [
        (256.0, VoxelType::U8),
        (-1.0, VoxelType::U16),
        (0.5, VoxelType::U8),
        (65_536.0, VoxelType::U16),
        (f32::EPSILON, VoxelType::U16),
        (16_777_216.0, VoxelType::U8),
        (f32::INFINITY, VoxelType::U8),
        (f32::NAN, VoxelType::U16),
    ] {
        let volume = Memory::new(shape, vec![3.0, value]).unwrap();
        let path = folder.path().join("out.npy");
        let writer = create(OutputKind::Npy, &path, shape, voxel_type, &OutputMeta::default()).unwrap();
        let error = copy(&volume, writer, voxel_type, 1 << 20, &mut |_| true).unwrap_err();
        assert!(matches!(error, Error::Value { .. }), "{error}");
        assert!(
            error.to_string().contains(&format!("the value {value} does not fit {voxel_type}")),
            "{error}"
        );
    }
    assert!(entries(folder.path()).is_empty());
    let volume = Memory::new(shape, vec![0.0; 2]).unwrap();
    let path = folder.path().join("out.npy");
    let writer = create(OutputKind::Npy, &path, shape, VoxelType::F32, &OutputMeta::default()).unwrap();
    let error = copy(&volume, writer, VoxelType::F32, 31, &mut |_| true).unwrap_err();
    assert!(matches!(error, Error::Memory { .. }), "{error}");
}

#[test]
fn every_value_that_fits_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let all: Vec<f32> = (0..=u16::MAX).map(f32::from).collect();
    for (voxel_type, values) in [(VoxelType::U8, &all[..256]), (VoxelType::U16, &all[..])] {
        let shape = Shape::new(1, values.len() / 256, 256);
        let volume = Memory::new(shape, values.to_vec()).unwrap();
        let path = folder.path().join("out.npy");
        let writer = create(OutputKind::Npy, &path, shape, voxel_type, &OutputMeta::default()).unwrap();
        assert!(copy(&volume, writer, voxel_type, 1 << 24, &mut |_| true).unwrap());
        assert!(read_all(&*open_plain(&path).unwrap()) == values);
    }
}

#[test]
fn integers_become_any_type_that_holds_them() {
    let folder = tempfile::tempdir().unwrap();
    let all = values(SHAPE);
    for from in [VoxelType::U8, VoxelType::U16] {
        let path = folder.path().join("in.npy");
        write(OutputKind::Npy, &path, SHAPE, from, &OutputMeta::default(), &all, 9).unwrap();
        let volume = open_plain(&path).unwrap();
        for to in [VoxelType::U8, VoxelType::U16, VoxelType::F32] {
            let path = folder.path().join("out.npy");
            let writer = create(OutputKind::Npy, &path, SHAPE, to, &OutputMeta::default()).unwrap();
            assert!(copy(&*volume, writer, to, 1 << 17, &mut |_| true).unwrap());
            let copied = open_plain(&path).unwrap();
            assert_eq!(copied.info().voxel_type, to);
            assert!(read_all(&*copied) == all, "{from} to {to}");
        }
    }
    let path = folder.path().join("large.npy");
    write(OutputKind::Npy, &path, SHAPE, VoxelType::U16, &OutputMeta::default(), &vec![256.0; all.len()], 9)
        .unwrap();
    let out = folder.path().join("small.npy");
    let writer = create(OutputKind::Npy, &out, SHAPE, VoxelType::U8, &OutputMeta::default()).unwrap();
    let error =
        copy(&*open_plain(&path).unwrap(), writer, VoxelType::U8, 1 << 20, &mut |_| true).unwrap_err();
    assert!(error.to_string().contains("the value 256 does not fit uint8"), "{error}");
}

#[test]
fn types_are_kept_where_they_can_be() {
    assert_eq!(output_type(VoxelType::U16, false), VoxelType::U16);
    assert_eq!(output_type(VoxelType::I32, false), VoxelType::F32);
    assert_eq!(output_type(VoxelType::I32, true), VoxelType::U16);
    assert_eq!(output_type(VoxelType::F64, true), VoxelType::F32);
    assert!(Memory::new(SHAPE, values(SHAPE)).unwrap().slices_at_once() == 1);
}
