//! The crops on which stage 3 judges its teacher, without labels.
//!
//! What a map is worth ([`structure`]) is for the slices beside it to tell, whose noise is another one.

use crate::batches::{Stream, generator};
use crate::confidence::most_likely;
use crate::partial_volume::Rims;
use crate::patch::Patch;
use crate::pool::Pool;
use crate::predictor::Predict;
use crate::shares;
use crate::structure::{self, Contrasts};

/// Pixels that all crops have together, about.
const PIXELS: usize = 1 << 18;
/// Draws of which the crop with most of a class is taken.
const DRAWS: usize = 8;
/// Of the draws: the same in all runs, so that what their maps of a volume are worth can be compared.
const SEED: u64 = 0;

/// Crops, without any view, in which every class has its part.
pub struct Jury {
    crops: Vec<Patch>,
    contrasts: Vec<Contrasts>,
    /// Of the classes, grey values.
    means: Vec<f32>,
    rims: Option<Rims>,
    /// What the crops' pseudo labels are like.
    pub pseudo_labels: Verdict,
}

/// What a segmentation of the crops is like.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// Share of each class.
    pub shares: Vec<f64>,
    /// Structure that the image confirms; see [`structure`].
    pub structure: f64,
}

impl Verdict {
    /// What the maps of the crops with these contrasts are like.
    fn on<'a>(maps: impl Iterator<Item = &'a [u8]> + Clone, means: &[f32], contrasts: &[Contrasts]) -> Self {
        let counts = maps.clone().map(shares::tally).fold([0; 256], |sum, map| shares::sum(&sum, &map));
        let structure = structure::score(contrasts, maps, means, structure::noise(contrasts));
        Self { shares: shares::shares(&counts, means.len()), structure }
    }
}

impl Jury {
    /// Bytes of a jury of crops of `crop` pixels a side while it is called together: grey values, labels, and contrasts
    /// to two sides, once more for the median of their sizes.
    pub fn bytes(slices: usize, crop: usize, classes: usize) -> usize {
        Self::count(crop, classes) * crop * crop * (size_of::<f32>() * (slices + 4) + 1)
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
        let contrasts: Vec<Contrasts> =
            crops.iter().map(|crop| Contrasts::of(&beside(crop), crop.width)).collect();
        let maps = crops.iter().map(|crop| crop.labels.as_slice());
        let pseudo_labels = Verdict::on(maps, means, &contrasts);
        Self { crops, contrasts, means: means.to_vec(), rims, pseudo_labels }
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
        Verdict::on(self.maps(network).iter().map(Vec::as_slice), &self.means, &self.contrasts)
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

/// The mean of the slices on both sides of a crop's middle slice; the middle slice itself where there are none.
fn beside(crop: &Patch) -> Vec<f32> {
    if crop.slices == 1 {
        return crop.middle().to_vec();
    }
    let middle = crop.slices / 2;
    let sides = crop.slice(middle - 1).iter().zip(crop.slice(middle + 1));
    sides.map(|(below, above)| 0.5 * (below + above)).collect()
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
    (0..plane).map(|pixel| most_likely(&probabilities, pixel, plane).0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slice_itself_is_not_asked() {
        let image: Vec<f32> = (0..3 * 4).map(|i| i as f32).collect();
        let crop = Patch::new(3, 2, 2, image, vec![0; 4]);
        let mut changed = crop.clone();
        changed.image[4..8].fill(0.0);
        assert_eq!(beside(&changed), beside(&crop));
        assert_eq!(beside(&crop), [4.0, 5.0, 6.0, 7.0]);
        let single = Patch::new(1, 1, 2, vec![0.25, 0.5], vec![0; 2]);
        assert_eq!(beside(&single), [0.25, 0.5], "there is no other");
    }
}
