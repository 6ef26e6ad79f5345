//! The 2.5D training patch (paper Sec. IV-G): `c` adjacent slices in, the labels of the middle one out.

use tomosieve_nn::kernels::Buffer;

/// A crop of `c` adjacent slices with the labels of the middle slice.
///
/// # Shapes
/// - `image`: `[c, h, w]`, row-major, values in `[0, 1]`
/// - `labels`: `[h, w]`, class numbers, [`Patch::IGNORE`] where there is none
#[derive(Debug, Clone, PartialEq)]
pub struct Patch {
    /// c, the number of adjacent slices.
    pub slices: usize,
    /// h, pixels.
    pub height: usize,
    /// w, pixels.
    pub width: usize,
    /// Voxel values `[c, h, w]` in `[0, 1]`.
    pub image: Buffer,
    /// Class of every pixel of the middle slice, `[h, w]`; 255 = ignore.
    pub labels: Vec<u8>,
}

impl Patch {
    /// The label of pixels that take no part in a loss or a score.
    pub const IGNORE: u8 = 255;

    /// A patch of given content.
    ///
    /// # Panics
    /// If `image` does not hold `slices · height · width` values or `labels` not `height · width`.
    pub fn new(
        slices: usize,
        height: usize,
        width: usize,
        image: impl Into<Buffer>,
        labels: Vec<u8>,
    ) -> Self {
        let image = image.into();
        let pixels = height * width;
        assert_eq!(image.len(), slices * pixels, "image of a [{slices}, {height}, {width}] patch");
        assert_eq!(labels.len(), pixels, "labels of a [{height}, {width}] patch");
        Self { slices, height, width, image, labels }
    }

    /// A black patch without labels, to be filled.
    pub fn blank(slices: usize, height: usize, width: usize) -> Self {
        let pixels = height * width;
        Self::new(slices, height, width, Buffer::zeroed(slices * pixels), vec![Self::IGNORE; pixels])
    }

    /// Pixels of one slice, `h · w`.
    pub fn pixels(&self) -> usize {
        self.height * self.width
    }

    /// Slice `i`, `[h, w]`.
    ///
    /// # Panics
    /// If there is no slice `i`.
    pub fn slice(&self, i: usize) -> &[f32] {
        let pixels = self.pixels();
        &self.image[i * pixels..(i + 1) * pixels]
    }

    /// The slice the labels belong to, `[h, w]`.
    ///
    /// # Panics
    /// If the patch has no slice.
    pub fn middle(&self) -> &[f32] {
        self.slice(self.slices / 2)
    }

    /// Puts a copy of the slice before or `after` the middle one in its place: what is left to see of it
    /// is its neighbours. A patch of one slice stays as it is.
    pub fn hide_middle(&mut self, after: bool) {
        if self.slices < 3 {
            return;
        }
        let (middle, pixels) = (self.slices / 2, self.pixels());
        let other = if after { middle + 1 } else { middle - 1 };
        self.image.copy_within(other * pixels..(other + 1) * pixels, middle * pixels);
    }
}

#[cfg(test)]
mod tests {
    use super::Patch;

    #[test]
    fn slices_are_cut_from_the_image() {
        let image: Vec<f32> = (0_u8..12).map(f32::from).collect();
        let patch = Patch::new(3, 2, 2, image, vec![0; 4]);
        assert_eq!(patch.slice(0), [0.0, 1.0, 2.0, 3.0]);
        assert_eq!(patch.middle(), [4.0, 5.0, 6.0, 7.0]);
    }

    #[test]
    fn a_hidden_middle_is_its_neighbour() {
        let patch = Patch::new(3, 1, 2, vec![0.0, 0.1, 0.2, 0.3, 0.4, 0.5], vec![0; 2]);
        let mut before = patch.clone();
        before.hide_middle(false);
        assert_eq!(*before.image, [0.0, 0.1, 0.0, 0.1, 0.4, 0.5]);
        let mut after = patch;
        after.hide_middle(true);
        assert_eq!(*after.image, [0.0, 0.1, 0.4, 0.5, 0.4, 0.5]);
        let mut single = Patch::new(1, 1, 2, vec![0.0, 0.1], vec![0; 2]);
        single.hide_middle(true);
        assert_eq!(*single.image, [0.0, 0.1]);
    }

    #[test]
    fn a_blank_patch_has_no_labels() {
        let patch = Patch::blank(5, 3, 4);
        assert_eq!(patch.image.len(), 60);
        assert!(patch.labels.iter().all(|&label| label == Patch::IGNORE));
    }

    #[test]
    #[should_panic(expected = "labels of a [2, 2] patch")]
    fn lengths_must_agree() {
        let _ = Patch::new(1, 2, 2, vec![0.0; 4], vec![0; 3]);
    }
}
