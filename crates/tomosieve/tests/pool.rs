//! The pool of crops: bounded, inside the volume, and true to it.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tomosieve::augment::{self, StrongConfig};
use tomosieve::batches::{Batches, Stream};
use tomosieve::pool::{Labelling, Pool};
use tomosieve::scale::Scale;
use tomosieve_cluster::{Clustering, Histogram, KMeans};
use tomosieve_volume::{Memory, Region, Shape, VolumeReader, reflect};

/// Every voxel knows where it is: its value is its index, modulo a number that fits 16 bits exactly.
fn volume(shape: Shape) -> Memory {
    Memory::new(shape, (0..shape.voxels()).map(|i| (i % 65_521) as f32).collect()).unwrap()
}

const SCALE: Scale = Scale { low: 0.0, high: 65_535.0 };

fn load(
    volume: &Memory,
    slices: usize,
    plan: Vec<(Region, std::ops::Range<usize>)>,
) -> (Pool, tomosieve_cluster::Clusters) {
    let mut histogram = Histogram::integer(0, 65_535).unwrap();
    let mut voxels = vec![0.0; volume.shape().voxels()];
    volume.read(&Region::whole(volume.shape()), &mut voxels).unwrap();
    histogram.add(&voxels);
    let clusters = KMeans {}.fit(&histogram, 3).unwrap();
    let labelling = Labelling::Clusters { clusters: &clusters, rims: None };
    (Pool::load(volume, plan, slices, SCALE, &labelling, |_| ()).unwrap(), clusters)
}

#[test]
fn a_large_volume_is_sampled_within_the_bound() {
    let shape = Shape::new(900, 1500, 1400);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let plan = Pool::plan(shape, 7, 64, 40_000_000, &mut rng).unwrap();
    let held: usize = plan.iter().map(|(region, _)| region.voxels()).sum();
    assert!(held <= 40_000_000 && held > 30_000_000, "{held}");
    for (region, middles) in &plan {
        assert!(shape.contains(region));
        for z in middles.clone() {
            for offset in -3..=3 {
                assert!(region.range(0).contains(&reflect(z as isize + offset, shape.z)), "{region:?} {z}");
            }
        }
    }
    let tenths: std::collections::BTreeSet<usize> =
        plan.iter().map(|(region, _)| region.start[0] / 90).collect();
    assert!(tenths.len() >= 8, "the bricks leave parts of z out: {tenths:?}");
}

#[test]
fn crops_are_what_the_volume_holds() {
    let shape = Shape::new(30, 90, 80);
    let volume = volume(shape);
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let whole = Pool::plan(shape, 5, 24, shape.voxels(), &mut rng).unwrap();
    assert_eq!(whole, [(Region::whole(shape), 0..30)]);
    let bricks = vec![(Region::new(shape, [0, 10, 20], [12, 60, 50]).unwrap(), 0..10)];
    for plan in [whole, bricks] {
        let (pool, clusters) = load(&volume, 5, plan);
        for _ in 0..20 {
            let patch = pool.draw(24, &mut rng);
            assert_eq!((patch.slices, patch.height, patch.width), (5, 24, 24));
            let index = |value: f32| (value * 65_535.0).round() as usize;
            // The middle slice's first voxel tells where the crop lies; the rest must follow from it.
            let first = index(patch.middle()[0]);
            let place = (0..=shape.voxels() / 65_521)
                .map(|turn| first + turn * 65_521)
                .filter(|i| i / 7200 < 30)
                .find(|&i| {
                    let (z, y, x) = (i / 7200, i / 80 % 90, i % 80);
                    y + 24 <= 90
                        && x + 24 <= 80
                        && (0..5).all(|c| {
                            let at = reflect(z as isize + c as isize - 2, 30);
                            (0..24).all(|row| {
                                let start = (at * 90 + y + row) * 80 + x;
                                (0..24).all(|column| {
                                    let value = patch.slice(c)[row * 24 + column];
                                    index(value) == (start + column) % 65_521
                                })
                            })
                        })
                });
            assert!(place.is_some(), "the crop is nowhere in the volume");
            for (value, label) in patch.middle().iter().zip(&patch.labels) {
                assert_eq!(*label, clusters.assign(index(*value) as f32));
            }
        }
    }
}

#[test]
fn a_mixed_batch_ends_with_strong_views() {
    let shape = Shape::new(8, 40, 40);
    let (pool, _) = load(&volume(shape), 3, vec![(Region::whole(shape), 0..8)]);
    let strong = augment::strong(&StrongConfig::default()).unwrap();
    let weak = augment::weak(&["dihedral".to_owned()]).unwrap();
    let (batch, crop, blind, seed, stream) = (4, 16, 0.5, 5, Stream::Train);
    let batches = Batches { pool: &pool, batch, crop, weak, strong, blind, seed, stream };
    let (weak, strong) = batches.draw(9);
    assert_eq!((weak.shape, &weak.labels), ([4, 3, 16, 16], &strong.labels));
    assert!(
        weak.images.chunks(3 * 256).zip(strong.images.chunks(3 * 256)).all(|(weak, strong)| weak != strong)
    );
    for count in 0..=5 {
        let mixed = batches.draw_mixed(9, count);
        let (kept, made_strong) = mixed.images.split_at(3 * 256 * (batch - count.min(batch)));
        assert_eq!(kept, &weak.images[..kept.len()]);
        assert_eq!(made_strong, &strong.images[kept.len()..]);
        assert_eq!(mixed.labels, weak.labels);
    }
}

#[test]
fn labels_can_be_given() {
    let shape = Shape::new(6, 40, 36);
    let volume = volume(shape);
    // A label for every value, so that a crop's labels must be those of its voxels.
    let of = |i: usize| match i % 4 {
        3 => 255,
        class => class as u8,
    };
    let given = Memory::new(shape, (0..shape.voxels()).map(|i| f32::from(of(i))).collect()).unwrap();
    let load = |labels: &Memory, classes| {
        let plan = vec![(Region::whole(shape), 0..6)];
        Pool::load(&volume, plan, 3, SCALE, &Labelling::Volume { labels, classes }, |_| ())
    };
    let pool = load(&given, 3).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    for _ in 0..20 {
        let patch = pool.draw(16, &mut rng);
        let index = |value: f32| (value * 65_535.0).round() as usize;
        let labels: Vec<u8> = patch.middle().iter().map(|&value| of(index(value))).collect();
        assert_eq!(patch.labels, labels);
    }
    let said = load(&given, 2).err().unwrap().to_string();
    assert!(said.contains("2 is no label; expected whole numbers below 2, or 255"), "{said}");
    let halves = Memory::new(shape, vec![0.5; shape.voxels()]).unwrap();
    assert!(load(&halves, 3).err().unwrap().to_string().contains("0.5 is no label"));
}
