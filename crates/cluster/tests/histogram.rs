//! The mergeable statistics: counting, merging, quantiles, ranges.
#![allow(clippy::float_cmp)] // what is exact is compared exactly

use proptest::prelude::*;
use tomosieve_cluster::{Error, Histogram, RangeScan, Value};

/// Reproducible values without a generator: a low-discrepancy sequence in [0, 1).
fn spread(n: usize) -> impl Iterator<Item = f32> {
    (0..n).map(|i| ((i as f64 * 0.618_033_988_749_895) % 1.0) as f32)
}

#[test]
fn integers_are_counted_exactly() {
    let mut values = Histogram::integer(-2, 2).unwrap();
    values.add(&[-2.0, -1.0, -1.0, 0.0, 2.0, 3.0, -9.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY]);
    assert_eq!(values.counts(), [2, 2, 1, 0, 2]);
    assert_eq!((values.total(), values.clamped(), values.non_finite(), values.distinct()), (7, 2, 3, 4));
    assert_eq!((values.min(), values.max(), values.value(3)), (-2.0, 2.0, 1.0));
    assert!((values.mean() - -2.0 / 7.0).abs() < 1e-15);
}

#[test]
fn both_ends_of_a_uniform_range_are_inside() {
    let mut values = Histogram::uniform(0.0, 1.0, 4).unwrap();
    values.add(&[0.0, 0.25, 0.5, 1.0, 1.5]);
    assert_eq!(values.counts(), [1, 1, 1, 2]);
    assert_eq!(values.clamped(), 1);
    assert_eq!(values.value(0), 0.125);
}

#[test]
fn every_16_bit_value_finds_its_bin() {
    let mut values = Histogram::integer(-32_768, 32_767).unwrap();
    let all: Vec<f32> = (-32_768..=32_767).map(|v| v as f32).collect();
    values.add(&all);
    assert!(values.counts().iter().all(|&count| count == 1));
    assert!(all.iter().enumerate().all(|(bin, &v)| values.value(bin) == f64::from(v)));
}

proptest! {
    /// Whole numbers take a shorter way; one value that is none sends its block the long way.
    #[test]
    fn whole_numbers_are_counted_as_others_are(
        first in -5_000_000_i64..5_000_000,
        bins in 1_i64..300,
        offsets in prop::collection::vec(-20_i64..320, 1..1500),
        odd in prop::option::of((any::<prop::sample::Index>(), any::<f32>())),
    ) {
        let mut values: Vec<f32> = offsets.iter().map(|offset| (first + offset) as f32).collect();
        if let Some((at, value)) = odd {
            let at = at.index(values.len());
            values[at] = value;
        }
        let mut found = Histogram::integer(first, first + bins - 1).unwrap();
        found.add(&values);
        let mut expected = vec![0_u64; bins as usize];
        let finite = values.iter().filter(|v| v.is_finite());
        for v in finite.clone() {
            let bin = (f64::from(*v) + 0.5).floor() - first as f64;
            expected[bin.clamp(0.0, (bins - 1) as f64) as usize] += 1;
        }
        prop_assert_eq!(found.counts(), &expected[..]);
        prop_assert_eq!(found.non_finite(), (values.len() - finite.count()) as u64);
        prop_assert_eq!(found.total() + found.non_finite(), values.len() as u64);
    }
}

proptest! {
    /// Integers are counted by value first, whatever the bins.
    #[test]
    fn integers_are_counted_as_their_floats_are(
        seed in any::<u32>(),
        len in 0_usize..70_000,
        (lo, hi) in (-300_i64..66_000, -300_i64..66_000).prop_map(|(a, b)| (a.min(b), a.max(b))),
        bins in 1_usize..500,
    ) {
        fn check<V: Value + Copy + Into<f32>>(values: &[V], empty: &Histogram) -> Result<(), TestCaseError> {
            let floats: Vec<f32> = values.iter().map(|&v| v.into()).collect();
            let (mut found, mut expected) = (empty.clone(), empty.clone());
            found.add(values);
            expected.add(&floats);
            prop_assert_eq!(found, expected);
            Ok(())
        }
        let words: Vec<u16> = (0..len as u32).map(|i| ((i ^ seed).wrapping_mul(2_654_435_761) >> 16) as u16).collect();
        let bytes: Vec<u8> = words.iter().map(|word| (word >> 8) as u8).collect();
        // So many of each that a byte does not hold them.
        let few: Vec<u16> = words.iter().map(|word| word % 3).collect();
        let uniform = Histogram::uniform(lo as f64, hi as f64 + 0.7, bins).unwrap();
        for empty in [Histogram::integer(lo, hi).unwrap(), uniform] {
            check(&words, &empty)?;
            check(&few, &empty)?;
            check(&bytes, &empty)?;
        }
    }
}

#[test]
fn clamping_moves_the_tails_onto_the_ends() {
    let mut values = Histogram::integer(0, 9).unwrap();
    values.add(&[0.0, 1.0, 2.0, 3.0, 7.0, 8.0, 9.0, 9.0]);
    let clipped = values.clamped_to(2.0, 7.0);
    assert_eq!(clipped.counts(), [0, 0, 3, 1, 0, 0, 0, 4, 0, 0]);
    assert_eq!(clipped.total(), values.total());
    assert_eq!(values.clamped_to(-5.0, 50.0), values);
    assert_eq!(values.clamped_to(7.0, 2.0), values);
}

#[test]
fn an_empty_histogram_has_no_numbers() {
    let empty = Histogram::integer(0, 3).unwrap();
    let nan = [empty.min(), empty.max(), empty.mean(), empty.quantile(0.5)];
    assert!(nan.iter().all(|x| x.is_nan()));
    assert_eq!((empty.total(), empty.distinct()), (0, 0));
}

#[test]
fn invalid_bins_are_refused_with_evidence() {
    assert_eq!(
        Histogram::integer(3, 1).unwrap_err().to_string(),
        "invalid histogram range: got 3 to 1, expected finite ends with the lower one first"
    );
    for (lo, hi) in [(1.0, 1.0), (f64::NAN, 1.0), (0.0, f64::INFINITY)] {
        assert!(matches!(Histogram::uniform(lo, hi, 8), Err(Error::InvalidRange { .. })));
    }
    assert!(matches!(Histogram::uniform(0.0, 1.0, 0), Err(Error::InvalidBins { got: 0, .. })));
    assert!(matches!(Histogram::integer(i64::MIN, i64::MAX), Err(Error::InvalidBins { .. })));
    let mut values = Histogram::integer(0, 9).unwrap();
    let other = Histogram::integer(0, 8).unwrap();
    assert!(values.merge(&other).unwrap_err().to_string().contains("got 9 bins from -0.5 to 8.5"));
    assert!(values.set_sums(&[1.0; 3]).is_err() && values.set_sums(&[]).is_err());
}

#[test]
fn threads_do_not_matter() {
    let values: Vec<f32> = spread(700_000).map(|u| u * 70_000.0 - 100.0).collect();
    let count = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut histogram = Histogram::integer(0, 65_535).unwrap();
            let mut scan = RangeScan::new();
            histogram.add(&values);
            scan.add(&values);
            histogram.add(&values.iter().map(|&v| v as u16).collect::<Vec<_>>());
            (histogram, scan)
        })
    };
    assert_eq!(count(1), count(3));
}

#[test]
fn sums_travel_through_a_reduction() {
    let parts: Vec<Histogram> = [[0.0, 1.0], [1.0, f32::NAN]]
        .iter()
        .map(|slab| {
            let mut part = Histogram::integer(0, 2).unwrap();
            part.add(slab);
            part
        })
        .collect();
    let reduced: Vec<f64> = parts[0].to_sums().iter().zip(parts[1].to_sums()).map(|(a, b)| a + b).collect();
    let mut whole = parts[0].clone();
    whole.set_sums(&reduced).unwrap();
    let mut merged = parts[0].clone();
    merged.merge(&parts[1]).unwrap();
    assert_eq!(whole, merged);
}

#[test]
fn a_hot_pixel_does_not_widen_the_bins() {
    let mut values: Vec<f32> = spread(100_000).map(|u| 0.002 + 0.003 * u).collect();
    values.extend([4.0e7, -3.0e5, f32::NAN]);
    let mut scan = RangeScan::new();
    scan.add(&values);
    assert_eq!((scan.extremes(), scan.non_finite()), (Some((-3.0e5, 4.0e7)), 1));
    let mut histogram = Histogram::for_floats(&scan, 65_536).unwrap();
    histogram.add(&values);
    assert!(histogram.upper() - histogram.lower() < 0.01, "{} bins wide", histogram.width());
    assert_eq!(histogram.clamped(), 2);
}

#[test]
fn an_ordinary_volume_is_binned_from_end_to_end() {
    let values: Vec<f32> = spread(50_000).map(|u| 1000.0 + u).collect();
    let mut scan = RangeScan::default();
    scan.add(&values);
    let mut histogram = Histogram::for_floats(&scan, 4096).unwrap();
    histogram.add(&values);
    let (low, high) = scan.extremes().unwrap();
    assert_eq!((histogram.lower(), histogram.upper()), (f64::from(low), f64::from(high)));
    assert_eq!(histogram.clamped(), 0);
}

#[test]
fn constant_and_empty_volumes_are_told_apart() {
    let mut scan = RangeScan::new();
    assert_eq!(Histogram::for_floats(&scan, 16).unwrap_err(), Error::Empty { non_finite: 0 });
    scan.add(&[f32::NAN]);
    assert_eq!(Histogram::for_floats(&scan, 16).unwrap_err(), Error::Empty { non_finite: 1 });
    scan.add(&[0.0, -0.0, 0.0]);
    let mut constant = Histogram::for_floats(&scan, 16).unwrap();
    constant.add(&[0.0, 0.0]);
    assert_eq!((constant.distinct(), constant.clamped()), (1, 0));
}

proptest! {
    #[test]
    fn parts_merged_in_any_order_are_the_whole(
        values in prop::collection::vec(prop_oneof![-50.0_f32..300.0, Just(f32::NAN)], 1..400),
        cut in 0.0..1.0_f64,
    ) {
        let cut = (cut * values.len() as f64) as usize;
        let count = |values: &[f32]| {
            let mut histogram = Histogram::integer(0, 255).unwrap();
            let mut scan = RangeScan::new();
            histogram.add(values);
            scan.add(values);
            (histogram, scan)
        };
        let whole = count(&values);
        for (first, second) in [(&values[..cut], &values[cut..]), (&values[cut..], &values[..cut])] {
            let (mut histogram, mut scan) = count(first);
            let (more, more_scan) = count(second);
            histogram.merge(&more).unwrap();
            scan.merge(&more_scan);
            prop_assert_eq!(&(histogram, scan), &whole);
        }
    }

    #[test]
    fn a_bin_is_off_by_half_its_width_at_most(value in -3.0_f32..5.0, bins in 1_usize..5000) {
        let mut histogram = Histogram::uniform(-3.0, 5.0, bins).unwrap();
        histogram.add(&[value]);
        let off = (histogram.min() - f64::from(value)).abs();
        prop_assert!(off <= 0.5 * histogram.width() * (1.0 + 1e-9));
    }

    #[test]
    fn quantiles_are_interpolated_order_statistics(
        mut values in prop::collection::vec(0_u8..60, 1..80),
        q in 0.0..=1.0_f64,
    ) {
        let mut histogram = Histogram::integer(0, 255).unwrap();
        histogram.add(&values.iter().map(|&v| f32::from(v)).collect::<Vec<_>>());
        values.sort_unstable();
        let rank = q * (values.len() - 1) as f64;
        let (low, high) = (f64::from(values[rank as usize]), f64::from(values[rank.ceil() as usize]));
        prop_assert!((histogram.quantile(q) - (low + (high - low) * rank.fract())).abs() < 1e-9);
    }

    #[test]
    fn a_scan_brackets_every_quantile(
        mut values in prop::collection::vec(any::<f32>().prop_filter("finite", |v| v.is_finite()), 1..200),
        q in 0.0..=1.0_f64,
    ) {
        let mut scan = RangeScan::new();
        scan.add(&values);
        values.sort_by(f32::total_cmp);
        let exact = f64::from(values[(q * (values.len() - 1) as f64) as usize]);
        let (low, high) = scan.quantile(q).unwrap();
        prop_assert!(low <= exact && exact <= high);
        prop_assert!(high - low <= low.abs().max(high.abs()) / 64.0 + f64::from(f32::MIN_POSITIVE));
        let extremes = scan.extremes().unwrap();
        prop_assert_eq!(extremes, (values[0], values[values.len() - 1]));
    }
}
