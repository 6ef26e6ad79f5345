//! Curves over K.
#![allow(clippy::float_cmp)] // what is exact is compared exactly

use tomosieve_cluster::scan::{knee, simplified_silhouette};
use tomosieve_cluster::{Clustering, Error, Histogram, KMeans, Scan, scan};

/// Four narrow, well-separated classes.
fn four() -> Histogram {
    let mut values = Histogram::integer(0, 255).unwrap();
    for centre in [20, 90, 150, 230] {
        for (offset, count) in [(-2, 100), (-1, 300), (0, 500), (1, 300), (2, 100)] {
            values.add(&vec![(centre + offset) as f32; count]);
        }
    }
    values
}

#[test]
fn four_classes_are_found() {
    let found = scan(&four(), &four(), 2..=8).unwrap();
    assert_eq!(found.candidates.iter().map(|c| c.classes).collect::<Vec<_>>(), [2, 3, 4, 5, 6, 7, 8]);
    assert_eq!((found.silhouette_best, found.suggested), (4, 4));
    assert!(found.candidates.windows(2).all(|pair| pair[1].inertia < pair[0].inertia));
    assert!(found.candidates[2].explained > 0.99);
    assert!(found.candidates[2].bic < found.candidates[1].bic);
    assert!(found.reason.starts_with("4 classes, the larger of"), "{}", found.reason);
    let stored = serde_json::to_string(&found).unwrap();
    assert_eq!(serde_json::from_str::<Scan>(&stored).unwrap().reason, found.reason);
}

#[test]
fn the_range_ends_where_the_values_do() {
    let mut values = Histogram::integer(0, 9).unwrap();
    values.add(&[1.0, 1.0, 4.0, 8.0]);
    let found = scan(&values, &values, 2..=20).unwrap();
    assert_eq!(found.candidates.len(), 2);
    assert_eq!(found.candidates[1].inertia, 0.0);
    assert!(matches!(scan(&values, &values, 1..=3), Err(Error::InvalidClasses { got: 1, .. })));
    assert!(matches!(scan(&values, &values, 4..=6), Err(Error::TooFewValues { distinct: 3, .. })));
}

#[test]
fn hand_worked_knee() {
    // Scaled: (0, 1), (1/4, 0.3), (2/4, 0.1), (3/4, 0.05), (1, 0); below the chord by 0, 0.45, 0.4, 0.2, 0.
    assert_eq!(knee(&[100.0, 30.0, 10.0, 5.0, 0.0]), 2);
    assert_eq!(knee(&[3.0, 2.0, 1.0]), 3);
    assert_eq!((knee(&[]), knee(&[5.0])), (1, 1));
}

#[test]
fn hand_worked_silhouette() {
    let mut values = Histogram::integer(0, 12).unwrap();
    values.add(&[0.0, 2.0, 10.0, 12.0]);
    let clusters = KMeans::default().fit(&values, 2).unwrap(); // means 1 and 11
    let expected = f64::midpoint((11.0 - 1.0) / 11.0, (9.0 - 1.0) / 9.0);
    assert!((simplified_silhouette(&values, &clusters) - expected).abs() < 1e-12);
}
