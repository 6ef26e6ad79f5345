//! Channels side by side: the images of several activations next to each other, and apart again.

use crate::parallel::{Shared, each, part};

/// Values that a task copies, about.
const PART: usize = 1 << 14;

/// Runs `copy(at, of part, of whole, count)` for stretches of the values of all parts, each image of which is a part of an
/// image of the whole.
fn stretches(
    n: usize,
    parts: &[usize],
    whole: usize,
    copy: impl Fn(usize, usize, usize, usize) + Sync + Send,
) {
    assert!(parts.iter().all(|len| len.is_multiple_of(n)), "{parts:?} values in {n} images");
    assert_eq!(parts.iter().sum::<usize>(), whole, "values of parts of {parts:?}");
    let image = whole / n;
    let mut before = 0;
    for (i, len) in parts.iter().map(|len| len / n).enumerate() {
        let pieces = len.div_ceil(PART);
        each(n * pieces, |task| {
            let (image_at, piece) = (task / pieces, part(len, pieces, task % pieces));
            copy(i, image_at * len + piece.start, image_at * image + before + piece.start, piece.len());
        });
        before += len;
    }
}

/// The values of `n` images of each part, image by image, one part after the other.
///
/// # Panics
/// If a part is not of `n` images or the lengths do not add up.
pub fn join(n: usize, parts: &[&[f32]], whole: &mut [f32]) {
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    let len = whole.len();
    let whole = Shared::new(whole);
    stretches(n, &lengths, len, |i, from, to, count| {
        // SAFETY: the lengths add up, and each stretch of the whole is written once.
        unsafe { whole.part(to, count) }.copy_from_slice(&parts[i][from..from + count]);
    });
}

/// [`join`] undone.
///
/// # Panics
/// If a part is not of `n` images or the lengths do not add up.
pub fn split(n: usize, whole: &[f32], parts: &mut [&mut [f32]]) {
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    let parts: Vec<Shared> = parts.iter_mut().map(|part| Shared::new(part)).collect();
    stretches(n, &lengths, whole.len(), |i, to, from, count| {
        // SAFETY: the lengths add up, and each stretch of a part is written once.
        unsafe { parts[i].part(to, count) }.copy_from_slice(&whole[from..from + count]);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_lie_side_by_side_and_apart_again() {
        let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        let (one, other) = ([1.0, 2.0, 3.0, 4.0], [5.0, 6.0]);
        let mut whole = [0.0; 6];
        join(2, &[&one, &other], &mut whole);
        assert_eq!(bits(&whole), bits(&[1.0, 2.0, 5.0, 3.0, 4.0, 6.0]));
        let (mut first, mut second) = ([0.0; 4], [0.0; 2]);
        split(2, &whole, &mut [&mut first, &mut second]);
        assert_eq!((bits(&first), bits(&second)), (bits(&one), bits(&other)));
        // Longer than a task takes.
        let long: Vec<f32> = (0..3 * (PART + 7)).map(|i| i as f32).collect();
        let (mut joined, mut left, mut right) = (vec![0.0; 2 * long.len()], long.clone(), long.clone());
        join(3, &[&long, &long], &mut joined);
        left.fill(0.0);
        right.fill(0.0);
        split(3, &joined, &mut [&mut left, &mut right]);
        assert!(bits(&left) == bits(&long) && bits(&right) == bits(&long));
    }
}
