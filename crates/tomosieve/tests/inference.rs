//! Sweeping a volume: windows, slabs and halos must not show in the result.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tomosieve::inference::Sweep;
use tomosieve::predictor::Predict;
use tomosieve::scale::Scale;
use tomosieve_nn::kernels::Buffer;
use tomosieve_volume::{Memory, Shape, VolumeReader};

/// A 3×3 mean over all slices of the patch, turned into two "probabilities": a network with a context of
/// one pixel and no statistics of the window.
struct LocalMean(AtomicUsize);

impl Predict for LocalMean {
    fn probabilities(&self, images: Buffer, [n, c, h, w]: [usize; 4]) -> Buffer {
        self.0.fetch_add(n, Ordering::Relaxed);
        let at = |image: &[f32], k: usize, y: isize, x: isize| {
            let inside = (0..h as isize).contains(&y) && (0..w as isize).contains(&x);
            if inside { image[(k * h + y as usize) * w + x as usize] } else { 0.0 }
        };
        let mut found = Vec::with_capacity(n * 2 * h * w);
        for image in images.chunks_exact(c * h * w) {
            let mean = |y: isize, x: isize| {
                let mut sum = 0.0;
                for k in 0..c {
                    for (dy, dx) in (-1..=1).flat_map(|dy| (-1..=1).map(move |dx| (dy, dx))) {
                        sum += at(image, k, y + dy, x + dx) * (k + 1) as f32;
                    }
                }
                sum / (9 * c * (c + 1) / 2) as f32
            };
            let means: Vec<f32> = (0..h as isize)
                .flat_map(|y| (0..w as isize).map(move |x| (y, x)))
                .map(|(y, x)| mean(y, x))
                .collect();
            found.extend(means.iter().map(|mean| 1.0 - mean));
            found.extend(means);
        }
        found.into()
    }
}

fn volume() -> Memory {
    let shape = Shape::new(9, 70, 83);
    let voxels = (0..shape.voxels()).map(|i| (i as u32).wrapping_mul(2_654_435_761) as f32 / u32::MAX as f32);
    Memory::new(shape, voxels.collect()).unwrap()
}

fn sweep(depth: usize, tile: usize, overlap: usize) -> Sweep {
    let scale = Scale { low: 0.0, high: 1.0 };
    Sweep {
        depth,
        slices: 5,
        classes: 2,
        tile,
        overlap,
        scale,
        rims: None,
        pixels: 1 << 12,
        lanes: 1,
        parameters: 0,
    }
}

/// Labels and confidences of all slices, and the number of windows it took.
fn run(sweep: &Sweep) -> (Vec<u8>, Vec<u8>, usize) {
    let network = LocalMean(AtomicUsize::new(0));
    let (mut labels, mut confidence, mut order) = (Vec::new(), Vec::new(), Vec::new());
    sweep
        .run(&volume(), &network, 0..9, |slice| {
            order.push(slice.z);
            labels.extend_from_slice(slice.labels);
            confidence.extend_from_slice(slice.confidence);
            Ok(())
        })
        .unwrap();
    assert_eq!(order, (0..9).collect::<Vec<_>>());
    (labels, confidence, network.0.into_inner())
}

#[test]
fn tiled_equals_untiled_within_rounding() {
    let (whole, whole_confidence, windows) = run(&sweep(9, 96, 16));
    assert_eq!(windows, 9);
    let (tiled, tiled_confidence, windows) = run(&sweep(9, 32, 16));
    assert!(windows > 9 * 12);
    let differing = whole.iter().zip(&tiled).filter(|(a, b)| a != b).count();
    assert!(differing <= 2, "{differing} labels differ"); // only exact ties may fall either way
    let apart = whole_confidence.iter().zip(&tiled_confidence).map(|(a, b)| a.abs_diff(*b)).max();
    assert!(apart <= Some(1), "confidences differ by {apart:?}/255");
}

#[test]
fn slabs_and_halos_leave_no_trace() {
    let whole = run(&sweep(9, 48, 16));
    for depth in [1, 2, 4, 7] {
        assert_eq!(run(&sweep(depth, 48, 16)), whole, "depth {depth}");
    }
}

#[test]
fn lanes_leave_no_trace() {
    let one = run(&sweep(9, 16, 8));
    for lanes in [2, 3, 200] {
        assert_eq!(run(&Sweep { lanes, ..sweep(9, 16, 8) }), one, "{lanes} lanes");
    }
    // Where a slice is one window, lanes take slices.
    let one = run(&sweep(9, 96, 16));
    for (lanes, depth) in [(2, 9), (2, 1), (4, 3), (50, 9)] {
        let several = Sweep { lanes, ..sweep(depth, 96, 16) };
        assert_eq!(several.slices_at_once(volume().shape()), lanes);
        assert_eq!(run(&several), one, "{lanes} lanes of {depth} slices");
    }
}

#[test]
fn windows_go_in_batches_of_nearly_equal_size() {
    // Nine windows, of which eight may go together: no lane is left with the ninth alone.
    for (lanes, expected) in [(1, vec![4, 5]), (2, vec![4, 5]), (3, vec![3, 3, 3])] {
        let sweep = Sweep { lanes, pixels: 8 << 10, ..sweep(1, 32, 0) };
        assert_eq!(sweep.at_once(volume().shape()), 8);
        let sizes = Mutex::new(Vec::new());
        let look = |_, [n, _, h, w]: [usize; 4]| {
            sizes.lock().unwrap().push(n);
            Buffer::zeroed(n * sweep.classes * h * w)
        };
        sweep.blended(&volume(), &look, 4..5, |_, _, _| Ok(())).unwrap();
        let mut sizes = sizes.into_inner().unwrap();
        sizes.sort_unstable();
        assert_eq!(sizes, expected, "{lanes} lanes");
    }
}

#[test]
fn a_part_of_the_volume_is_what_the_whole_has_there() {
    let (labels, ..) = run(&sweep(3, 48, 16));
    let network = LocalMean(AtomicUsize::new(0));
    let mut part = Vec::new();
    sweep(3, 48, 16)
        .run(&volume(), &network, 4..6, |slice| {
            part.extend_from_slice(slice.labels);
            Ok(())
        })
        .unwrap();
    assert_eq!(part, labels[4 * 70 * 83..6 * 70 * 83]);
}
