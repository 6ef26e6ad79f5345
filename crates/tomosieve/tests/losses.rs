//! Every loss of the roster in both kinds of training step, on a tiny network that must learn; and every network
//! with every loss.

use tomosieve::batches::Batch;
use tomosieve::lanes::Lanes;
use tomosieve::student::{IGNORE, Step, Student};
use tomosieve_nn::device;
use tomosieve_nn::losses::{LossConfig, names};
use tomosieve_nn::networks::{NAMES, Network, NetworkConfig};

const SIDE: usize = 16;
const ITEMS: usize = 2;
const CLASSES: usize = 3;

/// Three bright bands with some texture, and the class of each pixel.
fn batch() -> Batch {
    let class = |i: usize| (i % SIDE) * CLASSES / SIDE;
    let count = ITEMS * SIDE * SIDE;
    Batch {
        images: (0..count).map(|i| 0.4 * class(i) as f32 + 0.1 * ((i * 7919) % 101) as f32 / 101.0).collect(),
        labels: (0..count).map(|i| class(i) as u8).collect(),
        shape: [ITEMS, 1, SIDE, SIDE],
    }
}

/// A step on the threads there are.
fn step(student: &mut Student, batch: Batch, class_weights: Option<&[f32]>, rate: f64, seed: u64) -> Step {
    student.step(batch, class_weights, rate, seed, &Lanes::new(1).unwrap())
}

fn student(name: &str) -> Student {
    student_of("unet", name)
}

fn student_of(network: &str, name: &str) -> Student {
    let device = device::by_name("cpu").unwrap();
    let config = NetworkConfig { name: network.into(), widths: vec![4, 8], groups: 4, dropout: 0.0 };
    let network = Network::new(&config, 1, CLASSES, 0, &device.clone().autodiff()).unwrap();
    let loss = LossConfig { name: name.into(), ..LossConfig::default() };
    Student::new(network, &config, &loss, &device).unwrap()
}

/// Loss of the first step, and loss and agreement of the last.
fn trained(name: &str, batch: &Batch, class_weights: Option<&[f32]>) -> (f64, f64, f64) {
    let mut student = student(name);
    let mut step = |seed| step(&mut student, batch.clone(), class_weights, 2e-2, seed);
    let first = step(0);
    let last = (1..60).map(&mut step).last().unwrap();
    (first.loss, last.loss, last.found.agreement())
}

/// The same, with a teacher that is unsure of every third pixel.
fn masked() -> Batch {
    let mut masked = batch();
    masked.labels.iter_mut().step_by(3).for_each(|label| *label = IGNORE);
    masked
}

#[test]
fn every_loss_learns_in_a_step_of_stage_2() {
    for name in names() {
        let (first, last, agreement) = trained(name, &batch(), None);
        assert!(last < first && agreement > 0.9, "{name}: loss {first} to {last}, agreement {agreement}");
    }
}

#[test]
fn every_loss_learns_in_a_masked_and_weighted_step_of_stage_3() {
    for name in names() {
        let (first, last, agreement) = trained(name, &masked(), Some(&[0.5, 1.0, 2.0]));
        assert!(last < first && agreement > 0.9, "{name}: loss {first} to {last}, agreement {agreement}");
    }
}

#[test]
fn a_batch_masked_altogether_changes_nothing_whatever_the_loss() {
    let nothing = Batch { labels: vec![IGNORE; ITEMS * SIDE * SIDE], ..batch() };
    for name in names() {
        let (mut one, mut two) = (student(name), student(name));
        assert_eq!(step(&mut one, nothing.clone(), None, 1e-2, 0).loss, 0.0, "{name}");
        let [one, two] = [&mut one, &mut two].map(|student| step(student, batch(), None, 1e-2, 1));
        assert_eq!(one, two, "{name}");
    }
}

#[test]
fn every_network_takes_a_step_of_either_stage_with_every_loss() {
    for network in NAMES {
        for name in names() {
            let mut student = student_of(network, name);
            let first = step(&mut student, batch(), None, 1e-3, 0);
            let second = step(&mut student, masked(), Some(&[0.5, 1.0, 2.0]), 1e-3, 1);
            let again = step(&mut student, batch(), None, 1e-3, 2);
            for done in [&first, &second, &again] {
                assert!(done.loss.is_finite() && done.loss > 0.0, "{network}, {name}: {}", done.loss);
            }
            assert!(again.loss != first.loss, "{network}, {name}: the weights did not move");
        }
    }
}
