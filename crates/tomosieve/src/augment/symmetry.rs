//! The eight symmetries of the square, the dihedral group D₄, as exact permutations of pixels.
//!
//! Every symmetry is a transpose or none, then a flip of the rows or none, then a flip of the columns
//! or none. A quarter turn against the clock is the transpose followed by the flip of the rows.
//! Everything happens in place: no scratch memory, no interpolation.

use crate::patch::Patch;

/// Edge of the squares in which a transpose walks, pixels: two of them fit the fastest cache.
const BLOCK: usize = 16;

/// One symmetry: first the transpose, then the flips.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Symmetry {
    /// Rows become columns: `(y, x) → (x, y)`.
    pub transpose: bool,
    /// The first row becomes the last.
    pub flip_vertical: bool,
    /// The first column becomes the last.
    pub flip_horizontal: bool,
}

impl Symmetry {
    /// Nothing happens.
    pub const IDENTITY: Self = Self::new(false, false, false);
    /// Rotation by 90° against the clock.
    pub const ROTATE_90: Self = Self::new(true, true, false);
    /// Rotation by 180°.
    pub const ROTATE_180: Self = Self::new(false, true, true);
    /// Rotation by 270° against the clock.
    pub const ROTATE_270: Self = Self::new(true, false, true);
    /// Top and bottom change places.
    pub const FLIP_VERTICAL: Self = Self::new(false, true, false);
    /// Left and right change places.
    pub const FLIP_HORIZONTAL: Self = Self::new(false, false, true);
    /// Mirror image at the main diagonal.
    pub const TRANSPOSE: Self = Self::new(true, false, false);
    /// Mirror image at the other diagonal.
    pub const ANTI_TRANSPOSE: Self = Self::new(true, true, true);

    /// All eight; the first four keep the shape of every rectangle.
    pub const ALL: [Self; 8] = [
        Self::IDENTITY,
        Self::ROTATE_180,
        Self::FLIP_VERTICAL,
        Self::FLIP_HORIZONTAL,
        Self::ROTATE_90,
        Self::ROTATE_270,
        Self::TRANSPOSE,
        Self::ANTI_TRANSPOSE,
    ];

    const fn new(transpose: bool, flip_vertical: bool, flip_horizontal: bool) -> Self {
        Self { transpose, flip_vertical, flip_horizontal }
    }

    /// The symmetries that keep the shape of a patch: eight of a square, four of a rectangle.
    pub fn of(patch: &Patch) -> &'static [Self] {
        &Self::ALL[..if patch.height == patch.width { 8 } else { 4 }]
    }

    /// The symmetry that undoes this one.
    #[must_use]
    pub const fn inverse(self) -> Self {
        if self.transpose { Self::new(true, self.flip_horizontal, self.flip_vertical) } else { self }
    }

    /// Moves the pixels of every slice and of the labels.
    ///
    /// # Panics
    /// If a transposing symmetry meets a patch that is not square; see [`Symmetry::of`].
    pub fn apply(self, patch: &mut Patch) {
        let (height, width) = (patch.height, patch.width);
        assert!(!self.transpose || height == width, "transpose of a [{height}, {width}] patch");
        if height * width == 0 {
            return;
        }
        for slice in patch.image.chunks_exact_mut(height * width) {
            self.permute(slice, width);
        }
        self.permute(&mut patch.labels, width);
    }

    /// Moves the values of one plane `[h, w]`.
    fn permute<T: Copy>(self, plane: &mut [T], width: usize) {
        if self.transpose {
            transpose(plane, width);
        }
        match (self.flip_vertical, self.flip_horizontal) {
            (true, true) => plane.reverse(),
            (true, false) => flip_rows(plane, width),
            (false, true) => plane.chunks_exact_mut(width).for_each(<[T]>::reverse),
            (false, false) => {}
        }
    }
}

/// Reverses the order of the rows.
fn flip_rows<T: Copy>(plane: &mut [T], width: usize) {
    let height = plane.len() / width;
    let (top, bottom) = plane.split_at_mut(height / 2 * width);
    for (upper, lower) in top.chunks_exact_mut(width).zip(bottom.rchunks_exact_mut(width)) {
        upper.swap_with_slice(lower);
    }
}

/// Transposes a square plane, block by block so that both sides of a swap stay in the cache.
fn transpose<T: Copy>(plane: &mut [T], edge: usize) {
    for top in (0..edge).step_by(BLOCK) {
        for left in (0..=top).step_by(BLOCK) {
            for y in top..(top + BLOCK).min(edge) {
                for x in left..(left + BLOCK).min(y) {
                    plane.swap(y * edge + x, x * edge + y);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Symmetry;
    use crate::patch::Patch;

    fn numbered(slices: usize, height: usize, width: usize) -> Patch {
        let image: Vec<f32> = (0..slices * height * width).map(|i| i as f32).collect();
        let labels = (0..height * width).map(|i| i as u8).collect();
        Patch::new(slices, height, width, image, labels)
    }

    fn labels_after(symmetry: Symmetry) -> Vec<u8> {
        let mut patch = numbered(1, 2, 2); // 0 1 / 2 3
        symmetry.apply(&mut patch);
        patch.labels
    }

    #[test]
    fn each_symmetry_does_what_its_name_says() {
        assert_eq!(labels_after(Symmetry::IDENTITY), [0, 1, 2, 3]);
        assert_eq!(labels_after(Symmetry::ROTATE_90), [1, 3, 0, 2]);
        assert_eq!(labels_after(Symmetry::ROTATE_180), [3, 2, 1, 0]);
        assert_eq!(labels_after(Symmetry::ROTATE_270), [2, 0, 3, 1]);
        assert_eq!(labels_after(Symmetry::FLIP_VERTICAL), [2, 3, 0, 1]);
        assert_eq!(labels_after(Symmetry::FLIP_HORIZONTAL), [1, 0, 3, 2]);
        assert_eq!(labels_after(Symmetry::TRANSPOSE), [0, 2, 1, 3]);
        assert_eq!(labels_after(Symmetry::ANTI_TRANSPOSE), [3, 1, 2, 0]);
    }

    #[test]
    fn the_inverse_undoes_it() {
        for (height, width) in [(37, 37), (5, 12), (1, 1), (2, 1)] {
            let before = numbered(3, height, width);
            for &symmetry in Symmetry::of(&before) {
                let mut patch = before.clone();
                symmetry.apply(&mut patch);
                symmetry.inverse().apply(&mut patch);
                assert_eq!(patch, before, "{symmetry:?} of [{height}, {width}]");
            }
        }
    }

    #[test]
    fn all_eight_differ() {
        let all: std::collections::BTreeSet<_> = Symmetry::ALL.into_iter().map(labels_after).collect();
        assert_eq!(all.len(), 8);
    }

    #[test]
    fn four_quarter_turns_are_none() {
        let before = numbered(1, 19, 19);
        let mut patch = before.clone();
        for _ in 0..4 {
            Symmetry::ROTATE_90.apply(&mut patch);
        }
        assert_eq!(patch, before);
    }
}
