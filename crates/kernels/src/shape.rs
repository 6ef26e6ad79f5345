//! The blocked layout of activations.
//!
//! An activation of `[n, c, h, w]` is kept as `[n, ⌈c/8⌉, h + 2, w + 2, 8]`: eight channels of one
//! pixel side by side, a frame ("halo") one pixel wide around each plane. The halo and the channels
//! beyond `c` are zero in everything the kernels write, which is what a 3×3 convolution of padding 1
//! wants to read. Gradients that come from elsewhere, say from a sum over all values, may hold anything
//! there, except for those of a 3×3 convolution without a norm, which reads them as well.

use crate::parallel::{Shared, each, part};

/// Channels that lie side by side.
pub const BLOCK: usize = 8;

/// Tasks among which planes are shared out whose halo is a matter of a microsecond.
const TASKS: usize = 4;

/// What an activation in the blocked layout holds: `n` images of `c` channels, `h × w` pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocked {
    /// Images.
    pub n: usize,
    /// Channels.
    pub c: usize,
    /// Rows, without the halo.
    pub h: usize,
    /// Columns, without the halo.
    pub w: usize,
}

impl Blocked {
    /// The layout of `[n, c, h, w]`.
    pub fn new(n: usize, c: usize, h: usize, w: usize) -> Self {
        Self { n, c, h, w }
    }

    /// The dimensions of the five-dimensional array.
    pub fn dims(self) -> [usize; 5] {
        [self.n, self.blocks(), self.h + 2, self.w + 2, BLOCK]
    }

    /// Channel blocks of an image.
    pub fn blocks(self) -> usize {
        self.c.div_ceil(BLOCK)
    }

    /// Values of a row with its halo.
    pub fn row(self) -> usize {
        (self.w + 2) * BLOCK
    }

    /// Values of a plane of eight channels with its halo.
    pub fn plane(self) -> usize {
        (self.h + 2) * self.row()
    }

    /// Values of an image.
    pub fn image(self) -> usize {
        self.blocks() * self.plane()
    }

    /// Values of everything.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(self) -> usize {
        self.n * self.image()
    }

    /// Where the first of the eight values of pixel `(y, x)` of a channel block of an image lies.
    pub fn at(self, image: usize, block: usize, y: usize, x: usize) -> usize {
        image * self.image() + block * self.plane() + (y + 1) * self.row() + (x + 1) * BLOCK
    }

    /// The same pixels with another number of channels.
    #[must_use]
    pub fn with_channels(self, c: usize) -> Self {
        Self { c, ..self }
    }

    /// Sets the halo to zero.
    ///
    /// # Panics
    /// If the slice is not as long as the layout.
    pub fn clear_halo(self, values: &mut [f32]) {
        self.check(values);
        let (values, planes) = (Shared::new(values), self.n * self.blocks());
        each(TASKS, |i| {
            for plane in part(planes, TASKS, i) {
                // SAFETY: each task has planes of its own.
                self.clear_plane_halo(unsafe { values.part(plane * self.plane(), self.plane()) });
            }
        });
    }

    /// Whether the halo is zero, as a 3×3 convolution reads it.
    ///
    /// # Panics
    /// If the slice is not as long as the layout.
    pub fn is_halo_clear(self, values: &[f32]) -> bool {
        self.check(values);
        let beside = |y: usize, x: usize| y == 0 || y > self.h || x == 0 || x > self.w;
        let clear = |plane: &[f32]| {
            let pixels = plane.chunks_exact(BLOCK).enumerate();
            let mut halo = pixels.filter(|(i, _)| beside(i / (self.w + 2), i % (self.w + 2)));
            halo.all(|(_, values)| values.iter().all(|&v| v == 0.0))
        };
        values.chunks_exact(self.plane()).all(clear)
    }

    /// Sets the halo of one plane to zero.
    pub(crate) fn clear_plane_halo(self, plane: &mut [f32]) {
        let row = self.row();
        plane[..row].fill(0.0);
        plane[(self.h + 1) * row..].fill(0.0);
        for y in 1..=self.h {
            plane[y * row..y * row + BLOCK].fill(0.0);
            plane[(y + 1) * row - BLOCK..(y + 1) * row].fill(0.0);
        }
    }

    /// Panics unless a slice is as long as the layout.
    pub(crate) fn check(self, values: &[f32]) {
        self.check_len(values.len());
    }

    /// Panics unless so many values have this shape.
    pub(crate) fn check_len(self, values: usize) {
        assert!(self.c > 0 && self.h > 0 && self.w > 0, "an empty {self:?}");
        assert_eq!(values, self.len(), "values of a blocked {self:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_halo_is_all_that_is_cleared() {
        let shape = Blocked::new(2, 9, 3, 4);
        let mut values = vec![1.0; shape.len()];
        assert!(!shape.is_halo_clear(&values));
        shape.clear_halo(&mut values);
        assert!(shape.is_halo_clear(&values));
        assert_eq!(values.iter().filter(|&&v| v > 0.0).count(), 2 * 2 * 3 * 4 * BLOCK);
        values[shape.at(1, 1, 2, 3) + BLOCK] = 0.5; // right of the last pixel
        assert!(!shape.is_halo_clear(&values));
    }
}
