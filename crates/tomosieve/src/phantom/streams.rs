//! One independent random stream per purpose and slice.
//!
//! A stream is keyed by `(seed, purpose, slice, family)`, so a slice's noise depends neither on the order in
//! which slices are made nor on who makes them. `ChaCha8` takes the whole key as it is, without
//! hashing, and yields the same numbers on every platform.

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

/// The generator every phantom draws from.
pub(super) type Stream = ChaCha8Rng;

/// What a stream is for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose {
    /// Shapes, once per phantom.
    Geometry = 1,
    /// Detector errors common to all rows, once per phantom.
    Detector = 2,
    /// Photon counts and detector errors of one row, that is of one slice.
    Row = 3,
}

/// The streams of one phantom.
#[derive(Debug, Clone, Copy)]
pub(super) struct Streams {
    /// The user's seed.
    pub(super) seed: u64,
    /// A constant of each sample, which decides what phantom a seed stands for.
    pub(super) family: u64,
}

impl Streams {
    /// The stream of what is drawn once per phantom.
    pub(super) fn common(self, purpose: Purpose) -> Stream {
        self.of_slice(purpose, 0)
    }

    /// The stream of one slice.
    pub(super) fn of_slice(self, purpose: Purpose, slice: usize) -> Stream {
        let mut key = [0; 32];
        let parts = [self.seed, purpose as u64, slice as u64, self.family];
        for (bytes, part) in key.chunks_exact_mut(8).zip(parts) {
            bytes.copy_from_slice(&part.to_le_bytes());
        }
        Stream::from_seed(key)
    }
}
