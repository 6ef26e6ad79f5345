//! Every clustering of the roster, and the exactness of those that claim it.
#![allow(clippy::float_cmp)] // what is exact is compared exactly

use proptest::prelude::*;
use tomosieve_cluster::{
    Clustering, Clusters, Error, Gmm, Histogram, KMeans, MAX_CLASSES, MultiOtsu, by_name, names,
};

/// Three bumps of different size, by counts.
fn bumps() -> Histogram {
    let mut values = Histogram::integer(0, 999).unwrap();
    for (centre, width, count) in [(150.0_f32, 30.0, 4000_u32), (420.0, 45.0, 2500), (800.0, 25.0, 600)] {
        let quantile = |i: u32| (i as f32 + 0.5) / count as f32;
        // The logistic distribution has a closed quantile function.
        let bump: Vec<f32> =
            (0..count).map(|i| centre + width * 0.5 * (quantile(i) / (1.0 - quantile(i))).ln()).collect();
        values.add(&bump);
    }
    values
}

/// Least inertia over all ways to cut the occupied values into `k` runs.
fn brute_force(points: &[(f64, f64)], k: usize) -> f64 {
    let scatter = |run: &[(f64, f64)]| {
        let mass: f64 = run.iter().map(|p| p.1).sum();
        let mean = run.iter().map(|p| p.0 * p.1).sum::<f64>() / mass;
        run.iter().map(|p| p.1 * (p.0 - mean).powi(2)).sum::<f64>()
    };
    if k == 1 {
        return scatter(points);
    }
    let last = (k - 1)..points.len();
    last.map(|cut| brute_force(&points[..cut], k - 1) + scatter(&points[cut..])).fold(f64::INFINITY, f64::min)
}

fn points(values: &Histogram) -> Vec<(f64, f64)> {
    values.occupied().map(|(value, count)| (value, count as f64)).collect()
}

#[test]
fn every_method_conforms() {
    let values = bumps();
    for name in names() {
        let method = by_name(name).unwrap();
        assert_eq!(method.name(), name);
        for k in 2..=6 {
            let clusters = method.fit(&values, k).unwrap();
            assert_eq!((clusters.classes(), clusters.method.as_str()), (k, name));
            assert!(clusters.means.is_sorted(), "{name}: means must ascend");
            assert!(
                (clusters.weights.iter().sum::<f64>() - 1.0).abs() < 1e-9,
                "{name}: weights must sum to 1"
            );
            assert!(clusters.variances.iter().all(|&v| v >= 0.0 && v.is_finite()));
            assert_eq!(clusters.intervals.len(), clusters.thresholds.len() + 1);

            let all: Vec<f32> = (-5..1010).map(|v| v as f32).chain([f32::NAN, f32::INFINITY]).collect();
            let mut labels = vec![9; all.len()];
            clusters.assign_slice(&all, &mut labels).unwrap();
            for (&value, &label) in all.iter().zip(&labels) {
                assert_eq!(clusters.assign(value), label, "{name}, K = {k}, value {value}");
                assert!(usize::from(label) < k);
            }
            assert_eq!(labels[labels.len() - 2..], [0, 0], "{name}: non-finite values are background");

            let words: Vec<u16> = (0..1010).collect();
            let mut of_words = vec![9; words.len()];
            clusters.assign_slice(&words, &mut of_words).unwrap();
            assert_eq!(of_words, labels[5..][..1010], "{name}: integers are labelled as floats are");

            let stored = serde_json::to_string(&clusters).unwrap();
            let read: Clusters = serde_json::from_str(&stored).unwrap();
            let mut again = vec![9; all.len()];
            read.assign_slice(&all, &mut again).unwrap();
            assert_eq!(again, labels, "{name}: stored clusters label alike");
        }
        let inertias: Vec<f64> = (2..=6).map(|k| method.fit(&values, k).unwrap().inertia).collect();
        assert!(inertias[4] < inertias[0], "{name}: more classes must fit closer");
    }
}

#[test]
fn every_method_gives_the_same_for_split_and_reordered_data() {
    let all: Vec<f32> = (0..4000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 22) as f32).collect();
    let count = |parts: &[&[f32]]| {
        let mut whole = Histogram::integer(0, 1023).unwrap();
        for part in parts {
            let mut histogram = Histogram::integer(0, 1023).unwrap();
            histogram.add(part);
            whole.merge(&histogram).unwrap();
        }
        whole
    };
    let reversed: Vec<f32> = all.iter().rev().copied().collect();
    for name in names() {
        let method = by_name(name).unwrap();
        let whole = method.fit(&count(&[&all]), 4).unwrap();
        assert_eq!(
            whole,
            method.fit(&count(&[&all[..900], &all[900..3000], &all[3000..]]), 4).unwrap(),
            "{name}"
        );
        assert_eq!(whole, method.fit(&count(&[&reversed]), 4).unwrap(), "{name}");
        let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert_eq!(whole, one.install(|| method.fit(&count(&[&all]), 4)).unwrap(), "{name}");
    }
}

#[test]
fn every_method_refuses_what_it_cannot_split() {
    let mut constant = Histogram::integer(0, 255).unwrap();
    constant.add(&[7.0; 10]);
    let mut two = Histogram::uniform(0.0, 1.0, 100).unwrap();
    two.add(&[0.1, 0.9]);
    let mut empty = Histogram::integer(0, 255).unwrap();
    empty.add(&[f32::NAN]);
    for name in names() {
        let method = by_name(name).unwrap();
        assert_eq!(
            method.fit(&constant, 2).unwrap_err().to_string(),
            "the volume holds only 1 distinct value; got 2 classes, expected at most as many classes as values; ask \
             for fewer"
        );
        assert!(method.fit(&two, 3).unwrap_err().to_string().ends_with("ask for fewer or use more bins"));
        assert_eq!(method.fit(&empty, 2).unwrap_err(), Error::Empty { non_finite: 1 });
        for k in [0, 1, MAX_CLASSES + 1] {
            assert!(matches!(method.fit(&bumps(), k), Err(Error::InvalidClasses { .. })), "{name}, K = {k}");
        }
    }
    assert_eq!(
        by_name("k-means").unwrap_err().to_string(),
        "unknown clustering method: got \"k-means\", expected one of kmeans, multi-otsu, gmm"
    );
    let clusters = KMeans::default().fit(&bumps(), 2).unwrap();
    assert_eq!(
        clusters.assign_slice(&[1.0; 3], &mut [0; 2]).unwrap_err().to_string(),
        "labels and values differ in length: got 2 labels, expected 3, one for each value"
    );
}

#[test]
fn stored_clusters_that_contradict_themselves_are_refused() {
    let clusters = KMeans::default().fit(&bumps(), 3).unwrap();
    let mut stored = serde_json::to_value(&clusters).unwrap();
    stored["intervals"] = serde_json::json!([0, 1, 7]);
    let error = serde_json::from_value::<Clusters>(stored).unwrap_err().to_string();
    assert!(error.starts_with("inconsistent clusters: got 3 means"), "{error}");
}

#[test]
fn hand_worked_kmeans() {
    let mut values = Histogram::integer(0, 20).unwrap();
    values.add(&[1.0, 2.0, 3.0, 10.0, 11.0, 20.0]);
    let clusters = KMeans::default().fit(&values, 3).unwrap();
    assert_eq!(clusters.means, [2.0, 10.5, 20.0]);
    assert_eq!(clusters.thresholds, [6.25, 15.25]);
    assert_eq!(clusters.inertia, 2.5);
    // Eq. 2, a tie goes to the smaller index.
    assert_eq!([6.25, 6.250_001, 15.25, 15.26].map(|v| clusters.assign(v)), [0, 1, 1, 2]);
}

#[test]
fn kmeans_takes_as_many_classes_as_labels_exist() {
    let mut values = Histogram::integer(0, 300).unwrap();
    values.add(&(0..=300).map(|v| v as f32).collect::<Vec<_>>());
    let clusters = KMeans::default().fit(&values, MAX_CLASSES).unwrap();
    // 255 classes for 301 values: 46 pairs of neighbours, each with a scatter of one half.
    assert!((clusters.inertia - 23.0).abs() < 1e-9, "{}", clusters.inertia);
    let mut labels = [0; 2];
    clusters.assign_slice(&[0.0, 300.0], &mut labels).unwrap();
    assert_eq!(labels, [0, 254]);
}

#[test]
fn kmeans_fits_all_numbers_of_classes_at_once() {
    let values = bumps();
    let all = KMeans::default().fit_all(&values, 8).unwrap();
    assert_eq!(all.len(), 8);
    for k in 2..=8 {
        assert_eq!(all[k - 1], KMeans::default().fit(&values, k).unwrap());
    }
    assert!(all.windows(2).all(|pair| pair[1].inertia < pair[0].inertia));
}

#[test]
fn multi_otsu_puts_a_threshold_value_above() {
    let mut values = Histogram::integer(0, 255).unwrap();
    values.add(&[10.0, 10.0, 11.0, 200.0, 201.0, 201.0]);
    let clusters = MultiOtsu::default().fit(&values, 2).unwrap();
    assert_eq!(clusters.thresholds, [11.0]);
    assert_eq!([10.0, 10.9, 11.0].map(|v| clusters.assign(v)), [0, 0, 1]);
    assert!(matches!(MultiOtsu { bins: 1 }.fit(&values, 2), Err(Error::InvalidBins { got: 1, .. })));
    let error = MultiOtsu { bins: 2 }.fit(&bumps(), 3).unwrap_err().to_string();
    assert!(error.contains("raise multi-otsu's bins"), "{error}");
}

#[test]
fn multi_otsu_is_exact_for_32_classes() {
    // Least scatter within classes is most variance between them, and exact k-means finds it in another way.
    let mut values = Histogram::integer(0, 255).unwrap();
    let mut sums = values.to_sums();
    for (x, sum) in sums[..256].iter_mut().enumerate() {
        *sum += f64::from((x as u32).wrapping_mul(2_654_435_761) >> 22) + 1.0;
    }
    values.set_sums(&sums).unwrap();
    for k in [8, 16, 32] {
        let otsu = MultiOtsu::default().fit(&values, k).unwrap();
        assert_eq!((otsu.classes(), otsu.thresholds.len()), (k, k - 1));
        let mut classes = vec![Vec::new(); k];
        for point in points(&values) {
            classes[otsu.thresholds.partition_point(|&t| point.0 > t)].push(point);
        }
        let inertia: f64 = classes.iter().map(|class| brute_force(class, 1)).sum();
        let least = KMeans::default().fit(&values, k).unwrap().inertia;
        assert!((inertia - least).abs() <= 1e-9 * least, "K = {k}: {inertia} not {least}");
    }
}

#[test]
fn gmm_recovers_the_mixture_it_was_given() {
    let mut values = Histogram::integer(0, 1999).unwrap();
    let mut sums = values.to_sums();
    for (weight, mean, deviation) in [(0.6, 500.0, 60.0), (0.4, 1200.0, 150.0_f64)] {
        for (x, sum) in sums[..2000].iter_mut().enumerate() {
            let z = (x as f64 - mean) / deviation;
            *sum += (1e9 * weight / deviation * (-0.5 * z * z).exp()).round();
        }
    }
    values.set_sums(&sums).unwrap();
    let clusters = Gmm::default().fit(&values, 2).unwrap();
    for (got, expected) in [
        (clusters.weights[0], 0.6),
        (clusters.means[0], 500.0),
        (clusters.means[1], 1200.0),
        (clusters.variances[0].sqrt(), 60.0),
        (clusters.variances[1].sqrt(), 150.0),
    ] {
        assert!((got - expected).abs() < 2e-3 * expected, "{got}, not {expected}");
    }
}

#[test]
fn gmm_labels_need_not_be_monotone() {
    let mut values = Histogram::integer(0, 999).unwrap();
    let mut sums = values.to_sums();
    for (weight, mean, deviation) in [(0.5, 495.0, 10.0), (0.5, 500.0, 150.0_f64)] {
        for (x, sum) in sums[..1000].iter_mut().enumerate() {
            let z = (x as f64 - mean) / deviation;
            *sum += (1e7 * weight / deviation * (-0.5 * z * z).exp()).round();
        }
    }
    values.set_sums(&sums).unwrap();
    let clusters = Gmm::default().fit(&values, 2).unwrap();
    let narrow = clusters.assign(495.0);
    assert_eq!([100.0, 900.0].map(|v| clusters.assign(v)), [1 - narrow; 2]);
    assert_eq!(clusters.intervals, [1 - narrow, narrow, 1 - narrow]);
}

#[test]
fn a_spike_does_not_break_the_mixture() {
    let mut values = bumps();
    values.add(&vec![0.0; 200_000]);
    let clusters = Gmm::default().fit(&values, 4).unwrap();
    assert!(clusters.log_likelihood.unwrap().is_finite() && clusters.bic.unwrap().is_finite());
    assert!((clusters.variances[0] - 1.0 / 12.0).abs() < 1e-9, "the floor: {}", clusters.variances[0]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn kmeans_and_multi_otsu_reach_the_optimum(
        counts in prop::collection::vec(prop_oneof![Just(0_u32), 1..40_u32], 6..14),
        k in 2_usize..5,
        offset in -40_000_i64..40_000,
    ) {
        let mut values = Histogram::integer(offset, offset + counts.len() as i64 - 1).unwrap();
        for (&count, value) in counts.iter().zip(offset..) {
            values.add(&vec![value as f32; count as usize]);
        }
        prop_assume!(values.distinct() >= k);
        let least = brute_force(&points(&values), k);
        let kmeans = KMeans::default().fit(&values, k).unwrap();
        prop_assert!((kmeans.inertia - least).abs() <= 1e-9 * (1.0 + least), "{} not {least}", kmeans.inertia);

        // A threshold is the last value of the lower class, so cutting above it gives Otsu's own partition.
        let otsu = MultiOtsu::default().fit(&values, k).unwrap();
        let group = |v: f64| otsu.thresholds.partition_point(|&t| v > t);
        let inertia: f64 = (0..k)
            .map(|class| {
                let run: Vec<_> = points(&values).into_iter().filter(|p| group(p.0) == class).collect();
                if run.is_empty() { 0.0 } else { brute_force(&run, 1) }
            })
            .sum();
        prop_assert!((inertia - least).abs() <= 1e-9 * (1.0 + least), "{inertia} not {least}");
    }

    #[test]
    fn labels_follow_the_nearest_mean(
        values in prop::collection::vec(0.0_f32..1000.0, 30..200),
        k in 2_usize..6,
    ) {
        let mut histogram = Histogram::uniform(0.0, 1000.0, 4096).unwrap();
        histogram.add(&values);
        prop_assume!(histogram.distinct() >= k);
        let clusters = KMeans::default().fit(&histogram, k).unwrap();
        let mut labels = vec![0; values.len()];
        clusters.assign_slice(&values, &mut labels).unwrap();
        for (&value, &label) in values.iter().zip(&labels) {
            let distance = |mean: f64| (f64::from(value) - mean).abs();
            let nearest = clusters.means.iter().map(|&m| distance(m)).fold(f64::INFINITY, f64::min);
            prop_assert!(distance(clusters.means[usize::from(label)]) <= nearest * (1.0 + 1e-12) + 1e-9);
        }
    }

    /// Few cuts and many, below all integers, among them and beyond.
    #[test]
    fn integers_are_labelled_as_their_floats_are(
        cuts in prop_oneof![
            prop::collection::vec(-400.0_f32..400.0, 0..30),
            prop::collection::vec(-1e5_f32..1e5, 0..30),
            prop::collection::vec((-10_i16..300).prop_map(f32::from), 0..12),
        ],
        mixed in any::<bool>(),
    ) {
        let mut cuts = cuts;
        cuts.sort_by(f32::total_cmp);
        let classes = cuts.len() + 1;
        let intervals: Vec<usize> = (0..classes).map(|i| if mixed { i * 7 % classes } else { i }).collect();
        let stored = serde_json::json!({
            "method": "test", "means": vec![0.0; classes], "weights": vec![0.0; classes],
            "variances": vec![0.0; classes], "thresholds": cuts, "intervals": intervals, "inertia": 0.0,
            "log_likelihood": null, "bic": null, "iterations": null, "cuts": cuts,
        });
        let clusters: Clusters = serde_json::from_value(stored).unwrap();
        let words: Vec<u16> = (0..=u16::MAX).collect();
        let bytes: Vec<u8> = (0..=u8::MAX).collect();
        let expected: Vec<u8> = words.iter().map(|&word| clusters.assign(f32::from(word))).collect();
        let mut labels = vec![0; words.len()];
        clusters.assign_slice(&words, &mut labels).unwrap();
        prop_assert!(labels == expected);
        clusters.assign_slice(&bytes, &mut labels[..256]).unwrap();
        prop_assert_eq!(&labels[..256], &expected[..256]);
    }
}
