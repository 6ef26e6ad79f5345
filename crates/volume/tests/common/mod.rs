//! What the tests of several formats share.
#![allow(dead_code, reason = "each test file uses its part")]

use std::path::Path;

use tomosieve_volume::{
    OpenOptions, OutputKind, OutputMeta, Region, Result, Shape, VolumeReader, VoxelBuffer, VoxelType, Voxels,
    create, open,
};

/// The golden files' voxels.
pub(crate) fn value(z: usize, y: usize, x: usize) -> f32 {
    ((z * 41 + y * 7 + x * 3) % 120) as f32
}

/// All golden voxels of a shape.
pub(crate) fn values(shape: Shape) -> Vec<f32> {
    let mut all = Vec::new();
    for z in 0..shape.z {
        for y in 0..shape.y {
            all.extend((0..shape.x).map(|x| value(z, y, x)));
        }
    }
    all
}

/// A region of a volume: read as `f32` and as the file has it, which must be the same.
pub(crate) fn read(volume: &dyn VolumeReader, region: &Region) -> Result<Vec<f32>> {
    let mut voxels = vec![f32::NAN; region.voxels()];
    let read = volume.read(region, &mut voxels);
    let mut native = VoxelBuffer::default();
    let read_native = volume.read_native(region, &mut native);
    assert_eq!(read.is_ok(), read_native.is_ok(), "{read:?} and {read_native:?}");
    read?;
    if volume.info().format != "memory" {
        assert_eq!(native.voxels().voxel_type(), volume.info().voxel_type.native());
    }
    let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    assert!(bits(native.voxels().as_f32(&mut Vec::new())) == bits(&voxels), "{region:?}");
    Ok(voxels)
}

/// The whole volume.
pub(crate) fn read_all(volume: &dyn VolumeReader) -> Vec<f32> {
    read(volume, &Region::whole(volume.shape())).expect("the volume is whole")
}

/// Opens without options.
pub(crate) fn open_plain(path: &Path) -> Result<Box<dyn VolumeReader>> {
    open(path, &OpenOptions::default())
}

/// The region of a whole volume in memory.
pub(crate) fn crop(all: &[f32], shape: Shape, region: &Region) -> Vec<f32> {
    let mut voxels = Vec::new();
    for z in region.range(0) {
        for y in region.range(1) {
            let row = (z * shape.y + y) * shape.x;
            voxels.extend_from_slice(&all[row + region.start[2]..row + region.range(2).end]);
        }
    }
    voxels
}

/// The region between two cuts along each axis, given as fractions; it may be empty.
pub(crate) fn region(shape: Shape, cuts: &[f64; 6]) -> Region {
    let axes: [usize; 3] = shape.into();
    let cut = |axis: usize, which: usize| (cuts[2 * axis + which] * (axes[axis] + 1) as f64) as usize;
    let start = std::array::from_fn(|axis| cut(axis, 0).min(cut(axis, 1)));
    let size = std::array::from_fn(|axis| cut(axis, 0).abs_diff(cut(axis, 1)));
    Region { start, size }
}

/// Writes values cast to a type, some slices at a time.
pub(crate) fn write(
    kind: OutputKind,
    path: &Path,
    shape: Shape,
    voxel_type: VoxelType,
    meta: &OutputMeta,
    values: &[f32],
    at_once: usize,
) -> Result<()> {
    let mut writer = create(kind, path, shape, voxel_type, meta)?;
    for slices in values.chunks(at_once * shape.slice_voxels()) {
        match voxel_type {
            VoxelType::U8 => {
                writer.write(Voxels::U8(&slices.iter().map(|&v| v as u8).collect::<Vec<_>>()))?;
            }
            VoxelType::U16 => {
                writer.write(Voxels::U16(&slices.iter().map(|&v| v as u16).collect::<Vec<_>>()))?;
            }
            _ => writer.write(Voxels::F32(slices))?,
        }
    }
    writer.finish()
}

/// The names in a folder, sorted.
pub(crate) fn entries(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("it can be listed").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
