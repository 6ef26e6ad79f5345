//! OME-Zarr: the metadata viewers look for, and the pyramid.
#![expect(clippy::float_cmp, reason = "the voxels are small integers")]

mod common;

use std::fs;
use std::io::Write;
use std::path::Path;

use common::{entries, open_plain, read_all, values, write};
use serde_json::{Value, json};
use tomosieve_volume::{Error, LabelTable, OmeVersion, OutputKind, OutputMeta, Region, Shape, VoxelType};

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn labels() -> OutputMeta {
    OutputMeta {
        voxel_size: Some([2.0, 0.5, 0.5]),
        unit: Some("µm".into()),
        labels: Some(LabelTable {
            colours: vec![[0, 0, 0, 0], [255, 0, 0, 255]],
            names: vec!["air".into(), "quartz".into()],
        }),
        ..OutputMeta::default()
    }
}

#[test]
fn labels_say_what_viewers_need() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("labels.ome.zarr");
    let shape = Shape::new(3, 300, 20);
    write(OutputKind::OmeZarr, &path, shape, VoxelType::U8, &labels(), &values(shape), 3).unwrap();
    assert_eq!(entries(&path), [".zattrs", ".zgroup", "0", "1"]);
    assert_eq!(json(&path.join(".zgroup")), json!({ "zarr_format": 2 }));
    let attributes = json(&path.join(".zattrs"));
    let image = &attributes["multiscales"][0];
    assert_eq!(image["version"], "0.4");
    assert_eq!(image["name"], "labels");
    assert_eq!(image["axes"][0], json!({ "name": "z", "type": "space", "unit": "micrometer" }));
    let coarse = &image["datasets"][1];
    assert_eq!(coarse["path"], "1");
    let transforms = &coarse["coordinateTransformations"];
    assert_eq!(transforms[0], json!({ "type": "scale", "scale": [2.0, 1.0, 0.5] }));
    assert_eq!(transforms[1], json!({ "type": "translation", "translation": [0.0, 0.25, 0.0] }));
    let label = &attributes["image-label"];
    assert_eq!(label["colors"][1], json!({ "label-value": 1, "rgba": [255, 0, 0, 255] }));
    assert_eq!(label["properties"][0], json!({ "label-value": 0, "class name": "air" }));
    let array = json(&path.join("0/.zarray"));
    assert_eq!(array["dimension_separator"], "/");
    assert_eq!(array["chunks"], json!([3, 128, 20]));
    assert_eq!(entries(&path.join("0")), [".zarray", "0"]);
}

#[test]
fn version_0_5_keeps_chunks_in_shards() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("labels.ome.zarr");
    let shape = Shape::new(70, 300, 1100);
    let all = values(shape);
    for voxel_type in [VoxelType::U8, VoxelType::U16] {
        let meta =
            OutputMeta { ome_version: Some(OmeVersion::V05), origin: Some([1.0, 2.0, 3.0]), ..labels() };
        write(OutputKind::OmeZarr, &path, shape, voxel_type, &meta, &all, 9).unwrap();
        assert_eq!(entries(&path), ["0", "1", "2", "3", "zarr.json"]);
        let ome = &json(&path.join("zarr.json"))["attributes"]["ome"];
        assert_eq!(ome["version"], "0.5");
        assert!(ome["multiscales"][0].get("version").is_none());
        assert_eq!(ome["image-label"]["colors"][1]["label-value"], 1);
        let array = json(&path.join("0/zarr.json"));
        assert_eq!(array["chunk_grid"]["configuration"]["chunk_shape"], json!([64, 384, 1024]));
        assert_eq!(array["codecs"][0]["configuration"]["chunk_shape"], json!([64, 128, 128]));
        // Two layers of two files where chunks would be 54.
        assert_eq!(entries(&path.join("0/c/0/0")), ["0", "1"]);
        let volume = open_plain(&path).unwrap();
        assert!(read_all(&*volume) == all);
        assert_eq!(volume.info().voxel_size, Some([2.0, 0.5, 0.5]));
        assert_eq!(volume.info().origin, Some([1.0, 2.0, 3.0]));
        let level = open_plain(&path.join("1")).unwrap();
        assert_eq!(level.shape(), Shape::new(70, 150, 550));
    }
}

#[test]
fn labels_within_an_image_are_listed_and_of_its_version() {
    let folder = tempfile::tempdir().unwrap();
    let shape = Shape::new(3, 30, 20);
    for ome_version in OmeVersion::ALL {
        let image = folder.path().join(format!("image_{}.zarr", ome_version.name()));
        let meta = OutputMeta { ome_version: Some(ome_version), ..OutputMeta::default() };
        write(OutputKind::OmeZarr, &image, shape, VoxelType::U16, &meta, &values(shape), 3).unwrap();
        for name in ["phases", "pores", "phases"] {
            let path = image.join("labels").join(name);
            assert_eq!(OutputKind::of(&path), Some(OutputKind::OmeZarr));
            let meta = OutputMeta { ome_version: None, ..labels() };
            write(OutputKind::OmeZarr, &path, shape, VoxelType::U8, &meta, &values(shape), 3).unwrap();
            assert!(read_all(&*open_plain(&path).unwrap()) == values(shape));
        }
        let (names, label) = match ome_version {
            OmeVersion::V04 => {
                (json(&image.join("labels/.zattrs")), json(&image.join("labels/phases/.zattrs")))
            }
            OmeVersion::V05 => (
                json(&image.join("labels/zarr.json"))["attributes"]["ome"].take(),
                json(&image.join("labels/phases/zarr.json"))["attributes"]["ome"].take(),
            ),
        };
        assert_eq!(names["labels"], json!(["phases", "pores"]));
        assert_eq!(label["image-label"]["source"]["image"], "../../");
        assert!(read_all(&*open_plain(&image).unwrap()) == values(shape));
        // Even of a kind nobody called labels.
        let refused = common::write(
            OutputKind::OmeZarr,
            &image.join("labels/grey"),
            shape,
            VoxelType::F32,
            &OutputMeta::default(),
            &values(shape),
            3,
        );
        assert!(matches!(refused, Err(Error::OutputType { format: "labels", .. })));
    }
}

#[test]
fn an_empty_table_leaves_out_empty_lists() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("l.zarr");
    let shape = Shape::new(1, 2, 2);
    let meta = OutputMeta { labels: Some(LabelTable::default()), ..OutputMeta::default() };
    write(OutputKind::OmeZarr, &path, shape, VoxelType::U8, &meta, &values(shape), 1).unwrap();
    assert_eq!(json(&path.join(".zattrs"))["image-label"], json!({ "version": "0.4" }));
}

/// Each coarser voxel agrees with a plain count or mean over the finer level.
#[test]
fn pyramids_are_voted_or_averaged() {
    let shape = Shape::new(66, 300, 261);
    let all: Vec<f32> = values(shape).into_iter().map(|v| (v % 7.0).trunc()).collect();
    let versions = OmeVersion::ALL.map(Some).into_iter().chain([None]);
    let metas = versions.flat_map(|ome_version| {
        [OutputMeta { ome_version, ..labels() }, OutputMeta { ome_version, ..OutputMeta::default() }]
    });
    for meta in metas {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.zarr");
        write(OutputKind::OmeZarr, &path, shape, VoxelType::U8, &meta, &all, 7).unwrap();
        assert!(read_all(&*open_plain(&path).unwrap()) == all);
        let level = open_plain(&path.join("1")).unwrap();
        assert_eq!(level.shape(), Shape::new(66, 150, 131));
        for (i, found) in read_all(&*level).into_iter().enumerate() {
            let (z, y, x) = (i / (150 * 131), i / 131 % 150, i % 131);
            let mut cell = Vec::new();
            for y in 2 * y..(2 * y + 2).min(300) {
                for x in 2 * x..(2 * x + 2).min(261) {
                    cell.push(all[(z * 300 + y) * 261 + x]);
                }
            }
            let expected = if meta.labels.is_some() {
                let votes = |v: f32| cell.iter().filter(|&&c| c == v).count();
                (0..7).map(|v| v as f32).rev().max_by_key(|&v| votes(v)).unwrap()
            } else {
                (cell.iter().sum::<f32>() / cell.len() as f32 + 0.5).floor()
            };
            assert_eq!(found, expected, "{z} {y} {x} of {cell:?}");
        }
    }
}

#[test]
fn broken_metadata_and_chunks_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("b.zarr");
    let shape = Shape::new(2, 20, 20);
    let meta = OutputMeta::default();
    write(OutputKind::OmeZarr, &path, shape, VoxelType::U8, &meta, &values(shape), 2).unwrap();
    let volume = open_plain(&path).unwrap();
    let chunk = path.join("0/0/0/0");
    let bytes = fs::read(&chunk).unwrap();
    fs::write(&chunk, &bytes[..bytes.len() / 2]).unwrap();
    let mut voxels = vec![0.0; shape.voxels()];
    let error = volume.read(&tomosieve_volume::Region::whole(shape), &mut voxels).unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
    fs::write(path.join("0/.zarray"), "{").unwrap();
    assert!(open_plain(&path).is_err());
    fs::write(path.join(".zattrs"), "[1, 2").unwrap();
    let error = open_plain(&path).err().unwrap();
    assert!(error.to_string().contains("no valid JSON"), "{error}");
    fs::write(path.join(".zattrs"), "{}").unwrap();
    let error = open_plain(&path).err().unwrap();
    assert!(error.to_string().contains("no multiscale image"), "{error}");
}

#[test]
fn a_zstd_chunk_need_not_tell_its_size_but_may_not_exceed_the_chunk() {
    let folder = tempfile::tempdir().unwrap();
    let array = folder.path().join("streamed.zarr");
    std::fs::create_dir(&array).unwrap();
    let metadata = r#"{"zarr_format": 2, "shape": [64, 64, 64], "chunks": [64, 64, 64], "dtype": "|u1", "order": "C",
        "fill_value": 0, "filters": null, "compressor": {"id": "zstd", "level": 3}}"#;
    std::fs::write(array.join(".zarray"), metadata).unwrap();
    let voxels: Vec<u8> = (0..64_u32.pow(3)).map(|i| (i / 7 % 251) as u8).collect();
    let pack = |voxels: &[u8]| {
        let mut stream = zstd::Encoder::new(Vec::new(), 3).unwrap(); // without a content size
        stream.write_all(voxels).unwrap();
        std::fs::write(array.join("0.0.0"), stream.finish().unwrap()).unwrap();
    };
    pack(&voxels);
    let read = read_all(open_plain(&array).unwrap().as_ref());
    assert!(read.iter().zip(&voxels).all(|(read, voxel)| *read == f32::from(*voxel)));

    pack(&[voxels.as_slice(), &[0]].concat());
    let volume = open_plain(&array).unwrap();
    let error = common::read(volume.as_ref(), &Region::whole(volume.shape())).unwrap_err().to_string();
    assert!(error.contains("unpacks to more"), "{error}");
}

#[test]
fn metadata_that_is_no_object_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in
        [("zarr.json", "\"text\""), ("zarr.json", "[1]"), (".zattrs", "3"), (".zarray", "null")]
    {
        let array = folder.path().join("odd.zarr");
        fs::create_dir(&array).unwrap();
        fs::write(array.join(name), text).unwrap();
        let error = open_plain(&array).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains("odd.zarr"), "{name} {text}: {error}");
        fs::remove_dir_all(array).unwrap();
    }
}
