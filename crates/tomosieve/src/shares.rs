//! How much of a map belongs to each class.

use rayon::prelude::*;

/// Voxels of each label, counted by all threads.
pub(crate) fn tally(labels: &[u8]) -> [u64; 256] {
    let of_part = |part: &[u8]| {
        // Four tables keep runs of one label from waiting for each other's store.
        let mut tables = [[0_u32; 256]; 4];
        let (fours, rest) = part.as_chunks::<4>();
        for four in fours {
            tables.iter_mut().zip(four).for_each(|(table, &label)| table[usize::from(label)] += 1);
        }
        rest.iter().for_each(|&label| tables[0][usize::from(label)] += 1);
        std::array::from_fn(|label| tables.iter().map(|table| u64::from(table[label])).sum())
    };
    labels.par_chunks(1 << 18).map(of_part).reduce(|| [0; 256], |a, b| sum(&a, &b))
}

/// Two tallies as one.
pub(crate) fn sum(a: &[u64; 256], b: &[u64; 256]) -> [u64; 256] {
    std::array::from_fn(|label| a[label] + b[label])
}

/// Share of each of the first `classes` labels among all that were counted.
pub(crate) fn shares(counts: &[u64; 256], classes: usize) -> Vec<f64> {
    let total = counts.iter().sum::<u64>().max(1) as f64;
    counts[..classes].iter().map(|&count| count as f64 / total).collect()
}

#[cfg(test)]
mod tests {
    use super::{shares, sum, tally};

    #[test]
    fn every_label_is_counted_once() {
        let labels: Vec<u8> = (0..700_003_u64).map(|i| (i * i % 251) as u8).collect();
        let mut expected = [0; 256];
        labels.iter().for_each(|&label| expected[usize::from(label)] += 1);
        assert_eq!(tally(&labels), expected);
    }

    #[test]
    fn shares_of_parts_are_shares_of_the_whole() {
        let labels: Vec<u8> = (0..1003).map(|i| [0, 0, 2, 5][i * i % 4]).collect();
        let whole = tally(&labels);
        assert_eq!(whole, sum(&tally(&labels[..501]), &tally(&labels[501..])));
        assert_eq!(whole.iter().sum::<u64>(), 1003);
        assert_eq!(shares(&tally(&[0, 0, 2, 1]), 3), [0.5, 0.25, 0.25]);
        assert_eq!(shares(&tally(&[]), 2), [0.0, 0.0]);
    }
}
