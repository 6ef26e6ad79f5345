//! The inner loop of a histogram: values to bin counts, one share of a slab for each thread.
//!
//! Bin numbers are computed a block at a time into a buffer on the stack, which vectorises; only then are they
//! scattered into the thread's own table. Tables hold integers, so adding them up gives the same for any number of threads.
//! A block of whole numbers, as integer volumes hold nothing else, needs no division and no rounding.

use rayon::prelude::*;
use rayon::slice::Chunks;

/// Values turned into bin numbers at a time; small enough for the stack, large enough to vectorise.
const BLOCK: usize = 512;

/// Up to this many bins, four interleaved tables keep runs of equal values from waiting for each other's store.
const SMALL: usize = 4096;

/// One share of `values` for each thread of the current rayon pool, none so small that its table costs more than it.
pub(crate) fn shares<V: Sync>(values: &[V]) -> Chunks<'_, V> {
    values.par_chunks(values.len().div_ceil(rayon::current_num_threads()).clamp(1 << 16, 1 << 30))
}

/// `1.5 · 2²³`: whole numbers below 2²² added to it stand in the lowest bits of the sum.
const WHOLE: f32 = 12_582_912.0;

/// Where the bins lie.
pub struct Bins {
    /// Bins stand for single integers.
    pub(crate) exact: bool,
    /// Lower edge of the first.
    pub(crate) edge: f64,
    /// Upper edge of the last.
    pub(crate) upper: f64,
    /// Bins to a unit of the values.
    pub(crate) scale: f64,
    /// How many.
    pub(crate) len: usize,
}

/// What one thread counted, fewer than 2³² values.
pub struct Partial {
    pub(crate) counts: Vec<u32>,
    pub(crate) clamped: u64,
    pub(crate) non_finite: u64,
}

impl Bins {
    /// Counts one thread's share, fewer than 2³² values.
    pub(crate) fn count(&self, values: &[f32]) -> Partial {
        let bins = self.len;
        let stride = bins + 1; // the extra bin holds the non-finite
        let lanes = if bins <= SMALL { 4 } else { 1 };
        let mut tables = vec![0_u32; stride * lanes];
        let mut units = vec![0_u8; if lanes == 1 { stride } else { 0 }];
        let mut at = [0_u32; BLOCK];
        let mut clamped = 0_u64;
        let whole = self.first_whole();
        for block in values.chunks(BLOCK) {
            let at = &mut at[..block.len()];
            if !whole.is_some_and(|first| whole_numbers(block, first, bins as u32, at)) {
                let mut outside = 0_u32;
                for (bin, &v) in at.iter_mut().zip(block) {
                    let (nearest, beyond) = self.place(v);
                    let finite = v.abs() < f32::INFINITY;
                    outside += u32::from(finite && beyond);
                    *bin = if finite { nearest } else { bins as u32 };
                }
                clamped += u64::from(outside);
            }
            let at = &*at;
            if lanes == 4 {
                for (i, &bin) in at.iter().enumerate() {
                    tables[(i & 3) * stride + bin as usize] += 1;
                }
            } else {
                for &bin in at {
                    count(&mut units[bin as usize], &mut tables[bin as usize]);
                }
            }
        }
        tables.iter_mut().zip(units).for_each(|(count, units)| *count += u32::from(units));
        let (counts, others) = tables.split_at_mut(stride);
        for table in others.chunks_exact(stride) {
            counts.iter_mut().zip(table).for_each(|(sum, count)| *sum += count);
        }
        tables.truncate(stride);
        let non_finite = tables.pop().map_or(0, u64::from);
        Partial { counts: tables, clamped, non_finite }
    }

    /// Counts 8-bit values by value, in four tables, so that runs of equal values do not wait for each other's store, and only
    /// then by bin.
    pub(crate) fn count_bytes(&self, values: &[u8]) -> Partial {
        const CELLS: usize = 0x100;
        const LANES: usize = 4;
        let mut cells = vec![0_u32; LANES * CELLS];
        if let Some(tables) = cells.as_chunks_mut::<CELLS>().0.first_chunk_mut::<LANES>() {
            let (whole, rest) = values.as_chunks::<LANES>();
            for values in whole {
                tables.iter_mut().zip(values).for_each(|(table, &value)| table[usize::from(value)] += 1);
            }
            rest.iter().for_each(|&value| tables[0][usize::from(value)] += 1);
        }
        self.by_bin((0..CELLS).map(|cell| cells[cell..].iter().step_by(CELLS).sum()).collect())
    }

    /// Counts 16-bit values by value, and only then by bin. Four are loaded at once, and taken apart in a register: a load for
    /// each, beside that of its cell, is what would hold up the processor.
    pub(crate) fn count_words(&self, values: &[u16]) -> Partial {
        const CELLS: usize = 0x1_0000;
        let (mut cells, mut units) = (vec![0_u32; CELLS], vec![0_u8; CELLS]);
        if let (Some(cells), Some(units)) =
            (cells.first_chunk_mut::<CELLS>(), units.first_chunk_mut::<CELLS>())
        {
            let mut take = |value: u16| count(&mut units[usize::from(value)], &mut cells[usize::from(value)]);
            let (whole, rest) = values.as_chunks::<4>();
            for &four in whole {
                let four: u64 = bytemuck::cast(four);
                for shift in [0, 16, 32, 48] {
                    take((four >> shift) as u16);
                }
            }
            rest.iter().copied().for_each(take);
        }
        cells.iter_mut().zip(units).for_each(|(cell, units)| *cell += u32::from(units));
        self.by_bin(cells)
    }

    /// What was counted of the integers from 0 on, by bin.
    fn by_bin(&self, cells: Vec<u32>) -> Partial {
        if self.first_whole() == Some(0) && self.len == cells.len() {
            return Partial { counts: cells, clamped: 0, non_finite: 0 };
        }
        let (mut counts, mut clamped) = (vec![0; self.len], 0);
        for (cell, count) in cells.into_iter().enumerate() {
            if count > 0 {
                let (bin, beyond) = self.place(cell as f32);
                counts[bin as usize] += count;
                clamped += u64::from(if beyond { count } else { 0 });
            }
        }
        Partial { counts, clamped, non_finite: 0 }
    }

    /// The bin of a finite value, and whether the value lies outside of all.
    fn place(&self, value: f32) -> (u32, bool) {
        let x = f64::from(value);
        let nearest = ((x - self.edge) * self.scale).clamp(0.0, (self.len - 1) as f64) as i32 as u32;
        (nearest, !(self.edge..=self.upper).contains(&x))
    }

    /// The integer of the first bin, if all bins are integers that [`WHOLE`] can find.
    fn first_whole(&self) -> Option<i32> {
        let reach = f64::from(1 << 22);
        (self.exact && self.edge > -reach && self.upper < reach).then_some((self.edge + 0.5) as i32)
    }
}

/// Adds one to a count whose last byte stands in a table of its own: that of a large histogram fits a core's first cache, or
/// nearly, where the counts themselves do not.
#[inline]
fn count(units: &mut u8, rest: &mut u32) {
    *units = units.wrapping_add(1);
    if *units == 0 {
        *rest += 1 << 8;
    }
}

/// The bins of values that are whole numbers within the bins; false if one is not.
fn whole_numbers(values: &[f32], first: i32, bins: u32, at: &mut [u32]) -> bool {
    let zero = WHOLE.to_bits().wrapping_add_signed(first);
    let mut all = true;
    for (bin, &v) in at.iter_mut().zip(values) {
        let sum = v + WHOLE; // rounds to a whole number
        *bin = sum.to_bits().wrapping_sub(zero);
        all &= sum - WHOLE == v;
        all &= *bin < bins;
    }
    all
}
