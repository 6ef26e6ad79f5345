//! How many classes? Curves over `K` and a suggestion (paper Sec. III-B, IV-K: `K` is the user's choice).
//!
//! Three curves: *inertia* (Eq. 1) of the exact k-means optimum, the *simplified silhouette*, and the mixture's *BIC*.
//! Later stages merge redundant classes but never split one, so erring upwards is safe: the suggestion is the larger of
//! the inertia's knee and the silhouette's peak. BIC is reported only: with 10⁹ voxels it nearly always asks for more.
//!
//! References: Satopää et al., *Finding a "kneedle" in a haystack*, ICDCS Workshops 2011; Hruschka, de Castro &
//! Campello, *Evolutionary algorithms for clustering gene-expression data*, ICDM 2004 (simplified silhouette); Schwarz,
//! Ann. Stat. 6, 1978 (BIC).

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::clustering::{Clustering, MAX_CLASSES, check};
use crate::clusters::Clusters;
use crate::error::Result;
use crate::histogram::Histogram;
use crate::methods::{gmm::Gmm, kmeans::KMeans};

/// Figures of merit for one number of classes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Number of classes, `K`.
    pub classes: usize,
    /// Inertia of the exact k-means optimum (Eq. 1).
    pub inertia: f64,
    /// Share of the total sum of squares that the classes explain, 0 to 1.
    pub explained: f64,
    /// Simplified silhouette of the k-means labels, −1 to 1; larger is better.
    pub silhouette: f64,
    /// Bayesian information criterion of the Gaussian mixture; smaller is better.
    pub bic: f64,
}

/// Curves over `K` and what they suggest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scan {
    /// One entry for each `K`, ascending.
    pub candidates: Vec<Candidate>,
    /// Knee of the inertia curve.
    pub knee: usize,
    /// `K` of the largest silhouette.
    pub silhouette_best: usize,
    /// `K` of the smallest BIC.
    pub bic_best: usize,
    /// Suggested `K`.
    pub suggested: usize,
    /// Why, as a sentence.
    pub reason: String,
}

/// Scans the numbers of classes in `range`, cut to the number of distinct values.
///
/// Inertia and silhouette are those of `values`, which may be clipped to percentiles; the mixture, which does not
/// tolerate clipping, is fitted to `whole`.
///
/// # Errors
/// As [`Clustering::fit`] for either end of the range, but more classes than distinct values are merely left out.
pub fn scan(values: &Histogram, whole: &Histogram, range: RangeInclusive<usize>) -> Result<Scan> {
    let (least, most) = (*range.start(), (*range.end()).max(*range.start()));
    check(values, least, MAX_CLASSES)?;
    let fits = KMeans::default().fit_all(values, most)?;
    let total = fits[0].inertia;
    let candidates: Vec<Candidate> = fits[least - 1..]
        .iter()
        .map(|fit| {
            let classes = fit.classes();
            let bic = Gmm::default().fit(whole, classes)?.bic.unwrap_or(f64::NAN);
            let silhouette = simplified_silhouette(values, fit);
            Ok(Candidate {
                classes,
                inertia: fit.inertia,
                explained: 1.0 - fit.inertia / total,
                silhouette,
                bic,
            })
        })
        .collect::<Result<_>>()?;

    let inertias: Vec<f64> = fits.iter().map(|fit| fit.inertia).collect();
    let knee = knee(&inertias).max(least);
    let silhouette_best = best(&candidates, |c| c.silhouette);
    let bic_best = best(&candidates, |c| -c.bic);
    let suggested = knee.max(silhouette_best);
    let explained = candidates.iter().find(|c| c.classes == suggested).map_or(f64::NAN, |c| c.explained);
    let reason = format!(
        "{suggested} classes, the larger of the inertia curve's knee ({knee}) and the silhouette's peak \
         ({silhouette_best}), explain {:.1} % of the variance; take one or two more if a thin or rare structure \
         matters, since later stages merge classes but never split them",
        100.0 * explained
    );
    Ok(Scan { candidates, knee, silhouette_best, bic_best, suggested, reason })
}

/// `K` of the largest score; the smallest `K` among equals.
fn best(candidates: &[Candidate], score: impl Fn(&Candidate) -> f64) -> usize {
    let mut best = (f64::NEG_INFINITY, candidates.first().map_or(2, |c| c.classes));
    for candidate in candidates {
        if score(candidate) > best.0 {
            best = (score(candidate), candidate.classes);
        }
    }
    best.1
}

/// Knee of a falling curve over `K = 1, 2, …`: the `K` farthest below the chord from the first point to the last, both
/// axes scaled to [0, 1]; the smallest among equals, and the last point if the curve has no bend.
pub fn knee(inertias: &[f64]) -> usize {
    let (Some(&first), Some(&last)) = (inertias.first(), inertias.last()) else {
        return 1;
    };
    let steps = (inertias.len() - 1) as f64;
    let mut best = (0.0, inertias.len());
    for (i, &inertia) in inertias.iter().enumerate() {
        let below = 1.0 - i as f64 / steps - (inertia - last) / (first - last);
        if below > best.0 {
            best = (below, i + 1);
        }
    }
    best.1
}

/// Simplified silhouette: mean over voxels of `(b − a) / max(a, b)`, where `a` is the distance to the mean of the own
/// class and `b` that to the nearest other mean.
pub fn simplified_silhouette(values: &Histogram, clusters: &Clusters) -> f64 {
    let (mut sum, mut total) = (0.0, 0.0);
    for (value, count) in values.occupied() {
        let own = usize::from(clusters.assign(value as f32));
        let a = (value - clusters.means[own]).abs();
        let others = clusters.means.iter().enumerate().filter(|&(class, _)| class != own);
        let b = others.map(|(_, mean)| (value - mean).abs()).fold(f64::INFINITY, f64::min);
        let most = a.max(b);
        if most > 0.0 && most.is_finite() {
            sum += count as f64 * (b - a) / most;
        }
        total += count as f64;
    }
    sum / total
}
