//! The mergeable statistic of voxel values every clustering is fitted to.
//!
//! Stage 1 clusters the values of the *whole volume* (paper Sec. III-B, Eq. 1-2), which need not fit in memory. A
//! histogram is a sufficient statistic for methods that look at values alone: fold it over slabs, merge it over threads
//! and ranks. Counts are integers, so the result depends neither on the number of threads nor on the order of slabs.
//!
//! Bins are uniform. For 8- and 16-bit data they are exact (one bin for each integer); for floats a value is
//! represented by its bin centre, at most half a bin width away, unless it lies outside the range and is *clamped*.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::counting::{Bins, Partial, shares};
use crate::error::{Error, Result};
use crate::value::Value;

/// Most bins a histogram may have: beyond it the tables stop fitting a cache by far and nothing is gained.
pub const MAX_BINS: usize = 1 << 24;

/// Counts of values in uniform bins.
///
/// ```
/// use tomosieve_cluster::Histogram;
///
/// let mut all = Histogram::integer(0, 255)?;
/// all.add(&[3.0, 3.0, 7.0, f32::NAN]);
/// assert_eq!((all.total(), all.distinct(), all.non_finite()), (3, 2, 1));
/// # Ok::<(), tomosieve_cluster::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// Lower edge of the first bin.
    edge: f64,
    /// Bin width, in units of the values.
    width: f64,
    /// Bins stand for single integers.
    exact: bool,
    counts: Vec<u64>,
    clamped: u64,
    non_finite: u64,
}

impl Histogram {
    /// One bin for each integer from `lo` to `hi`, both included: exact for `u8`, `u16` and `i16` data.
    ///
    /// A fractional value is counted at its nearest integer.
    ///
    /// # Errors
    /// [`Error::InvalidRange`] if `lo > hi`, [`Error::InvalidBins`] beyond [`MAX_BINS`].
    pub fn integer(lo: i64, hi: i64) -> Result<Self> {
        if lo > hi {
            return Err(Error::InvalidRange { lo: lo as f64, hi: hi as f64 });
        }
        let bins = hi.abs_diff(lo).saturating_add(1);
        Self::with_bins(lo as f64 - 0.5, 1.0, true, bins)
    }

    /// `bins` equal bins between the edges `lo` and `hi`, the last one closed.
    ///
    /// A value inside the range is represented by a bin centre at most half a bin width away (up to rounding).
    ///
    /// # Errors
    /// [`Error::InvalidRange`] unless `lo < hi` are finite, [`Error::InvalidBins`] for none or beyond [`MAX_BINS`].
    pub fn uniform(lo: f64, hi: f64, bins: usize) -> Result<Self> {
        let width = (hi - lo) / bins.max(1) as f64;
        if !(lo < hi && width.is_finite() && width > 0.0) {
            return Err(Error::InvalidRange { lo, hi });
        }
        Self::with_bins(lo, width, false, bins as u64)
    }

    fn with_bins(edge: f64, width: f64, exact: bool, bins: u64) -> Result<Self> {
        if bins == 0 || bins > MAX_BINS as u64 {
            return Err(Error::InvalidBins { got: bins, least: 1, most: MAX_BINS as u64 });
        }
        Ok(Self { edge, width, exact, counts: vec![0; bins as usize], clamped: 0, non_finite: 0 })
    }

    /// Counts `values`, shared among the threads of the current rayon pool.
    ///
    /// NaN and infinite values are counted apart and not binned; finite values outside the range go to the end bins.
    pub fn add<V: Value>(&mut self, values: &[V]) {
        let (upper, len) = (self.upper(), self.counts.len());
        let bins = Bins { exact: self.exact, edge: self.edge, upper, scale: 1.0 / self.width, len };
        let partials: Vec<Partial> = shares(values).map(|share| V::count(&bins, share)).collect();
        for partial in partials {
            for (sum, &count) in self.counts.iter_mut().zip(&partial.counts) {
                *sum += u64::from(count);
            }
            self.clamped += partial.clamped;
            self.non_finite += partial.non_finite;
        }
    }

    /// Adds the counts of `other`, a part of the same volume.
    ///
    /// # Errors
    /// [`Error::Incompatible`] if the bins differ.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if !self.same_bins(other) {
            return Err(Error::Incompatible { got: other.describe(), expected: self.describe() });
        }
        for (sum, count) in self.counts.iter_mut().zip(&other.counts) {
            *sum += count;
        }
        self.clamped += other.clamped;
        self.non_finite += other.non_finite;
        Ok(())
    }

    fn same_bins(&self, other: &Self) -> bool {
        let bits = |h: &Self| (h.edge.to_bits(), h.width.to_bits(), h.exact, h.counts.len());
        bits(self) == bits(other)
    }

    fn describe(&self) -> String {
        format!("{} bins from {} to {}", self.counts.len(), self.edge, self.upper())
    }

    /// All counts as one flat vector whose element-wise sum over parts is their merge (exact to 2⁵³), for a reduction
    /// over ranks; [`Histogram::set_sums`] takes it back.
    pub fn to_sums(&self) -> Vec<f64> {
        let tail = [self.clamped, self.non_finite];
        self.counts.iter().chain(&tail).map(|&count| count as f64).collect()
    }

    /// Replaces all counts by reduced sums from [`Histogram::to_sums`].
    ///
    /// # Errors
    /// [`Error::Inconsistent`] if the length is not that of this histogram.
    pub fn set_sums(&mut self, sums: &[f64]) -> Result<()> {
        let bins = self.counts.len();
        let [counts @ .., clamped, non_finite] = sums else {
            return Err(inconsistent(sums.len(), bins + 2));
        };
        if counts.len() != bins {
            return Err(inconsistent(sums.len(), bins + 2));
        }
        for (count, &sum) in self.counts.iter_mut().zip(counts) {
            *count = sum as u64;
        }
        self.clamped = *clamped as u64;
        self.non_finite = *non_finite as u64;
        Ok(())
    }

    /// A copy with all mass below `lo` moved to the bin of `lo` and all mass above `hi` to the bin of `hi`: what the
    /// histogram of the clipped volume would be, for robust percentiles.
    ///
    /// Ends outside the range, or in the wrong order, move nothing on that side.
    #[must_use]
    pub fn clamped_to(&self, lo: f64, hi: f64) -> Self {
        let mut clipped = self.clone();
        let (from, to) = (self.bin(lo), self.bin(hi));
        if from <= to {
            let below: u64 = clipped.counts[..from].iter().sum();
            let above: u64 = clipped.counts[to + 1..].iter().sum();
            clipped.counts[..from].fill(0);
            clipped.counts[to + 1..].fill(0);
            clipped.counts[from] += below;
            clipped.counts[to] += above;
        }
        clipped
    }

    /// Bin that counts `value`; the end bins for values outside, the first for NaN.
    pub fn bin(&self, value: f64) -> usize {
        ((value - self.edge) / self.width).clamp(0.0, (self.counts.len() - 1) as f64) as usize
    }

    /// Centre of `bin`, the value its voxels are taken to have.
    pub fn value(&self, bin: usize) -> f64 {
        self.edge + self.width * (bin as f64 + 0.5)
    }

    /// Lower edge of the first bin.
    pub fn lower(&self) -> f64 {
        self.edge
    }

    /// Upper edge of the last bin.
    pub fn upper(&self) -> f64 {
        self.edge + self.width * self.counts.len() as f64
    }

    /// Width of a bin.
    pub fn width(&self) -> f64 {
        self.width
    }

    /// Whether bins stand for single integers.
    pub fn is_exact(&self) -> bool {
        self.exact
    }

    /// Counts by bin.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Values counted in bins: all but the non-finite.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Finite values that lay outside the range and were counted in an end bin.
    pub fn clamped(&self) -> u64 {
        self.clamped
    }

    /// NaN and infinite values, in no bin.
    pub fn non_finite(&self) -> u64 {
        self.non_finite
    }

    /// Number of occupied bins.
    pub fn distinct(&self) -> usize {
        self.counts.iter().filter(|&&count| count > 0).count()
    }

    /// Centre and count of every occupied bin, ascending.
    pub fn occupied(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        let occupied = self.counts.iter().enumerate().filter(|&(_, &count)| count > 0);
        occupied.map(|(bin, &count)| (self.value(bin), count))
    }

    /// Lowest occupied bin centre; NaN if empty.
    pub fn min(&self) -> f64 {
        self.counts.iter().position(|&count| count > 0).map_or(f64::NAN, |bin| self.value(bin))
    }

    /// Highest occupied bin centre; NaN if empty.
    pub fn max(&self) -> f64 {
        self.counts.iter().rposition(|&count| count > 0).map_or(f64::NAN, |bin| self.value(bin))
    }

    /// Mean of the bin centres; NaN if empty.
    pub fn mean(&self) -> f64 {
        // Exact in bin numbers: 2⁶⁴ voxels in 2²⁴ bins stay far below 2¹²⁸.
        let sum: u128 = self.counts.iter().zip(0_u128..).map(|(&count, bin)| u128::from(count) * bin).sum();
        self.edge + self.width * (sum as f64 / self.total() as f64 + 0.5)
    }

    /// The `q`-quantile (`q` clamped to [0, 1]) of the bin centres, interpolated linearly between order statistics as
    /// `numpy.quantile` does by default; NaN if empty or if `q` is NaN.
    pub fn quantile(&self, q: f64) -> f64 {
        let total = self.total();
        if total == 0 || q.is_nan() {
            return f64::NAN;
        }
        let rank = q.clamp(0.0, 1.0) * (total - 1) as f64; // from 0
        let below = rank.floor();
        let (low, high) = (self.order_statistic(below as u64), self.order_statistic(rank.ceil() as u64));
        low + (high - low) * (rank - below)
    }

    /// The value of rank `rank` from 0, or the last occupied.
    fn order_statistic(&self, rank: u64) -> f64 {
        let mut seen = 0;
        let bin = self.counts.iter().position(|&count| {
            seen += count;
            seen > rank
        });
        bin.map_or_else(|| self.max(), |bin| self.value(bin))
    }
}

/// The error of a reduced vector of the wrong length.
fn inconsistent(got: usize, expected: usize) -> Error {
    Error::Inconsistent {
        what: "reduced sums",
        got: format!("{got} numbers"),
        expected: format!("{expected}, as the statistic's own to_sums gives"),
    }
}
