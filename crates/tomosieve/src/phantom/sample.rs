//! The contract of a sample: what it is called, and how one of its slices is drawn.

use std::fmt;

/// A sample the generator can make; the roster is in [the module above](super).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sample {
    /// Polygonal grain with shell, lamellae and intensity drift.
    Intergrowth,
    /// Packed grains in a container.
    Sand,
    /// Block with a thin crack and streaks.
    Ceramic,
}

/// The name of a sample and of its truth classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleInfo {
    /// The name by which configurations and the command line know the sample.
    pub name: &'static str,
    /// The truth classes in the order of their labels; label 0 is the background.
    pub classes: &'static [&'static str],
    /// What the sample shows, in one line.
    pub description: &'static str,
}

/// The truth of one slice of the simulation square.
#[derive(Debug, Clone)]
pub(super) struct Field {
    /// Attenuation, `[y, x]`.
    pub(super) attenuation: Vec<f32>,
    /// Truth labels, `[y, x]`.
    pub(super) truth: Vec<u8>,
}

impl Field {
    /// An empty square of side `n`.
    pub(super) fn air(n: usize) -> Self {
        Self { attenuation: vec![0.0; n * n], truth: vec![0; n * n] }
    }
}

/// The shapes of one sample, drawn once; slices are made from them on demand.
pub(super) trait Geometry: fmt::Debug + Send + Sync {
    /// Slice `k` of the simulation square.
    fn rasterise(&self, k: usize) -> Field;
}
