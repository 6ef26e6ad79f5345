//! k-means, the default (paper Sec. III-B, Eq. 1-2): minimise `J = Σ_k Σ_{x∈C_k} |x − μ_k|²`, then label each value by
//! its nearest centroid.
//!
//! Values lie on a line, so no iteration from random starts is needed: the global optimum is computed exactly on the
//! histogram by dynamic programming. Hence no seed, and never worse than Lloyd's algorithm from any start.
//!
//! Reference: Wang & Song, *Ckmeans.1d.dp*, The R Journal 3(2), 2011.

use serde::{Deserialize, Serialize};

use crate::clustering::{Clustering, MAX_CLASSES, check};
use crate::clusters::{Clusters, Tie};
use crate::error::Result;
use crate::histogram::Histogram;
use crate::partition::{Levels, Partitions};

/// Name in the roster.
pub const NAME: &str = "kmeans";

/// Exact k-means in one dimension; it has no settings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KMeans {}

impl Clustering for KMeans {
    fn name(&self) -> &'static str {
        NAME
    }

    fn fit(&self, values: &Histogram, classes: usize) -> Result<Clusters> {
        check(values, classes, MAX_CLASSES)?;
        let levels = Levels::new(values.counts());
        let partitions = levels.partitions(classes);
        Ok(from_partition(values, &levels, &partitions, classes))
    }
}

impl KMeans {
    /// Fits every number of classes from 1 to `most` (fewer if there are fewer distinct values) for the price of the
    /// last: the dynamic programme solves them all on its way. The first entry is the single class.
    ///
    /// # Errors
    /// As [`Clustering::fit`], but a volume of fewer distinct values than `most` is no error.
    pub fn fit_all(&self, values: &Histogram, most: usize) -> Result<Vec<Clusters>> {
        check(values, most.min(values.distinct()).max(2), MAX_CLASSES)?;
        let levels = Levels::new(values.counts());
        let partitions = levels.partitions(most);
        Ok((1..=most.min(levels.len())).map(|k| from_partition(values, &levels, &partitions, k)).collect())
    }
}

/// Clusters of the best partition into `classes` groups: cuts half-way between neighbouring means (Eq. 2).
fn from_partition(values: &Histogram, levels: &Levels, partitions: &Partitions, classes: usize) -> Clusters {
    let starts = partitions.starts(classes);
    let bounds: Vec<usize> = [0].into_iter().chain(starts).chain([levels.len()]).collect();
    let means: Vec<f64> = bounds
        .windows(2)
        .map(|group| {
            let (first, last) = (levels.bin(group[0]), levels.bin(group[1] - 1));
            mean(values, first, last)
        })
        .collect();
    let thresholds = means.windows(2).map(|pair| f64::midpoint(pair[0], pair[1])).collect();
    Clusters::from_thresholds(NAME, values, thresholds, Tie::Lower)
}

/// Mean of the voxels in the bins `first..=last`, exact in bin numbers.
fn mean(values: &Histogram, first: usize, last: usize) -> f64 {
    let (mut mass, mut moment) = (0_u128, 0_u128);
    for (bin, &count) in values.counts()[first..=last].iter().enumerate() {
        mass += u128::from(count);
        moment += u128::from(count) * bin as u128;
    }
    values.value(first) + values.width() * (moment as f64 / mass as f64)
}
