//! How much grey values vary within the classes of a map.
//!
//! The within-class variance of Otsu (1979), whose least k-means and Multi-Otsu look for in the values themselves: where a class
//! takes in parts of another, its values spread. Here it is taken of the values [beside](crate::beside) the map, so that a map
//! gains nothing by following its own noise, and a distance counts as 15 times the noise at most, lest the blur of the strongest
//! edges, which no map can help, be most of it.

use crate::beside::Beside;

/// A distance counts as this many times the noise at most.
const LIMIT: f64 = 15.0;

/// Mean of the squared distance, in units of `noise` and 15 of them at most, of grey values to the mean of their class, where
/// `labels` put the values of each of the slices into one of so many classes. Labels that are no class do not count; 0 of none
/// that do.
///
/// ```
/// use tomosieve::{beside::Beside, spread};
///
/// let slices = [Beside { width: 4, values: vec![1.0, 3.0, 7.0, 9.0] }];
/// let of = |labels: [u8; 4]| spread::of(&slices, [labels.as_slice()], 2, 1.0);
/// assert_eq!(of([0, 0, 1, 1]), 1.0); // around 2 and 8
/// assert_eq!(of([0, 0, 0, 0]), 10.0); // around 5: 16, 4, 4 and 16
/// assert_eq!(of([0, 0, 255, 255]), 1.0);
/// ```
pub fn of<'a>(
    slices: &[Beside],
    labels: impl IntoIterator<Item = &'a [u8]> + Clone,
    classes: usize,
    noise: f32,
) -> f64 {
    let (mut sums, mut counts) = (vec![0.0; classes], vec![0_u64; classes]);
    for (value, class) in pairs(slices, labels.clone(), classes) {
        sums[class] += value;
        counts[class] += 1;
    }
    let total: u64 = counts.iter().sum();
    if total == 0 {
        return 0.0;
    }
    let means: Vec<f64> = sums.iter().zip(&counts).map(|(sum, count)| sum / (*count).max(1) as f64).collect();
    let distance =
        |(value, class): (f64, usize)| ((value - means[class]).abs() / f64::from(noise)).min(LIMIT);
    pairs(slices, labels, classes).map(|pair| distance(pair).powi(2)).sum::<f64>() / total as f64
}

/// Grey values and their classes, where they have one.
fn pairs<'a>(
    slices: &[Beside],
    labels: impl IntoIterator<Item = &'a [u8]>,
    classes: usize,
) -> impl Iterator<Item = (f64, usize)> {
    let all = slices.iter().zip(labels).flat_map(|(slice, labels)| slice.values.iter().zip(labels));
    let pairs = all.map(|(value, label)| (f64::from(*value), usize::from(*label)));
    pairs.filter(move |(_, class)| *class < classes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread_of(values: &[f32], labels: &[u8]) -> f64 {
        of(&[Beside { width: values.len(), values: values.to_vec() }], [labels], 3, 0.1)
    }

    #[test]
    fn a_class_that_takes_in_another_spreads() {
        let values = [0.1, 0.1, 0.5, 0.5, 0.9, 0.9];
        assert_eq!(spread_of(&values, &[0, 0, 1, 1, 2, 2]), 0.0);
        let taken = spread_of(&values, &[0, 0, 0, 1, 2, 2]);
        // Around 0.7 / 3: 0.0178, 0.0178 and 0.0711 of 0.01.
        assert!((taken - (0.64 / 9.0 + 2.0 * 0.16 / 9.0) / 0.01 / 6.0).abs() < 1e-4, "{taken}");
        assert!(spread_of(&values, &[0, 0, 0, 0, 2, 2]) > taken);
    }

    #[test]
    fn what_is_far_off_counts_as_much_as_the_limit() {
        // Around 1: four at a distance of 10 times the noise, two at 20 times.
        let values = [0.0, 0.0, 2.0, 2.0, -1.0, 3.0];
        assert!((spread_of(&values, &[1; 6]) - (4.0 * 100.0 + 2.0 * LIMIT * LIMIT) / 6.0).abs() < 1e-3);
    }

    #[test]
    fn slices_share_the_means_of_their_classes() {
        let slices = [0.2, 0.4].map(|value| Beside { width: 1, values: vec![value] });
        let labels: [&[u8]; 2] = [&[0], &[0]];
        assert!((of(&slices, labels, 1, 0.1) - 1.0).abs() < 1e-5);
        assert_eq!(of(&slices, [&[255_u8] as &[u8]; 2], 1, 0.1), 0.0, "no class");
    }
}
