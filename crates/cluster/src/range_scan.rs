//! The first pass over floating-point volumes: which range deserves bins?
//!
//! Reconstructed slices are often `f32` in arbitrary units, with hot pixels and metal streaks far outside the sample's
//! range; bins from the minimum to the maximum would be spent on emptiness. [`RangeScan`] counts the top 16 bits of
//! each float (sign, exponent, 7 bits of mantissa) under a key that sorts as the values do, so one pass without any
//! prior knowledge yields exact extremes and quantiles to a relative 2⁻⁷, enough to choose a range for the second pass.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::counting::shares;
use crate::error::{Error, Result};
use crate::histogram::Histogram;

/// One cell for each value of the key's upper 16 bits.
const CELLS: usize = 1 << 16;

/// Share of voxels allowed outside the core range on either side (0.01 %).
const TAIL: f64 = 1e-4;

/// How far the bins reach beyond the core range, in units of its width, on either side.
const WIDEN: f64 = 0.5;

/// Mergeable counts of `f32` values by magnitude.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RangeScan {
    cells: Vec<u64>,
    extremes: Option<(f32, f32)>,
    non_finite: u64,
}

impl Default for RangeScan {
    fn default() -> Self {
        Self::new()
    }
}

impl RangeScan {
    /// An empty scan.
    pub fn new() -> Self {
        Self { cells: vec![0; CELLS], extremes: None, non_finite: 0 }
    }

    /// Counts `values`, shared among the threads of the current rayon pool.
    pub fn add(&mut self, values: &[f32]) {
        let partials: Vec<Self> = shares(values).map(Self::of).collect();
        for partial in &partials {
            self.merge(partial);
        }
    }

    /// Counts one thread's share.
    fn of(values: &[f32]) -> Self {
        let mut cells = vec![0_u32; CELLS];
        let (mut low, mut high) = (f32::INFINITY, f32::NEG_INFINITY);
        let mut non_finite = 0_u64;
        for &v in values {
            if v.abs() < f32::INFINITY {
                low = low.min(v);
                high = high.max(v);
                cells[cell(v)] += 1;
            } else {
                non_finite += 1;
            }
        }
        let extremes = (low <= high).then_some((low, high));
        Self { cells: cells.into_iter().map(u64::from).collect(), extremes, non_finite }
    }

    /// Adds the counts of `other`, a part of the same volume.
    pub fn merge(&mut self, other: &Self) {
        for (sum, count) in self.cells.iter_mut().zip(&other.cells) {
            *sum += count;
        }
        self.non_finite += other.non_finite;
        if let Some((low, high)) = other.extremes {
            self.widen_extremes(low, high);
        }
    }

    /// All counts as one flat vector whose element-wise sum over parts merges them; the extremes go separately, see
    /// [`RangeScan::extremes`] and [`RangeScan::widen_extremes`].
    pub fn to_sums(&self) -> Vec<f64> {
        self.cells.iter().chain([&self.non_finite]).map(|&count| count as f64).collect()
    }

    /// Replaces the counts by reduced sums from [`RangeScan::to_sums`].
    ///
    /// # Errors
    /// [`Error::Inconsistent`] if the length is not that of a scan.
    pub fn set_sums(&mut self, sums: &[f64]) -> Result<()> {
        if sums.len() != CELLS + 1 {
            return Err(Error::Inconsistent {
                what: "reduced sums",
                got: format!("{} numbers", sums.len()),
                expected: format!("{}, as the statistic's own to_sums gives", CELLS + 1),
            });
        }
        for (count, &sum) in self.cells.iter_mut().chain([&mut self.non_finite]).zip(sums) {
            *count = sum as u64;
        }
        Ok(())
    }

    /// Exact smallest and largest finite value, or `None` before any.
    pub fn extremes(&self) -> Option<(f32, f32)> {
        self.extremes
    }

    /// Widens the extremes by those of another part.
    pub fn widen_extremes(&mut self, low: f32, high: f32) {
        let (a, b) = self.extremes.unwrap_or((low, high));
        self.extremes = Some((a.min(low), b.max(high)));
    }

    /// Finite values counted.
    pub fn total(&self) -> u64 {
        self.cells.iter().sum()
    }

    /// NaN and infinite values met.
    pub fn non_finite(&self) -> u64 {
        self.non_finite
    }

    /// Bounds of the `q`-quantile: the edges of its cell, a relative 2⁻⁷ apart, cut to the exact extremes. `None` if
    /// empty.
    pub fn quantile(&self, q: f64) -> Option<(f64, f64)> {
        let (low, high) = self.extremes?;
        let rank = (q.clamp(0.0, 1.0) * self.total().saturating_sub(1) as f64) as u64;
        let mut seen = 0;
        let cell = self.cells.iter().position(|&count| {
            seen += count;
            seen > rank
        })?;
        let (low, high) = (f64::from(low), f64::from(high));
        Some((lower_edge(cell).clamp(low, high), lower_edge(cell + 1).clamp(low, high)))
    }

    /// Range worth binning: the 0.01 % to 99.99 % core, widened by half its width on either side, cut to the exact
    /// extremes. So an ordinary volume is binned from minimum to maximum and nothing is clamped, while hot pixels and
    /// metal fall into the end bins. `None` if empty.
    pub fn robust_range(&self) -> Option<(f64, f64)> {
        let (low, high) = self.extremes?;
        let (core_low, core_high) = (self.quantile(TAIL)?.0, self.quantile(1.0 - TAIL)?.1);
        let margin = WIDEN * (core_high - core_low);
        Some(((core_low - margin).max(f64::from(low)), (core_high + margin).min(f64::from(high))))
    }
}

impl Histogram {
    /// An empty histogram of `bins` over the robust range of the scanned values.
    ///
    /// # Errors
    /// [`Error::Empty`] before any finite value, [`Error::InvalidBins`] for no bins or too many.
    pub fn for_floats(scan: &RangeScan, bins: usize) -> Result<Self> {
        let (lo, hi) = scan.robust_range().ok_or(Error::Empty { non_finite: scan.non_finite })?;
        if lo < hi {
            return Self::uniform(lo, hi, bins);
        }
        let margin = 1e-3 * lo.abs().max(1.0); // a constant volume still has a bin to be counted in
        Self::uniform(lo - margin, hi + margin, bins)
    }
}

/// Cell of a finite value: the upper 16 bits of a key that sorts as the values do.
fn cell(value: f32) -> usize {
    let bits = value.to_bits();
    let flip = ((bits as i32 >> 31) as u32) | 0x8000_0000; // negative: all bits; otherwise the sign
    ((bits ^ flip) >> 16) as usize
}

/// Smallest value of a cell (of the finite ones, else an infinity).
fn lower_edge(cell: usize) -> f64 {
    let key = (cell as u32) << 16;
    let bits = if key & 0x8000_0000 == 0 { !key } else { key ^ 0x8000_0000 };
    let edge = f64::from(f32::from_bits(bits));
    if edge.is_nan() { f64::NEG_INFINITY.copysign(edge) } else { edge }
}
