//! How a training shares threads and memory out.

use tomosieve_volume::Shape;

use super::{BASE, pool_voxels};
use crate::batches::crops_at_once;
use crate::config::Config;
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
    /// As many starts as have threads of their own, if memory allows and none is left over at the end; the parts of a
    /// batch only where starts go one after the other.
    pub fn plan(config: &Config, shape: Shape, crop: usize, batch: usize, memory: u64) -> Self {
        let threads = if config.device == "cpu" { rayon::current_num_threads() } else { 1 };
        let parts = batch.div_ceil(crops_at_once(crop));
        let of_starts = (2..=threads.min(config.starts))
            .filter(|&starts| config.starts.is_multiple_of(starts))
            .map(|starts| Self { starts, parts: 1 });
        let of_parts = (2..=threads.min(parts)).map(|parts| Self { starts: 1, parts });
        let fits = |lanes: &Self| training_memory(config, shape, crop, batch, memory, *lanes, 2) <= memory;
        let found = of_starts.rev().chain(of_parts.rev()).find(fits);
        found.unwrap_or(Self { starts: 1, parts: 1 })
    }

    /// How many passes through a network are under way at once.
    fn passes(self) -> usize {
        self.starts * self.parts
    }
}

/// Peak bytes of a training stage beside its networks: the pool, the batches that are drawn, wait or are learned, and the
/// activations that autodiff keeps on each lane. Of each crop there are so many `views`, one of stage 2 and two of stage 3.
pub(super) fn training_memory(
    config: &Config,
    shape: Shape,
    crop: usize,
    batch: usize,
    limit: u64,
    lanes: TrainingLanes,
    views: u64,
) -> u64 {
    // Copies, as measured (benches/memory.sh): of every level's activations for the teacher, and of a batch.
    const TAUGHT: u64 = 5;
    const DRAWN: u64 = 4;
    let pool = shape.voxels().min(pool_voxels(config, limit)) * pool::BYTES_PER_VOXEL;
    let pixels = batch.min(crops_at_once(crop)) * crop * crop;
    let kept = config.network.kept_bytes(pixels) + (views - 1) * TAUGHT * config.network.level_bytes(pixels);
    let drawn = (config.starts * batch * config.input.slices * crop * crop * size_of::<f32>()) as u64 * DRAWN;
    BASE + pool as u64 + drawn + lanes.passes() as u64 * kept
}
