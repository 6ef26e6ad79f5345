//! How a training shares threads and memory out.

use tomosieve_volume::Shape;

use super::{BASE, pool_voxels};
use crate::batches::crops_at_once;
use crate::config::Config;
use crate::jury::Jury;
use crate::pool;

/// How a training shares the threads of the CPU out, an equal part for each lane: over its starts and, within a start,
/// over the parts of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrainingLanes {
    /// Starts side by side.
    pub starts: usize,
    /// Parts of a start's batch side by side.
    pub parts: usize,
}

impl TrainingLanes {
    /// As many starts as have threads of their own, if memory allows and these go through all of them in full rounds; the
    /// parts of a batch only where starts go one after the other.
    pub fn plan(config: &Config, shape: Shape, crop: usize, batch: usize, memory: u64) -> Self {
        let threads = if config.device == "cpu" { rayon::current_num_threads() } else { 1 };
        let parts = batch.div_ceil(crops_at_once(batch, crop, &config.network));
        let of_starts = (2..=threads.min(config.starts))
            .filter(|&starts| config.starts.is_multiple_of(starts))
            .map(|starts| Self { starts, parts: 1 });
        let of_parts = (2..=threads.min(parts)).map(|parts| Self { starts: 1, parts });
        let training = Training { config, shape, limit: memory, crop, batch, views: 2 };
        let fits = |lanes: &Self| training.estimate(*lanes) <= memory;
        let found = of_starts.rev().chain(of_parts.rev()).find(fits);
        found.unwrap_or(Self { starts: 1, parts: 1 })
    }

    /// How many passes through a network are under way at once.
    fn passes(self) -> usize {
        self.starts * self.parts
    }
}

/// A training stage, as far as its memory goes.
#[derive(Clone, Copy)]
pub(super) struct Training<'a> {
    pub(super) config: &'a Config,
    pub(super) shape: Shape,
    /// Bytes that the run may use.
    pub(super) limit: u64,
    pub(super) crop: usize,
    pub(super) batch: usize,
    /// Views of each crop: one of stage 2, two of stage 3.
    pub(super) views: usize,
}

impl Training<'_> {
    /// Peak bytes beside its networks, before anything was tried: what autodiff keeps of activations is measured for
    /// every network at its own widths.
    pub(super) fn estimate(&self, lanes: TrainingLanes) -> u64 {
        // Copies of every level's activations for the teacher.
        const TAUGHT: u64 = 5;
        let network = &self.config.network;
        let pixels = self.batch.min(crops_at_once(self.batch, self.crop, network)) * self.crop * self.crop;
        let taught = (self.views as u64 - 1) * TAUGHT * network.level_bytes(pixels);
        BASE + self.data() + lanes.passes() as u64 * (network.kept_bytes(pixels) + taught)
    }

    /// Bytes of what it learns from and is judged by: the pool, batches that are drawn, wait or are learned, and the
    /// jury of stage 3.
    pub(super) fn data(&self) -> u64 {
        // Copies of a batch, as measured (benches/memory.sh).
        const DRAWN: usize = 4;
        let Self { config, shape, crop, views, .. } = *self;
        let (slices, classes) = (config.input.slices, config.input.classes);
        let pool = shape.voxels().min(pool_voxels(config, self.limit)) * pool::BYTES_PER_VOXEL;
        let drawn = DRAWN * views * config.starts * self.batch * slices * crop * crop * size_of::<f32>();
        let jury = if views > 1 { Jury::bytes(slices, crop, classes) } else { 0 };
        (pool + drawn + jury) as u64
    }

    /// Copies of the weights that it has of a start: the student's, Adam's two moments, in stage 3 the teacher's and the
    /// kept one's, and what is read or written at its ends or follows the student.
    pub(super) fn copies(&self) -> usize {
        if self.views > 1 { 7 } else { 4 }
    }
}
