//! Rims that are no phase: voxels that hold two materials at once have a grey value between the two, and
//! clustering takes them for a third (partial-volume effect; Santago & Gage 1993, doi 10.1109/42.241885).
//!
//! A rim is thin and lies between a darker and a brighter class. A voxel of an intermediate class is one
//! of a rim when it is part of no 3×3 square of its class, and within two pixels there are such squares of
//! a darker and of a brighter class. It goes to the one of the two that its grey value is nearer to. A thin
//! structure between two sides of one class, such as a crack, is left alone.

/// Where the squares of the other two classes are looked for, pixels.
const REACH: usize = 2;
/// No class.
const NONE: u8 = u8::MAX;

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
        let height = labels.len() / width;
        let cores = cores(labels, width, height);
        for at in (0..labels.len()).filter(|at| cores[*at] == NONE) {
            let (y, x, label) = (at / width, at % width, labels[at]);
            let (mut darkest, mut brightest) = (label, label);
            for row in y.saturating_sub(REACH)..(y + REACH + 1).min(height) {
                let columns = x.saturating_sub(REACH)..(x + REACH + 1).min(width);
                for &core in cores[row * width..][columns].iter().filter(|core| **core != NONE) {
                    darkest = darkest.min(core);
                    brightest = brightest.max(core);
                }
            }
            if darkest < label && label < brightest {
                let middle = 0.5 * (self.means[usize::from(darkest)] + self.means[usize::from(brightest)]);
                labels[at] = if values[at] >= middle { brightest } else { darkest };
            }
        }
    }
}

/// The class of every pixel that is part of a 3×3 square of one class, else [`NONE`].
fn cores(labels: &[u8], width: usize, height: usize) -> Vec<u8> {
    let mut cores = vec![NONE; labels.len()];
    for y in 1..height - 1 {
        for x in 1..width - 1 {
            let label = labels[y * width + x];
            let square = |row: usize| &labels[row * width + x - 1..][..3];
            if (y - 1..=y + 1).all(|row| square(row).iter().all(|&other| other == label)) {
                (y - 1..=y + 1).for_each(|row| cores[row * width + x - 1..][..3].fill(label));
            }
        }
    }
    cores
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
        same(&[0, 1]); // too small to tell
    }

    proptest! {
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
                let near = |other: usize| (other / 12).abs_diff(y) <= 2 && (other % 12).abs_diff(x) <= 2;
                prop_assert!((0..labels.len()).any(|other| near(other) && labels[other] == changed[at]));
            }
        }
    }
}
