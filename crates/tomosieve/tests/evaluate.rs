//! A truth that labels only part of a volume: what it leaves out does not count.

use tomosieve::metrics::{ConfusionMatrix, Scores};
use tomosieve::patch::Patch;
use tomosieve::stages::evaluate::{Special, Truth};
use tomosieve_volume::{Memory, Shape};

const SHAPE: Shape = Shape { z: 6, y: 9, x: 7 };
const SPECIAL: Special = Special { background: 0, ignore: Patch::IGNORE };

/// Whole numbers below `below`, without a pattern.
fn scattered(below: u32, seed: u32) -> Vec<u8> {
    let word = |i: u32| (i ^ seed).wrapping_mul(2_654_435_761) >> 16;
    (0..SHAPE.voxels() as u32).map(|i| (word(i) % below) as u8).collect()
}

fn volume(labels: &[u8]) -> Memory {
    Memory::new(SHAPE, labels.iter().map(|&label| f32::from(label)).collect()).unwrap()
}

#[test]
fn unlabelled_slices_and_voxels_do_not_count() {
    let plane = SHAPE.slice_voxels();
    // Slices 1, 2 and 4 are labelled, but for every fifth voxel.
    let counts = |i: usize| [1, 2, 4].contains(&(i / plane)) && !i.is_multiple_of(5);
    let whole = scattered(3, 1);
    let labels: Vec<u8> =
        whole.iter().zip(scattered(4, 99)).map(|(&t, noise)| if noise == 3 { noise } else { t }).collect();
    let sparse: Vec<u8> =
        whole.iter().enumerate().map(|(i, &t)| if counts(i) { t } else { Patch::IGNORE }).collect();
    let scores = Truth::new(Box::new(volume(&sparse)), SPECIAL).unwrap().score(&volume(&labels)).unwrap();

    let mut rows = vec![vec![0_u64; 4]; 3];
    for i in (0..SHAPE.voxels()).filter(|&i| counts(i)) {
        rows[usize::from(whole[i])][usize::from(labels[i])] += 1;
    }
    let expected = Scores::matched(&ConfusionMatrix::from_rows(rows).unwrap(), Some(0));
    assert_eq!(scores, expected);
    assert_eq!(scores.support.iter().sum::<u64>(), (0..SHAPE.voxels()).filter(|&i| counts(i)).count() as u64);

    // Whatever is said of what does not count changes nothing.
    let other: Vec<u8> =
        labels.iter().enumerate().map(|(i, &l)| if counts(i) { l } else { (l + 1) % 4 }).collect();
    let truth = Truth::new(Box::new(volume(&sparse)), SPECIAL).unwrap();
    assert_eq!(truth.score(&volume(&other)).unwrap(), expected);
}

#[test]
fn a_truth_without_a_label_is_refused() {
    let nothing = volume(&vec![Patch::IGNORE; SHAPE.voxels()]);
    let error = Truth::new(Box::new(nothing), SPECIAL).err().unwrap().to_string();
    assert!(error.contains("every voxel is 255, the label to ignore"), "{error}");
}
