//! Folders of TIFF slices: order, gaps, and slices that do not fit together.

mod common;

use std::fs;
use std::path::Path;

use common::{open_plain, read_all, values, write};
use tomosieve_volume::{
    Error, ErrorKind, OutputKind, OutputMeta, Region, Shape, TiffCompression, VoxelBuffer, VoxelType,
};

/// Writes one slice of one value.
fn slice(path: &Path, shape: [usize; 2], voxel_type: VoxelType, value: f32) {
    let shape = Shape::new(1, shape[0], shape[1]);
    let voxels = vec![value; shape.voxels()];
    write(OutputKind::TiffStack, path, shape, voxel_type, &OutputMeta::default(), &voxels, 1).unwrap();
}

fn error_of(folder: &Path) -> Error {
    let error = open_plain(folder).err().expect("the folder is refused");
    assert_eq!(error.kind(), ErrorKind::Input, "{error}");
    assert!(!error.to_string().contains('\n'), "{error}");
    error
}

#[test]
fn slices_are_ordered_as_people_count() {
    let folder = tempfile::tempdir().unwrap();
    for number in [10u8, 9, 8, 11] {
        let path = folder.path().join(format!("recon_{number}.tiff"));
        slice(&path, [2, 3], VoxelType::U8, number.into());
    }
    fs::write(folder.path().join("rec_line.txt"), "tomocupy recon").unwrap();
    fs::write(folder.path().join(".DS_Store"), "").unwrap();
    let volume = open_plain(folder.path()).unwrap();
    let firsts: Vec<f32> = read_all(&*volume).into_iter().step_by(6).collect();
    assert_eq!(firsts, [8.0, 9.0, 10.0, 11.0]);
    let notes = volume.info().notes.join(" ");
    assert!(notes.contains("4 files in natural order"), "{notes}");
    assert!(notes.contains("1 other entries"), "{notes}");
}

#[test]
fn a_missing_number_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for number in [1, 2, 4, 5] {
        slice(&folder.path().join(format!("recon_{number:05}.tif")), [2, 3], VoxelType::U8, 0.0);
    }
    let error = error_of(folder.path());
    assert!(error.to_string().contains("slice number 3 is missing"), "{error}");
    assert!(error.to_string().contains("`recon_00002.tif` is followed by `recon_00004.tif`"));
}

#[test]
fn slices_of_two_shapes_or_types_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    slice(&folder.path().join("s_0.tif"), [100, 100], VoxelType::U8, 0.0);
    slice(&folder.path().join("s_1.tif"), [100, 90], VoxelType::U8, 0.0);
    let message = error_of(folder.path()).to_string();
    assert!(message.contains("s_1.tif`: slice is 100×90, the first slice is 100×100"), "{message}");
    slice(&folder.path().join("s_1.tif"), [100, 100], VoxelType::U16, 0.0);
    let message = error_of(folder.path()).to_string();
    assert!(message.contains("slice is uint16, the first slice is uint8"), "{message}");
}

#[test]
fn folders_without_slices_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(error_of(folder.path()), Error::NoSlices { .. }));
    fs::write(folder.path().join("photo.png"), "").unwrap();
    assert!(error_of(folder.path()).to_string().ends_with("in the folder; found `photo.png`"));
    assert!(matches!(error_of(&folder.path().join("missing")), Error::NotFound { .. }));
}

#[test]
fn files_that_are_no_slices_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s_0.tif");
    fs::write(&path, "P5 2 2 255 abcd").unwrap();
    assert!(error_of(folder.path()).to_string().contains("without a TIFF header"));
    fs::write(&path, "").unwrap();
    assert!(error_of(folder.path()).to_string().contains("without a TIFF header"));
    let shape = Shape::new(2, 4, 4);
    write(OutputKind::TiffStack, &path, shape, VoxelType::U8, &OutputMeta::default(), &values(shape), 2)
        .unwrap();
    assert_eq!(open_plain(folder.path()).unwrap().shape(), shape, "one stack is the volume");
    fs::copy(&path, folder.path().join("s_1.tif")).unwrap();
    assert!(error_of(folder.path()).to_string().contains("several pages"));
}

#[test]
fn truncated_slices_are_refused_when_opened() {
    let shape = Shape::new(2, 40, 50);
    for compression in [TiffCompression::None, TiffCompression::Lzw] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scan");
        let meta = OutputMeta { compression, ..OutputMeta::default() };
        write(OutputKind::TiffFolder, &path, shape, VoxelType::U16, &meta, &values(shape), 2).unwrap();
        let victim = path.join("slice_00001.tif");
        let bytes = fs::read(&victim).unwrap();
        for keep in [4, 8, 100, bytes.len() / 2, bytes.len() - 1] {
            fs::write(&victim, &bytes[..keep]).unwrap();
            let error = error_of(&path);
            assert!(error.to_string().contains("slice_00001.tif"), "{keep}: {error}");
        }
    }
}

#[test]
fn a_slice_that_goes_away_while_reading_is_named() {
    let shape = Shape::new(3, 4, 4);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scan");
    let meta = OutputMeta::default();
    write(OutputKind::TiffFolder, &path, shape, VoxelType::U8, &meta, &values(shape), 3).unwrap();
    let volume = open_plain(&path).unwrap();
    fs::remove_file(path.join("slice_00001.tif")).unwrap();
    let mut voxels = vec![0.0; shape.voxels()];
    let error = volume.read(&Region::whole(shape), &mut voxels).unwrap_err();
    assert!(error.to_string().contains("slice_00001.tif`: no such file"), "{error}");
    slice(&path.join("slice_00001.tif"), [4, 5], VoxelType::U8, 0.0);
    let error = volume.read(&Region::whole(shape), &mut voxels).unwrap_err();
    assert!(matches!(error, Error::SliceShape { .. }), "{error}");
    fs::remove_file(path.join("slice_00001.tif")).unwrap();
    slice(&path.join("slice_00001.tif"), [4, 4], VoxelType::U16, 0.0);
    let error = volume.read_native(&Region::whole(shape), &mut VoxelBuffer::default()).unwrap_err();
    assert!(matches!(error, Error::SliceType { .. }), "{error}");
    let short = volume.read(&Region::whole(shape), &mut voxels[1..]);
    assert!(matches!(short, Err(Error::BufferSize { .. })));
}
