//! Raw files: told shapes, shapes in names, and lengths that do not agree.

mod common;

use std::fs;

use common::{open_plain, read_all, values};
use tomosieve_volume::{Error, OpenOptions, Shape, VoxelType, open};

const SHAPE: Shape = Shape::new(3, 4, 5);

fn bytes(big_endian: bool) -> Vec<u8> {
    let to_bytes = |v: f32| {
        if big_endian { (v as u16).to_be_bytes() } else { (v as u16).to_le_bytes() }
    };
    values(SHAPE).into_iter().flat_map(to_bytes).collect()
}

#[test]
fn the_name_tells_shape_and_type() {
    let folder = tempfile::tempdir().unwrap();
    for (name, big_endian) in [("scan_3x4x5_uint16.raw", false), ("scan-3x4x5-u16-be.vol", true)] {
        let path = folder.path().join(name);
        fs::write(&path, bytes(big_endian)).unwrap();
        let volume = open_plain(&path).unwrap();
        assert_eq!(volume.shape(), SHAPE);
        assert_eq!(read_all(&*volume), values(SHAPE));
        let notes = volume.info().notes.join(" ");
        assert!(notes.contains("read as z×y×x") && notes.contains("uint16 comes from"), "{notes}");
    }
}

#[test]
fn options_tell_more_than_the_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scan_9x9x9_float32.dump");
    fs::write(&path, [vec![7; 10], bytes(true)].concat()).unwrap();
    let options = OpenOptions {
        shape: Some(SHAPE),
        voxel_type: Some(VoxelType::U16),
        big_endian: Some(true),
        offset: 10,
        scratch: None,
    };
    assert_eq!(read_all(&*open(&path, &options).unwrap()), values(SHAPE));
}

#[test]
fn a_sidecar_tells_more_than_the_name_and_less_than_the_options() {
    let folder = tempfile::tempdir().unwrap();
    for sidecar in ["scan_9x9x9_uint8.raw.json", "scan_9x9x9_uint8.json"] {
        let path = folder.path().join("scan_9x9x9_uint8.raw");
        fs::write(&path, [vec![7; 10], bytes(true)].concat()).unwrap();
        let json = r#"{"shape": [3, 4, 5], "dtype": "uint16", "byte_order": "big", "offset": 10,
                       "voxel_size": [2, 1, 1], "unit": "um", "origin": [5, 6, 7]}"#;
        fs::write(folder.path().join(sidecar), json).unwrap();
        let volume = open_plain(&path).unwrap();
        assert_eq!(read_all(&*volume), values(SHAPE));
        assert_eq!(volume.info().voxel_size, Some([2.0, 1.0, 1.0]));
        assert_eq!(
            (volume.info().unit.as_deref(), volume.info().origin),
            (Some("um"), Some([5.0, 6.0, 7.0]))
        );
        let options = OpenOptions { voxel_type: Some(VoxelType::U8), ..OpenOptions::default() };
        assert!(open(&path, &options).err().unwrap().to_string().contains("60 more than"));
        fs::write(folder.path().join(sidecar), "{").unwrap();
        let error = open_plain(&path).err().unwrap().to_string();
        assert!(error.contains("no valid JSON") && error.contains(sidecar), "{error}");
        fs::remove_file(folder.path().join(sidecar)).unwrap();
    }
}

#[test]
fn what_is_not_told_or_does_not_agree_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let message = |name: &str, len: usize| {
        let path = folder.path().join(name);
        fs::write(&path, vec![0; len]).unwrap();
        open_plain(&path).err().unwrap()
    };
    assert!(matches!(message("scan.raw", 120), Error::Untold { what: "the shape", .. }));
    assert!(matches!(message("scan_3x4x5.raw", 120), Error::Untold { what: "the voxel type", .. }));
    let short = message("scan_3x4x5_uint16.raw", 119).to_string();
    assert!(short.contains("the file has 119 bytes") && short.contains("need 120"), "{short}");
    let long = message("scan_3x4x5_uint8.raw", 120).to_string();
    assert!(long.contains("60 more than 3×4×5 voxels of uint8"), "{long}");
    let huge = message("scan_9999999999x9999999999x9_uint8.raw", 9).to_string();
    assert!(huge.contains("cannot be counted"), "{huge}");
}
