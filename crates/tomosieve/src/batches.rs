//! Batches of crops, drawn anew from the seed at every step, so that a resumed run meets the same data.

use std::ops::Range;
use std::sync::mpsc::sync_channel;
use std::thread::Scope;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use tomosieve_nn::kernels::Buffer;
use tomosieve_nn::networks::NetworkConfig;

use crate::augment::Augment;
use crate::patch::Patch;
use crate::pool::Pool;

/// Crops and their labels.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    /// `[n, c, h, w]`
    pub shape: [usize; 4],
    /// Scaled grey values, `[n, c, h, w]`.
    pub images: Buffer,
    /// Classes, 255 = ignore, `[n, h, w]`.
    pub labels: Vec<u8>,
}

/// Pixels of a part of a batch: enough for the cost of a pass to lie in them rather than in its operations, and no more,
/// since parts go side by side and what training keeps in memory grows with them.
const PIXELS: usize = 1 << 13;
/// Pixels on the deepest level of a network, whose many filters every part reads: of a batch that is two parts of the first at
/// most, and of a larger one, where half as many parts still suffice for two threads.
const DEEPEST: [usize; 2] = [1 << 7, 1 << 8];

/// How many of a batch's crops of `side`² pixels go through a network at a time.
///
/// ```
/// use tomosieve::batches::crops_at_once;
/// use tomosieve_nn::networks::NetworkConfig;
///
/// let network = NetworkConfig::default(); // of five levels
/// let of_batches = [1, 4, 5, 16].map(|batch| crops_at_once(batch, 128, &network));
/// assert_eq!(of_batches, [2, 2, 4, 4]);
/// assert_eq!(crops_at_once(4, 256, &network), 1);
/// ```
pub fn crops_at_once(batch: usize, side: usize, network: &NetworkConfig) -> usize {
    let stride = 1 << (network.levels().len().max(1) - 1);
    let [few, many] =
        DEEPEST.map(|deepest| (PIXELS.max(deepest * stride * stride) / (side * side).max(1)).max(1));
    if batch > many { many } else { few }
}

impl Batch {
    /// The batch in the parts that go through a network at a time.
    pub fn parts_for(self, network: &NetworkConfig) -> Vec<Self> {
        let [n, _, side, _] = self.shape;
        self.parts(crops_at_once(n, side, network))
    }

    /// The batch in parts of `most` crops.
    ///
    /// ```
    /// use tomosieve::batches::Batch;
    ///
    /// let shape = [3, 1, 256, 256];
    /// let batch = Batch { shape, images: vec![0.5; 3 << 16].into(), labels: vec![0; 3 << 16] };
    /// let parts: Vec<_> = batch.parts(1).iter().map(|part| part.shape).collect();
    /// assert_eq!(parts, [[1, 1, 256, 256]; 3]);
    /// ```
    pub fn parts(self, most: usize) -> Vec<Self> {
        let [n, c, h, w] = self.shape;
        if n <= most {
            return vec![self];
        }
        let parts = self.images.chunks(most * c * h * w).zip(self.labels.chunks(most * h * w));
        parts
            .map(|(images, labels)| Self {
                shape: [labels.len() / (h * w), c, h, w],
                images: images.into(),
                labels: labels.to_vec(),
            })
            .collect()
    }

    /// The middle slice of an item, `[h, w]`.
    ///
    /// # Panics
    /// If there is no such item.
    pub fn middle(&self, item: usize) -> &[f32] {
        let [_, slices, h, w] = self.shape;
        &self.images[(item * slices + slices / 2) * h * w..][..h * w]
    }
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
    /// The seeds of further starts.
    Start,
    /// The crops of which grey values are known without noise.
    Denoise,
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

/// The seed of a start (see [`Config::starts`](crate::Config)): the first one's is the run's own.
pub fn start_seed(seed: u64, start: usize) -> u64 {
    if start == 0 { seed } else { seed_for(seed, Stream::Start, 0, start) }
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
    /// Share of crops whose middle slice is hidden behind its neighbour.
    pub blind: f64,
    /// The run's seed.
    pub seed: u64,
    /// The stage's stream.
    pub stream: Stream,
}

impl Batches<'_> {
    /// The weak views of step `step`, and the strong views made from them.
    pub fn draw(&self, step: usize) -> (Batch, Batch) {
        let mut crops = self.crops(step);
        let weak = gather(&crops);
        self.make_strong(&mut crops);
        (weak, gather(&crops))
    }

    /// The weak views of step `step`, the last `strong` of them made strong: one-stage training (Sec. IV-D).
    pub fn draw_mixed(&self, step: usize, strong: usize) -> Batch {
        let mut crops = self.crops(step);
        self.make_strong(&mut crops[self.batch.saturating_sub(strong)..]);
        gather(&crops)
    }

    /// The weak views of a step, each with the random numbers that are left to it.
    fn crops(&self, step: usize) -> Vec<(Patch, ChaCha8Rng)> {
        let draw = |item| {
            let mut rng = generator(self.seed, self.stream, step, item);
            let mut patch = self.pool.draw(self.crop, &mut rng);
            if self.blind > 0.0 && rng.random::<f64>() < self.blind {
                patch.hide_middle(rng.random());
            }
            self.weak.iter().for_each(|view| view.apply(&mut patch, &mut rng));
            (patch, rng)
        };
        (0..self.batch).into_par_iter().map(draw).collect()
    }

    /// Makes strong views of weak ones.
    fn make_strong(&self, crops: &mut [(Patch, ChaCha8Rng)]) {
        crops.par_iter_mut().for_each(|(patch, rng)| {
            self.strong.iter().for_each(|view| view.apply(patch, rng));
        });
    }
}

/// What `draw` makes of every step, in order, while a thread of `scope` already draws the next.
///
/// Batches depend on the seed and the step alone, so drawing them early changes nothing. One drawn step waits
/// at most; once the iterator is dropped, no more are drawn.
///
/// ```
/// use tomosieve::batches::ahead;
///
/// let drawn: Vec<(usize, usize)> =
///     std::thread::scope(|scope| ahead(scope, 2..4, |step| 10 * step).collect());
/// assert_eq!(drawn, [(2, 20), (3, 30)]);
/// ```
pub fn ahead<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    steps: Range<usize>,
    draw: impl Fn(usize) -> T + Send + 'scope,
) -> impl Iterator<Item = (usize, T)> {
    let (send, receive) = sync_channel(0);
    scope.spawn(move || {
        for step in steps {
            if send.send((step, draw(step))).is_err() {
                break; // nobody wants more
            }
        }
    });
    receive.into_iter()
}

/// One batch out of equally sized patches.
fn gather(crops: &[(Patch, ChaCha8Rng)]) -> Batch {
    let Some((first, _)) = crops.first() else { return Batch::default() };
    Batch {
        shape: [crops.len(), first.slices, first.height, first.width],
        images: Buffer::concat(&crops.iter().map(|(patch, _)| &*patch.image).collect::<Vec<_>>()),
        labels: crops.iter().map(|(patch, _)| patch.labels.as_slice()).collect::<Vec<_>>().concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawing_ahead_keeps_the_order_and_stops_with_its_reader() {
        let drawn = std::sync::atomic::AtomicUsize::new(0);
        let draw = |step: usize| {
            drawn.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            generator(3, Stream::Train, step, 0).get_seed()
        };
        let read: Vec<_> = std::thread::scope(|scope| ahead(scope, 5..1000, draw).take(3).collect());
        let expected: Vec<_> =
            (5..8).map(|step| (step, generator(3, Stream::Train, step, 0).get_seed())).collect();
        assert_eq!(read, expected);
        assert!((3..=5).contains(&drawn.into_inner()), "one step ahead, not more");
    }
}
