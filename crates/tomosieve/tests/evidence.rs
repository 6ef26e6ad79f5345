//! What is known of a network without labels: grey values without noise, and what a jury thinks of its maps.

use tomosieve::batches::{Stream, generator};
use tomosieve::denoised::Denoised;
use tomosieve::jury::Jury;
use tomosieve::lanes::Lanes;
use tomosieve::pool::{Labelling, Pool};
use tomosieve::predictor::Predict;
use tomosieve::scale::Scale;
use tomosieve_cluster::{Clustering, Histogram, KMeans};
use tomosieve_nn::kernels::Buffer;
use tomosieve_volume::{Memory, Shape};

const SLICES: usize = 15;
const SCALE: Scale = Scale { low: 0.0, high: 1.0 };

/// A network that knows the noise: by the mean over `slices` it tells which of `classes` is how likely, where these are equally far apart from 0 to 1 and noise has a standard deviation of [`NOISE`].
struct Mean {
    slices: Vec<usize>,
    classes: usize,
}

/// Of the phantom's voxels.
const NOISE: f32 = 0.12;

impl Predict for Mean {
    fn probabilities(&self, images: Buffer, [n, c, h, w]: [usize; 4]) -> Buffer {
        let plane = h * w;
        let mut found = Vec::with_capacity(n * self.classes * plane);
        for image in images.chunks_exact(c * plane) {
            let mean = |pixel: usize| {
                let values = self.slices.iter().map(|slice| image[slice * plane + pixel]);
                values.sum::<f32>() / self.slices.len() as f32
            };
            let likely = |class: usize, value: f32| {
                let off = value - class as f32 / (self.classes - 1) as f32;
                (-0.5 * (off / NOISE).powi(2)).exp()
            };
            let all: Vec<f32> =
                (0..plane).map(|pixel| (0..self.classes).map(|k| likely(k, mean(pixel))).sum()).collect();
            for class in 0..self.classes {
                found.extend((0..plane).map(|pixel| likely(class, mean(pixel)) / all[pixel]));
            }
        }
        found.into()
    }
}

/// Bands of 21 pixels of the grey values `phases`, the same in all slices, with the pixel between two bands half of each;
/// under noise that is nearly normal. Labelled by k-means.
fn pool(phases: &[f32], classes: usize) -> Pool {
    let shape = Shape::new(16, 96, 22 * phases.len());
    let uniform = |i: usize, draw: u32| {
        let mixed = (i as u32).wrapping_mul(2_654_435_761).wrapping_add(draw.wrapping_mul(0x9E37_79B9));
        let mixed = (mixed ^ (mixed >> 15)).wrapping_mul(0x85EB_CA6B);
        ((mixed ^ (mixed >> 13)) >> 8) as f32 / (1 << 24) as f32 - 0.5
    };
    let noise = |i: usize| NOISE * (0..12).map(|draw| uniform(i, draw)).sum::<f32>();
    let clean = |x: usize| {
        let band = phases[x / 22];
        if x % 22 == 21 { 0.5 * (band + phases.get(x / 22 + 1).unwrap_or(&band)) } else { band }
    };
    let voxels: Vec<f32> = (0..shape.voxels()).map(|i| clean(i % shape.x) + noise(i)).collect();
    let mut histogram = Histogram::uniform(-1.0, 2.0, 3000).unwrap();
    histogram.add(&voxels);
    let clusters = KMeans {}.fit(&histogram, classes).unwrap();
    let plan = Pool::plan(shape, SLICES, 64, usize::MAX, &mut generator(0, Stream::Pool, 0, 0)).unwrap();
    let labelling = Labelling::Clusters { clusters: &clusters, rims: None };
    Pool::load(&Memory::new(shape, voxels).unwrap(), plan, SLICES, SCALE, &labelling, |_| {}).unwrap()
}

#[test]
fn phases_that_noise_hides_have_peaks_without_it() {
    // The last two lie 1.5 standard deviations apart; together they make one peak of what is scanned.
    let pool = pool(&[0.12, 0.9, 0.45, 0.63], 4);
    let network = Mean { slices: (0..SLICES).filter(|slice| *slice != SLICES / 2).collect(), classes: 10 };
    let denoised = Denoised::of(&network, &pool, [64, 10], SCALE, 0, &Lanes::new(1).unwrap()).unwrap();
    let values: Vec<f64> = denoised.peaks().iter().map(|peak| peak.value).collect();
    assert_eq!(values.len(), 4, "{values:?}");
    assert!(
        values.iter().zip([0.12, 0.45, 0.63, 0.9]).all(|(found, put)| (found - put).abs() < 0.02),
        "{values:?}"
    );
    let scanned = Denoised { after: denoised.before.clone(), ..denoised.clone() };
    assert_eq!(scanned.peaks().len(), 3, "{:?}", scanned.peaks());
    // Of the rims, which have values between all phases, hardly any is left.
    let all: u64 = denoised.before.iter().sum();
    let left: u64 = denoised.after.iter().sum();
    assert!(left < all && left > all * 8 / 10, "{left} of {all}");
    // Lanes do not change it.
    let two = Denoised::of(&network, &pool, [64, 10], SCALE, 0, &Lanes::new(2).unwrap()).unwrap();
    assert_eq!(two, denoised);
}

#[test]
fn a_jury_is_not_taken_in_by_noise() {
    let pool = pool(&[0.16, 0.84], 2);
    let jury = Jury::new(&pool, 64, &[0.16, 0.84], None);
    let score = |slices: Vec<usize>| jury.judge(&Mean { slices, classes: 2 }).score();
    // What is made of one slice is worth the same whichever it is, the middle one, of which pseudo labels are made, or one far off.
    let (middle, far) = (score(vec![SLICES / 2]), score(vec![0]));
    let pseudo_labels = jury.pseudo_labels.score();
    for other in [far, pseudo_labels] {
        assert!(middle > 0.0 && (middle / other - 1.0).abs() < 0.02, "{middle} {far} {pseudo_labels}");
    }
    // What is made of all of them is worth a fifth more.
    let all = score((0..SLICES).collect());
    assert!(all > 1.2 * middle, "{all} {middle}");
}
