//! Gaussian mixture (paper Sec. IV-H): one weight, mean and variance for each component, fitted by expectation
//! maximisation; label = largest responsibility.
//!
//! The fit runs on the histogram (a bin weighs as much as its count) and needs no seed: it climbs from the exact k-means
//! solution and from a merged start, and keeps the likelier. Where bins are many it first converges on a coarser copy, then on the bins themselves. A variance
//! never falls below that of a value spread over its bin, `width² / 12`, so a spike such as a masked background cannot
//! make the likelihood diverge.
//!
//! Reference: Dempster, Laird & Rubin, J. R. Stat. Soc. B 39, 1977; Bishop, *Pattern Recognition and Machine Learning*,
//! Sec. 9.2.

use std::f64::consts::TAU;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::kmeans::KMeans;
use super::merging;
use crate::clustering::{Clustering, MAX_CLASSES, check};
use crate::clusters::{Clusters, Tie};
use crate::error::Result;
use crate::histogram::Histogram;

/// Name in the roster.
pub const NAME: &str = "gmm";

/// Levels of the coarse copy.
const COARSE: usize = 1024;

/// Levels summed by one task; sums are added in order, so the result does not depend on threads.
const CHUNK: usize = 512;

/// Gaussian mixture model with a variance for each component.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Gmm {
    /// Stop when the mean log-likelihood gains less than this in an iteration (scikit-learn's default is 1e-3).
    pub tolerance: f64,
    /// Most iterations from each start on the coarse copy, and again on the bins themselves.
    pub max_iterations: usize,
    /// Whether to climb from a second start as well (components merged from many small ones, which may lie behind each
    /// other) and keep the likelier; `false` starts from k-means alone, as scikit-learn does.
    pub second_start: bool,
}

impl Default for Gmm {
    fn default() -> Self {
        Self { tolerance: 1e-6, max_iterations: 1000, second_start: true }
    }
}

impl Clustering for Gmm {
    fn name(&self) -> &'static str {
        NAME
    }

    /// A heap of voxels at a clip value would get a component of its own, of almost no width.
    fn tolerates_clipping(&self) -> bool {
        false
    }

    fn fit(&self, values: &Histogram, classes: usize) -> Result<Clusters> {
        check(values, classes, MAX_CLASSES)?;
        // Unit variance about zero: the arithmetic does not see the volume's units.
        let centre = values.mean();
        let total = values.total() as f64;
        let spread = values.occupied().map(|(v, n)| n as f64 * (v - centre).powi(2)).sum::<f64>() / total;
        let scale = spread.sqrt();
        let levels: Vec<Level> = values
            .occupied()
            .map(|(v, n)| Level { x: (v - centre) / scale, share: n as f64 / total })
            .collect();
        let floor = (values.width() / scale).powi(2) / 12.0;

        let kmeans = KMeans::default().fit(values, classes)?;
        let intervals = (0..classes).map(|k| Component {
            weight: kmeans.weights[k],
            mean: (kmeans.means[k] - centre) / scale,
            variance: (kmeans.variances[k] / spread).max(floor),
        });
        let merged = if self.second_start { merging::start(&levels, classes, floor) } else { None };
        let coarse = if levels.len() > 2 * COARSE { gather(&levels) } else { levels.clone() };
        let (mut mixture, mut iterations) = self.climb(&coarse, intervals.collect(), floor);
        if let Some(merged) = merged {
            let (other, more) = self.climb(&coarse, merged, floor);
            iterations += more;
            if expect(&coarse, &other).1 > expect(&coarse, &mixture).1 + self.tolerance {
                mixture = other;
            }
        }
        if coarse.len() < levels.len() {
            let (polished, more) = self.climb(&levels, mixture, floor);
            mixture = polished;
            iterations += more;
        }
        mixture.sort_by(|a, b| a.mean.total_cmp(&b.mean));

        let (_, mean_log) = expect(&levels, &mixture);
        let log_likelihood = total * (mean_log - scale.ln());
        let parameters = (3 * classes - 1) as f64;
        let (thresholds, intervals) = label(values, &mixture, centre, scale);
        let mut clusters = Clusters::unmeasured(NAME, thresholds, intervals, Tie::Lower);
        clusters.inertia = clusters.measure(values, classes, Tie::Lower).inertia;
        clusters.means = mixture.iter().map(|c| c.mean * scale + centre).collect();
        clusters.weights = mixture.iter().map(|c| c.weight).collect();
        clusters.variances = mixture.iter().map(|c| c.variance * spread).collect();
        clusters.log_likelihood = Some(log_likelihood);
        clusters.bic = Some(parameters * total.ln() - 2.0 * log_likelihood);
        clusters.iterations = Some(iterations);
        Ok(clusters)
    }
}

impl Gmm {
    /// Iterates until the mean log-likelihood stands still; returns the iterations spent as well.
    fn climb(&self, levels: &[Level], mut mixture: Vec<Component>, floor: f64) -> (Vec<Component>, usize) {
        let mut before = f64::NEG_INFINITY;
        for iteration in 0..self.max_iterations {
            let (moments, now) = expect(levels, &mixture);
            if now - before < self.tolerance {
                return (mixture, iteration);
            }
            before = now;
            maximise(&moments, &mut mixture, floor);
        }
        (mixture, self.max_iterations)
    }
}

/// An occupied bin: standardised value and share of the voxels.
#[derive(Clone, Copy)]
pub(super) struct Level {
    pub(super) x: f64,
    pub(super) share: f64,
}

/// One Gaussian.
#[derive(Clone, Copy)]
pub(super) struct Component {
    pub(super) weight: f64,
    pub(super) mean: f64,
    pub(super) variance: f64,
}

impl Component {
    /// `ln(w N(x; μ, σ²))` as a parabola `a + b (x − μ)²`.
    fn parabola(self) -> (f64, f64) {
        (self.weight.ln() - 0.5 * (TAU * self.variance).ln(), -0.5 / self.variance)
    }
}

/// Expectation: responsibilities summed into `Σr`, `Σr(x−μ)`, `Σr(x−μ)²` by component, and the mean log-likelihood.
fn expect(levels: &[Level], mixture: &[Component]) -> (Vec<[f64; 3]>, f64) {
    let parabolas: Vec<(f64, f64)> = mixture.iter().map(|c| c.parabola()).collect();
    let parts: Vec<(Vec<[f64; 3]>, f64)> = levels
        .par_chunks(CHUNK)
        .map(|levels| {
            let mut moments = vec![[0.0; 3]; mixture.len()];
            let mut joint = vec![0.0; mixture.len()];
            let mut log_sum = 0.0;
            for level in levels {
                let mut most = f64::NEG_INFINITY;
                for ((log, c), (a, b)) in joint.iter_mut().zip(mixture).zip(&parabolas) {
                    *log = a + b * (level.x - c.mean).powi(2);
                    most = most.max(*log);
                }
                let mut sum = 0.0;
                for log in &mut joint {
                    *log = (*log - most).exp();
                    sum += *log;
                }
                log_sum += level.share * (most + sum.ln());
                let share = level.share / sum;
                for ((moment, part), c) in moments.iter_mut().zip(&joint).zip(mixture) {
                    let (r, d) = (share * part, level.x - c.mean);
                    moment[0] += r;
                    moment[1] += r * d;
                    moment[2] += r * d * d;
                }
            }
            (moments, log_sum)
        })
        .collect();
    let mut moments = vec![[0.0; 3]; mixture.len()];
    let mut log_sum = 0.0;
    for (part, log) in parts {
        log_sum += log;
        for (sum, more) in moments.iter_mut().zip(part) {
            *sum = [sum[0] + more[0], sum[1] + more[1], sum[2] + more[2]];
        }
    }
    (moments, log_sum)
}

/// Maximisation: new weights, means and variances; a component that lost its voxels stays where it is.
fn maximise(moments: &[[f64; 3]], mixture: &mut [Component], floor: f64) {
    let total: f64 = moments.iter().map(|m| m[0]).sum();
    for (c, &[mass, first, second]) in mixture.iter_mut().zip(moments) {
        c.weight = (mass / total).max(f64::MIN_POSITIVE);
        if mass > f64::MIN_POSITIVE.sqrt() {
            let shift = first / mass;
            c.mean += shift;
            c.variance = (second / mass - shift * shift).max(floor);
        }
    }
}

/// Levels gathered into about [`COARSE`] groups of neighbours, each at its centre of mass.
fn gather(levels: &[Level]) -> Vec<Level> {
    levels
        .chunks(levels.len().div_ceil(COARSE))
        .map(|group| {
            let share: f64 = group.iter().map(|l| l.share).sum();
            Level { x: group.iter().map(|l| l.share * l.x).sum::<f64>() / share, share }
        })
        .collect()
}

/// Class of the largest responsibility at every bin centre, as runs: bin edges between them, and their classes.
fn label(values: &Histogram, mixture: &[Component], centre: f64, scale: f64) -> (Vec<f64>, Vec<u8>) {
    let parabolas: Vec<(f64, f64)> = mixture.iter().map(|c| c.parabola()).collect();
    let mut thresholds = Vec::new();
    let mut classes: Vec<u8> = Vec::new();
    for bin in 0..values.counts().len() {
        let x = (values.value(bin) - centre) / scale;
        let mut best = (f64::NEG_INFINITY, 0);
        for (class, (c, (a, b))) in mixture.iter().zip(&parabolas).enumerate() {
            let log = a + b * (x - c.mean).powi(2);
            if log > best.0 {
                best = (log, class as u8);
            }
        }
        if classes.last() != Some(&best.1) {
            if bin > 0 {
                thresholds.push(values.value(bin) - 0.5 * values.width());
            }
            classes.push(best.1);
        }
    }
    (thresholds, classes)
}
