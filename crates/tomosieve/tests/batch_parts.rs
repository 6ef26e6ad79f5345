//! Batches too large to go through the network at once: their parts add up to the batch, on any number of lanes.

use burn::module::Module;
use tomosieve::batches::Batch;
use tomosieve::lanes::Lanes;
use tomosieve::predictor::{Predict, Predictor};
use tomosieve::student::{IGNORE, Step, Student};
use tomosieve_nn::device;
use tomosieve_nn::kernels::Buffer;
use tomosieve_nn::losses::LossConfig;
use tomosieve_nn::networks::{Network, NetworkConfig};

const CLASSES: usize = 3;

/// Crops of `side`² pixels in slanted bands, `items` of them from `first` on; every seventh pixel is ignored.
fn batch(side: usize, first: usize, items: usize) -> Batch {
    let class = |item: usize, i: usize| ((i % side + (item + 1) * (i / side)) / 16) % CLASSES;
    let pixels = || (first..first + items).flat_map(|item| (0..side * side).map(move |i| (item, i)));
    let label = |(item, i)| if i % 7 == item { IGNORE } else { class(item, i) as u8 };
    Batch {
        shape: [items, 1, side, side],
        images: pixels()
            .map(|(item, i)| 0.4 * class(item, i) as f32 + (i * 7919 % 101) as f32 / 500.0)
            .collect(),
        labels: pixels().map(label).collect(),
    }
}

fn student() -> Student {
    let device = device::by_name("cpu").unwrap();
    let config = NetworkConfig { name: "unet-noskip".into(), widths: vec![4, 8], groups: 4, dropout: 0.0 };
    let network = Network::new(&config, 1, CLASSES, 0, &device.clone().autodiff()).unwrap();
    Student::new(network, &config, &LossConfig::default(), &device).unwrap()
}

fn step(student: &mut Student, batch: Batch, lanes: &Lanes) -> Step {
    student.step(batch, Some(&[0.5, 1.0, 2.0]), 1e-2, 0, lanes)
}

/// What a student makes of a crop.
fn probabilities(student: &Student) -> Buffer {
    let Batch { shape, images, .. } = batch(32, 0, 1);
    Predictor::new(&student.network.valid(), &device::by_name("cpu").unwrap()).probabilities(images, shape)
}

#[test]
fn parts_keep_crops_and_labels_in_order() {
    let whole = batch(200, 0, 5);
    let parts = whole.clone().parts(1);
    assert_eq!(parts.iter().map(|part| part.shape).collect::<Vec<_>>(), [[1, 1, 200, 200]; 5]);
    assert_eq!(parts.iter().flat_map(|part| part.images.to_vec()).collect::<Buffer>(), whole.images);
    assert_eq!(parts.iter().flat_map(|part| part.labels.clone()).collect::<Vec<_>>(), whole.labels);
    let uneven: Vec<_> = batch(128, 0, 5).parts(2).iter().map(|part| part.shape[0]).collect();
    assert_eq!(uneven, [2, 2, 1]);
}

#[test]
fn a_step_is_that_of_its_parts_together() {
    let one = Lanes::new(1).unwrap();
    // The mean over both crops is the mean of their means: as many pixels count in either.
    let [a, b] = [0, 1].map(|item| step(&mut student(), batch(210, item, 1), &one));
    let counted = |item| batch(210, item, 1).labels.iter().filter(|&&label| label != IGNORE).count();
    assert_eq!(counted(0), counted(1));
    let both = step(&mut student(), batch(210, 0, 2), &one);
    assert!((both.loss - f64::midpoint(a.loss, b.loss)).abs() < 1e-6, "{both:?} of {a:?} and {b:?}");
    let mut found = a.found.clone();
    found.add(&b.found);
    assert_eq!(both.found, found);
    // Two parts of one crop pull as that crop does alone; two of different crops do not.
    let (mut twice, mut once, mut other) = (student(), student(), student());
    let crop = batch(256, 0, 1);
    let doubled = Batch {
        shape: [2, 1, 256, 256],
        images: Buffer::concat(&[&*crop.images, &*crop.images]),
        labels: [crop.labels.clone(), crop.labels.clone()].concat(),
    };
    step(&mut twice, doubled, &one);
    step(&mut once, crop, &one);
    step(&mut other, batch(256, 0, 2), &one);
    let [twice, once, other] = [&twice, &once, &other].map(probabilities);
    let apart = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(apart(&twice, &once) < 1e-4, "{}", apart(&twice, &once));
    assert!(apart(&other, &once) > 1e-3, "{}", apart(&other, &once));
}

#[test]
fn lanes_change_nothing_and_the_student_learns() {
    let learn = |lanes: usize| {
        let lanes = Lanes::new(lanes).unwrap();
        let mut student = student();
        let mut batch = batch(182, 0, 3);
        batch.labels[182 * 182..2 * 182 * 182].fill(IGNORE); // a part in which nothing counts
        let losses: Vec<f64> = (0..12).map(|_| step(&mut student, batch.clone(), &lanes).loss).collect();
        (losses, probabilities(&student))
    };
    let one = learn(1);
    assert!(one.0[11] < 0.9 * one.0[0], "{:?}", one.0);
    for lanes in [2, 3] {
        assert_eq!(learn(lanes), one, "{lanes} lanes");
    }
}
