//! How much structure a map finds that the image confirms.
//!
//! A boundary between two classes is confirmed when the grey values rise across it from the lower class to the upper one, and
//! by about as much as the two are apart. Each pair of neighbouring pixels of different classes counts its contrast, in units
//! of noise, less what a boundary costs: a quarter of the distance between the means of its classes, which is less than half of what
//! a sharp edge between them looks like through the blur of scanner and smoothing, and half the noise at least. What it counts is
//! limited to ±3, so that strong edges do not outweigh faint ones. A line no wider than a contrast reaches, as a crack, is seen with
//! less than its height, how much less no one knows: its two boundaries cost half the noise. Structure is the sum over all of them per hundred pixel pairs. A map
//! that follows noise has little, and so does one that has lost a faint phase, or in which one phase has swallowed another whose
//! edges are not as high.
//!
//! Two things are no structure. An edge that climbs in several steps, as where a rim has a class of its own, is one edge:
//! of boundaries in a row that go the same way within two pixels the first counts. And two classes that the image
//! does not tell apart anywhere, so that their boundaries cost more than they gain, are one: where they meet nothing is counted.
//!
//! The slice that confirms is not to be the one that was segmented, whose noise would confirm itself.

use crate::beside::Beside;

/// Beyond this many times the noise a boundary counts no more.
const LIMIT: f32 = 3.0;
/// Cost of a boundary: a share of the distance between its classes, and in units of noise at least.
const COST: [f32; 2] = [0.25, 0.5];
/// Pixels across which a contrast is taken, on top of the two of a pair: boundaries as close as that see the same edge.
const REACH: usize = 2;
/// Pixels that a line may be wide for a contrast to look across both of its boundaries.
const LINE: usize = REACH + 1;

/// Contrasts of neighbouring pixels of one slice, by which any segmentation of it can be judged.
#[derive(Debug, Clone)]
pub struct Contrasts {
    width: usize,
    /// Change along x between the pixels beside each pair, `[h, w - 1]`; 0 at the edges.
    across: Vec<f32>,
    /// Change along y, `[h - 1, w]`.
    down: Vec<f32>,
}

impl Contrasts {
    /// The contrasts of grey values.
    pub fn of(slice: &Beside) -> Self {
        let (h, w) = (slice.values.len() / slice.width, slice.width);
        let value = |y: usize, x: usize| slice.values[y * w + x];
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

    /// Adds what the boundaries of `labels`, `[h, w]`, are worth to `sums`. Labels that are no class have no boundaries.
    fn confirm(&self, labels: &[u8], sums: &mut Sums<'_>) {
        let w = self.width;
        let height = labels.len() / w;
        // A row or column of pairs of pixels, which begins at pixel `at` and goes on every `step` pixels; its contrasts begin at `first`.
        let mut ways = Vec::with_capacity(w.max(height));
        let mut line = |at: usize, step: usize, contrasts: &[f32], first: usize, pairs: usize| {
            let label = |pixel: usize| labels[at + pixel * step];
            ways.clear();
            ways.extend((0..pairs).map(|pair| label(pair).cmp(&label(pair + 1))));
            for (pair, way) in ways.iter().enumerate().filter(|(_, way)| way.is_ne()) {
                let before = ways[pair.saturating_sub(REACH)..pair].iter().rfind(|way| way.is_ne());
                if before == Some(way) {
                    continue;
                }
                let near = &ways[pair.saturating_sub(LINE)..pairs.min(pair + LINE + 1)];
                let contrast = contrasts[first + pair * step];
                let (a, b) = (label(pair), label(pair + 1));
                let rise = if way.is_lt() { contrast } else { -contrast };
                sums.add(a.min(b), a.max(b), rise, near.contains(&way.reverse()));
            }
        };
        for y in 0..height {
            line(y * w, 1, &self.across, y * (w - 1), w - 1);
        }
        for x in 0..w {
            line(x, w, &self.down, x, height - 1);
        }
    }
}

/// What the boundaries between each two classes are worth.
struct Sums<'a> {
    /// Mean grey values of the classes.
    means: &'a [f32],
    noise: f32,
    /// `[lower, upper]`
    worth: Vec<f64>,
}

impl Sums<'_> {
    /// Adds a boundary at which the image rises by so much from class `lower` to class `upper`, of a thin line or not.
    fn add(&mut self, lower: u8, upper: u8, rise: f32, thin: bool) {
        let (lower, upper) = (usize::from(lower), usize::from(upper));
        let Some(mean) = self.means.get(upper) else { return };
        let [share, least] = COST;
        let whole = share * (mean - self.means[lower]) / self.noise;
        let cost = if thin { least } else { whole.max(least) };
        self.worth[lower * self.means.len() + upper] +=
            f64::from((rise / self.noise - cost).clamp(-LIMIT, LIMIT));
    }

    /// That of all classes which the image tells apart.
    fn total(&self) -> f64 {
        self.worth.iter().map(|sum| sum.max(0.0)).sum()
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

/// Structure of the segmentations `labels` of `crops`, into classes of these mean grey values, per hundred pixel pairs.
pub fn of<'a>(
    crops: &[Contrasts],
    labels: impl IntoIterator<Item = &'a [u8]>,
    means: &[f32],
    noise: f32,
) -> f64 {
    let pairs: usize = crops.iter().map(|crop| crop.across.len() + crop.down.len()).sum();
    let mut sums = Sums { means, noise, worth: vec![0.0; means.len() * means.len()] };
    for (crop, labels) in crops.iter().zip(labels) {
        crop.confirm(labels, &mut sums);
    }
    100.0 * sums.total() / pairs.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of three classes.
    const MEANS: [f32; 3] = [0.2, 0.4, 0.6];

    /// 16×16 pixels: a right half of 0.6 beside a left half of 0.2, some texture as noise.
    fn crop() -> Vec<f32> {
        let texture = |i: usize| ((i * 7919) % 101) as f32 / 101.0;
        (0..256).map(|i| 0.2 + 0.4 * f32::from(u8::from(i % 16 >= 8)) + 0.05 * texture(i)).collect()
    }

    fn structure_of(label: impl Fn(usize, usize) -> u8) -> f64 {
        let crops = [Contrasts::of(&Beside::smoothed(crop(), 16))];
        let labels: Vec<u8> = (0..256).map(|i| label(i / 16, i % 16)).collect();
        of(&crops, [labels.as_slice()], &MEANS, noise(&crops))
    }

    /// What a row of labels is worth whose pixels have these contrasts, under noise of 0.1; of one pair.
    fn worth(labels: &[u8], across: &[f32], means: &[f32]) -> f64 {
        let crops = [Contrasts { width: labels.len(), across: across.to_vec(), down: Vec::new() }];
        of(&crops, [labels], means, 0.1) * across.len() as f64 / 100.0
    }

    #[test]
    fn a_confirmed_boundary_gains_and_any_other_costs() {
        let right = structure_of(|_, x| 2 * u8::from(x >= 8));
        let (pairs, boundary) = (2.0 * 16.0 * 15.0, 16.0);
        assert!((right - 100.0 * boundary * 3.0 / pairs).abs() < 1e-4, "{right}"); // the limit
        assert!(structure_of(|y, x| 2 * u8::from(x >= 8 && y < 8)) < right, "half of the boundary");
        let frayed = structure_of(|y, x| 2 * u8::from(x >= 8 || (x >= 7 && y % 4 == 0)));
        assert!(frayed > 0.0 && frayed < right, "stripes that nothing shows: {frayed}");
        // By hand: a rise of 2.5 times the noise less a quarter of 4, where the classes are four times the noise apart; less the
        // half that a boundary costs at least.
        let of_means = |distance: f32| worth(&[0, 0, 1, 1], &[0.0, 0.25, 0.0], &[0.0, distance]);
        assert!((of_means(0.4) - 1.5).abs() < 1e-5 && (of_means(0.1) - 2.0).abs() < 1e-5);
    }

    #[test]
    fn a_phase_that_swallows_another_loses() {
        // The image shows the lower one of two phases.
        let edge = [0.0, 0.3, 0.0];
        let means = [0.0, 0.4, 0.8];
        assert!(worth(&[0, 0, 2, 2], &edge, &means) < worth(&[0, 0, 1, 1], &edge, &means));
    }

    #[test]
    fn what_the_image_does_not_tell_apart_is_one() {
        assert_eq!(structure_of(|_, _| 0), 0.0);
        assert_eq!(structure_of(|_, x| u8::from(x < 8)), 0.0, "against the order of the classes");
        let right = structure_of(|_, x| 2 * u8::from(x >= 8));
        assert_eq!(structure_of(|y, x| if x >= 8 { 2 - u8::from(x > 10 && y % 2 == 0) } else { 0 }), right);
    }

    #[test]
    fn an_edge_in_steps_is_one_edge() {
        let means = [0.0, 0.2, 0.4];
        let edge = [0.0, 0.0, 0.4, 0.4, 0.0];
        let one = worth(&[0, 0, 0, 2, 2, 2], &edge, &means);
        assert!((one - 3.0).abs() < 1e-5, "{one}");
        assert_eq!(worth(&[0, 0, 0, 1, 2, 2], &edge, &means), one);
        // What goes up and down again is two boundaries, both of which count.
        let thin = worth(&[0, 0, 1, 0, 0, 0], &[0.0, 0.3, -0.3, 0.0, 0.0], &means);
        assert!((thin - 2.0 * (3.0 - 0.5)).abs() < 1e-5, "{thin}");
    }

    #[test]
    fn a_thin_line_costs_little() {
        // It rises by as much as its noise, between classes twenty times that apart: a quarter of it would cost five.
        let means = [0.0, 2.0];
        let line = |width: usize| {
            let labels: Vec<u8> = (0..16).map(|x| u8::from((4..4 + width).contains(&x))).collect();
            let rise = |x: usize| 0.1 * (f32::from(labels[x + 1]) - f32::from(labels[x]));
            worth(&labels, &(0..15).map(rise).collect::<Vec<_>>(), &means)
        };
        for width in 1..=LINE {
            assert!((line(width) - 2.0 * 0.5).abs() < 1e-5, "{width}: {}", line(width));
        }
        assert_eq!(line(LINE + 1), 0.0, "what is that wide has to show its height");
    }

    #[test]
    fn labels_that_are_no_class_have_no_boundaries() {
        let right = structure_of(|_, x| 2 * u8::from(x >= 8));
        assert_eq!(structure_of(|y, x| if y < 8 && x < 3 { 255 } else { 2 * u8::from(x >= 8) }), right);
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
