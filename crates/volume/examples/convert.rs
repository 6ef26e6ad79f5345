//! Opens anything and writes any output, slab by slab: what `tomosieve convert` does, bare.
//!
//! ```text
//! convert INPUT OUTPUT KIND [labels] [lzw] [0.4|0.5]
//! ```
//!
//! With `labels` the output is marked as labels with a few colours; with `lzw` TIFF voxels are
//! packed; a number is the version of OME-Zarr.

use std::error::Error;
use std::path::Path;

use tomosieve_volume::{
    LabelTable, OmeVersion, OpenOptions, OutputKind, OutputMeta, TiffCompression, copy, create, open,
    output_type,
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
    let voxel_type = output_type(info.voxel_type, flag("labels"));
    let meta = OutputMeta {
        names: volume.slice_names(),
        compression: if flag("lzw") { TiffCompression::Lzw } else { TiffCompression::None },
        labels: flag("labels").then(table),
        ome_version: OmeVersion::ALL.into_iter().find(|version| flag(version.name())),
        ..OutputMeta::like(info)
    };
    let writer = create(kind, Path::new(output), info.shape, voxel_type, &meta)?;
    copy(volume.as_ref(), writer, voxel_type, 1 << 30, &mut |_| true)?;
    Ok(())
}
