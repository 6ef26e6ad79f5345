//! Voxels per second through the histogram and the labels; time of the fits at full 16-bit depth.
//!
//! `cargo bench -p tomosieve-cluster`

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use tomosieve_cluster::{Clustering, Gmm, Histogram, KMeans, MultiOtsu, RangeScan, Value};

/// Voxels of a slab: 4 slices of 2048².
const VOXELS: usize = 4 << 22;

fn main() {
    divan::main();
}

/// A slab of three noisy materials, in 16-bit units.
fn slab() -> Vec<f32> {
    let mut state = 1_u64;
    let mut uniform = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1_u64 << 24) as f32
    };
    let mut voxel = || {
        let centre = [12_000.0, 21_000.0, 33_000.0][(uniform() * 2.999) as usize];
        let noise: f32 = (0..4).map(|_| uniform() - 0.5).sum();
        (centre + 6000.0 * noise).round()
    };
    (0..VOXELS).map(|_| voxel()).collect()
}

/// A histogram with every one of 65 536 bins occupied.
fn full() -> Histogram {
    let mut values = Histogram::integer(0, 65_535).unwrap();
    values.add(&slab());
    values.add(&(0..65_536).map(|v| v as f32).collect::<Vec<_>>());
    values
}

/// The slab in whole units of `by`.
fn integers<T: TryFrom<u32>>(by: f32) -> Vec<T> {
    slab().iter().filter_map(|v| T::try_from((v / by) as u32).ok()).collect()
}

fn count<V: Value>(bencher: Bencher<'_, '_>, slab: &[V], highest: i64) {
    let mut values = Histogram::integer(0, highest).unwrap();
    bencher.counter(ItemsCount::new(slab.len())).bench_local(|| values.add(black_box(slab)));
}

#[divan::bench(name = "histogram/65536/f32", sample_count = 10)]
fn histogram_floats(bencher: Bencher<'_, '_>) {
    count(bencher, &slab(), 65_535);
}

#[divan::bench(name = "histogram/65536/u16", sample_count = 10)]
fn histogram_words(bencher: Bencher<'_, '_>) {
    count(bencher, &integers::<u16>(1.0), 65_535);
}

#[divan::bench(name = "histogram/256/u8", sample_count = 10)]
fn histogram_bytes(bencher: Bencher<'_, '_>) {
    count(bencher, &integers::<u8>(256.0), 255);
}

#[divan::bench(name = "range_scan/f32", sample_count = 10)]
fn range_scan(bencher: Bencher<'_, '_>) {
    let (slab, mut scan) = (slab(), RangeScan::new());
    bencher.counter(ItemsCount::new(VOXELS)).bench_local(|| scan.add(black_box(&slab)));
}

fn assign<V: Value>(bencher: Bencher<'_, '_>, slab: &[V], classes: usize) {
    let clusters = KMeans::default().fit(&full(), classes).unwrap();
    let mut labels = vec![0; slab.len()];
    bencher
        .counter(ItemsCount::new(slab.len()))
        .bench_local(|| clusters.assign_slice(black_box(slab), &mut labels));
}

#[divan::bench(name = "assign/kmeans/f32", args = [4, 10, 255], sample_count = 10)]
fn assign_floats(bencher: Bencher<'_, '_>, classes: usize) {
    assign(bencher, &slab(), classes);
}

#[divan::bench(name = "assign/kmeans/u16", args = [4, 10, 255], sample_count = 10)]
fn assign_words(bencher: Bencher<'_, '_>, classes: usize) {
    assign(bencher, &integers::<u16>(1.0), classes);
}

#[divan::bench(name = "fit/kmeans/65536", args = [4, 10, 32, 255], sample_count = 3)]
fn fit_kmeans(bencher: Bencher<'_, '_>, classes: usize) {
    let values = full();
    bencher.bench(|| KMeans::default().fit(black_box(&values), classes));
}

#[divan::bench(name = "fit/multi-otsu/256", args = [4, 10, 32], sample_count = 10)]
fn fit_multi_otsu(bencher: Bencher<'_, '_>, classes: usize) {
    let values = full();
    bencher.bench(|| MultiOtsu::default().fit(black_box(&values), classes));
}

#[divan::bench(name = "fit/gmm/65536", args = [4, 10], sample_count = 3)]
fn fit_gmm(bencher: Bencher<'_, '_>, classes: usize) {
    let values = full();
    bencher.bench(|| Gmm::default().fit(black_box(&values), classes));
}
