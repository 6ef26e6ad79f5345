//! Batches of crops, drawn anew from the seed at every step, so that a resumed run meets the same data.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::augment::Augment;
use crate::patch::Patch;
use crate::pool::Pool;

/// Crops and their labels.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    /// `[n, c, h, w]`
    pub shape: [usize; 4],
    /// Scaled grey values, `[n, c, h, w]`.
    pub images: Vec<f32>,
    /// Classes, 255 = ignore, `[n, h, w]`.
    pub labels: Vec<u8>,
}

/// Independent streams of random numbers, one a purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Which bricks of the volume the pool holds.
    Pool,
    /// Initial weights.
    Weights,
    /// Crops, views and dropout of stage 2.
    Train,
    /// Crops, views and dropout of stage 3.
    Correct,
    /// The crops by which the guard judges.
    Guard,
}

/// A seed for one purpose, step and item (`SplitMix64` over their concatenation).
pub fn seed_for(seed: u64, stream: Stream, step: usize, item: usize) -> u64 {
    [stream as u64 + 1, step as u64, item as u64].into_iter().fold(seed, |state, part| {
        let mut x = (state ^ part.wrapping_mul(0xD134_2543_DE82_EF95)).wrapping_add(0x9E37_79B9_7F4A_7C15);
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ (x >> 31)
    })
}

/// A generator for one purpose, step and item.
pub fn generator(seed: u64, stream: Stream, step: usize, item: usize) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed_for(seed, stream, step, item))
}

/// Where batches come from and what is done to them.
pub struct Batches<'a> {
    /// The voxels.
    pub pool: &'a Pool,
    /// Crops per batch.
    pub batch: usize,
    /// Height and width of a crop.
    pub crop: usize,
    /// Weak views, in this order.
    pub weak: Vec<Box<dyn Augment>>,
    /// Strong views, in this order.
    pub strong: Vec<Box<dyn Augment>>,
    /// The run's seed.
    pub seed: u64,
    /// The stage's stream.
    pub stream: Stream,
}

impl Batches<'_> {
    /// The weak views of step `step`, and the strong views made from them.
    pub fn draw(&self, step: usize) -> (Batch, Batch) {
        let pairs: Vec<(Patch, Patch)> = (0..self.batch)
            .into_par_iter()
            .map(|item| {
                let mut rng = generator(self.seed, self.stream, step, item);
                let mut weak = self.pool.draw(self.crop, &mut rng);
                self.weak.iter().for_each(|view| view.apply(&mut weak, &mut rng));
                let mut strong = weak.clone();
                self.strong.iter().for_each(|view| view.apply(&mut strong, &mut rng));
                (weak, strong)
            })
            .collect();
        let (weak, strong): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        (gather(&weak), gather(&strong))
    }

    /// The weak views of step `step`, the last `strong` of them made strong: one-stage training (Sec. IV-D).
    pub fn draw_mixed(&self, step: usize, strong: usize) -> Batch {
        let (mut mixed, made_strong) = self.draw(step);
        let from = mixed.images.len() / self.batch * (self.batch - strong.min(self.batch));
        mixed.images[from..].copy_from_slice(&made_strong.images[from..]);
        mixed
    }
}

/// One batch out of equally sized patches.
fn gather(patches: &[Patch]) -> Batch {
    let Some(first) = patches.first() else { return Batch::default() };
    Batch {
        shape: [patches.len(), first.slices, first.height, first.width],
        images: patches.iter().flat_map(|p| p.image.iter().copied()).collect(),
        labels: patches.iter().flat_map(|p| p.labels.iter().copied()).collect(),
    }
}
