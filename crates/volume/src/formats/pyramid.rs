//! Coarser copies of a volume, for viewers: which sizes, and how eight voxels become one.

use crate::region::Shape;

/// Viewers load the coarsest level whole; no axis of it is longer.
const COARSEST: usize = 256;

/// The shapes of all levels, the full one first. Each halves the axes that are still too long.
pub(super) fn levels(full: Shape) -> Vec<Shape> {
    let mut levels = vec![full];
    let mut axes: [usize; 3] = full.into();
    while axes.iter().any(|&len| len > COARSEST) {
        axes = axes.map(|len| if len > COARSEST { len.div_ceil(2) } else { len });
        levels.push(axes.into());
    }
    levels
}

/// Voxels of the finer level along each axis that make one of the coarser: 1 or 2.
pub(super) fn factors(finer: Shape, coarser: Shape) -> [usize; 3] {
    let (finer, coarser): ([usize; 3], [usize; 3]) = (finer.into(), coarser.into());
    std::array::from_fn(|axis| if finer[axis] == coarser[axis] { 1 } else { 2 })
}

/// How several voxels become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// The most frequent value, the smaller one in a tie: for labels.
    Mode,
    /// The mean, rounded to the nearest where the type is an integer.
    Mean,
}

/// What a pyramid can be made of.
pub(super) trait Averaged: Copy + PartialOrd + Default {
    /// The mean of some voxels.
    fn mean(cell: &[Self]) -> Self;
}

impl Averaged for u8 {
    fn mean(cell: &[Self]) -> Self {
        let (sum, n) = (cell.iter().map(|&v| u32::from(v)).sum::<u32>(), cell.len() as u32);
        ((sum + n / 2) / n.max(1)) as Self
    }
}

impl Averaged for u16 {
    fn mean(cell: &[Self]) -> Self {
        let (sum, n) = (cell.iter().map(|&v| u32::from(v)).sum::<u32>(), cell.len() as u32);
        ((sum + n / 2) / n.max(1)) as Self
    }
}

impl Averaged for f32 {
    fn mean(cell: &[Self]) -> Self {
        (cell.iter().map(|&v| f64::from(v)).sum::<f64>() / cell.len() as f64) as Self
    }
}

/// The most frequent value; the smaller one in a tie.
fn mode<T: Averaged>(cell: &[T]) -> T {
    let first = cell[0];
    if cell.iter().all(|&v| v == first) {
        return first;
    }
    let mut best = (0, first);
    for &value in cell {
        let count = cell.iter().filter(|&&v| v == value).count();
        if count > best.0 || (count == best.0 && value < best.1) {
            best = (count, value);
        }
    }
    best.1
}

/// Shrinks a box of voxels by `factors`; cells at the far ends may hold fewer voxels.
pub(super) fn shrink<T: Averaged>(voxels: &[T], shape: Shape, factors: [usize; 3], rule: Rule) -> Vec<T> {
    let [fz, fy, fx] = factors;
    let (depth, height, width) = (shape.z.div_ceil(fz), shape.y.div_ceil(fy), shape.x.div_ceil(fx));
    let mut coarse = Vec::with_capacity(depth * height * width);
    let mut cell = [T::default(); 8];
    for z in 0..depth {
        for y in 0..height {
            for x in 0..width {
                let mut n = 0;
                for z in z * fz..((z + 1) * fz).min(shape.z) {
                    for y in y * fy..((y + 1) * fy).min(shape.y) {
                        let row = (z * shape.y + y) * shape.x;
                        for x in x * fx..((x + 1) * fx).min(shape.x) {
                            cell[n] = voxels[row + x];
                            n += 1;
                        }
                    }
                }
                coarse.push(match rule {
                    Rule::Mode => mode(&cell[..n]),
                    Rule::Mean => T::mean(&cell[..n]),
                });
            }
        }
    }
    coarse
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_axes_are_halved_until_none_exceeds_256() {
        let levels = levels(Shape::new(10, 1025, 513));
        let expected = [[10, 1025, 513], [10, 513, 257], [10, 257, 129], [10, 129, 129]];
        assert_eq!(levels, expected.map(Shape::from));
        assert_eq!(factors(levels[2], levels[3]), [1, 2, 1]);
    }

    #[test]
    fn labels_are_voted_and_ties_go_to_the_smaller() {
        assert_eq!(mode(&[3u8, 1, 3, 1, 2]), 1);
        assert_eq!(mode(&[9u8, 9, 0]), 9);
        let labels = [5u8, 5, 7, 7, 5, 2, 7, 7, 1];
        // One slice of 3×3: cells of 4, 2, 2 and 1 voxels.
        let coarse = shrink(&labels, Shape::new(1, 3, 3), [1, 2, 2], Rule::Mode);
        assert_eq!(coarse, [5, 2, 7, 1]);
    }

    #[test]
    fn means_are_rounded_to_the_nearest() {
        assert_eq!(u8::mean(&[0, 1]), 1);
        assert_eq!(u16::mean(&[0, 0, 1]), 0);
        assert_eq!(shrink(&[1.0f32, 2.0, 4.0], Shape::new(1, 1, 3), [1, 1, 2], Rule::Mean), [1.5, 4.0]);
    }
}
