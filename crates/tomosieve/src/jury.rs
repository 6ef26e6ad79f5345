//! The crops on which stage 3 judges its teacher, without labels.
//!
//! What a map is worth is for the slices [beside](crate::beside) it to tell: how much [structure] of it they confirm, and how
//! much they vary within its classes ([spread]). The score is the first divided by the second.

use crate::batches::{Stream, generator};
use crate::beside::Beside;
use crate::confidence::labels;
use crate::partial_volume::Rims;
use crate::patch::Patch;
use crate::pool::Pool;
use crate::predictor::Predict;
use crate::structure::{self, Contrasts};
use crate::{shares, spread};

/// Pixels that all crops have together, about.
const PIXELS: usize = 1 << 18;
/// Draws of which the crop with most of a class is taken.
const DRAWS: usize = 8;
/// Structure that every map is taken to have, lest where noise hides all of it nothing count any more.
const LEAST: f64 = 0.03;
/// Of the draws: the same in all runs, so that what their maps of a volume are worth can be compared.
const SEED: u64 = 0;

/// Crops, without any view, in which every class has its part.
pub struct Jury {
    crops: Vec<Patch>,
    evidence: Evidence,
    rims: Option<Rims>,
    /// What the crops' pseudo labels are like.
    pub pseudo_labels: Verdict,
}

/// What maps of the crops are judged by.
struct Evidence {
    beside: Vec<Beside>,
    contrasts: Vec<Contrasts>,
    /// Standard deviation of contrasts where nothing is to be seen.
    noise: f32,
    /// Of the classes, grey values.
    means: Vec<f32>,
}

/// What a segmentation of the crops is like.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// Share of each class.
    pub shares: Vec<f64>,
    /// Structure that the image confirms; see [`structure`].
    pub structure: f64,
    /// How much the image varies within the classes; see [`spread`].
    pub spread: f64,
}

impl Verdict {
    /// The higher the better a map is, as far as the image can tell: structure divided by spread. It compares maps of one volume.
    pub fn score(&self) -> f64 {
        self.structure.max(LEAST) / self.spread.max(f64::EPSILON)
    }
}

impl Evidence {
    /// What the crops show, for classes of these mean grey values.
    fn of(crops: &[Patch], means: &[f32]) -> Self {
        let beside: Vec<Beside> = crops.iter().map(Beside::of).collect();
        let contrasts: Vec<Contrasts> = beside.iter().map(Contrasts::of).collect();
        Self { noise: structure::noise(&contrasts), beside, contrasts, means: means.to_vec() }
    }

    /// What the maps of the crops are like.
    fn judge<'a>(&self, maps: impl Iterator<Item = &'a [u8]> + Clone) -> Verdict {
        let Self { beside, contrasts, noise, means } = self;
        let counts = maps.clone().map(shares::tally).fold([0; 256], |sum, map| shares::sum(&sum, &map));
        Verdict {
            shares: shares::shares(&counts, means.len()),
            structure: structure::of(contrasts, maps.clone(), means, *noise),
            spread: spread::of(beside, maps, means.len(), *noise),
        }
    }
}

impl Jury {
    /// Bytes of a jury of crops of `crop` pixels a side while it is called together: grey values of their own and beside, labels,
    /// and contrasts to two sides, once more for the median of their sizes.
    pub fn bytes(slices: usize, crop: usize, classes: usize) -> usize {
        Self::count(crop, classes) * crop * crop * (size_of::<f32>() * (slices + 5) + 1)
    }

    fn count(crop: usize, classes: usize) -> usize {
        (PIXELS / (crop * crop)).max(classes)
    }

    /// A jury of crops of `crop` pixels a side, for classes of these mean grey values, ascending.
    pub fn new(pool: &Pool, crop: usize, means: &[f32], rims: Option<Rims>) -> Self {
        let classes = means.len();
        let crops: Vec<Patch> = (0..Self::count(crop, classes))
            .map(|item| draw(pool, crop, (item % classes) as u8, item))
            .collect();
        let evidence = Evidence::of(&crops, means);
        let pseudo_labels = evidence.judge(crops.iter().map(|crop| crop.labels.as_slice()));
        Self { crops, evidence, rims, pseudo_labels }
    }

    /// The crops as a network segments them, `[h, w]` each.
    fn maps(&self, network: &dyn Predict) -> Vec<Vec<u8>> {
        let segment = |crop: &Patch| {
            let mut labels = segment(network, crop);
            if let Some(rims) = &self.rims {
                rims.resolve(crop.middle(), &mut labels, crop.width);
            }
            labels
        };
        self.crops.iter().map(segment).collect()
    }

    /// What the crops look like to a network.
    pub fn judge(&self, network: &dyn Predict) -> Verdict {
        self.evidence.judge(self.maps(network).iter().map(Vec::as_slice))
    }
}

/// Share of the pseudo labels that a network finds again when their own slice is hidden from it: what is
/// left is noise of the labels, or too fine to be learned.
pub fn confirmed(pool: &Pool, crop: usize, network: &dyn Predict, seed: u64) -> f64 {
    let count = (PIXELS / (crop * crop)).max(1);
    let (mut same, mut total) = (0_usize, 0_usize);
    for item in 0..count {
        let mut patch = pool.draw(crop, &mut generator(seed, Stream::Guard, 1, item));
        patch.hide_middle(item % 2 == 0);
        let found = segment(network, &patch);
        same += found.iter().zip(&patch.labels).filter(|(found, label)| found == label).count();
        total += found.len();
    }
    same as f64 / total as f64
}

/// Of some crops the one that has most of class `wanted`; an eighth of its pixels is enough.
fn draw(pool: &Pool, crop: usize, wanted: u8, item: usize) -> Patch {
    let mut rng = generator(SEED, Stream::Guard, 0, item);
    let mut best = pool.draw(crop, &mut rng);
    let amount = |patch: &Patch| {
        let pixels = patch.labels.iter().map(|&label| usize::from(label == wanted)).sum::<usize>();
        pixels.min(patch.labels.len() / 8)
    };
    for _ in 1..DRAWS {
        let other = pool.draw(crop, &mut rng);
        if amount(&other) > amount(&best) {
            best = other;
        }
    }
    best
}

/// The classes a network sees in a crop, `[h, w]`.
fn segment(network: &dyn Predict, crop: &Patch) -> Vec<u8> {
    let plane = crop.pixels();
    let shape = [1, crop.slices, crop.height, crop.width];
    let probabilities = network.probabilities(crop.image.clone(), shape);
    labels(&probabilities, plane)
}
