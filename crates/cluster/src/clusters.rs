//! A fitted clustering: what the classes are and which one a value belongs to (paper Eq. 2).
//!
//! A value is labelled by the interval it falls in: a short ascending list of cuts and one class for each interval between
//! them. Threshold methods have `K − 1` cuts; a Gaussian mixture may return to a class beyond another (a wide component
//! on both sides of a narrow one), so its intervals may repeat classes.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::histogram::Histogram;
use crate::value::Value;

/// On which side a value equal to a threshold falls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tie {
    /// Below it: the nearest centroid of smaller index, as `argmin` gives.
    Lower,
    /// Above it, as `numpy.digitize` gives.
    Upper,
}

/// A fitted clustering. Vectors are indexed by class, in ascending order of mean intensity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct Clusters {
    /// Name of the method.
    pub method: String,
    /// Mean value of each class.
    pub means: Vec<f64>,
    /// Share of voxels of each class (of the mixture's component, for a mixture); sums to 1.
    pub weights: Vec<f64>,
    /// Variance of each class.
    pub variances: Vec<f64>,
    /// Values between intervals, ascending.
    pub thresholds: Vec<f64>,
    /// Class of each interval, one more than there are thresholds.
    pub intervals: Vec<u8>,
    /// Sum over voxels of squared distances to the mean of the class they are labelled with (Eq. 1).
    pub inertia: f64,
    /// Total log-likelihood of the voxel values, for a mixture.
    pub log_likelihood: Option<f64>,
    /// Bayesian information criterion, for a mixture; smaller is better.
    pub bic: Option<f64>,
    /// Iterations spent, for an iterative method.
    pub iterations: Option<usize>,
    /// Smallest `f32` of each interval but the first.
    cuts: Vec<f32>,
}

impl Clusters {
    /// Clusters from thresholds, with statistics taken from the voxels so labelled.
    pub(crate) fn from_thresholds(method: &str, values: &Histogram, thresholds: Vec<f64>, tie: Tie) -> Self {
        let intervals = (0..=thresholds.len() as u8).collect();
        let mut clusters = Self::unmeasured(method, thresholds, intervals, tie);
        let measured = clusters.measure(values, clusters.thresholds.len() + 1, tie);
        clusters.means = measured.means;
        clusters.weights = measured.weights;
        clusters.variances = measured.variances;
        clusters.inertia = measured.inertia;
        clusters
    }

    /// Clusters that can label but know no statistics yet.
    pub(crate) fn unmeasured(method: &str, thresholds: Vec<f64>, intervals: Vec<u8>, tie: Tie) -> Self {
        let cuts = thresholds.iter().map(|&t| first_above(t, tie)).collect();
        Self {
            method: method.to_owned(),
            means: Vec::new(),
            weights: Vec::new(),
            variances: Vec::new(),
            thresholds,
            intervals,
            inertia: 0.0,
            log_likelihood: None,
            bic: None,
            iterations: None,
            cuts,
        }
    }

    /// Statistics of the voxels labelled with each class.
    pub(crate) fn measure(&self, values: &Histogram, classes: usize, tie: Tie) -> Measured {
        let mut sums = vec![[0.0; 2]; classes];
        let labelled: Vec<(f64, f64, usize)> = values
            .occupied()
            .map(|(value, count)| {
                (value, count as f64, usize::from(self.intervals[self.interval(value, tie)]))
            })
            .collect();
        for &(value, count, class) in &labelled {
            sums[class][0] += count;
            sums[class][1] += count * value;
        }
        // An empty class (possible for ties) keeps the place of its interval's lower threshold.
        let means: Vec<f64> = sums
            .iter()
            .enumerate()
            .map(|(class, sum)| if sum[0] > 0.0 { sum[1] / sum[0] } else { self.place(class, values) })
            .collect();
        let mut scatter = vec![0.0; classes];
        for &(value, count, class) in &labelled {
            scatter[class] += count * (value - means[class]).powi(2);
        }
        let total: f64 = sums.iter().map(|sum| sum[0]).sum();
        Measured {
            weights: sums.iter().map(|sum| sum[0] / total).collect(),
            variances: scatter.iter().zip(&sums).map(|(s, sum)| s / sum[0].max(1.0)).collect(),
            inertia: scatter.iter().sum(),
            means,
        }
    }

    /// Interval of a bin centre, in full precision: bins may be narrower than `f32` can tell apart.
    fn interval(&self, value: f64, tie: Tie) -> usize {
        self.thresholds.partition_point(|&t| if tie == Tie::Upper { value >= t } else { value > t })
    }

    /// Where a class without voxels would lie.
    fn place(&self, class: usize, values: &Histogram) -> f64 {
        let interval = self.intervals.iter().position(|&c| usize::from(c) == class).unwrap_or(0);
        match interval.checked_sub(1) {
            Some(before) => self.thresholds[before],
            None => values.min(),
        }
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.means.len()
    }

    /// Class of one value; a value that is not finite belongs to class 0, the background.
    pub fn assign(&self, value: f32) -> u8 {
        if value.is_finite() { self.intervals[self.cuts.partition_point(|&cut| value >= cut)] } else { 0 }
    }

    /// Classes of many values, shared among the threads of the current rayon pool.
    ///
    /// # Errors
    /// [`Error::Length`] unless there is one label for each value.
    pub fn assign_slice<V: Value>(&self, values: &[V], labels: &mut [u8]) -> Result<()> {
        if values.len() != labels.len() {
            return Err(Error::Length { got: labels.len(), expected: values.len() });
        }
        V::label(self, values, labels);
        Ok(())
    }

    /// Smallest `f32` of each interval but the first, ascending.
    pub(crate) fn cuts(&self) -> &[f32] {
        &self.cuts
    }
}

/// Statistics by class.
pub(crate) struct Measured {
    pub(crate) means: Vec<f64>,
    pub(crate) weights: Vec<f64>,
    pub(crate) variances: Vec<f64>,
    pub(crate) inertia: f64,
}

/// Smallest `f32` on the upper side of `threshold`.
fn first_above(threshold: f64, tie: Tie) -> f32 {
    let nearest = threshold as f32;
    let above = match tie {
        Tie::Lower => f64::from(nearest) > threshold,
        Tie::Upper => f64::from(nearest) >= threshold,
    };
    if above { nearest } else { nearest.next_up() }
}

/// [`Clusters`] as read from a file, before they are trusted.
#[derive(Deserialize)]
struct Stored {
    method: String,
    means: Vec<f64>,
    weights: Vec<f64>,
    variances: Vec<f64>,
    thresholds: Vec<f64>,
    intervals: Vec<u8>,
    inertia: f64,
    log_likelihood: Option<f64>,
    bic: Option<f64>,
    iterations: Option<usize>,
    cuts: Vec<f32>,
}

impl TryFrom<Stored> for Clusters {
    type Error = Error;

    fn try_from(s: Stored) -> Result<Self> {
        let k = s.means.len();
        let sound = s.weights.len() == k
            && s.variances.len() == k
            && s.cuts.len() == s.thresholds.len()
            && s.intervals.len() == s.cuts.len() + 1
            && s.intervals.iter().all(|&class| usize::from(class) < k)
            && s.cuts.is_sorted();
        if !sound {
            return Err(Error::Inconsistent {
                what: "clusters",
                got: format!("{k} means, {} thresholds, {} intervals", s.thresholds.len(), s.intervals.len()),
                expected: "as many weights and variances as means, ascending thresholds, one interval more"
                    .to_owned(),
            });
        }
        Ok(Self {
            method: s.method,
            means: s.means,
            weights: s.weights,
            variances: s.variances,
            thresholds: s.thresholds,
            intervals: s.intervals,
            inertia: s.inertia,
            log_likelihood: s.log_likelihood,
            bic: s.bic,
            iterations: s.iterations,
            cuts: s.cuts,
        })
    }
}
