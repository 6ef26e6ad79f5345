//! Grey values without their noise, as a network of stage 2 knows them, and the peaks that their histogram has.
//!
//! A network that has learned the labels of noisy slices from the slices beside them tells of every voxel how its label might
//! have come out, and so how its grey value might: the mean over the classes is the grey value without noise (Noise2Self,
//! arXiv 1901.11365, learns the mean itself). Phases that overlap in what the scanner saw come apart in it, each with a peak of
//! its own. A network is never as sure as it could be, so these means lie closer together than they should; a peak is therefore
//! said to lie where its voxels did when they were scanned. Rims, where a voxel holds two phases, have all values between the two and are left out
//! ([`crate::partial_volume`]).

use serde::{Deserialize, Serialize};
use tomosieve_cluster::{Clusters, Histogram, KMeans};
use tomosieve_volume::{Memory, Shape};

use crate::Result;
use crate::batches::{Stream, generator};
use crate::confidence::labels;
use crate::inference::Sweep;
use crate::lanes::Lanes;
use crate::partial_volume::Rims;
use crate::patch::Patch;
use crate::pool::Pool;
use crate::predictor::Predict;
use crate::scale::Scale;
use crate::summits::{Hill, Sight};

/// Pixels that all crops have together, about.
const PIXELS: usize = 1 << 18;
/// Bins of the histograms.
const BINS: usize = 400;
/// Bands of grey values without noise between which rims are looked for.
const BANDS: usize = 10;
/// Peaks that are sure; a few of the voxels that are looked at are as good as none.
const PEAKS: Sight = Sight { smoothed: 8, none: 5e-5, filled: 2.0 / 3.0 };
/// Any hint of a peak, if it has voxels worth the name.
const HINTS: Sight = Sight { smoothed: 3, none: 5e-4, filled: 0.9 };
/// A class without a peak may be a phase beside another if it has fewer voxels than this share of the other's, ...
const BESIDE: f64 = 0.25;
/// ... and at least this share of all, ...
const LEAST: f64 = 1e-3;
/// ... the slices beside tell at least this share of its labels, and it is darker or brighter than the other as it should be.
const TOLD: f64 = 2.0 / 3.0;

/// Histograms of some crops, as scanned and without noise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Denoised {
    /// The grey values of the first and the last edge of the bins, all of which are equally wide.
    pub scale: Scale,
    /// Voxels by their grey value.
    pub before: Vec<u64>,
    /// Voxels by their grey value without noise; rims are left out.
    pub after: Vec<u64>,
    /// The mean grey value of these as scanned; 0 where there are none.
    pub scanned: Vec<f64>,
    /// Of what each class is most likely, rims left out: voxels, and their mean bin.
    #[serde(default)]
    pub classes: Vec<(u64, f64)>,
}

/// A peak of the grey values without noise.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Peak {
    /// The bin in which it is highest.
    pub bin: usize,
    /// The mean grey value of its voxels as scanned.
    pub value: f64,
    /// Share of the voxels from the valley below to that above; rims are none of them.
    pub share: f64,
    /// How high the valley below it stands, as a share of the lower one of the two peaks beside it; none for the first.
    pub valley: Option<f64>,
}

impl Peak {
    /// Its grey value in words, to four digits.
    pub fn at(&self) -> String {
        let digits = self.value.abs().max(1e-9).log10().floor();
        format!("{:.*}", (3.0 - digits).clamp(0.0, 12.0) as usize, self.value)
    }
}

impl Denoised {
    /// What parts of `pool` of two crops of `crop` pixels a side are like to a network of `classes` classes.
    ///
    /// # Errors
    /// Never for a network whose probabilities are finite.
    pub fn of(
        network: &dyn Predict,
        pool: &Pool,
        [crop, classes]: [usize; 2],
        scale: Scale,
        seed: u64,
        lanes: &Lanes,
    ) -> Result<Self> {
        // What a network makes of a pixel depends on what else is in the window; so as in a result, windows overlap.
        let sweep = Sweep::over_patches(pool.slices(), crop, classes);
        let look = |item| -> Result<(Patch, Vec<f32>)> {
            let patch = pool.draw(2 * crop, &mut generator(seed, Stream::Denoise, 0, item));
            let shape = Shape::new(patch.slices, patch.height, patch.width);
            let (volume, middle) = (Memory::new(shape, patch.image.to_vec())?, patch.slices / 2);
            let mut probabilities = Vec::new();
            let predict = |images, shape| network.probabilities(images, shape);
            sweep.blended(&volume, &predict, middle..middle + 1, |_, _, found| {
                probabilities = found.to_vec();
                Ok(())
            })?;
            Ok((patch, probabilities))
        };
        let crops: Vec<usize> = (0..(PIXELS / (4 * crop * crop)).max(1)).collect();

        // For the means fewer crops will do.
        let sums = lanes.map(crops[..crops.len().div_ceil(4)].to_vec(), |item| {
            let (patch, probabilities) = look(item)?;
            Ok(Sums::of(&patch, &probabilities))
        });
        let sums = sums.into_iter().collect::<Result<Vec<_>>>()?;
        let sums = sums.iter().fold(Sums::none(classes), Sums::and);
        let means = sums.means();
        let found = lanes.map(crops, |item| {
            let (patch, probabilities) = look(item)?;
            let (values, labels) = (expected(&probabilities, &means), labels(&probabilities, patch.pixels()));
            Ok((patch.middle().to_vec(), values, labels, patch.width))
        });
        let found = found.into_iter().collect::<Result<Vec<_>>>()?;

        let mut fine = Histogram::uniform(0.0, 1.0, 1 << 12)?;
        found.iter().for_each(|(_, values, ..)| fine.add(values));
        let bands = if fine.distinct() > BANDS { KMeans {}.fit_all(&fine, BANDS)?.pop() } else { None };
        let bin = |value: f32| ((value * BINS as f32) as usize).min(BINS - 1);
        let (mut before, mut after, mut scanned) = (vec![0; BINS], vec![0; BINS], vec![0.0; BINS]);
        let mut classes = vec![(0, 0.0); classes];
        for (grey, values, labels, width) in &found {
            let rims =
                bands.as_ref().map_or_else(|| Ok(vec![false; values.len()]), |b| rims(b, values, *width))?;
            for (((&grey, &value), &label), rim) in grey.iter().zip(values).zip(labels).zip(rims) {
                before[bin(grey)] += 1;
                if !rim {
                    after[bin(value)] += 1;
                    scanned[bin(value)] += f64::from(grey);
                    let (voxels, bins) = &mut classes[usize::from(label)];
                    (*voxels, *bins) = (*voxels + 1, *bins + bin(value) as f64);
                }
            }
        }
        let wide = f64::from(scale.high) - f64::from(scale.low);
        let mean = |(sum, count): (f64, &u64)| {
            if *count == 0 { 0.0 } else { f64::from(scale.low) + wide * sum / *count as f64 }
        };
        let scanned = scanned.into_iter().zip(&after).map(mean).collect();
        classes.iter_mut().for_each(|(voxels, bins)| *bins /= (*voxels).max(1) as f64);
        Ok(Self { scale, before, after, scanned, classes })
    }

    /// The peaks, by ascending grey value; none of histograms that do not belong together, as of a damaged file.
    pub fn peaks(&self) -> Vec<Peak> {
        if self.after.is_empty() || self.scanned.len() != self.after.len() {
            return Vec::new();
        }
        let all = self.all().max(1.0);
        let peak = |hill: Hill| {
            let counts = || hill.bins.clone().map(|bin| self.after[bin] as f64);
            let sum = counts().zip(&self.scanned[hill.bins.clone()]).map(|(count, value)| count * value);
            let count = counts().sum::<f64>();
            Peak {
                bin: hill.top,
                value: sum.sum::<f64>() / count.max(1.0),
                share: count / all,
                valley: hill.valley,
            }
        };
        PEAKS.hills(&self.after).into_iter().map(peak).collect()
    }

    /// How many of the classes are phases: as many as there are peaks, any hint of a valley between which counts, and rare classes
    /// without a peak of their own beside a frequent one, if the neighbouring slices tell them from it: `told` is the share of
    /// its labels for which they do, class by class. All of them where nothing is known.
    pub fn phases(&self, told: &[Option<f64>]) -> usize {
        let hills = HINTS.hills(&self.after);
        if hills.is_empty() || self.classes.len() != told.len() {
            return told.len();
        }
        let all = self.all();
        let phases = hills.iter().map(|hill| {
            let here = || {
                let classes = self.classes.iter().enumerate();
                classes.filter(|(_, (voxels, bin))| *voxels > 0 && hill.bins.contains(&(*bin as usize)))
            };
            let Some((frequent, &(most, at))) = here().max_by_key(|(_, (voxels, _))| voxels) else {
                return 1;
            };
            // A class that is darker than another by its labels is so without noise, too, unless it was a rim.
            let beside = |&(class, &(voxels, bin)): &(usize, &(u64, f64))| {
                let share = voxels as f64;
                share < BESIDE * most as f64
                    && share >= LEAST * all
                    && told[class].is_some_and(|told| told >= TOLD)
                    && (class < frequent) == (bin < at)
            };
            1 + here().filter(beside).count()
        });
        phases.sum()
    }

    /// How many voxels there are without rims.
    fn all(&self) -> f64 {
        self.after.iter().map(|&count| count as f64).sum()
    }

    /// The grey value in the middle of a bin.
    pub fn value(&self, bin: usize) -> f64 {
        let (low, high) = (f64::from(self.scale.low), f64::from(self.scale.high));
        low + (high - low) * (bin as f64 + 0.5) / self.after.len() as f64
    }
}

/// Which of some grey values without noise, `[h, width]`, are rims between bands of them.
fn rims(bands: &Clusters, values: &[f32], width: usize) -> Result<Vec<bool>> {
    let mut labels = vec![0_u8; values.len()];
    bands.assign_slice(values, &mut labels)?;
    let mut resolved = labels.clone();
    Rims::new(bands.means.iter().map(|&mean| mean as f32).collect()).resolve(values, &mut resolved, width);
    Ok(labels.iter().zip(&resolved).map(|(label, resolved)| label != resolved).collect())
}

/// For each class the sum of its probabilities, and that of probability times grey value.
struct Sums(Vec<[f64; 2]>);

impl Sums {
    fn none(classes: usize) -> Self {
        Self(vec![[0.0; 2]; classes])
    }

    /// Of a crop and its `[k, h, w]` probabilities.
    fn of(patch: &Patch, probabilities: &[f32]) -> Self {
        let of_class = |plane: &[f32]| {
            plane.iter().zip(patch.middle()).fold([0.0; 2], |[all, weighted], (p, value)| {
                [all + f64::from(*p), weighted + f64::from(*p) * f64::from(*value)]
            })
        };
        Self(probabilities.chunks_exact(patch.pixels()).map(of_class).collect())
    }

    fn and(self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(a, b)| [a[0] + b[0], a[1] + b[1]]).collect())
    }

    /// The mean grey value of what a class is likely to be.
    fn means(&self) -> Vec<f32> {
        self.0.iter().map(|[all, weighted]| (weighted / all.max(f64::MIN_POSITIVE)) as f32).collect()
    }
}

/// The mean of `means` over the classes, weighted by `[k, h, w]` probabilities: `[h, w]`.
fn expected(probabilities: &[f32], means: &[f32]) -> Vec<f32> {
    let mut values = vec![0.0_f32; probabilities.len() / means.len()];
    for (plane, mean) in probabilities.chunks_exact(values.len()).zip(means) {
        values.iter_mut().zip(plane).for_each(|(value, p)| *value += p * mean);
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peaks_have_values_and_shares() {
        let (mut after, mut scanned) = (vec![0; BINS], vec![0.0; BINS]);
        (after[100], after[101], after[300]) = (20_000, 10_000, 10_000);
        (scanned[100], scanned[101], scanned[300]) = (150.0, 180.0, 420.0);
        let scale = Scale { low: 100.0, high: 500.0 };
        let peaks = Denoised { scale, before: after.clone(), after, scanned, classes: Vec::new() }.peaks();
        let all = |of: fn(&Peak) -> f64| peaks.iter().map(of).collect::<Vec<_>>();
        assert_eq!(peaks.iter().map(|peak| peak.bin).collect::<Vec<_>>(), [100, 300]);
        assert_eq!(all(|peak| peak.value), [160.0, 420.0]);
        assert_eq!(all(|peak| peak.share), [0.75, 0.25]);
        assert!(peaks[0].valley.is_none() && peaks[1].valley.is_some_and(|valley| valley < 0.01));
        let damaged =
            |after, scanned| Denoised { scale, before: Vec::new(), after, scanned, classes: Vec::new() };
        assert_eq!(damaged(vec![1, 2], vec![0.0]).peaks(), []);
        assert_eq!(damaged(Vec::new(), Vec::new()).phases(&[None; 3]), 3, "nothing is known");
        assert_eq!(damaged(Vec::new(), Vec::new()).peaks(), []);
    }

    /// Two peaks of 30 bins each, `valley` a bin between them, and classes of so many voxels at these bins.
    fn two_peaks(valley: u64, classes: &[(u64, f64)]) -> Denoised {
        let mut after = vec![0; BINS];
        for (bins, count) in [(50..80, 1000), (80..110, valley), (110..140, 600)] {
            after[bins].fill(count);
        }
        let scale = Scale { low: 0.0, high: 1.0 };
        Denoised { scale, before: after.clone(), scanned: vec![0.5; BINS], after, classes: classes.to_vec() }
    }

    #[test]
    fn a_shallow_valley_hints_at_two_phases() {
        let classes = [(20_000, 60.0), (20_000, 70.0), (20_000, 125.0)];
        let phases = |valley| {
            let denoised = two_peaks(valley, &classes);
            (denoised.phases(&[Some(0.5); 3]), denoised.peaks().len())
        };
        assert_eq!((phases(300), phases(500), phases(590)), ((2, 2), (2, 1), (1, 1)));
    }

    #[test]
    fn a_rare_phase_may_have_no_peak() {
        let phases = |voxels, bin, told| {
            let classes = [(30_000, 60.0), (voxels, bin), (18_000, 125.0)];
            two_peaks(0, &classes).phases(&[Some(0.9), told, Some(0.9)])
        };
        assert_eq!(phases(200, 75.0, Some(0.7)), 3);
        assert_eq!(phases(200, 75.0, Some(0.6)), 2, "noise tells it");
        assert_eq!(phases(200, 75.0, None), 2, "nothing tells it");
        assert_eq!(phases(20, 75.0, Some(0.7)), 2, "it is as good as gone");
        assert_eq!(phases(9_000, 75.0, Some(0.7)), 2, "half of a phase is none");
        assert_eq!(phases(200, 55.0, Some(0.7)), 2, "it is no brighter than the class below");
    }

    #[test]
    fn the_expected_value_is_the_mean_over_the_classes() {
        let values = expected(&[0.25, 1.0, 0.75, 0.0], &[0.2, 0.6]);
        assert!((values[0] - 0.5).abs() < 1e-6 && (values[1] - 0.2).abs() < 1e-6, "{values:?}");
    }
}
