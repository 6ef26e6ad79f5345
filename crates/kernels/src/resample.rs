//! From one resolution to another without weights: every second pixel, and every pixel four times.

use crate::parallel::{Shared, each};
use crate::shape::{BLOCK, Blocked};

/// How the resolution changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resample {
    /// Every second row and column, from the first on.
    Half,
    /// Every pixel four times (nearest neighbour).
    Double,
}

/// Eight channels of a pixel.
type Pixel = [f32; BLOCK];

impl Resample {
    /// The shape after it.
    #[must_use]
    pub fn output(self, shape: Blocked) -> Blocked {
        match self {
            Self::Half => Blocked { h: shape.h.div_ceil(2), w: shape.w.div_ceil(2), ..shape },
            Self::Double => Blocked { h: 2 * shape.h, w: 2 * shape.w, ..shape },
        }
    }

    /// `y[i, j] = x[2i, 2j]` or `y[i, j] = x[⌊i/2⌋, ⌊j/2⌋]`, with its halo.
    ///
    /// # Panics
    /// If a length is not that of its shape.
    pub fn forward(self, shape: Blocked, x: &[f32], y: &mut [f32]) {
        match self {
            Self::Half => rows((shape, x), (self.output(shape), y), |x, i, y| {
                for (to, from) in y.iter_mut().zip(row(shape, x, 2 * i).iter().step_by(2)) {
                    *to = *from;
                }
            }),
            Self::Double => rows((shape, x), (self.output(shape), y), |x, i, y| {
                for (pair, from) in y.as_chunks_mut::<2>().0.iter_mut().zip(row(shape, x, i / 2)) {
                    *pair = [*from; 2];
                }
            }),
        }
    }

    /// The gradient of [`forward`](Self::forward): `dx` of `shape` from `dy`, with its halo.
    ///
    /// # Panics
    /// If a length is not that of its shape.
    pub fn backward(self, shape: Blocked, dy: &[f32], dx: &mut [f32]) {
        let out = self.output(shape);
        match self {
            Self::Half => rows((out, dy), (shape, dx), |dy, i, dx| {
                dx.fill(Pixel::default());
                if i % 2 == 0 {
                    for (to, from) in dx.iter_mut().step_by(2).zip(row(out, dy, i / 2)) {
                        *to = *from;
                    }
                }
            }),
            Self::Double => rows((out, dy), (shape, dx), |dy, i, dx| {
                let [above, below] = [2 * i, 2 * i + 1].map(|i| row(out, dy, i).as_chunks::<2>().0);
                for ((to, [a, b]), [c, d]) in dx.iter_mut().zip(above).zip(below) {
                    *to = std::array::from_fn(|lane| (a[lane] + b[lane]) + (c[lane] + d[lane]));
                }
            }),
        }
    }
}

/// The pixels of a row of a plane, without its halo.
fn row(shape: Blocked, plane: &[f32], y: usize) -> &[Pixel] {
    let start = (y + 1) * shape.row() + BLOCK;
    plane[start..start + shape.w * BLOCK].as_chunks().0
}

/// Fills every row of `to` from the plane of `from` that belongs to it, and clears the halo.
fn rows(
    from: (Blocked, &[f32]),
    to: (Blocked, &mut [f32]),
    fill: impl Fn(&[f32], usize, &mut [Pixel]) + Sync + Send,
) {
    let ((from, x), (to, y)) = (from, to);
    from.check(x);
    to.check(y);
    let y = Shared::new(y);
    each(to.n * to.blocks(), |plane| {
        // SAFETY: each task has a plane of its own.
        let y = unsafe { y.part(plane * to.plane(), to.plane()) };
        to.clear_plane_halo(y);
        let x = &x[plane * from.plane()..][..from.plane()];
        for i in 0..to.h {
            let start = (i + 1) * to.row() + BLOCK;
            fill(x, i, y[start..start + to.w * BLOCK].as_chunks_mut().0);
        }
    });
}
