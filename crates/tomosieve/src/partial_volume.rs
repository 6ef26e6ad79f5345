//! Rims that are no phase: voxels that hold two materials at once have a grey value between the two, and
//! clustering takes them for a third (partial-volume effect; Santago & Gage 1993, doi 10.1109/42.241885).
//!
//! A rim is thin and lies between darker and brighter voxels. A voxel is one of a rim when it is part of no 3×3 square of
//! its class, and within two pixels there is such a square of darker classes and one of brighter classes. It goes to the
//! side that its grey value is nearer to, which is to say to the brightest class of the darkest square or to the darkest
//! class of the brightest one. The squares need not be of a single class: where there are more classes than phases, noise
//! leaves hardly a square of one class in a phase that several classes share. A thin structure between two sides of one class, such as
//! a crack, is left alone.

/// Where the squares of other classes are looked for, pixels.
const REACH: usize = 2;

/// The classes of a volume, as rims know them.
#[derive(Debug, Clone, PartialEq)]
pub struct Rims {
    /// Mean grey value of each class, ascending, on the scale of the values.
    means: Vec<f32>,
}

impl Rims {
    /// Rims between classes of these mean grey values, ascending.
    pub fn new(means: Vec<f32>) -> Self {
        Self { means }
    }

    /// Gives the rims among the `labels` of one slice to the classes on their two sides.
    ///
    /// # Shapes
    /// - `values`, `labels`: `[h, width]`
    ///
    /// # Panics
    /// If the two do not hold the same number of pixels.
    pub fn resolve(&self, values: &[f32], labels: &mut [u8], width: usize) {
        assert_eq!(values.len(), labels.len(), "values and labels of one slice");
        if width < 3 || labels.len() < 3 * width || self.means.len() < 3 {
            return;
        }
        let squares = Squares::new(labels, width, self.means.len());
        let mean = |class: u8| self.means[usize::from(class)];
        for (at, label) in labels.iter_mut().enumerate() {
            let (dark, bright) = (squares.darkest[at], squares.brightest[at]);
            if dark < *label && *label < bright && !squares.own[at] {
                *label = if values[at] >= 0.5 * (mean(dark) + mean(bright)) { bright } else { dark };
            }
        }
    }
}

/// The 3×3 squares of a slice that matter to each of its pixels, `[h, width]`.
struct Squares {
    /// Whether the pixel is part of a square of one class.
    own: Vec<bool>,
    /// The brightest class of the darkest square within reach; 255 where there is none.
    darkest: Vec<u8>,
    /// The darkest class of the brightest square within reach; 0 where there is none.
    brightest: Vec<u8>,
}

impl Squares {
    fn new(labels: &[u8], width: usize, classes: usize) -> Self {
        // Of the square around every pixel.
        let mut low = within(labels, width, 1, u8::min);
        let mut high = within(labels, width, 1, u8::max);
        let last = labels.len() / width - 1;
        for (y, high) in high.chunks_exact_mut(width).enumerate() {
            // There is none around those at the edge.
            let edge = if y == 0 || y == last { 1 } else { width - 1 };
            high.iter_mut().step_by(edge).for_each(|high| *high = u8::MAX);
        }
        // Nor is one where a label is no class.
        let pairs = low.iter_mut().zip(&mut high).filter(|(_, high)| usize::from(**high) >= classes);
        pairs.for_each(|(low, high)| (*low, *high) = (u8::MIN, u8::MAX));
        let whole: Vec<bool> = low.iter().zip(&high).map(|(low, high)| low == high).collect();
        Self {
            own: within(&whole, width, 1, |a, b| a | b),
            darkest: within(&high, width, REACH + 1, u8::min),
            brightest: within(&low, width, REACH + 1, u8::max),
        }
    }
}

/// What `pick` makes of all values up to `reach` pixels away along either axis, for each of `[h, width]`.
fn within<T: Copy>(values: &[T], width: usize, reach: usize, pick: impl Fn(T, T) -> T) -> Vec<T> {
    let along = |values: &[T], picked: &mut [T], step: usize| {
        for distance in (1..=reach).map(|pixels| pixels * step).take_while(|d| *d < values.len()) {
            let count = values.len() - distance;
            picked[..count].iter_mut().zip(&values[distance..]).for_each(|(a, &b)| *a = pick(*a, b));
            picked[distance..].iter_mut().zip(values).for_each(|(a, &b)| *a = pick(*a, b));
        }
    };
    let mut rows = values.to_vec();
    rows.chunks_exact_mut(width).zip(values.chunks_exact(width)).for_each(|(to, from)| along(from, to, 1));
    let mut all = rows.clone();
    along(&rows, &mut all, width);
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Rims;

    fn rims() -> Rims {
        Rims::new(vec![0.0, 0.4, 1.0])
    }

    /// Class 2 beside class 0, a rim of class 1 between them.
    #[test]
    fn a_rim_goes_to_the_side_its_value_is_on() {
        let row = [0_u8, 0, 0, 1, 1, 2, 2, 2];
        let values = [0.0_f32, 0.0, 0.0, 0.3, 0.7, 1.0, 1.0, 1.0].repeat(5);
        let mut labels = row.repeat(5);
        rims().resolve(&values, &mut labels, 8);
        assert_eq!(labels, [0_u8, 0, 0, 0, 2, 2, 2, 2].repeat(5));
    }

    #[test]
    fn what_is_no_rim_stays() {
        let same = |row: &[u8]| {
            let values = vec![0.5; 5 * row.len()];
            let mut labels = row.repeat(5);
            rims().resolve(&values, &mut labels, row.len());
            assert_eq!(labels, row.repeat(5));
        };
        same(&[2, 2, 2, 1, 1, 2, 2, 2]); // a crack: one class on both sides
        same(&[0, 0, 0, 1, 1, 1, 2, 2, 2]); // a layer of its own
        same(&[0, 0, 0, 2, 0, 0, 0, 1, 1, 1]); // the brightest class is between no two
        same(&[0, 0, 0, 1, 1, 255, 255, 255]); // what has no label is no side
        same(&[0, 1]); // too small to tell
    }

    /// Noise splits the dark and the bright side into two classes each, so that neither has a square of one class.
    #[test]
    fn more_classes_than_phases_leave_rims_what_they_are() {
        let rims = Rims::new(vec![0.0, 0.1, 0.5, 0.9, 1.0]);
        let row = |y: usize| [0, 1, (y % 2) as u8, 0, 2, 2, 4, 3, 4 - (y % 2) as u8, 4];
        let values = [0.0, 0.1, 0.0, 0.1, 0.4, 0.6, 0.9, 1.0, 0.9, 1.0].repeat(5);
        let mut labels: Vec<u8> = (0..5).flat_map(row).collect();
        rims.resolve(&values, &mut labels, 10);
        let resolved = |y: usize| {
            let mut row = row(y);
            (row[4], row[5]) = (1, 3);
            row
        };
        assert_eq!(labels, (0..5).flat_map(resolved).collect::<Vec<u8>>());
    }

    /// As the definition has it, pixel by pixel and square by square.
    fn defined(rims: &Rims, values: &[f32], labels: &[u8], width: usize) -> Vec<u8> {
        let height = labels.len() / width;
        let square = |y: usize, x: usize| {
            let pixels =
                (y - 1..=y + 1).flat_map(move |y| (x - 1..=x + 1).map(move |x| labels[y * width + x]));
            (pixels.clone().min().unwrap(), pixels.max().unwrap())
        };
        let resolve = |at: usize| {
            let (y, x, label) = (at / width, at % width, labels[at]);
            let near = |reach: usize| {
                let centres = (1..height - 1).flat_map(|y| (1..width - 1).map(move |x| (y, x)));
                let near = centres.filter(move |c| c.0.abs_diff(y) <= reach && c.1.abs_diff(x) <= reach);
                near.map(|(y, x)| square(y, x))
            };
            let dark = near(3).filter(|(_, high)| *high < label).map(|(_, high)| high).min();
            let bright = near(3).filter(|(low, _)| *low > label).map(|(low, _)| low).max();
            match (dark, bright) {
                (Some(dark), Some(bright)) if !near(1).any(|(low, high)| low == high) => {
                    let middle = 0.5 * (rims.means[usize::from(dark)] + rims.means[usize::from(bright)]);
                    if values[at] >= middle { bright } else { dark }
                }
                _ => label,
            }
        };
        (0..labels.len()).map(resolve).collect()
    }

    proptest! {
        #[test]
        fn it_is_as_defined(
            (width, labels) in (3_usize..14).prop_flat_map(|width| {
                (Just(width), proptest::collection::vec(0_u8..5, width * 8))
            }),
            // Larger areas of one class, as real ones are.
            areas in proptest::collection::vec((0_usize..8, 0_usize..14, 0_u8..5), 0..6),
            values in proptest::collection::vec(0.0_f32..1.0, 14 * 8),
        ) {
            let rims = Rims::new(vec![0.0, 0.2, 0.5, 0.8, 1.0]);
            let mut labels = labels;
            for (y0, x0, label) in areas {
                for y in y0..(y0 + 4).min(8) {
                    (x0..(x0 + 4).min(width)).for_each(|x| labels[y * width + x] = label);
                }
            }
            let values = &values[..labels.len()];
            let expected = defined(&rims, values, &labels, width);
            rims.resolve(values, &mut labels, width);
            prop_assert_eq!(labels, expected);
        }

        #[test]
        fn a_changed_pixel_was_intermediate_and_takes_a_class_nearby(
            labels in proptest::collection::vec(0_u8..3, 12 * 9),
            values in proptest::collection::vec(0.0_f32..1.0, 12 * 9),
        ) {
            let mut changed = labels.clone();
            rims().resolve(&values, &mut changed, 12);
            for at in (0..labels.len()).filter(|at| labels[*at] != changed[*at]) {
                prop_assert_eq!(labels[at], 1);
                let (y, x) = (at / 12, at % 12);
                let near = |other: usize| (other / 12).abs_diff(y) <= 4 && (other % 12).abs_diff(x) <= 4;
                prop_assert!((0..labels.len()).any(|other| near(other) && labels[other] == changed[at]));
            }
        }
    }
}
