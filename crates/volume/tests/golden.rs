//! Files made by tifffile, numpy and zarr-python (see `golden/make.py`) are read to the voxel.

mod common;

use std::path::{Path, PathBuf};

use common::{crop, entries, open_plain, read, read_all, region, value, values};
use tomosieve_volume::{ErrorKind, Shape, VoxelType};

const SHAPE: Shape = Shape::new(3, 17, 17);

fn golden(room: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(room)
}

/// Opens every file of a room: the voxels of those that are not to be refused, and the messages of
/// those that are.
fn check_room(room: &str, shape: Shape) -> Vec<(String, String)> {
    let mut refused = Vec::new();
    for name in entries(&golden(room)) {
        let opened = open_plain(&golden(room).join(&name));
        if name.starts_with("refused") {
            let error = opened.err().unwrap_or_else(|| panic!("{name} was opened"));
            assert_eq!(error.kind(), ErrorKind::Input, "{name}: {error}");
            refused.push((name, error.to_string()));
            continue;
        }
        let volume = opened.unwrap_or_else(|e| panic!("{name}: {e}"));
        let shape = if name.starts_with("flat") { Shape { z: 1, ..shape } } else { shape };
        assert_eq!(volume.shape(), shape, "{name}");
        if let Some(voxel_type) = VoxelType::ALL.into_iter().find(|t| name.contains(&format!("_{t}."))) {
            assert_eq!(volume.info().voxel_type, voxel_type, "{name}");
        }
        assert!(!volume.info().notes.is_empty(), "{name}");
        let all = values(shape);
        assert_eq!(read_all(&*volume), all, "{name}");
        for cuts in [[0.1, 0.9, 0.2, 0.8, 0.3, 0.7], [0.9, 0.5, 0.95, 0.9, 0.8, 0.99]] {
            let region = region(shape, &cuts);
            assert_eq!(read(&*volume, &region).unwrap(), crop(&all, shape, &region), "{name}");
        }
    }
    refused
}

fn assert_says(refused: &[(String, String)], name: &str, words: &str) {
    let (_, message) = refused.iter().find(|(file, _)| file.starts_with(name)).expect(name);
    assert!(message.contains(words), "{message}");
    assert!(!message.contains('\n'), "{message}");
}

#[test]
fn tiff_files() {
    let refused = check_room("tiffs", SHAPE);
    assert_says(&refused, "refused_rgb", "a colour (RGB) image is not supported");
    assert_says(&refused, "refused_palette", "a palette image is not supported");
    assert_says(&refused, "refused_two_samples", "an image of 2 samples a pixel is not supported");
    assert_says(&refused, "refused_bits", "an unsigned integer of 1 bits is not supported");
    assert_says(&refused, "refused_channels", "2 channels, 2 slices");
    assert_says(&refused, "refused_shapes", "page 1`: slice is 4×6, the first slice is 4×5");
    assert_eq!(refused.len(), 7);
}

#[test]
fn npy_files() {
    let refused = check_room("npys", Shape::new(3, 6, 7));
    assert_says(&refused, "refused_complex", "an array of `'<c8'` is not supported");
    assert_says(&refused, "refused_axes", "an array of 4 axes is not supported");
}

#[test]
fn zarr_folders() {
    let refused = check_room("zarrs", SHAPE);
    assert_says(&refused, "refused_channels", "an array of 2×2×3×4 is not supported");
}

#[test]
fn voxel_sizes_of_imagej_and_ome() {
    let size = |path: &str| {
        let volume = open_plain(&golden(path)).unwrap();
        (volume.info().voxel_size.unwrap(), volume.info().unit.clone().unwrap())
    };
    let (imagej, unit) = size("tiffs/imagej.tif");
    assert!((imagej[0] - 1.5).abs() < 1e-6 && (imagej[2] - 0.65).abs() < 1e-6, "{imagej:?}");
    assert_eq!(unit, "um");
    assert_eq!(size("tiffs/ome.ome.tif"), ([2.0, 0.5, 0.5], "µm".to_string()));
    assert_eq!(size("zarrs/ome_0.5.zarr"), ([2.0, 0.5, 0.5], "micrometer".to_string()));
}

#[test]
fn imagejs_bare_slices_cut_short_are_damaged() {
    let bytes = std::fs::read(golden("tiffs/imagej_bare.tif")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("short.tif");
    std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    let error = open_plain(&path).err().unwrap();
    assert!(error.to_string().contains("damaged"), "{error}");
}

/// Whatever is cut off or changed in a file, the answer is an error or voxels, never a panic.
#[test]
fn damaged_files_do_not_panic() {
    let folder = tempfile::tempdir().unwrap();
    for room in ["tiffs", "npys"] {
        for name in entries(&golden(room)) {
            let bytes = std::fs::read(golden(room).join(&name)).unwrap();
            let path = folder.path().join(&name);
            for end in (0..bytes.len()).step_by(97) {
                std::fs::write(&path, &bytes[..end]).unwrap();
                try_read(&path);
            }
            // Headers lie at the start here, except where tifffile put them last.
            for at in (0..bytes.len().min(400)).step_by(5) {
                for change in [0x00, 0xff] {
                    let mut bytes = bytes.clone();
                    bytes[at] = change;
                    std::fs::write(&path, &bytes).unwrap();
                    try_read(&path);
                }
            }
        }
    }
}

fn try_read(path: &Path) {
    let Ok(volume) = open_plain(path) else { return };
    if volume.shape().voxels() < 1 << 16 {
        let mut voxels = vec![0.0; volume.shape().voxels()];
        let _ = volume.read(&tomosieve_volume::Region::whole(volume.shape()), &mut voxels);
    }
}

#[test]
fn the_pattern_is_as_told() {
    assert_eq!(value(1, 2, 3) as u8, 64);
}
