//! A phantom on disk: its volume, its truth and what it was made from, streamed slice by slice.

use std::path::Path;

use rayon::prelude::*;
use serde::Serialize;
use tomosieve_volume::{OutputKind, OutputMeta, Shape, TiffCompression, VoxelType, Voxels};

use crate::phantom::{Acquisition, Phantom, PhantomSpec, to_u16};
use crate::progress::Progress;
use crate::run_dir::RunDir;
use crate::{Error, Result};

/// Slices made at a time, per thread.
const PER_THREAD: usize = 2;

/// `phantom.json`.
#[derive(Debug, Serialize)]
struct Record<'a> {
    sample: &'a str,
    description: &'a str,
    shape: [usize; 3],
    seed: u64,
    acquisition: &'a str,
    noise: f32,
    classes: &'a [&'a str],
    /// Voxels by truth class.
    counts: Vec<u64>,
    /// Attenuation of the grey values 0 and 65535.
    attenuation_range: [f32; 2],
}

/// Writes `volume/` (u16 slices), `truth/` (u8 slices) and `phantom.json` into `folder`.
///
/// # Errors
/// [`Error::Exists`] when there is a phantom already and `force` is not given; what the phantom or a
/// writer says.
pub fn write(spec: PhantomSpec, folder: &Path, force: bool, progress: &dyn Progress) -> Result<()> {
    let record = folder.join("phantom.json");
    if !force && (record.exists() || folder.join("volume").exists()) {
        return Err(Error::Exists(format!(
            "`{}` already holds a phantom; --force replaces it",
            folder.display()
        )));
    }
    let phantom = Phantom::new(spec)?;
    let run = RunDir::create(folder)?;
    let shape = Shape::from(spec.shape);
    let create = |name: &str, voxel_type, compression| {
        let meta = OutputMeta { compression, ..OutputMeta::default() };
        tomosieve_volume::create(OutputKind::TiffFolder, &folder.join(name), shape, voxel_type, &meta)
    };
    let mut volume = create("volume", VoxelType::U16, TiffCompression::None)?;
    let mut truth = create("truth", VoxelType::U8, TiffCompression::Lzw)?;
    let info = spec.sample.info();
    let mut counts = vec![0_u64; info.classes.len()];
    let at_once = PER_THREAD * rayon::current_num_threads();
    progress.begin("phantom", shape.z as u64, 0, "slices");
    for start in (0..shape.z).step_by(at_once) {
        if progress.stopped() {
            return Err(Error::Stopped { stage: "phantom" });
        }
        let end = (start + at_once).min(shape.z);
        let slices: Vec<_> = (start..end)
            .into_par_iter()
            .map(|z| {
                let slice = phantom.slice(z);
                (slice.image.iter().map(|&mu| to_u16(mu)).collect::<Vec<u16>>(), slice.truth)
            })
            .collect();
        for (image, labels) in &slices {
            volume.write(Voxels::U16(image))?;
            truth.write(Voxels::U8(labels))?;
            labels.iter().for_each(|&label| counts[usize::from(label)] += 1);
        }
        progress.advance((end - start) as u64, "");
    }
    progress.end();
    volume.finish()?;
    truth.finish()?;
    run.write_json(
        &record,
        &Record {
            sample: info.name,
            description: info.description,
            shape: spec.shape,
            seed: spec.seed,
            acquisition: match spec.acquisition {
                Acquisition::Ct => "ct",
                Acquisition::Noise => "noise",
            },
            noise: spec.noise,
            classes: info.classes,
            counts,
            attenuation_range: [crate::phantom::from_u16(0), crate::phantom::from_u16(u16::MAX)],
        },
    )
}
