//! What the slices on both sides of a crop's middle slice show of it: a second look, whose noise is another one.

use crate::blur::Gaussian;
use crate::patch::Patch;

/// Standard deviation of the smoothing, pixels.
const SIGMA: f64 = 1.0;

/// Grey values beside a crop, smoothed.
#[derive(Debug, Clone, PartialEq)]
pub struct Beside {
    /// Pixels of a row.
    pub width: usize,
    /// Grey values, `[h, w]`.
    pub values: Vec<f32>,
}

impl Beside {
    /// The mean of the slices on both sides of a crop's middle slice; the middle slice itself where there are none.
    pub fn of(crop: &Patch) -> Self {
        let middle = crop.slices / 2;
        let values = if crop.slices == 1 {
            crop.middle().to_vec()
        } else {
            let sides = crop.slice(middle - 1).iter().zip(crop.slice(middle + 1));
            sides.map(|(below, above)| 0.5 * (below + above)).collect()
        };
        Self::smoothed(values, crop.width)
    }

    /// Of rows of `width` grey values; those at the edges repeat beyond them.
    pub fn smoothed(mut values: Vec<f32>, width: usize) -> Self {
        Gaussian::new(SIGMA).apply(&mut values, width);
        Self { width, values }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slice_itself_is_not_asked() {
        let image: Vec<f32> = (0..3 * 4).map(|i| i as f32).collect();
        let crop = Patch::new(3, 2, 2, image, vec![0; 4]);
        let mut changed = crop.clone();
        changed.image[4..8].fill(0.0);
        assert_eq!(Beside::of(&changed), Beside::of(&crop));
        assert_eq!(Beside::of(&crop), Beside::smoothed(vec![4.0, 5.0, 6.0, 7.0], 2));
        let single = Patch::new(1, 1, 2, vec![0.25, 0.5], vec![0; 2]);
        assert_eq!(Beside::of(&single), Beside::smoothed(vec![0.25, 0.5], 2), "there is no other");
    }
}
