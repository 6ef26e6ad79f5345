//! The inner loops that label many values at once, one block after another on every thread.
//!
//! The interval of a value is the number of cuts it has reached. To compare with a few cuts is faster than to search among
//! them or to look a value up, since comparisons vectorise.

use rayon::prelude::*;

use crate::clusters::Clusters;

/// Values labelled at a time, per thread.
const BLOCK: usize = 1024;
/// Up to this many cuts, comparing floats with all of them beats a binary search.
const FEW_FLOATS: usize = 48;
/// Up to this many, comparing integers with all of them beats a table.
const FEW_CELLS: usize = 8;

/// Labels floats; one that is not finite belongs to class 0.
pub(crate) fn floats(clusters: &Clusters, values: &[f32], labels: &mut [u8]) {
    let cuts = clusters.cuts();
    if cuts.len() > FEW_FLOATS {
        return each(values, labels, |&value| clusters.assign(value));
    }
    blocks(values, labels, |values, labels| {
        count_reached(cuts, values, labels);
        intervals_to_classes(clusters, labels);
        for (label, &value) in labels.iter_mut().zip(values) {
            *label = if value.abs() < f32::INFINITY { *label } else { 0 };
        }
    });
}

/// Labels integers from 0 to less than `CELLS`.
pub(crate) fn cells<V, const CELLS: usize>(clusters: &Clusters, values: &[V], labels: &mut [u8])
where
    V: Copy + PartialOrd + Sync + TryFrom<usize>,
    usize: From<V>,
{
    // The first whole number of each interval but the first; cuts that no value reaches are the last ones.
    let whole = |cut: &f32| V::try_from(cut.ceil().max(0.0) as usize).ok();
    let cuts: Vec<V> = clusters.cuts().iter().map_while(whole).collect();
    if cuts.len() <= FEW_CELLS {
        return blocks(values, labels, |values, labels| {
            count_reached(&cuts, values, labels);
            intervals_to_classes(clusters, labels);
        });
    }
    let mut table = [clusters.intervals[0]; CELLS];
    for (&cut, &class) in cuts.iter().zip(&clusters.intervals[1..]) {
        table[usize::from(cut)..].fill(class);
    }
    each(values, labels, |&value| table[usize::from(value)]);
}

/// Labels blocks of values by `label`.
fn blocks<V: Sync>(values: &[V], labels: &mut [u8], label: impl Fn(&[V], &mut [u8]) + Sync) {
    labels.par_chunks_mut(64 * BLOCK).zip(values.par_chunks(64 * BLOCK)).for_each(|(labels, values)| {
        for (labels, values) in labels.chunks_mut(BLOCK).zip(values.chunks(BLOCK)) {
            label(values, labels);
        }
    });
}

/// Labels values one by one.
fn each<V: Sync>(values: &[V], labels: &mut [u8], label: impl Fn(&V) -> u8 + Sync) {
    blocks(values, labels, |values, labels| {
        labels.iter_mut().zip(values).for_each(|(to, value)| *to = label(value));
    });
}

/// The interval of each value: how many of the cuts it has reached.
fn count_reached<V: Copy + PartialOrd>(cuts: &[V], values: &[V], intervals: &mut [u8]) {
    intervals.fill(0);
    for &cut in cuts {
        for (interval, &value) in intervals.iter_mut().zip(values) {
            *interval += u8::from(value >= cut);
        }
    }
}

/// Only a mixture's intervals are not the classes themselves; a look-up would not vectorise.
fn intervals_to_classes(clusters: &Clusters, labels: &mut [u8]) {
    if !clusters.intervals.iter().copied().eq(0..clusters.intervals.len() as u8) {
        labels.iter_mut().for_each(|label| *label = clusters.intervals[usize::from(*label)]);
    }
}
