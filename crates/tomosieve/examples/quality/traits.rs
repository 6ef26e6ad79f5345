//! What a phantom was made to test, in one number: how much of the drifted sample is found, or the crack away from air.

use std::path::Path;

use tomosieve::metrics::{ConfusionMatrix, Scores};
use tomosieve::phantom::{Acquisition, Phantom, PhantomSpec, Sample};
use tomosieve::run_dir::RunDir;
use tomosieve::{Error, Result};
use tomosieve_volume::Region;

/// Label of voxels that are not asked about.
const OUTSIDE: u8 = 255;
/// Truth classes of the intergrowth's sample and of the ceramic's crack.
const SAMPLE: u8 = 1;
const CRACK: u8 = 2;
/// Attenuation above which the intergrowth's sample is drifted.
const DRIFTED: f32 = 1.2;
/// How far from air, in pixels, a crack is inside.
const INSIDE: isize = 7;

/// The voxels a phantom's trait is about.
pub(crate) struct Trait {
    spec: PhantomSpec,
    /// Truth, [`OUTSIDE`] elsewhere, slice by slice.
    truth: Vec<Vec<u8>>,
}

impl Trait {
    /// The trait of a phantom, if it has one.
    pub(crate) fn of(spec: PhantomSpec) -> Result<Option<Self>> {
        if spec.sample == Sample::Sand {
            return Ok(None);
        }
        // Its geometry is all that is asked for.
        let phantom = Phantom::new(PhantomSpec { acquisition: Acquisition::Noise, ..spec })?;
        let [depth, height, width] = spec.shape;
        let truth = (0..depth).map(|z| {
            let slice = phantom.slice(z);
            let mut truth = slice.truth;
            match spec.sample {
                Sample::Intergrowth => {
                    for (label, mu) in truth.iter_mut().zip(slice.attenuation) {
                        *label = if *label == SAMPLE && mu > DRIFTED { SAMPLE } else { OUTSIDE };
                    }
                }
                _ => leave_out_rims(&mut truth, height, width),
            }
            truth
        });
        Ok(Some(Self { spec, truth: truth.collect() }))
    }

    /// Of the labels at `path`, whose classes are those of `scores`: recall of drifted sample, or IoU of the crack inside
    /// (classes matched inside), per cent.
    pub(crate) fn measure(&self, path: &Path, scores: &Scores) -> Result<f64> {
        let labels = RunDir::open_labels(path)?;
        let shape = labels.shape();
        let classes = self.spec.sample.info().classes.len();
        let failed = |e| Error::Input(format!("`{}`: {e}", path.display()));
        let mut matrix = ConfusionMatrix::new(classes, scores.mapping.len().max(1)).map_err(failed)?;
        let mut values = vec![0.0_f32; shape.slice_voxels()];
        for (z, truth) in self.truth.iter().enumerate() {
            labels.read(&Region::slab(shape, z..z + 1)?, &mut values)?;
            let found: Vec<u8> = values.iter().map(|&value| value as u8).collect();
            matrix.add(truth, &found, Some(OUTSIDE)).map_err(failed)?;
        }
        Ok(match self.spec.sample {
            Sample::Intergrowth => {
                let row = &matrix.rows()[usize::from(SAMPLE)];
                let right = row.iter().zip(&scores.mapping).filter(|(_, class)| **class == SAMPLE);
                100.0 * right.map(|(count, _)| *count).sum::<u64>() as f64 / matrix.total() as f64
            }
            _ => 100.0 * Scores::matched(&matrix, Some(0)).iou[usize::from(CRACK)],
        })
    }
}

/// Leaves out what is [`INSIDE`] pixels or less from air.
fn leave_out_rims(truth: &mut [u8], height: usize, width: usize) {
    let before = truth.to_vec();
    let disc: Vec<(isize, isize)> = (-INSIDE..=INSIDE)
        .flat_map(|dy| (-INSIDE..=INSIDE).map(move |dx| (dy, dx)))
        .filter(|(dy, dx)| dy * dy + dx * dx <= INSIDE * INSIDE)
        .collect();
    for at in (0..before.len()).filter(|&at| before[at] == 0) {
        let (y, x) = ((at / width) as isize, (at % width) as isize);
        // Air amid air reaches nothing that its neighbours do not.
        let amid = |dy: isize, dx: isize| {
            let (y, x) = (y + dy, x + dx);
            let inside = (0..height as isize).contains(&y) && (0..width as isize).contains(&x);
            !inside || before[y as usize * width + x as usize] == 0
        };
        if amid(-1, 0) && amid(1, 0) && amid(0, -1) && amid(0, 1) {
            truth[at] = OUTSIDE;
            continue;
        }
        for (dy, dx) in &disc {
            let (y, x) = (y + dy, x + dx);
            if (0..height as isize).contains(&y) && (0..width as isize).contains(&x) {
                truth[y as usize * width + x as usize] = OUTSIDE;
            }
        }
    }
}
