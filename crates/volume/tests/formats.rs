//! Every output: what was written is read back, and nothing half-written is left behind.

mod common;

use common::{crop, entries, open_plain, read, read_all, region, values, write};
use proptest::prelude::*;
use tomosieve_volume::{
    Error, ErrorKind, LabelTable, OutputKind, OutputMeta, Shape, TiffCompression, VoxelType, Voxels, create,
    formats,
};

const TYPES: [VoxelType; 3] = [VoxelType::U8, VoxelType::U16, VoxelType::F32];

fn file_name(kind: OutputKind) -> &'static str {
    match kind {
        OutputKind::TiffFolder => "slices",
        OutputKind::TiffStack => "stack.tif",
        OutputKind::OmeZarr => "image.ome.zarr",
        OutputKind::Hdf5 => "image.h5",
        OutputKind::Nrrd => "labels.seg.nrrd",
        OutputKind::Mha => "image.mha",
        OutputKind::Nifti => "image.nii",
        OutputKind::Npy => "array.npy",
    }
}

#[test]
fn every_kind_and_type_reads_back_equal() {
    let shape = Shape::new(70, 9, 150);
    let all = values(shape);
    for kind in OutputKind::ALL {
        for voxel_type in TYPES {
            for compression in [TiffCompression::None, TiffCompression::Lzw] {
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join(file_name(kind));
                let meta = OutputMeta { compression, ..OutputMeta::default() };
                write(kind, &path, shape, voxel_type, &meta, &all, 11).unwrap();
                let volume = open_plain(&path).unwrap();
                assert_eq!(volume.shape(), shape, "{kind:?}");
                assert_eq!(volume.info().voxel_type, voxel_type, "{kind:?}");
                assert_eq!(volume.info().format, kind.name());
                assert!(read_all(&*volume) == all, "{kind:?} {voxel_type} {compression:?}");
                assert_eq!(entries(folder.path()), [file_name(kind)]);
            }
        }
    }
}

#[test]
fn nan_and_infinity_pass_through() {
    let shape = Shape::new(1, 1, 4);
    let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0];
    for kind in OutputKind::ALL {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(file_name(kind));
        write(kind, &path, shape, VoxelType::F32, &OutputMeta::default(), &odd, 1).unwrap();
        let back = read_all(&*open_plain(&path).unwrap());
        assert_eq!(back.map_bits(), odd.to_vec().map_bits(), "{kind:?}");
    }
}

trait MapBits {
    fn map_bits(self) -> Vec<u32>;
}

impl MapBits for Vec<f32> {
    fn map_bits(self) -> Vec<u32> {
        self.into_iter().map(f32::to_bits).collect()
    }
}

#[test]
fn the_same_voxels_give_the_same_bytes() {
    let shape = Shape::new(5, 40, 300);
    let all = values(shape);
    for kind in OutputKind::ALL {
        let folder = tempfile::tempdir().unwrap();
        let bytes: Vec<Vec<(String, Vec<u8>)>> = [1, 5]
            .into_iter()
            .map(|at_once| {
                let path = folder.path().join(file_name(kind));
                write(kind, &path, shape, VoxelType::U8, &OutputMeta::default(), &all, at_once).unwrap();
                files_of(&path)
            })
            .collect();
        assert!(bytes[0] == bytes[1], "{kind:?}");
    }
}

fn files_of(path: &std::path::Path) -> Vec<(String, Vec<u8>)> {
    if path.is_file() {
        return vec![(String::new(), std::fs::read(path).unwrap())];
    }
    let below = entries(path).into_iter().flat_map(|name| {
        let files = files_of(&path.join(&name));
        files.into_iter().map(move |(rest, bytes)| (format!("{name}/{rest}"), bytes))
    });
    below.collect()
}

#[test]
fn voxel_sizes_are_kept() {
    let shape = Shape::new(3, 4, 5);
    let meta = OutputMeta {
        voxel_size: Some([1.5, 0.65, 0.65]),
        unit: Some("µm".into()),
        origin: Some([-3.0, 13.0, 0.0]),
        ..OutputMeta::default()
    };
    // `.npy` has no place for them.
    for kind in OutputKind::ALL.into_iter().filter(|&kind| kind != OutputKind::Npy) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(file_name(kind));
        write(kind, &path, shape, VoxelType::U8, &meta, &values(shape), 3).unwrap();
        let volume = open_plain(&path).unwrap();
        let unit = volume.info().unit.clone().unwrap();
        // MetaImage is in millimetres whatever came.
        let times = if unit == "mm" { 1000.0 } else { 1.0 };
        let size = volume.info().voxel_size.unwrap().map(|n| n * times);
        for (found, expected) in size.iter().zip([1.5, 0.65, 0.65]) {
            assert!((found - expected).abs() < 1e-6, "{kind:?}: {size:?}");
        }
        let origin = volume.info().origin.unwrap().map(|n| n * times);
        for (found, expected) in origin.iter().zip([-3.0, 13.0, 0.0]) {
            assert!((found - expected).abs() < 1e-5, "{kind:?}: {origin:?}");
        }
        assert!(["micron", "micrometer", "µm", "mm"].contains(&&*unit), "{kind:?}: {unit}");
    }
}

#[test]
fn a_writer_dropped_early_leaves_nothing_and_keeps_the_old() {
    let shape = Shape::new(3, 4, 5);
    let all = values(shape);
    for kind in OutputKind::ALL {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(file_name(kind));
        write(kind, &path, shape, VoxelType::U8, &OutputMeta::default(), &all, 3).unwrap();
        let mut writer = create(kind, &path, shape, VoxelType::U8, &OutputMeta::default()).unwrap();
        writer.write(Voxels::U8(&[9; 20])).unwrap();
        let partial = format!(".{}.partial", file_name(kind));
        assert!(entries(folder.path()).contains(&partial), "{kind:?}");
        let error = writer.finish().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(error.to_string().contains("only 1 slices were written; expected 3"), "{error}");
        assert_eq!(entries(folder.path()), [file_name(kind)], "{kind:?}");
        assert!(read_all(&*open_plain(&path).unwrap()) == all, "{kind:?}");
    }
}

#[test]
fn finishing_replaces_the_old() {
    for kind in OutputKind::ALL {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(file_name(kind));
        for shape in [Shape::new(4, 4, 5), Shape::new(2, 3, 4)] {
            let all = values(shape);
            write(kind, &path, shape, VoxelType::U16, &OutputMeta::default(), &all, 1).unwrap();
            assert!(read_all(&*open_plain(&path).unwrap()) == all, "{kind:?}");
        }
        assert_eq!(entries(folder.path()), [file_name(kind)]);
    }
}

#[test]
fn wrong_voxels_are_refused() {
    let shape = Shape::new(2, 2, 2);
    let meta = OutputMeta::default();
    for kind in OutputKind::ALL {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(file_name(kind));
        let mut writer = create(kind, &path, shape, VoxelType::U8, &meta).unwrap();
        assert!(matches!(writer.write(Voxels::U16(&[0; 4])), Err(Error::OutputType { .. })));
        assert!(matches!(writer.write(Voxels::U8(&[0; 3])), Err(Error::OutputSlices { .. })));
        assert!(matches!(writer.write(Voxels::U8(&[0; 12])), Err(Error::OutputSlices { .. })));
        drop(writer);
        let unwritable = create(kind, &path, shape, VoxelType::F64, &meta);
        assert!(matches!(unwritable, Err(Error::OutputType { .. })));
        let empty = create(kind, &path, Shape::new(2, 0, 2), VoxelType::U8, &meta);
        assert!(matches!(empty, Err(Error::OutputSlices { .. })));
        let nowhere = create(kind, &folder.path().join("no/such/out"), shape, VoxelType::U8, &meta);
        assert_eq!(nowhere.err().unwrap().kind(), ErrorKind::Output);
        assert!(entries(folder.path()).is_empty());
    }
}

#[test]
fn a_nifti_whose_name_ends_in_gz_is_packed() {
    let shape = Shape::new(5, 40, 30);
    let all = values(shape);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("labels.nii.gz");
    for voxel_type in TYPES {
        write(OutputKind::Nifti, &path, shape, voxel_type, &OutputMeta::default(), &all, 2).unwrap();
        assert!(std::fs::read(&path).unwrap().starts_with(&[0x1f, 0x8b]));
        let volume = open_plain(&path).unwrap();
        assert!(read_all(&*volume) == all, "{voxel_type}");
    }
}

#[test]
fn an_axis_too_long_for_nifti_1_makes_nifti_2() {
    let shape = Shape::new(2, 1, 40_000);
    let all = values(shape);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long.nii");
    let meta =
        OutputMeta { voxel_size: Some([2.0, 1.0, 1.0]), unit: Some("nm".into()), ..OutputMeta::default() };
    write(OutputKind::Nifti, &path, shape, VoxelType::U8, &meta, &all, 1).unwrap();
    assert!(std::fs::read(&path).unwrap().starts_with(&540i32.to_le_bytes()));
    let volume = open_plain(&path).unwrap();
    assert!(read_all(&*volume) == all);
    let size = volume.info().voxel_size.unwrap();
    assert!((size[0] - 2e-3).abs() < 1e-9 && volume.info().unit.as_deref() == Some("µm"), "{size:?}");
}

#[test]
fn labels_in_nrrd_are_slicers_segments() {
    let shape = Shape::new(2, 3, 4);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("labels.seg.nrrd");
    let labels = LabelTable {
        colours: vec![[0, 0, 0, 0], [255, 0, 51, 255]],
        names: vec!["air".into(), "grain".into(), "pore".into()],
    };
    let meta = OutputMeta { labels: Some(labels), ..OutputMeta::default() };
    write(OutputKind::Nrrd, &path, shape, VoxelType::U8, &meta, &values(shape), 2).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let header = String::from_utf8_lossy(&bytes[..bytes.len() - 24]).into_owned();
    for line in [
        "Segment0_Name:=grain",
        "Segment0_LabelValue:=1",
        "Segment0_Color:=1.000000 0.000000 0.200000",
        "Segment1_Name:=pore",
        "Segment1_Extent:=0 3 0 2 0 1",
    ] {
        assert!(header.lines().any(|l| l == line), "{line} is not in\n{header}");
    }
}

#[test]
fn slices_take_the_names_given() {
    let shape = Shape::new(2, 2, 2);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("slices");
    let names = Some(vec!["recon_7".to_string(), "recon_8".to_string()]);
    let meta = OutputMeta { names, ..OutputMeta::default() };
    write(OutputKind::TiffFolder, &path, shape, VoxelType::U8, &meta, &values(shape), 1).unwrap();
    assert_eq!(entries(&path), ["recon_7.tif", "recon_8.tif"]);
    let volume = open_plain(&path).unwrap();
    assert_eq!(volume.slice_names(), meta.names);
    for bad in [vec!["a".to_string()], vec!["a".into(), "a".into()], vec!["a".into(), "../b".into()]] {
        let meta = OutputMeta { names: Some(bad), ..OutputMeta::default() };
        let refused = create(OutputKind::TiffFolder, &path, shape, VoxelType::U8, &meta);
        assert!(matches!(refused, Err(Error::OutputSlices { .. })));
    }
}

#[test]
fn float_labels_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let meta = OutputMeta { labels: Some(LabelTable::default()), ..OutputMeta::default() };
    let path = folder.path().join("l.zarr");
    let refused = create(OutputKind::OmeZarr, &path, Shape::new(1, 2, 2), VoxelType::F32, &meta);
    assert!(matches!(refused, Err(Error::OutputType { format: "labels", .. })));
}

#[test]
fn what_is_no_format_is_refused_with_the_roster() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("photo.jpg");
    std::fs::write(&path, b"\xff\xd8").unwrap();
    let error = open_plain(&path).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Input);
    for format in formats::names() {
        assert!(error.to_string().contains(format.name), "{error}");
    }
    let missing = open_plain(&folder.path().join("missing.tif")).err().unwrap();
    assert!(matches!(missing, Error::NotFound { .. }));
}

#[test]
fn reads_do_not_depend_on_the_number_of_threads() {
    let shape = Shape::new(30, 20, 30);
    let all = values(shape);
    for kind in OutputKind::ALL {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(file_name(kind));
        write(kind, &path, shape, VoxelType::U16, &OutputMeta::default(), &all, 30).unwrap();
        let volume = open_plain(&path).unwrap();
        for threads in [1, 7] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            assert!(pool.install(|| read_all(&*volume)) == all, "{kind:?}");
        }
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| assert!(read_all(&*volume) == all));
            }
        });
    }
}

#[test]
fn a_page_of_tiff_takes_memory_beside_its_voxels_only_where_it_is_packed() {
    let shape = Shape::new(2, 1024, 1024);
    let all = values(shape);
    let folder = tempfile::tempdir().unwrap();
    for kind in [OutputKind::TiffFolder, OutputKind::TiffStack] {
        for compression in [TiffCompression::None, TiffCompression::Lzw] {
            let path = folder.path().join(file_name(kind));
            let meta = OutputMeta { compression, ..OutputMeta::default() };
            write(kind, &path, shape, VoxelType::U16, &meta, &all, 2).unwrap();
            let overhead = open_plain(&path).unwrap().read_overhead(2);
            let expected = if compression == TiffCompression::None { 2 << 20 } else { 8 << 20 };
            assert_eq!(overhead, expected, "{kind:?}, {compression:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn a_region_is_the_crop_of_the_whole(
        shape in [1usize..12, 1..40, 1..200].prop_map(Shape::from),
        cuts in prop::collection::vec([0.0f64..1.0, 0.0..1.0, 0.0..1.0, 0.0..1.0, 0.0..1.0, 0.0..1.0], 6),
        lzw in any::<bool>(),
    ) {
        let all = values(shape);
        let compression = if lzw { TiffCompression::Lzw } else { TiffCompression::None };
        let meta = OutputMeta { compression, ..OutputMeta::default() };
        for kind in OutputKind::ALL {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join(file_name(kind));
            write(kind, &path, shape, VoxelType::U16, &meta, &all, 4).unwrap();
            let volume = open_plain(&path).unwrap();
            for cut in &cuts {
                let region = region(shape, cut);
                prop_assert_eq!(read(&*volume, &region).unwrap(), crop(&all, shape, &region));
            }
        }
    }
}
