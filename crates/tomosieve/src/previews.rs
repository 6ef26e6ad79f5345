//! Pictures of the result: slice | pseudo labels | result | confidence, with a legend; after the slice itself without its
//! shading, if any was taken out.

use image::{Rgb, RgbImage};
use tomosieve_volume::{Region, VolumeReader};

use crate::drawing::{self, BLACK};
use crate::model::Model;
use crate::palette::colour;
use crate::run_dir::RunDir;
use crate::stages::Context;
use crate::{Error, Result};

/// Panels are scaled to about this many pixels a side.
const SIDE: usize = 448;
/// White space between panels.
const GAP: u32 = 8;
/// Height of the line of text above and of the legend below the panels.
const LINE: u32 = 24;

/// Writes a preview of the slices at a quarter, a half and three quarters of the volume.
///
/// # Errors
/// When a volume cannot be read or a picture cannot be written.
pub fn write(context: &Context<'_>, model: &Model) -> Result<()> {
    let run = context.run;
    let folder = run.previews();
    std::fs::create_dir_all(&folder).map_err(|e| Error::file(&folder, e))?;
    let pseudo = RunDir::open_labels(&run.pseudo_labels())?;
    let result = RunDir::open_labels(&run.segmentation())?;
    let confidence =
        if context.config.output.confidence { Some(RunDir::open_labels(&run.confidence())?) } else { None };
    let (shape, stage1) = (context.input.shape(), context.stage1()?);
    let grey = |v: f32| Rgb([(model.scale.apply(v) * 255.0) as u8; 3]);
    let class = |v: f32| Rgb(colour(v as u8));
    let sure = |v: f32| Rgb([v as u8; 3]);
    let mut slices = vec![shape.z / 4, shape.z / 2, 3 * shape.z / 4];
    slices.dedup();
    for z in slices {
        let mut panels = vec![("slice", panel(context.input.reader.as_ref(), z, &grey)?)];
        if stage1.shading.is_some() {
            panels.push(("without shading", panel(context.volume(&stage1).as_ref(), z, &grey)?));
        }
        panels.push(("pseudo labels", panel(pseudo.as_ref(), z, &class)?));
        panels.push(("result", panel(result.as_ref(), z, &class)?));
        if let Some(confidence) = &confidence {
            panels.push(("confidence", panel(confidence.as_ref(), z, &sure)?));
        }
        let picture = assemble(&panels, z, model.classes);
        let path = folder.join(format!("slice_{z:05}.png"));
        drawing::save(run, &picture, &path)?;
    }
    Ok(())
}

/// One slice as a picture.
fn panel(reader: &dyn VolumeReader, z: usize, paint: &dyn Fn(f32) -> Rgb<u8>) -> Result<RgbImage> {
    let shape = reader.shape();
    let mut voxels = vec![0.0_f32; shape.slice_voxels()];
    reader.read(&Region::slab(shape, z..z + 1)?, &mut voxels)?;
    Ok(drawing::panel([shape.y, shape.x], SIDE, |i| paint(voxels[i])))
}

/// Panels side by side, named above, the classes' colours below.
fn assemble(panels: &[(&str, RgbImage)], z: usize, classes: usize) -> RgbImage {
    let (width, height) = panels[0].1.dimensions();
    let per_row = (((width + GAP) * panels.len() as u32 - GAP) / LEGEND_WIDTH).max(1);
    let legend = (classes as u32).div_ceil(per_row) * LINE;
    let total = (width + GAP) * panels.len() as u32 - GAP;
    let mut picture = RgbImage::from_pixel(total, LINE + height + legend + GAP, Rgb([255; 3]));
    for (i, (name, panel)) in panels.iter().enumerate() {
        let x = i as u32 * (width + GAP);
        let title = if i == 0 { format!("{name} z={z}") } else { (*name).to_owned() };
        text(&mut picture, x + 2, 4, &title);
        image::imageops::replace(&mut picture, panel, i64::from(x), i64::from(LINE));
    }
    for class in 0..classes as u32 {
        let x = class % per_row * LEGEND_WIDTH;
        let y = LINE + height + GAP / 2 + class / per_row * LINE;
        drawing::square(&mut picture, i64::from(x) + 2, i64::from(y), 16, colour(class as u8));
        text(&mut picture, x + 24, y, &format!("class {class}"));
    }
    picture
}

/// Black text, its font twice its size.
fn text(picture: &mut RgbImage, x: u32, y: u32, text: &str) {
    drawing::write_text(picture, i64::from(x), i64::from(y), 2, BLACK, text);
}

/// Width of one legend entry.
const LEGEND_WIDTH: u32 = 176;
