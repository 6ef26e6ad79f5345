//! How fast slabs are read, in voxels per second: `cargo bench -p tomosieve-volume`.
//!
//! The files lie in a temporary folder and so in the page cache: this measures decoding and
//! conversion, not the disk.

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use tomosieve_volume::{
    OpenOptions, OutputKind, OutputMeta, Region, Shape, TiffCompression, VoxelBuffer, VoxelType, Voxels,
    create, open,
};

const SHAPE: Shape = Shape::new(32, 1024, 1024);

fn main() {
    divan::main();
}

/// Noise in the low bits over a slow gradient, as a detector gives.
fn voxels() -> Vec<u16> {
    (0..SHAPE.voxels() as u32).map(|i| (i / 4096 + (i.wrapping_mul(2_654_435_761) >> 26)) as u16).collect()
}

#[divan::bench(args = ["tiff-folder", "tiff-folder-lzw", "tiff-stack", "npy", "nrrd", "hdf5", "ome-zarr"])]
fn slab_u16(bencher: Bencher<'_, '_>, what: &str) {
    let compression = if what.ends_with("lzw") { TiffCompression::Lzw } else { TiffCompression::None };
    let kind = OutputKind::ALL
        .into_iter()
        .find(|kind| what.starts_with(kind.name()))
        .expect("the names are the formats'");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("volume").with_extension(kind.extension().unwrap_or_default());
    let meta = OutputMeta { compression, ..OutputMeta::default() };
    let mut writer = create(kind, &path, SHAPE, VoxelType::U16, &meta).expect("it can be created");
    writer.write(Voxels::U16(&voxels())).expect("it can be written");
    writer.finish().expect("it can be finished");
    let volume = open(&path, &OpenOptions::default()).expect("it can be opened");
    let region = Region::whole(SHAPE);
    let mut into = vec![0.0; region.voxels()];
    bencher
        .counter(ItemsCount::new(SHAPE.voxels()))
        .counter(BytesCount::of_many::<u16>(SHAPE.voxels()))
        .bench_local(|| volume.read(&region, &mut into).expect("it can be read"));
}

/// Bytes of a raw file in the page cache that lie so far into a page, to a buffer that starts 16 bytes into one, as large ones do.
#[divan::bench(args = [0, 8, 16, 128])]
fn offset_u16(bencher: Bencher<'_, '_>, offset: usize) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join(format!("scan_{}x{}x{}_uint16.raw", SHAPE.z, SHAPE.y, SHAPE.x));
    let mut bytes = vec![0; offset];
    bytes.extend(voxels().iter().flat_map(|v| v.to_le_bytes()));
    std::fs::write(&path, bytes).expect("it can be written");
    let volume = open(&path, &OpenOptions { offset: offset as u64, ..OpenOptions::default() })
        .expect("it can be opened");
    let region = Region::whole(SHAPE);
    let mut into = VoxelBuffer::default();
    bencher
        .counter(BytesCount::of_many::<u16>(SHAPE.voxels()))
        .bench_local(|| volume.read_native(&region, &mut into).expect("it can be read"));
}
