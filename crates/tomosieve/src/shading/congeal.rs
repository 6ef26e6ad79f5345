//! Histograms of neighbourhoods, shifted until they lie over one another.
//!
//! The entropy of the sum of all shifted histograms is made small, under a penalty on the differences of neighbouring
//! shifts: by turns the sum is made of the shifts at hand, and every node looks, among fixed levels, for the shift at which
//! its values are most likely under that sum (iterated conditional modes, Besag 1986).

use rayon::prelude::*;

/// Bins of a histogram over the range.
pub(super) const BINS: usize = 128;
/// Shifts that a node can take: evenly spaced, none in the middle.
const LEVELS: usize = 61;
/// The largest shift, a share of the range.
const LARGEST: f64 = 0.25;
/// Weight of the squared difference of neighbouring shifts.
const STIFFNESS: f64 = 100.0;
/// Turns of sum and shifts, and passes over the nodes within a turn at most.
const TURNS: usize = 20;
const PASSES: usize = 30;
/// Bins by which sums are smoothed before their logarithm is taken.
const SMOOTHING: f64 = 1.5;

/// A histogram a node, of voxels weighted by their nearness to it.
pub(super) struct Nodes {
    /// Along `[z, y, x]`.
    pub(super) size: [usize; 3],
    /// `[z, y, x, bin]`.
    pub(super) counts: Vec<f64>,
}

/// The shift of each node, a share of the range, and how much the entropy of the sum changed, nats.
pub(super) fn congeal(nodes: &Nodes) -> (Vec<f32>, f64) {
    let count = nodes.counts.len() / BINS;
    let weights: Vec<f64> = nodes.counts.chunks_exact(BINS).map(|bins| bins.iter().sum()).collect();
    let total: f64 = weights.iter().sum();
    if total == 0.0 {
        return (vec![0.0; count], 0.0);
    }
    let mean = total / count as f64;
    let shifts: Vec<Shift> = (0..LEVELS).map(Shift::of).collect();
    let neighbours: Vec<Vec<usize>> = (0..count).map(|node| neighbours(nodes.size, node)).collect();
    // First the nodes of one parity, then those of the other: no two of one are neighbours.
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by_key(|&node| place(nodes.size, node).iter().sum::<usize>() % 2);
    let mut levels = vec![LEVELS / 2; count];
    let mut unary = vec![[0.0; LEVELS]; count];
    let before = entropy(&sum(nodes, &shifts, &levels));
    for _ in 0..TURNS {
        let sum = smooth(&sum(nodes, &shifts, &levels));
        let likely: Vec<f64> = sum.iter().map(|p| (p + 1e-6).ln()).collect();
        // What a value of each bin costs under each shift.
        let costs: Vec<Vec<f64>> = shifts
            .iter()
            .map(|shift| (0..BINS).map(|bin| -shift.between(&likely, bin) / mean).collect())
            .collect();
        unary.par_iter_mut().zip(nodes.counts.par_chunks(BINS)).for_each(|(unary, counts)| {
            *unary = std::array::from_fn(|level| dot(counts, &costs[level]));
        });
        for _ in 0..PASSES {
            let mut settled = true;
            for &node in &order {
                let around = &neighbours[node];
                let pull: f64 = around.iter().map(|&other| shifts[levels[other]].by).sum();
                let cost = |level: usize| {
                    let by = shifts[level].by;
                    unary[node][level] + STIFFNESS * by * (around.len() as f64 * by - 2.0 * pull)
                };
                let best = (0..LEVELS).map(|level| (level, cost(level)));
                let best = best.fold((0, f64::INFINITY), |a, b| if b.1 < a.1 { b } else { a }).0;
                settled &= best == levels[node];
                levels[node] = best;
            }
            if settled {
                break;
            }
        }
        centre(&mut levels, &weights);
    }
    let change = entropy(&sum(nodes, &shifts, &levels)) - before;
    (levels.iter().map(|&level| shifts[level].by as f32).collect(), change)
}

/// A level of shift.
struct Shift {
    /// A share of the range.
    by: f64,
    /// Where bin 0 goes in a sum that is three ranges long, and what part of it goes one bin further.
    first: usize,
    further: f64,
}

impl Shift {
    fn of(level: usize) -> Self {
        let by = LARGEST * (2.0 * level as f64 / (LEVELS - 1) as f64 - 1.0);
        let at = BINS as f64 * (1.0 - by);
        Self { by, first: at as usize, further: at - at.floor() }
    }

    /// The value of a shifted bin.
    fn between(&self, values: &[f64], bin: usize) -> f64 {
        let at = self.first + bin;
        values[at] + self.further * (values[at + 1] - values[at])
    }
}

/// The sum of all shifted histograms, of sum 1, over three ranges.
fn sum(nodes: &Nodes, shifts: &[Shift], levels: &[usize]) -> Vec<f64> {
    let mut sum = vec![0.0; 3 * BINS];
    for (counts, &level) in nodes.counts.chunks_exact(BINS).zip(levels) {
        let Shift { first, further, .. } = shifts[level];
        for (bin, count) in counts.iter().enumerate() {
            sum[first + bin] += (1.0 - further) * count;
            sum[first + bin + 1] += further * count;
        }
    }
    let total: f64 = sum.iter().sum();
    sum.iter_mut().for_each(|p| *p /= total);
    sum
}

/// Entropy of a distribution under its own smoothed density, nats.
pub(super) fn entropy(distribution: &[f64]) -> f64 {
    let smooth = smooth(distribution);
    -distribution.iter().zip(smooth).map(|(p, q)| p * (q + 1e-9).ln()).sum::<f64>()
}

/// A distribution under a Gaussian of [`SMOOTHING`] bins, cut off at four of them.
fn smooth(distribution: &[f64]) -> Vec<f64> {
    let reach = (4.0 * SMOOTHING).round() as isize;
    let weight = |at: isize| (-0.5 * (at as f64 / SMOOTHING).powi(2)).exp();
    let total: f64 = (-reach..=reach).map(weight).sum();
    let at = |i: isize| usize::try_from(i).ok().and_then(|i| distribution.get(i)).copied().unwrap_or(0.0);
    let around = |i: usize| (-reach..=reach).map(|step| weight(step) * at(i as isize + step)).sum::<f64>();
    (0..distribution.len()).map(|i| around(i) / total).collect()
}

/// Moves all levels so that half of the voxels are shifted by less than nothing.
fn centre(levels: &mut [usize], weights: &[f64]) {
    let mut of_level = [0.0; LEVELS];
    levels.iter().zip(weights).for_each(|(&level, weight)| of_level[level] += weight);
    let half = of_level.iter().sum::<f64>() / 2.0;
    let mut below = 0.0;
    let median = of_level.iter().position(|weight| {
        below += weight;
        below >= half
    });
    let median = median.unwrap_or(LEVELS / 2);
    levels.iter_mut().for_each(|level| *level = (*level + LEVELS / 2).saturating_sub(median).min(LEVELS - 1));
}

/// `[z, y, x]` of a node.
fn place(size: [usize; 3], node: usize) -> [usize; 3] {
    [node / (size[1] * size[2]), node / size[2] % size[1], node % size[2]]
}

/// The nodes beside a node along the axes.
fn neighbours(size: [usize; 3], node: usize) -> Vec<usize> {
    let place = place(size, node);
    let steps = [size[1] * size[2], size[2], 1];
    let mut found = Vec::with_capacity(6);
    for axis in 0..3 {
        if place[axis] > 0 {
            found.push(node - steps[axis]);
        }
        if place[axis] + 1 < size[axis] {
            found.push(node + steps[axis]);
        }
    }
    found
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Histograms of two narrow phases, moved by a few bins from node to node.
    fn drifting(by: impl Fn(usize) -> usize) -> Nodes {
        let size = [1, 6, 6];
        let mut counts = vec![0.0; 36 * BINS];
        for (node, bins) in counts.chunks_exact_mut(BINS).enumerate() {
            for (middle, count) in [(40, 300.0), (60, 700.0)] {
                for (offset, share) in [(0, 0.5), (1, 0.25), (2, 0.25)] {
                    bins[middle + offset + by(node)] += share * count;
                }
            }
        }
        Nodes { size, counts }
    }

    #[test]
    fn what_drifts_is_laid_over_itself() {
        // Along x by two bins a node: ten in all, half of the distance of the phases.
        let (shifts, change) = congeal(&drifting(|node| 2 * (node % 6)));
        assert!(change < -0.5, "{change}");
        for (node, shift) in shifts.iter().enumerate() {
            let expected = (2.0 * (node % 6) as f32 - 4.0) / BINS as f32;
            assert!((shift - expected).abs() < 0.012, "node {node}: {shift}, expected {expected}");
        }
    }

    #[test]
    fn what_does_not_drift_stays() {
        let (shifts, change) = congeal(&drifting(|_| 0));
        assert!(change.abs() < 1e-9 && shifts.iter().all(|&shift| shift == 0.0), "{change}: {shifts:?}");
        let nothing = Nodes { size: [1, 2, 2], counts: vec![0.0; 4 * BINS] };
        assert_eq!(congeal(&nothing), (vec![0.0; 4], 0.0));
    }

    #[test]
    fn a_density_keeps_its_mass_and_a_point_has_the_entropy_of_its_smoothing() {
        let mut point = vec![0.0; 64];
        point[30] = 1.0;
        let smooth = smooth(&point);
        assert!((smooth.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        // −ln of the middle weight of a Gaussian of 1.5 bins.
        assert!((entropy(&point) - (1.5 * (2.0 * std::f64::consts::PI).sqrt()).ln()).abs() < 1e-3);
    }
}
