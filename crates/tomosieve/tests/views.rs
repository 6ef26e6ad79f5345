//! Views: what every one in the roster must do, and what Albumentations answers on the same parameters.
//!
//! `TOMOSIEVE_VIEWS_GOLDEN` names another golden file than the committed one; see `tests/peers/views`.

use std::collections::BTreeSet;

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tomosieve::augment::{self, Augment, StrongConfig};
use tomosieve::patch::Patch;

#[path = "golden/views/compare.rs"]
mod golden;

/// Sizes `[c, h, w]` that every view must cope with.
const SIZES: [[usize; 3]; 6] = [[7, 64, 64], [1, 48, 48], [3, 33, 33], [5, 20, 50], [3, 1, 7], [1, 1, 1]];

fn generator(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// Noise with black and white pixels among it, labels 0 to 3 and 255.
fn noise([slices, height, width]: [usize; 3]) -> Patch {
    let mut rng = generator(1);
    let mut word = || rng.next_u32();
    let image: Vec<f32> = (0..slices * height * width)
        .map(|_| (word() as f32 / u32::MAX as f32 * 1.2 - 0.1).clamp(0.0, 1.0))
        .collect();
    let labels = (0..height * width).map(|_| [0, 1, 2, 3, Patch::IGNORE][word() as usize % 5]).collect();
    Patch::new(slices, height, width, image, labels)
}

fn weak(name: &str) -> Box<dyn Augment> {
    augment::weak(&[name.to_owned()]).expect("a name of the roster").remove(0)
}

fn strong(name: &str, strength: f64, probability: f64) -> Box<dyn Augment> {
    let config = StrongConfig { views: vec![name.to_owned()], strength, probability, tile: 24 };
    augment::strong(&config).expect("a name of the roster").remove(0)
}

fn changed(view: &dyn Augment, before: &Patch, seed: u64) -> Patch {
    let mut patch = before.clone();
    view.apply(&mut patch, &mut generator(seed));
    patch
}

fn assert_close(ours: &[f32], theirs: &[f32], tolerance: f32, what: &str) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    let worst = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst <= tolerance, "{what}: off by {worst}");
}

#[test]
fn same_seed_same_patch() {
    let before = noise([3, 32, 32]);
    let all =
        augment::weak_names().map(weak).chain(augment::strong_names().map(|name| strong(name, 3.5, 0.5)));
    for (view, name) in all.zip(augment::names()) {
        let results: Vec<Patch> = (0..20).map(|seed| changed(&*view, &before, seed)).collect();
        for (seed, patch) in results.iter().enumerate() {
            assert_eq!(*patch, changed(&*view, &before, seed as u64), "{name}, seed {seed}");
        }
        assert!(results.iter().any(|patch| *patch != before), "{name} never does anything");
        assert!(results.contains(&before), "{name} always does something");
    }
}

#[test]
fn strong_views_keep_labels_and_range() {
    for name in augment::strong_names() {
        for (size, strength) in SIZES.into_iter().flat_map(|size| [0.0, 1.0, 3.5, 20.0].map(|s| (size, s))) {
            let before = noise(size);
            for seed in 0..10 {
                let patch = changed(&*strong(name, strength, 1.0), &before, seed);
                assert_eq!(patch.labels, before.labels, "{name}");
                let inside = patch.image.iter().all(|value| (0.0..=1.0).contains(value));
                assert!(inside, "{name} at strength {strength} leaves [0, 1]");
                assert_eq!(patch.image.len(), before.image.len());
            }
        }
    }
}

#[test]
fn strong_views_treat_equal_slices_alike() {
    let mut before = noise([5, 40, 40]);
    let middle = before.middle().to_vec();
    before.image = middle.repeat(5).into();
    for name in augment::strong_names() {
        for seed in 0..5 {
            let patch = changed(&*strong(name, 2.0, 1.0), &before, seed);
            assert!((1..5).all(|i| patch.slice(i) == patch.slice(0)), "{name}");
        }
    }
}

#[test]
fn strength_zero_leaves_values_alone() {
    let before = noise([3, 32, 32]);
    for name in augment::strong_names().filter(|&name| name != "clahe") {
        let patch = changed(&*strong(name, 0.0, 1.0), &before, 3);
        assert_close(&patch.image, &before.image, 1e-6, name);
    }
}

#[test]
fn weak_views_permute_image_and_labels_together() {
    for name in augment::weak_names() {
        for [slices, height, width] in SIZES {
            // Every pixel carries its own number, in the labels modulo 251.
            let pixels = height * width;
            let number = |i: usize| (i % pixels) as f32 / pixels as f32;
            let image: Vec<f32> = (0..slices * pixels).map(number).collect();
            let labels = (0..pixels).map(|i| (i % 251) as u8).collect();
            let before = Patch::new(slices, height, width, image, labels);
            for seed in 0..20 {
                let patch = changed(&*weak(name), &before, seed);
                let size = [patch.slices, patch.height, patch.width];
                assert_eq!(size, [slices, height, width], "{name} changes the shape");
                let numbers: Vec<usize> =
                    patch.slice(0).iter().map(|v| (v * pixels as f32).round() as usize).collect();
                assert_eq!(numbers.iter().collect::<BTreeSet<_>>().len(), pixels, "{name} is no permutation");
                assert!((1..slices).all(|i| patch.slice(i) == patch.slice(0)), "{name} differs among slices");
                let follow = numbers.iter().zip(&patch.labels).all(|(i, &label)| (i % 251) as u8 == label);
                assert!(follow, "{name}: labels do not follow the image");
            }
        }
    }
}

#[test]
fn dihedral_draws_all_symmetries_equally_often() {
    for (size, count) in [([1, 4, 4], 8), ([1, 4, 5], 4)] {
        let before = noise(size);
        let mut rng = generator(5);
        let mut seen = std::collections::BTreeMap::<Vec<u32>, usize>::new();
        let draws = 1000 * count;
        for _ in 0..draws {
            let mut patch = before.clone();
            weak("dihedral").apply(&mut patch, &mut rng);
            *seen.entry(patch.image.iter().map(|value| value.to_bits()).collect()).or_default() += 1;
        }
        assert_eq!(seen.len(), count);
        assert!(seen.values().all(|&times| times.abs_diff(draws / count) < 150), "{:?}", seen.values());
    }
}

#[test]
fn views_come_in_the_given_order() {
    let reversed: Vec<String> = ["clahe", "gamma"].map(str::to_owned).to_vec();
    let config = StrongConfig { views: reversed, probability: 1.0, ..StrongConfig::default() };
    let before = noise([3, 32, 32]);
    let mut expected = before.clone();
    let mut rng = generator(9);
    strong("clahe", 1.0, 1.0).apply(&mut expected, &mut rng);
    strong("gamma", 1.0, 1.0).apply(&mut expected, &mut rng);
    let views = augment::strong(&config).expect("known names");
    assert_eq!(changed(&views, &before, 9), expected);
}

#[test]
fn unknown_names_are_answered_with_the_known() {
    let Err(error) = augment::weak(&["gamma".to_owned()]) else { panic!("gamma is no weak view") };
    assert_eq!(
        error.to_string(),
        "unknown view `gamma`; known: dihedral, rotate90, flip-vertical, flip-horizontal, transpose"
    );
    let config = StrongConfig { views: vec!["blur".to_owned()], ..StrongConfig::default() };
    let Err(error) = augment::strong(&config) else { panic!("blur is no strong view") };
    let known = "unknown view `blur`; known: gamma, brightness-contrast, color-jitter, clahe";
    assert_eq!(error.to_string(), known);
}

#[test]
fn misspelt_settings_are_errors() {
    assert!(serde_json::from_str::<StrongConfig>(r#"{"strength": 2}"#).is_ok());
    assert!(serde_json::from_str::<StrongConfig>(r#"{"strenght": 2}"#).is_err());
}
