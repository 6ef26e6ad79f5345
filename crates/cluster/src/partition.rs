//! Exact partitions of a line: the best split of the occupied bins into `k` consecutive groups.
//!
//! In one dimension the groups of an optimal k-means solution (Eq. 1) are intervals, so the optimum is found by dynamic
//! programming: `D_k(j) = min_i D_{k−1}(i) + J(i, j)`, where `J(i, j)` is the sum of squares of levels `i..j` about
//! their mean, read from prefix sums. The best `i` never decreases with `j`, so each layer is solved by divide and
//! conquer in `O(n log n)`. The between-class variance Multi-Otsu maximises is the total minus the same sum.
//!
//! Reference: Wang & Song, *Ckmeans.1d.dp*, The R Journal 3(2), 2011; Grønlund et al., *Fast exact k-means in 1D*, 2017.

/// Below this many levels a sub-problem is not worth another thread.
const SERIAL: usize = 2048;

/// Prefix sums over the occupied bins, in whole bin numbers from the mean, so that they are rounded only once.
pub(crate) struct Levels {
    bins: Vec<usize>,
    sums: Vec<[f64; 3]>,
}

impl Levels {
    /// The occupied ones of `counts`.
    pub(crate) fn new(counts: &[u64]) -> Self {
        let occupied = || counts.iter().enumerate().filter(|&(_, &count)| count > 0);
        let (mut mass, mut moment) = (0_i128, 0_i128);
        for (bin, &count) in occupied() {
            mass += i128::from(count);
            moment += i128::from(count) * bin as i128;
        }
        let centre = moment / mass.max(1);
        let mut exact = [0_i128; 3];
        let mut sums = vec![[0.0; 3]];
        for (bin, &count) in occupied() {
            let (x, count) = (bin as i128 - centre, i128::from(count));
            exact = [exact[0] + count, exact[1] + count * x, exact[2] + count * x * x];
            sums.push(exact.map(|sum| sum as f64));
        }
        Self { bins: occupied().map(|(bin, _)| bin).collect(), sums }
    }

    /// Number of occupied bins.
    pub(crate) fn len(&self) -> usize {
        self.bins.len()
    }

    /// Bin number of a level.
    pub(crate) fn bin(&self, level: usize) -> usize {
        self.bins[level]
    }

    /// Sum of squares of the levels `from..to` about their mean, in squared bin widths.
    fn scatter(&self, from: usize, to: usize) -> f64 {
        let (a, b) = (self.sums[from], self.sums[to]);
        let moment = b[1] - a[1];
        (b[2] - a[2]) - moment * moment / (b[0] - a[0])
    }

    /// Solves for every number of groups up to `most` (at most one for each level).
    pub(crate) fn partitions(&self, most: usize) -> Partitions {
        let n = self.len();
        let most = most.min(n);
        let mut costs: Vec<f64> = (1..=n).map(|j| self.scatter(0, j)).collect(); // [j − 1]: levels 0..j in one group
        let mut starts = Vec::with_capacity(most.saturating_sub(1));
        for k in 2..=most {
            let mut next = vec![f64::INFINITY; n];
            let mut start = vec![0_u32; n];
            self.layer(&costs, k..n + 1, (k - 1, n - 1), &mut next[k - 1..], &mut start[k - 1..]);
            costs = next;
            starts.push(start);
        }
        Partitions { levels: n, starts }
    }

    /// Fills `costs` and `starts` for the ends `j` in `ends`, whose last group starts in `window` (inclusive).
    fn layer(
        &self,
        previous: &[f64],
        ends: std::ops::Range<usize>,
        window: (usize, usize),
        costs: &mut [f64],
        starts: &mut [u32],
    ) {
        if ends.is_empty() {
            return;
        }
        let middle = ends.start + ends.len() / 2;
        let mut best = (f64::INFINITY, window.0);
        for i in window.0..=window.1.min(middle - 1) {
            let cost = previous[i - 1] + self.scatter(i, middle);
            if cost < best.0 {
                best = (cost, i);
            }
        }
        let wide = ends.len() > SERIAL;
        let (left, right) = (ends.start..middle, middle + 1..ends.end);
        let (left_costs, costs) = costs.split_at_mut(left.len());
        let (left_starts, starts) = starts.split_at_mut(left.len());
        (costs[0], starts[0]) = (best.0, best.1 as u32);
        let (costs, starts) = (&mut costs[1..], &mut starts[1..]);
        let (below, above) = ((window.0, best.1), (best.1, window.1));
        let lower = || self.layer(previous, left, below, left_costs, left_starts);
        let upper = || self.layer(previous, right, above, costs, starts);
        if wide {
            rayon::join(lower, upper);
        } else {
            lower();
            upper();
        }
    }
}

/// The solved tables: first level of the last group, by number of groups and end.
pub(crate) struct Partitions {
    levels: usize,
    starts: Vec<Vec<u32>>,
}

impl Partitions {
    /// First levels of groups `1..k` of the best partition into `k` groups (the first group starts at level 0).
    pub(crate) fn starts(&self, k: usize) -> Vec<usize> {
        let mut end = self.levels;
        let mut starts: Vec<usize> = (2..=k)
            .rev()
            .map(|groups| {
                end = self.starts[groups - 2][end - 1] as usize;
                end
            })
            .collect();
        starts.reverse();
        starts
    }
}
