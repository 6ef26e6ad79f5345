//! The few random draws that views make, on a generator behind a pointer.

use rand::Rng;

/// Uniform in `[0, 1)`, from the upper 53 bits of one word.
pub(super) fn unit(rng: &mut dyn Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

/// Uniform in `[low, high)`.
pub(super) fn uniform(rng: &mut dyn Rng, low: f64, high: f64) -> f64 {
    low + (high - low) * unit(rng)
}

/// True with the given probability; 0 is never, 1 is always.
pub(super) fn chance(rng: &mut dyn Rng, probability: f64) -> bool {
    unit(rng) < probability
}

/// Uniform among `0..count`; meant for a handful of choices.
pub(super) fn choice(rng: &mut dyn Rng, count: usize) -> usize {
    (unit(rng) * count as f64) as usize
}
