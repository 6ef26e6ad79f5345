//! A second start for the mixture: many small groups, merged pair by pair.
//!
//! k-means cuts the line into intervals, so a mixture started from it may never find a wide component *behind* a narrow
//! one. Merging may: groups of equal mass (narrow peaks hold many) are joined two at a time, neighbours or not, always
//! the pair whose moment-matched union loses least by Runnalls' bound on the Kullback-Leibler divergence,
//! `½ [(w₁ + w₂) ln σ² − w₁ ln σ₁² − w₂ ln σ₂²]`.
//!
//! Reference: Runnalls, *Kullback-Leibler approach to Gaussian mixture reduction*, IEEE Trans. Aerosp. Electron. Syst.
//! 43, 2007.

use super::gmm::{Component, Level};

/// Groups to begin with.
const GROUPS: usize = 64;

/// Most components worth starting so: beyond it the groups are too few to merge.
const MOST: usize = GROUPS / 2;

/// A start of `classes` components, or `None` where there is too little to merge.
pub(super) fn start(levels: &[Level], classes: usize, floor: f64) -> Option<Vec<Component>> {
    if classes > MOST {
        return None;
    }
    let mut groups = equal_masses(levels, floor);
    if groups.len() <= classes {
        return None;
    }
    while groups.len() > classes {
        let (mut least, mut pair) = (f64::INFINITY, (0, 1));
        for (j, b) in groups.iter().enumerate() {
            for (i, a) in groups[..j].iter().enumerate() {
                let loss = loss(a, b);
                if loss < least {
                    (least, pair) = (loss, (i, j));
                }
            }
        }
        let second = groups.remove(pair.1); // the first has the smaller index
        groups[pair.0] = union(&groups[pair.0], &second);
    }
    Some(groups)
}

/// Up to [`GROUPS`] runs of levels of about the same mass.
fn equal_masses(levels: &[Level], floor: f64) -> Vec<Component> {
    let total: f64 = levels.iter().map(|l| l.share).sum();
    let mut groups: Vec<Component> = Vec::with_capacity(GROUPS);
    let (mut seen, mut last) = (0.0, usize::MAX);
    for level in levels {
        let group = (((seen + 0.5 * level.share) / total) * GROUPS as f64) as usize;
        seen += level.share;
        let single = Component { weight: level.share, mean: level.x, variance: floor };
        match groups.last_mut() {
            Some(open) if group == last => *open = union(open, &single),
            _ => groups.push(single),
        }
        last = group;
    }
    groups
}

/// The Gaussian with the moments of two.
fn union(a: &Component, b: &Component) -> Component {
    let weight = a.weight + b.weight;
    let (p, q) = (a.weight / weight, b.weight / weight);
    let variance = p * a.variance + q * b.variance + p * q * (a.mean - b.mean).powi(2);
    Component { weight, mean: p * a.mean + q * b.mean, variance }
}

/// What merging two loses.
fn loss(a: &Component, b: &Component) -> f64 {
    let both = union(a, b);
    both.weight * both.variance.ln() - a.weight * a.variance.ln() - b.weight * b.variance.ln()
}
