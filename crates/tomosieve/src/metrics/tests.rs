//! Metrics against hand-worked numbers, laws, and scikit-learn and scipy (`tests/golden/make_metrics.py`; a live run against
//! freshly drawn labels is in `tests/peers/metrics`, which points `TOMOSIEVE_METRICS_GOLDEN` to its own file).

use proptest::prelude::*;
use serde::Deserialize;

use super::matching::hungarian;
use super::{ConfusionMatrix, MetricsError, Reliability, Scores, match_clusters};

#[derive(Deserialize)]
struct Golden {
    streamed: Streamed,
    cases: Vec<Case>,
    calibration: Calibration,
}

#[derive(Deserialize)]
struct Streamed {
    truth: Vec<u8>,
    predicted: Vec<u8>,
    matrix: Vec<Vec<u64>>,
}

#[derive(Deserialize)]
struct Case {
    matrix: Vec<Vec<u64>>,
    overlap: u64,
    mapping: Vec<u8>,
    accuracy: f64,
    accuracy_all: f64,
    iou: Vec<f64>,
    miou: f64,
    miou_all: f64,
    dice: f64,
    dice_all: f64,
    support: Vec<u64>,
}

#[derive(Deserialize)]
struct Calibration {
    bins: usize,
    confidence: Vec<f32>,
    correct: Vec<bool>,
    ece: f64,
}

fn golden() -> Golden {
    let beside = || concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/metrics.json").into();
    let path = std::env::var_os("TOMOSIEVE_METRICS_GOLDEN").unwrap_or_else(beside);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn matrix(rows: &[&[u64]]) -> ConfusionMatrix {
    ConfusionMatrix::from_rows(rows.iter().map(|row| row.to_vec()).collect()).unwrap()
}

/// Pixels on matched pairs.
fn overlap(matrix: &ConfusionMatrix) -> u64 {
    let partners = hungarian(matrix).into_iter().enumerate();
    partners.filter_map(|(cluster, class)| Some(matrix.count(class?, cluster))).sum()
}

fn close(got: f64, expected: f64, what: &str) {
    assert!((got - expected).abs() < 1e-12, "{what}: got {got}, expected {expected}");
}

#[test]
fn the_matrix_is_scikit_learns() {
    let Streamed { truth, predicted, matrix } = golden().streamed;
    let mut ours = ConfusionMatrix::new(4, 6).unwrap();
    for at in (0..truth.len()).step_by(70) {
        let slab = at..(at + 70).min(truth.len());
        ours.add(&truth[slab.clone()], &predicted[slab], Some(255)).unwrap();
    }
    assert_eq!(ours.rows(), matrix);
    assert_eq!(ours.ignored() + ours.total(), truth.len() as u64);
}

#[test]
fn scores_are_scikit_learns_and_the_matching_scipys() {
    for case in golden().cases {
        let matrix = ConfusionMatrix::from_rows(case.matrix).unwrap();
        assert_eq!(overlap(&matrix), case.overlap);
        assert_eq!(match_clusters(&matrix), case.mapping);
        let scores = Scores::matched(&matrix, Some(0));
        assert_eq!((&scores.mapping, &scores.support), (&case.mapping, &case.support));
        close(scores.accuracy, case.accuracy, "accuracy");
        close(scores.accuracy_all, case.accuracy_all, "accuracy_all");
        close(scores.miou, case.miou, "miou");
        close(scores.miou_all, case.miou_all, "miou_all");
        close(scores.dice, case.dice, "dice");
        close(scores.dice_all, case.dice_all, "dice_all");
        scores.iou.iter().zip(&case.iou).for_each(|(&got, &expected)| close(got, expected, "iou"));
    }
}

#[test]
fn hand_worked_scores() {
    // Background 0; cluster 2 is class 1, cluster 0 class 2, cluster 1 background.
    let matrix = matrix(&[&[10, 70, 20], &[0, 5, 45], &[40, 0, 10]]);
    let scores = Scores::matched(&matrix, Some(0));
    assert_eq!(scores.mapping, [2, 0, 1]);
    close(scores.accuracy, 85.0 / 100.0, "accuracy");
    close(scores.iou[1], 45.0 / (50.0 + 75.0 - 45.0), "background false positives count");
    close(scores.iou[2], 40.0 / (50.0 + 50.0 - 40.0), "iou");
    close(scores.miou, f64::midpoint(45.0 / 80.0, 40.0 / 60.0), "miou");
    close(scores.dice, f64::midpoint(90.0 / 125.0, 80.0 / 100.0), "dice");
    close(scores.accuracy_all, 155.0 / 200.0, "accuracy_all");
    close(scores.miou_all, (70.0 / 105.0 + 45.0 / 80.0 + 40.0 / 60.0) / 3.0, "miou_all");
    close(scores.dice_all, (140.0 / 175.0 + 90.0 / 125.0 + 80.0 / 100.0) / 3.0, "dice_all");

    let none = Scores::matched(&matrix, None);
    assert_eq!(
        (none.accuracy, none.miou, none.dice),
        (scores.accuracy_all, scores.miou_all, scores.dice_all)
    );
}

#[test]
fn excess_clusters_go_to_their_majority_and_missing_ones_score_zero() {
    let many = matrix(&[&[50, 1, 2, 30], &[3, 60, 20, 4]]);
    assert_eq!(match_clusters(&many), [0, 1, 1, 0]);
    let few = matrix(&[&[50, 1], &[3, 60], &[20, 4]]);
    assert_eq!(hungarian(&few), [Some(0), Some(1)]);
    close(Scores::matched(&few, Some(0)).iou[2], 0.0, "unmatched");
}

#[test]
fn ties_keep_labels_in_order() {
    assert_eq!(match_clusters(&matrix(&[&[5, 5, 5], &[5, 5, 5], &[5, 5, 5]])), [0, 1, 2]);
    assert_eq!(match_clusters(&matrix(&[&[0; 3], &[0; 3], &[0; 3]])), [0, 1, 2]);
    // Two equal overlaps: of cluster 1 and cluster 2 with class 1, the nearer label wins, the other is left over.
    assert_eq!(hungarian(&matrix(&[&[9, 0, 0], &[0, 7, 7]])), [Some(0), Some(1), None]);
}

#[test]
fn a_cluster_that_shares_no_pixel_with_its_class_is_left_over() {
    // One-to-one would give cluster 1 class 1, of which it holds nothing.
    let matrix = matrix(&[&[50, 30], &[5, 0]]);
    assert_eq!(hungarian(&matrix), [Some(0), Some(1)]);
    assert_eq!(match_clusters(&matrix), [0, 0]);
}

#[test]
fn classes_absent_from_the_truth_do_not_count() {
    let matrix = matrix(&[&[10, 0, 0], &[0, 8, 2], &[0, 0, 0], &[0, 0, 0]]);
    let scores = Scores::with_mapping(&matrix, vec![0, 1, 2], Some(0)).unwrap();
    assert_eq!((scores.miou, scores.iou[2]), (0.8, 0.0));
    assert!(scores.iou[3].is_nan(), "neither true nor predicted");
    let json = serde_json::to_string(&scores).unwrap();
    assert!(json.contains(r#""iou":[1.0,0.8,0.0,null]"#), "{json}");
    let read: Scores = serde_json::from_str(&json).unwrap();
    assert!(read.iou[3].is_nan());
    let none = Scores::matched(&ConfusionMatrix::new(2, 2).unwrap(), Some(0));
    assert!(none.accuracy.is_nan() && none.miou.is_nan());
}

#[test]
fn what_does_not_fit_is_refused_and_leaves_no_trace() {
    let mut matrix = ConfusionMatrix::new(3, 2).unwrap();
    let message = |error: MetricsError| error.to_string();
    assert_eq!(
        message(matrix.add(&[0, 7], &[0, 0], Some(255)).unwrap_err()),
        "truth label out of range: got 7, expected below 3; count the classes over all slices first"
    );
    assert!(
        message(matrix.add(&[0], &[2], None).unwrap_err()).starts_with("predicted label out of range: got 2")
    );
    assert!(matches!(matrix.add(&[0], &[], None), Err(MetricsError::Length { got: 0, expected: 1, .. })));
    assert_eq!(matrix, ConfusionMatrix::new(3, 2).unwrap());
    assert!(matrix.add(&[255, 1], &[9, 1], Some(255)).is_ok(), "an ignored pixel may hold anything");
    assert!(matches!(ConfusionMatrix::new(0, 2), Err(MetricsError::Classes { what: "truth", got: 0 })));
    assert!(matches!(ConfusionMatrix::from_rows(vec![vec![1], vec![]]), Err(MetricsError::Shape { .. })));
    assert!(matrix.merge(&ConfusionMatrix::new(2, 3).unwrap()).is_err());
    assert!(matrix.set_sums(&[0.0; 5]).is_err());
    assert!(Scores::with_mapping(&matrix, vec![0, 3], None).is_err());
    assert!(serde_json::from_str::<ConfusionMatrix>(r#"{"rows":[],"ignored":0}"#).is_err());
}

#[test]
fn calibration_follows_its_definition() {
    let Calibration { bins, confidence, correct, ece } = golden().calibration;
    let mut whole = Reliability::new(bins).unwrap();
    whole.add(&confidence, &correct).unwrap();
    assert!((whole.curve().ece.unwrap() - ece).abs() < 1e-9);
    let mut parts = Reliability::new(bins).unwrap();
    for at in [100..confidence.len(), 0..100] {
        let mut part = Reliability::new(bins).unwrap();
        part.add(&confidence[at.clone()], &correct[at]).unwrap();
        parts.merge(&part).unwrap();
    }
    assert_eq!(parts, whole);
}

#[test]
fn hand_worked_calibration() {
    let mut reliability = Reliability::new(2).unwrap();
    assert_eq!(reliability.curve().ece, None);
    reliability.add(&[0.25, 0.25, 0.75, 1.0], &[false, true, true, true]).unwrap();
    let curve = reliability.curve();
    assert_eq!((curve.bins[0].accuracy, curve.bins[0].confidence), (Some(0.5), Some(0.25)));
    assert_eq!((curve.bins[1].accuracy, curve.bins[1].confidence), (Some(1.0), Some(0.875)));
    assert_eq!((curve.ece, curve.mean_confidence, curve.accuracy), (Some(0.1875), Some(0.5625), Some(0.75)));
    for bad in [f32::NAN, -0.1, 1.5] {
        assert!(matches!(reliability.add(&[bad], &[true]), Err(MetricsError::Confidence { .. })));
    }
    assert!(reliability.add(&[0.5], &[]).is_err() && Reliability::new(0).is_err());
    assert!(reliability.merge(&Reliability::new(3).unwrap()).is_err());
    assert_eq!(reliability.total(), 4);
}

/// Most pixels on matched pairs, by trying everything.
fn best_overlap(rows: &[Vec<u64>], free: &mut Vec<usize>) -> u64 {
    let Some((row, rest)) = rows.split_first() else {
        return 0;
    };
    let mut best = best_overlap(rest, free); // a row may stay unmatched
    for i in 0..free.len() {
        let column = free.remove(i);
        best = best.max(row[column] + best_overlap(rest, free));
        free.insert(i, column);
    }
    best
}

proptest! {
    #[test]
    fn the_matching_is_the_best_there_is(
        rows in (1_usize..5, 1_usize..5).prop_flat_map(|(t, p)| {
            prop::collection::vec(prop::collection::vec(0_u64..9, p), t)
        }),
    ) {
        let matrix = ConfusionMatrix::from_rows(rows.clone()).unwrap();
        let mut free = (0..rows[0].len()).collect();
        prop_assert_eq!(overlap(&matrix), best_overlap(&rows, &mut free));
        let scores = Scores::matched(&matrix, Some(0));
        prop_assert!(scores.iou.iter().all(|iou| iou.is_nan() || (0.0..=1.0).contains(iou)));
    }

    #[test]
    fn parts_and_threads_do_not_matter(
        pixels in prop::collection::vec((0_u8..5, 0_u8..7), 1..300),
        cut in 0.0..1.0_f64,
    ) {
        let (truth, predicted): (Vec<u8>, Vec<u8>) = pixels.into_iter().unzip();
        let cut = (cut * truth.len() as f64) as usize;
        let empty = ConfusionMatrix::new(4, 7).unwrap();
        let (mut whole, mut first, mut second) = (empty.clone(), empty.clone(), empty.clone());
        whole.add(&truth, &predicted, Some(4)).unwrap();
        first.add(&truth[..cut], &predicted[..cut], Some(4)).unwrap();
        second.add(&truth[cut..], &predicted[cut..], Some(4)).unwrap();
        let reduced: Vec<f64> = first.to_sums().iter().zip(second.to_sums()).map(|(a, b)| a + b).collect();
        second.merge(&first).unwrap();
        prop_assert_eq!(&second, &whole);
        first.set_sums(&reduced).unwrap();
        prop_assert_eq!(&first, &whole);
        prop_assert_eq!(whole.truth_totals().iter().sum::<u64>(), whole.total());
    }
}
