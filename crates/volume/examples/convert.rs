//! Opens anything and writes any output, slab by slab.
//!
//! ```text
//! convert INPUT OUTPUT tiff-folder|tiff-stack|ome-zarr|npy [labels] [lzw]
//! ```
//!
//! 8- and 16-bit unsigned voxels keep their type, others become `float32`. With `labels` the
//! output is marked as labels with a few colours; with `lzw` TIFF voxels are packed.

use std::error::Error;
use std::path::Path;

use tomosieve_volume::{
    LabelTable, OpenOptions, OutputKind, OutputMeta, Slabs, TiffCompression, VoxelType, Voxels, create, open,
};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [input, output, kind, flags @ ..] = &args[..] else {
        return Err("expected INPUT OUTPUT KIND [labels] [lzw]".into());
    };
    let kind = OutputKind::ALL.into_iter().find(|k| k.name() == kind).ok_or("no such kind")?;
    let flag = |name: &str| flags.iter().any(|flag| flag == name);
    let table = || LabelTable {
        colours: vec![[0, 0, 0, 0], [230, 159, 0, 255], [86, 180, 233, 255]],
        names: ["air", "matrix", "grain"].map(String::from).into(),
    };

    let volume = open(Path::new(input), &OpenOptions::default())?;
    let info = volume.info();
    let voxel_type = match info.voxel_type {
        same @ (VoxelType::U8 | VoxelType::U16) => same,
        _ => VoxelType::F32,
    };
    let meta = OutputMeta {
        voxel_size: info.voxel_size,
        unit: info.unit.clone(),
        names: volume.slice_names(),
        compression: if flag("lzw") { TiffCompression::Lzw } else { TiffCompression::None },
        labels: flag("labels").then(table),
    };
    let mut writer = create(kind, Path::new(output), info.shape, voxel_type, &meta)?;
    for slab in Slabs::new(info.shape, 16, 0) {
        let region = slab.region(info.shape)?;
        let mut voxels = vec![0.0; region.voxels()];
        volume.read(&region, &mut voxels)?;
        match voxel_type {
            VoxelType::U8 => {
                writer.write(Voxels::U8(&voxels.iter().map(|&v| v as u8).collect::<Vec<_>>()))?;
            }
            VoxelType::U16 => {
                writer.write(Voxels::U16(&voxels.iter().map(|&v| v as u16).collect::<Vec<_>>()))?;
            }
            _ => writer.write(Voxels::F32(&voxels))?,
        }
    }
    writer.finish()?;
    Ok(())
}
