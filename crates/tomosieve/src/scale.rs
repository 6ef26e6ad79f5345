//! The robust scaling of grey values to [0, 1] (Sec. III-C).

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use tomosieve_cluster::Histogram;

/// Maps `[low, high]`, two percentiles of the whole volume, to `[0, 1]` and clips the rest.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Scale {
    /// The value that becomes 0.
    pub low: f32,
    /// The value that becomes 1.
    pub high: f32,
}

impl Scale {
    /// The scale between two percentiles (0 to 100) of the volume's values.
    ///
    /// Where both percentiles are one value (a nearly constant volume), the extremes are taken.
    pub fn between(values: &Histogram, percentiles: [f64; 2]) -> Self {
        let [low, high] = percentiles.map(|p| values.quantile(p / 100.0));
        if low < high {
            return Self { low: low as f32, high: high as f32 };
        }
        Self { low: values.min() as f32, high: values.max() as f32 }
    }

    /// The scaled value; 0 for what is not finite.
    #[inline]
    pub fn apply(&self, value: f32) -> f32 {
        if value.is_finite() { ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0) } else { 0.0 }
    }

    /// Scales all values, on all threads of the current pool.
    pub fn apply_all(&self, values: &mut [f32]) {
        let part = |values: &mut [f32]| values.iter_mut().for_each(|value| *value = self.apply(*value));
        values.par_chunks_mut(1 << 14).for_each(part);
    }
}
