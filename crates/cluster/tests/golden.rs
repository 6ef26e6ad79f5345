//! Agreement with scikit-learn and scikit-image on five data sets (`golden/make.py`; a live run against freshly drawn
//! data is in `tests/peers/cluster`, which points `TOMOSIEVE_CLUSTER_GOLDEN` to its own file).

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use tomosieve_cluster::{Clustering, Gmm, Histogram, KMeans, MultiOtsu};

#[derive(Deserialize)]
struct Golden {
    name: String,
    histogram: Range,
    values: Vec<f64>,
    counts: Vec<usize>,
    quantiles: BTreeMap<String, f64>,
    kmeans: BTreeMap<usize, f64>,
    multi_otsu: BTreeMap<usize, Otsu>,
    gmm: BTreeMap<usize, Mixture>,
}

#[derive(Deserialize)]
struct Range {
    lo: f64,
    hi: f64,
    bins: Option<usize>,
}

#[derive(Deserialize)]
struct Otsu {
    /// As scikit-image computes them, in single precision.
    skimage: Vec<f64>,
    /// The true maximiser.
    thresholds: Vec<f64>,
    bin: f64,
    sizes: Vec<u64>,
}

#[derive(Deserialize)]
struct Mixture {
    log_likelihood: f64,
    bic: f64,
}

impl Golden {
    fn voxels(&self) -> Vec<f32> {
        self.values.iter().zip(&self.counts).flat_map(|(&v, &n)| std::iter::repeat_n(v as f32, n)).collect()
    }

    fn histogram(&self) -> Histogram {
        let Range { lo, hi, bins } = self.histogram;
        let empty = match bins {
            Some(bins) => Histogram::uniform(lo, hi, bins),
            None => Histogram::integer(lo as i64, hi as i64),
        };
        let mut histogram = empty.unwrap();
        histogram.add(&self.voxels());
        assert_eq!((histogram.clamped(), histogram.distinct()), (0, self.values.len()), "{}", self.name);
        histogram
    }
}

fn goldens() -> Vec<Golden> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/golden.json");
    let path = std::env::var_os("TOMOSIEVE_CLUSTER_GOLDEN").map_or_else(beside, PathBuf::from);
    let goldens: Vec<Golden> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!(goldens.len(), 5);
    goldens
}

#[test]
fn quantiles_are_numpys() {
    for golden in goldens() {
        let histogram = golden.histogram();
        for (q, expected) in &golden.quantiles {
            let got = histogram.quantile(q.parse().unwrap());
            assert!(
                (got - expected).abs() <= 1e-9 * expected.abs(),
                "{}: {got} at {q}, not {expected}",
                golden.name
            );
        }
    }
}

#[test]
fn kmeans_is_never_worse_than_the_best_of_ten_starts() {
    for golden in goldens() {
        let histogram = golden.histogram();
        for (&k, &theirs) in &golden.kmeans {
            let ours = KMeans::default().fit(&histogram, k).unwrap().inertia;
            assert!(ours <= theirs * (1.0 + 1e-9), "{}, K = {k}: {ours} > {theirs}", golden.name);
            assert!(ours >= theirs * 0.7, "{}, K = {k}: {ours} is too good beside {theirs}", golden.name);
        }
    }
}

#[test]
fn multi_otsu_thresholds_and_classes_are_scikit_images() {
    let (mut cases, mut equal) = (0, 0);
    for golden in goldens() {
        let histogram = golden.histogram();
        for (&k, expected) in &golden.multi_otsu {
            cases += 1;
            equal += usize::from(expected.skimage == expected.thresholds);
            for (ours, theirs) in expected.thresholds.iter().zip(&expected.skimage) {
                assert!(
                    (ours - theirs).abs() < 1.5 * expected.bin,
                    "{}, K = {k}: off scikit-image",
                    golden.name
                );
            }
            let clusters = MultiOtsu::default().fit(&histogram, k).unwrap();
            for (got, expected) in clusters.thresholds.iter().zip(&expected.thresholds) {
                assert!(
                    (got - expected).abs() <= 1e-12 * expected.abs(),
                    "{}, K = {k}: {got}, {expected}",
                    golden.name
                );
            }
            let voxels = golden.voxels();
            let mut labels = vec![0; voxels.len()];
            clusters.assign_slice(&voxels, &mut labels).unwrap();
            let mut sizes = vec![0; k];
            for label in labels {
                sizes[usize::from(label)] += 1;
            }
            assert_eq!(sizes, expected.sizes, "{}, K = {k}", golden.name);
        }
    }
    assert!(equal * 4 >= cases * 3, "only {equal} of {cases} equal scikit-image to the bit");
}

#[test]
fn gmm_is_as_likely_as_scikit_learns() {
    for golden in goldens() {
        let histogram = golden.histogram();
        for (&k, expected) in &golden.gmm {
            let clusters = Gmm::default().fit(&histogram, k).unwrap();
            for (what, got, expected) in [
                ("log-likelihood", clusters.log_likelihood.unwrap(), expected.log_likelihood),
                ("BIC", clusters.bic.unwrap(), expected.bic),
            ] {
                let off = (got - expected).abs() / expected.abs();
                assert!(
                    off <= 1e-3,
                    "{}, K = {k}: {what} {got}, not {expected}, off by {off:.1e}",
                    golden.name
                );
            }
        }
    }
}
