//! Multi-Otsu (paper Sec. IV-H): the `K − 1` thresholds that maximise the between-class variance of the histogram.
//!
//! Maximising the variance between classes is minimising it within them, so on equal bins the optimum is that of
//! k-means and is found by the same dynamic programme, for any `K`, where a search over threshold tuples stops being
//! practical at five. What differs is the convention, that of scikit-image: values are first gathered in 256 bins over
//! their range (integers spanning fewer keep one bin each); a threshold is the *centre of the last bin of the lower
//! class*; and a value equal to a threshold belongs to the upper class, as `numpy.digitize` has it.
//!
//! Reference: Liao, Chen & Chung, *A fast algorithm for multilevel thresholding*, J. Inf. Sci. Eng. 17, 2001;
//! `skimage.filters.threshold_multiotsu`.

use serde::{Deserialize, Serialize};

use crate::clustering::{Clustering, check};
use crate::clusters::{Clusters, Tie};
use crate::error::{Error, Result};
use crate::histogram::{Histogram, MAX_BINS};
use crate::partition::Levels;

/// Name in the roster.
pub const NAME: &str = "multi-otsu";

/// Most classes: beyond it 256 bins are too coarse to mean anything.
pub const MOST: usize = 32;

/// Multi-level Otsu thresholding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MultiOtsu {
    /// Bins over the occupied range; 256 as in scikit-image.
    pub bins: usize,
}

impl Default for MultiOtsu {
    fn default() -> Self {
        Self { bins: 256 }
    }
}

impl Clustering for MultiOtsu {
    fn name(&self) -> &'static str {
        NAME
    }

    fn fit(&self, values: &Histogram, classes: usize) -> Result<Clusters> {
        check(values, classes, MOST)?;
        if !(2..=MAX_BINS).contains(&self.bins) {
            return Err(Error::InvalidBins { got: self.bins as u64, least: 2, most: MAX_BINS as u64 });
        }
        let bins = Coarse::new(values, self.bins);
        let levels = Levels::new(&bins.counts);
        if levels.len() < classes {
            let remedy = " after gathering; ask for fewer or raise multi-otsu's bins";
            return Err(Error::TooFewValues { distinct: levels.len(), classes, remedy });
        }
        let starts = levels.partitions(classes).starts(classes);
        let thresholds = starts.iter().map(|&start| bins.centre(levels.bin(start - 1))).collect();
        Ok(Clusters::from_thresholds(NAME, values, thresholds, Tie::Upper))
    }
}

/// Equal bins over the occupied range, with edges as `numpy.histogram` computes them.
struct Coarse {
    low: f64,
    high: f64,
    counts: Vec<u64>,
    /// The bins are the histogram's own, of this width, centred on `low` and so on.
    own: Option<f64>,
}

impl Coarse {
    fn new(values: &Histogram, bins: usize) -> Self {
        let (low, high) = (values.min(), values.max());
        let (first, last) = (values.bin(low), values.bin(high));
        let mut coarse = Self { low, high, counts: vec![0; bins], own: None };
        if last - first < bins {
            coarse.own = Some(values.width());
            coarse.counts = values.counts()[first..=last].to_vec();
            return coarse;
        }
        for (value, count) in values.occupied() {
            let bin = coarse.find(value);
            coarse.counts[bin] += count;
        }
        coarse
    }

    /// Bin whose half-open interval of edges holds `value`; the last is closed.
    fn find(&self, value: f64) -> usize {
        let bins = self.counts.len();
        let bin = (((value - self.low) / (self.high - self.low)) * bins as f64) as usize;
        let bin = bin.min(bins - 1);
        if value < self.edge(bin) {
            bin - 1
        } else if bin + 1 < bins && value >= self.edge(bin + 1) {
            bin + 1
        } else {
            bin
        }
    }

    fn edge(&self, i: usize) -> f64 {
        let bins = self.counts.len();
        if i == bins { self.high } else { i as f64 * ((self.high - self.low) / bins as f64) + self.low }
    }

    fn centre(&self, bin: usize) -> f64 {
        match self.own {
            Some(width) => self.low + width * bin as f64,
            None => f64::midpoint(self.edge(bin), self.edge(bin + 1)),
        }
    }
}
