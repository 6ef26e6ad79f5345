//! Files made by the programs at home in each format (see `golden/make.py`) are read to the voxel.

mod common;

use std::path::{Path, PathBuf};

use common::{crop, entries, open_plain, read, read_all, region, value, values};
use tomosieve_volume::{Error, ErrorKind, OpenOptions, Region, Shape, VoxelType, open};

const SHAPE: Shape = Shape::new(3, 17, 17);

fn golden(room: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(room)
}

/// Opens every file of a room: the voxels of those that are not to be refused, and the messages of
/// those that are.
fn check_room(room: &str, shape: Shape) -> Vec<(String, String)> {
    let mut refused = Vec::new();
    // Beside a header lies what it is the header of.
    let detached = |name: &String| [".raw", ".raw.gz", ".zraw", ".img"].iter().any(|end| name.ends_with(end));
    for name in entries(&golden(room)).into_iter().filter(|name| !detached(name)) {
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
    assert_says(&refused, "refused_part", "an OME-TIFF of 9 slices of which this file holds 3");
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
    // Where z runs fastest a slab of any depth reads through the whole file.
    let fortran = open_plain(&golden("npys").join("fortran_float32.npy")).unwrap();
    assert_eq!(fortran.slices_at_once(), 3);
    assert!(fortran.read_overhead(64) < 2 << 20);
}

#[test]
fn zarr_folders() {
    let refused = check_room("zarrs", SHAPE);
    assert_says(&refused, "refused_channels", "an array of 2×2×3×4 is not supported");
}

#[test]
fn hdf5_files() {
    let refused = check_room("hdf5s", SHAPE);
    assert_says(&refused, "refused_projections", "holds projections (`theta` with 4 angles lies beside it)");
    assert_says(&refused, "refused_white", "holds projections (`data_white` lies beside it)");
    assert_says(&refused, "refused_complex", "without a dataset of three axes");
    assert_says(&refused, "refused_table", "without a dataset of three axes");
    assert_says(&refused, "refused_bitshuffle_zstd", "packed by bitshuffle and zstd (filter 32008)");
    assert_says(&refused, "refused_blosc2", "a dataset packed by blosc2 (filter 32026) is not supported");
}

#[test]
fn datasets_of_hdf5_are_named_and_projections_too() {
    let open = |dataset: &str| open_plain(&golden("hdf5s").join(dataset));
    for name in ["nexus_float32.nxs::/entry/other", "nexus_float32.nxs/entry/other"] {
        assert_eq!(open(name).unwrap().shape(), Shape::new(2, 2, 2));
    }
    assert_eq!(open("nexus_float32.nxs::/entry/result").unwrap().shape(), SHAPE);
    assert_eq!(open("refused_projections.h5::exchange/data").unwrap().shape(), Shape::new(4, 5, 6));
    assert_eq!(open("refused_table.h5::exchange/data").unwrap().shape(), Shape::new(1, 4, 5));
    let wrong = open("nexus_float32.nxs::/entry/nothing").err().unwrap();
    assert!(wrong.to_string().contains("it holds `/entry/other`, `/entry/result/grey`"), "{wrong}");
    assert!(matches!(open("missing.h5::/data").err().unwrap(), Error::NotFound { .. }));
}

#[test]
fn several_datasets_are_listed() {
    let error = open_plain(&golden("hdf5_parts/two.h5")).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(error.to_string().contains("`/a`, `/b`; name one as"), "{error}");
}

#[test]
fn a_virtual_dataset_without_its_files_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("moved.h5");
    std::fs::copy(golden("hdf5s/tomocupy_float32.h5"), &path).unwrap();
    let error = open_plain(&path).err().unwrap();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
    assert!(error.to_string().contains("p0000.h5"), "{error}");
}

const SMALL: Shape = Shape::new(3, 6, 7);

#[test]
fn nrrd_files() {
    let refused = check_room("nrrds", SMALL);
    assert_says(&refused, "refused_colour", "an array of 3×4×3×2 is not supported");
    assert_says(&refused, "refused_text", "an NRRD in the encoding `ascii` is not supported");
    assert_says(&refused, "refused_bzip2", "an NRRD in the encoding `bzip2` is not supported");
}

#[test]
fn mha_files() {
    let refused = check_room("mhas", SMALL);
    assert_says(&refused, "refused_colour", "a MetaImage of 3 channels is not supported");
    let notes = open_plain(&golden("mhas/turned_uint16.mha")).unwrap().info().notes.join(" ");
    assert!(notes.contains("turned or mirrored"), "{notes}");
    let notes = open_plain(&golden("mhas/packed_uint16.mha")).unwrap().info().notes.join(" ");
    assert!(notes.contains("packed as one stream: the first read unpacks all"), "{notes}");
}

#[test]
fn nifti_files() {
    let refused = check_room("niftis", SMALL);
    assert_says(&refused, "refused_complex", "a NIfTI of type 32 is not supported");
    assert_says(&refused, "refused_times", "an array of 4×3×2×2 is not supported");
    let notes = |name: &str| open_plain(&golden(name)).unwrap().info().notes.join(" ");
    assert!(notes("niftis/turned_uint16.nii").contains("turned or mirrored"));
    assert!(notes("niftis/scaled_float32.nii").contains("times 0.5 plus 10"));
}

#[test]
fn mrc_files() {
    let refused = check_room("mrcs", SMALL);
    assert_says(&refused, "refused_complex", "an MRC file of mode 4 is not supported");
}

#[test]
fn raw_files() {
    let folder = golden("raws");
    for name in ["sidecar_uint16.raw", "named_3x6x7_uint16_be.vol"] {
        assert_eq!(read_all(&*open_plain(&folder.join(name)).unwrap()), values(SMALL), "{name}");
    }
}

#[test]
fn sizes_units_and_origins_of_headers() {
    let cases = [
        ("nrrds/scaled_uint16.nrrd", 1.0, "um"),
        ("mhas/plain_uint16.mha", 1.0, "mm"),
        ("mhas/detached_packed_uint16.mhd", 1.0, "mm"),
        ("niftis/plain_uint16.nii", 1.0, "µm"),
        ("niftis/second_packed_uint16.nii.gz", 1.0, "µm"),
        ("niftis/pair_uint16.hdr", 1.0, "µm"),
        ("mrcs/plain_uint16.mrc", 10.0, "angstrom"),
    ];
    for (name, times, unit) in cases {
        let volume = open_plain(&golden(name)).unwrap();
        let info = volume.info();
        assert_eq!(info.unit.as_deref(), Some(unit), "{name}");
        let near = |found: [f64; 3], expected: [f64; 3]| {
            found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5)
        };
        assert!(
            near(info.voxel_size.unwrap(), [1.5 * times, 0.65 * times, 0.65 * times]),
            "{name}: {info:?}"
        );
        assert!(near(info.origin.unwrap(), [3.0, 2.0, 1.0]), "{name}: {info:?}");
    }
    let spacings = open_plain(&golden("nrrds/spacings_uint16.nrrd")).unwrap();
    assert_eq!(spacings.info().voxel_size, Some([1.5, 0.65, 0.65]));
}

#[test]
fn a_packed_stream_is_unpacked_where_told_and_leaves_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    let path = golden("niftis/packed_uint16.nii.gz");
    let options = OpenOptions { scratch: Some(scratch.path().into()), ..OpenOptions::default() };
    let volume = open(&path, &options).unwrap();
    assert_eq!(read_all(&*volume), values(SMALL));
    drop(volume);
    assert!(entries(scratch.path()).is_empty());
    let options = OpenOptions { scratch: Some(scratch.path().join("nowhere")), ..options };
    let volume = open(&path, &options).unwrap();
    let error = read(&*volume, &Region::whole(SMALL)).unwrap_err();
    assert!(matches!(error, Error::Write { .. }), "{error}");
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
    assert_eq!(size("hdf5s/element_size_uint16.h5"), ([1.5, 0.65, 0.65], "µm".to_string()));
    let (nexus, unit) = size("hdf5s/nexus_float32.nxs");
    assert!(nexus.iter().zip([1.5, 0.65, 0.65]).all(|(a, b)| (a - b).abs() < 1e-9), "{nexus:?}");
    assert_eq!(unit, "um");
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

#[test]
fn the_pattern_is_as_told() {
    assert_eq!(value(1, 2, 3) as u8, 64);
}
