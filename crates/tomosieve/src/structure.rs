//! A label-free score of a segmentation: how much structure it finds that the image confirms.
//!
//! A boundary between two classes is confirmed when the grey values change across it, in the direction of
//! the classes' order. Each pair of neighbouring pixels of different classes counts its contrast in units
//! of noise, limited to ±3 so that strong edges do not outweigh faint ones, less one half: a boundary that
//! nothing confirms costs, a confirmed one gains. The score is the sum over all pairs per pixel pair.
//! A map that follows noise scores low, and so does one that has lost a faint phase.
//!
//! The contrast is taken from the slices beside the one that was segmented, whose noise is another one;
//! with a single slice from that slice itself.

use crate::patch::Patch;

/// Standard deviation of the smoothing, pixels, and half the width of its kernel.
const SIGMA: f32 = 1.0;
const RADIUS: usize = 3;
/// Contrast beyond this many times the noise counts no more.
const LIMIT: f32 = 3.0;
/// Cost of a boundary, in units of noise.
const COST: f32 = 0.5;

/// Contrasts of neighbouring pixels of one crop, by which any segmentation of it can be scored.
#[derive(Debug, Clone)]
pub struct Contrasts {
    width: usize,
    /// Change along x between the pixels beside each pair, `[h, w - 1]`; 0 at the edges.
    across: Vec<f32>,
    /// Change along y, `[h - 1, w]`.
    down: Vec<f32>,
}

impl Contrasts {
    /// The contrasts of a crop's middle slice.
    pub fn of(patch: &Patch) -> Self {
        let (h, w) = (patch.height, patch.width);
        let middle = patch.slices / 2;
        let seen: Vec<f32> = if patch.slices > 1 {
            let (below, above) = (patch.slice(middle - 1), patch.slice(middle + 1));
            below.iter().zip(above).map(|(a, b)| 0.5 * (a + b)).collect()
        } else {
            patch.middle().to_vec()
        };
        let smooth = smoothed(&seen, w);
        let value = |y: usize, x: usize| smooth[y * w + x];
        let across = (0..h)
            .flat_map(|y| (0..w - 1).map(move |x| (y, x)))
            .map(|(y, x)| if x > 0 && x + 2 < w { value(y, x + 2) - value(y, x - 1) } else { 0.0 })
            .collect();
        let down = (0..h - 1)
            .flat_map(|y| (0..w).map(move |x| (y, x)))
            .map(|(y, x)| if y > 0 && y + 2 < h { value(y + 2, x) - value(y - 1, x) } else { 0.0 })
            .collect();
        Self { width: w, across, down }
    }

    /// All contrasts, without sign or zeros.
    fn sizes(&self) -> impl Iterator<Item = f32> + '_ {
        self.across.iter().chain(&self.down).map(|d| d.abs()).filter(|d| *d > 0.0)
    }

    /// Hands every boundary of `labels`, `[h, w]`, to `each`: the lower and the upper class, and by how much the image
    /// rises from one to the other, in units of `noise`.
    fn boundaries(&self, labels: &[u8], noise: f32, mut each: impl FnMut(u8, u8, f64)) {
        let w = self.width;
        let mut look = |a: u8, b: u8, contrast: f32| {
            if a != b {
                let rise = if a < b { contrast } else { -contrast } / noise;
                each(a.min(b), a.max(b), f64::from(rise.clamp(-LIMIT, LIMIT)));
            }
        };
        for (labels, contrasts) in labels.chunks_exact(w).zip(self.across.chunks_exact(w - 1)) {
            for (pair, contrast) in labels.windows(2).zip(contrasts) {
                look(pair[0], pair[1], *contrast);
            }
        }
        for ((above, below), contrast) in labels.iter().zip(&labels[w..]).zip(&self.down) {
            look(*above, *below, *contrast);
        }
    }

    /// What the boundaries of `labels` are worth together.
    fn confirmed(&self, labels: &[u8], noise: f32) -> f64 {
        let mut sum = 0.0;
        self.boundaries(labels, noise, |_, _, rise| sum += rise - f64::from(COST));
        sum
    }
}

/// Bins for one unit of noise, and for all rises from −[`LIMIT`] to [`LIMIT`].
const PER_UNIT: f64 = 8.0;
const BINS: usize = 1 + (2.0 * LIMIT as f64 * PER_UNIT) as usize;

/// By how much the image rises across the boundaries between each two classes.
#[derive(Debug, Clone, PartialEq)]
pub struct Boundaries {
    classes: usize,
    /// Boundaries by their rise, `[lower][upper]`.
    rises: Vec<[u64; BINS]>,
}

impl Boundaries {
    /// Of no map yet.
    pub fn new(classes: usize) -> Self {
        Self { classes, rises: vec![[0; BINS]; classes * classes] }
    }

    /// Those of the segmentations `labels` of `crops`.
    pub fn of<'a>(
        classes: usize,
        crops: &[Contrasts],
        labels: impl IntoIterator<Item = &'a [u8]>,
        noise: f32,
    ) -> Self {
        let mut found = Self::new(classes);
        for (crop, labels) in crops.iter().zip(labels) {
            crop.boundaries(labels, noise, |a, b, rise| found.add(usize::from(a), usize::from(b), rise));
        }
        found
    }

    /// Adds a boundary between two pixels of classes `lower` and `upper`.
    pub fn add(&mut self, lower: usize, upper: usize, rise: f64) {
        let bin = ((rise + f64::from(LIMIT)) * PER_UNIT).round() as usize;
        self.rises[lower * self.classes + upper][bin.min(BINS - 1)] += 1;
    }

    /// What the clearest quarter of the boundaries from `lower` to `upper` rises at least, in units of noise; none where
    /// they do not touch.
    pub fn contrast(&self, lower: usize, upper: usize) -> Option<f64> {
        let rises = &self.rises[lower * self.classes + upper];
        let quarter = rises.iter().sum::<u64>().div_ceil(4);
        let mut clearer = 0;
        let bin = (0..BINS).rev().find(|&bin| {
            clearer += rises[bin];
            quarter > 0 && clearer >= quarter
        })?;
        Some(bin as f64 / PER_UNIT - f64::from(LIMIT))
    }

    /// What share of its boundaries one of the two has with the other, the one that has more of it; 0 of none.
    pub fn touching(&self, lower: usize, upper: usize) -> f64 {
        let number = |a: usize, b: usize| self.rises[a * self.classes + b].iter().sum::<u64>();
        let all =
            |class: usize| (0..self.classes).map(|other| number(class, other) + number(other, class)).sum();
        let shorter: u64 = u64::min(all(lower), all(upper));
        number(lower, upper) as f64 / shorter.max(1) as f64
    }

    /// Makes one class of `class` and the next; those above move down.
    pub fn join(&mut self, class: usize) {
        let moved = |old: usize| old - usize::from(old > class);
        let mut joined = Self::new(self.classes - 1);
        for (at, rises) in self.rises.iter().enumerate() {
            let (lower, upper) = (moved(at / self.classes), moved(at % self.classes));
            if lower != upper {
                let all = &mut joined.rises[lower * joined.classes + upper];
                all.iter_mut().zip(rises).for_each(|(all, rises)| *all += rises);
            }
        }
        *self = joined;
    }
}

/// What contrasts of no structure are like: the median of all, as a standard deviation.
pub fn noise(crops: &[Contrasts]) -> f32 {
    let mut sizes: Vec<f32> = crops.iter().flat_map(Contrasts::sizes).collect();
    if sizes.is_empty() {
        return 1.0;
    }
    let middle = sizes.len() / 2;
    1.4826 * *sizes.select_nth_unstable_by(middle, f32::total_cmp).1
}

/// The score of the segmentations `labels` of `crops`, per hundred pixel pairs.
pub fn score<'a>(crops: &[Contrasts], labels: impl IntoIterator<Item = &'a [u8]>, noise: f32) -> f64 {
    let pairs: usize = crops.iter().map(|crop| crop.across.len() + crop.down.len()).sum();
    let sum: f64 = crops.iter().zip(labels).map(|(crop, labels)| crop.confirmed(labels, noise)).sum();
    100.0 * sum / pairs.max(1) as f64
}

/// A slice of rows of `width`, smoothed by a Gaussian; its edge pixels repeat.
fn smoothed(values: &[f32], width: usize) -> Vec<f32> {
    let radius = RADIUS as isize;
    let mut kernel: Vec<f32> =
        (-radius..=radius).map(|i| (-0.5 * (i as f32 / SIGMA).powi(2)).exp()).collect();
    let sum: f32 = kernel.iter().sum();
    kernel.iter_mut().for_each(|k| *k /= sum);
    let height = values.len() / width;
    let clamp = |i: isize, length: usize| i.clamp(0, length as isize - 1) as usize;
    let along = |values: &[f32], dy: isize, dx: isize| -> Vec<f32> {
        (0..values.len())
            .map(|at| {
                let (y, x) = ((at / width) as isize, (at % width) as isize);
                let taps = kernel.iter().zip(-radius..=radius);
                taps.map(|(k, i)| k * values[clamp(y + dy * i, height) * width + clamp(x + dx * i, width)])
                    .sum()
            })
            .collect()
    };
    along(&along(values, 0, 1), 1, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three slices of 16×16: a bright right half beside a dark left half, some texture as noise.
    fn crop() -> Patch {
        let texture = |i: usize| ((i * 7919) % 101) as f32 / 101.0;
        let value = |i: usize| 0.2 + 0.4 * f32::from(u8::from(i % 16 >= 8)) + 0.05 * texture(i);
        Patch::new(3, 16, 16, (0..3 * 256).map(value).collect(), vec![0; 256])
    }

    fn score_of(label: impl Fn(usize, usize) -> u8) -> f64 {
        let crops = [Contrasts::of(&crop())];
        let labels: Vec<u8> = (0..256).map(|i| label(i / 16, i % 16)).collect();
        score(&crops, [labels.as_slice()], noise(&crops))
    }

    #[test]
    fn a_confirmed_boundary_gains_and_any_other_costs() {
        let right = score_of(|_, x| u8::from(x >= 8));
        let (pairs, boundary) = (2.0 * 16.0 * 15.0, 16.0);
        assert!((right - 100.0 * boundary * (3.0 - 0.5) / pairs).abs() < 1e-9, "{right}"); // the limit
        assert_eq!(score_of(|_, _| 0), 0.0);
        assert!(score_of(|_, x| u8::from(x < 8)) < 0.0, "against the order of the classes");
        assert!(
            score_of(|y, x| u8::from(x >= 8) + u8::from(y % 4 == 0)) < right,
            "stripes that nothing shows"
        );
        assert!(score_of(|y, x| u8::from(x >= 8 && y < 8)) < right, "half of the boundary");
    }

    #[test]
    fn the_slice_itself_is_not_asked() {
        let mut changed = crop();
        changed.image[256..512].fill(0.0);
        assert_eq!(Contrasts::of(&changed).across, Contrasts::of(&crop()).across);
    }

    #[test]
    fn noise_is_that_of_a_normal_distribution() {
        let quantiles = [0.1257, 0.3853, 0.6745, 1.0364, 1.6449]; // of |N(0, 1)| at 0.1, 0.3, 0.5, 0.7, 0.9
        let across = quantiles.iter().map(|q| 0.02 * q).collect();
        let crop = Contrasts { width: 6, across, down: Vec::new() };
        assert!((noise(&[crop]) - 0.02).abs() < 1e-5);
        assert_eq!(noise(&[]), 1.0);
    }
}
