//! Means and squares of channels: of planes, or of stretches of them put together.

use super::Sums;
use crate::parallel::{Shared, Source};
use crate::shape::{BLOCK, Blocked};
use crate::simd::{Kernel, Simd};

/// Of eight channels of some pixels: the mean, and `Σ (x − mean)²`.
pub(crate) type Moments = [[f64; BLOCK]; 2];

/// The moments of a stretch of a plane, and its pixels.
pub(crate) type Stretch = (Moments, usize);

/// The moments of every channel of every image, by plane.
#[derive(Debug, Clone)]
pub struct ChannelMoments(Vec<Moments>);

impl ChannelMoments {
    /// Of planes that are to be measured.
    pub(super) fn unknown(shape: Blocked) -> Self {
        Self(vec![Moments::default(); shape.n * shape.blocks()])
    }

    /// Of planes measured in stretches: `[stretch][block]` in the order of the pixels, and the image of each.
    pub(crate) fn of_stretches(
        shape: Blocked,
        stretches: &[Stretch],
        images: impl Iterator<Item = usize>,
    ) -> Self {
        let blocks = shape.blocks();
        let mut planes = Self::unknown(shape);
        let mut pixels = vec![0; shape.n];
        for (stretch, image) in stretches.chunks_exact(blocks).zip(images) {
            for (plane, new) in planes.0[image * blocks..].iter_mut().zip(stretch) {
                add(plane, pixels[image], new);
            }
            pixels[image] += stretch[0].1;
        }
        planes
    }

    pub(super) fn shared(&mut self) -> Shared<Moments> {
        Shared::new(&mut self.0)
    }

    pub(super) fn check(&self, shape: Blocked) {
        assert_eq!(self.0.len(), shape.n * shape.blocks(), "planes whose moments are known");
    }
}

/// Adds the moments of further pixels (Chan et al. 1983, doi 10.1080/00031305.1983.10483115).
fn add([means, squares]: &mut Moments, pixels: usize, &([new_means, new_squares], new): &Stretch) {
    let [pixels, new] = [pixels, new].map(|count| count as f64);
    let share = new / (pixels + new);
    for channel in 0..BLOCK {
        let apart = new_means[channel] - means[channel];
        means[channel] += apart * share;
        squares[channel] += new_squares[channel] + apart * apart * pixels * share;
    }
}

/// Sums over pixels of eight channels, from one of them as origin.
pub(crate) struct Measuring<S: Simd> {
    first: *const f32,
    origin: S::V,
    sums: Sums<S, 2>,
    pixels: usize,
}

impl<S: Simd> Measuring<S> {
    /// From the pixel at `first` on.
    ///
    /// # Safety
    /// The eight values at `first` must stay as they are until the end.
    #[inline(always)]
    pub(crate) unsafe fn new(s: S, first: *const f32) -> Self {
        Self { first, origin: s.load2(first, first), sums: Sums::new(s), pixels: 0 }
    }

    /// Adds `count` pixels that follow one another, at least one.
    ///
    /// # Safety
    /// Their values must lie at `row`.
    #[inline(always)]
    pub(crate) unsafe fn add(&mut self, s: S, row: *const f32, count: usize) {
        self.sums.make_room(s, count.div_ceil(2));
        for pixel in (0..count - 1).step_by(2) {
            self.take(s, s.load(row.add(pixel * BLOCK)));
        }
        if count % 2 == 1 {
            self.take(s, s.load2(row.add((count - 1) * BLOCK), self.first));
        }
        self.pixels += count;
    }

    #[inline(always)]
    fn take(&mut self, s: S, values: S::V) {
        let d = s.sub(values, self.origin);
        self.sums.lanes = [s.add(self.sums.lanes[0], d), s.fma(d, d, self.sums.lanes[1])];
    }

    /// The moments.
    ///
    /// # Safety
    /// As for [`new`](Self::new).
    #[inline(always)]
    pub(crate) unsafe fn finish(self, s: S) -> Stretch {
        let [sum, squares] = self.sums.finish(s);
        let offset: [f64; BLOCK] = std::array::from_fn(|channel| sum[channel] / self.pixels as f64);
        let mean = std::array::from_fn(|channel| f64::from(*self.first.add(channel)) + offset[channel]);
        let squares = std::array::from_fn(|channel| squares[channel] - sum[channel] * offset[channel]);
        ([mean, squares], self.pixels)
    }
}

/// Measures a plane.
pub(super) struct Measure {
    pub(super) shape: Blocked,
    pub(super) plane: usize,
    pub(super) x: Source,
    pub(super) found: Shared<Moments>,
}

impl Kernel for Measure {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let shape = self.shape;
        // SAFETY: the plane lies within the shape, for which the caller checked the pointers; nothing
        // is written there meanwhile; each task has a slot of its own.
        unsafe {
            let x = self.x.at(self.plane * shape.plane());
            let first = x.add(shape.row() + BLOCK);
            let mut measuring = Measuring::new(s, first);
            for y in 0..shape.h {
                measuring.add(s, first.add(y * shape.row()), shape.w);
            }
            *self.found.at(self.plane) = measuring.finish(s).0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_of_stretches_are_those_of_the_whole() {
        // 1, 2, 6 and 3, 5 of one image, 4 of the next.
        let of = |mean, squares| [[mean; BLOCK], [squares; BLOCK]];
        let stretches = [(of(3.0, 14.0), 3), (of(4.0, 2.0), 2), (of(4.0, 0.0), 1)];
        let images = [0, 0, 1].into_iter();
        let whole = ChannelMoments::of_stretches(Blocked::new(2, 8, 1, 5), &stretches, images);
        let expected = [of(3.4, 17.2), of(4.0, 0.0)];
        for (found, expected) in whole.0.iter().flatten().flatten().zip(expected.iter().flatten().flatten()) {
            assert!((found - expected).abs() < 1e-12, "{found} instead of {expected}");
        }
    }
}
