//! `PReLU` alone, and weights that all channels of a pixel share; forward and backward.

use crate::parallel::{Shared, each};
use crate::shape::{BLOCK, Blocked};
use crate::simd::{Isa, Kernel, Simd};

/// `y = max(x, 0) + slope · min(x, 0)`, one slope a channel.
///
/// # Panics
/// If a length is not that of its shape.
pub fn prelu(isa: Isa, shape: Blocked, x: &[f32], slope: &[f32], y: &mut [f32]) {
    shape.check(x);
    shape.check(y);
    assert_eq!(slope.len(), shape.c, "a slope for each channel");
    let y = Shared::new(y);
    each(shape.n * shape.blocks(), |plane| {
        isa.run(OfPlane(|| {
            let slope = lanes(slope, plane % shape.blocks());
            let x = pixels(&x[plane * shape.plane()..][..shape.plane()]);
            // SAFETY: each task has a plane of its own.
            let y = unsafe { y.part(plane * shape.plane(), shape.plane()) };
            for (y, x) in y.as_chunks_mut::<BLOCK>().0.iter_mut().zip(x) {
                for lane in 0..BLOCK {
                    y[lane] = if x[lane] < 0.0 { slope[lane] * x[lane] } else { x[lane] };
                }
            }
        }));
    });
}

/// The gradient of [`prelu`]: `dx` is written, that of the slopes returned.
///
/// # Panics
/// If a length is not that of its shape.
pub fn prelu_backward(
    isa: Isa,
    shape: Blocked,
    x: &[f32],
    slope: &[f32],
    dy: &[f32],
    dx: &mut [f32],
) -> Vec<f32> {
    shape.check(x);
    shape.check(dy);
    shape.check(dx);
    assert_eq!(slope.len(), shape.c, "a slope for each channel");
    let mut found = vec![[0.0_f64; BLOCK]; shape.n * shape.blocks()];
    let (dx, sums) = (Shared::new(dx), Shared::new(&mut found));
    each(shape.n * shape.blocks(), |plane| {
        isa.run(OfPlane(|| {
            let slope = lanes(slope, plane % shape.blocks());
            let [x, dy] = [x, dy].map(|values| &values[plane * shape.plane()..][..shape.plane()]);
            // SAFETY: each task has a plane and a slot of its own.
            let (dx, sum) =
                unsafe { (dx.part(plane * shape.plane(), shape.plane()), &mut sums.part(plane, 1)[0]) };
            let rows = dx
                .chunks_exact_mut(shape.row())
                .zip(x.chunks_exact(shape.row()))
                .zip(dy.chunks_exact(shape.row()));
            for ((dx, x), dy) in rows {
                let mut row = [0.0_f32; BLOCK];
                for ((dx, x), dy) in dx.as_chunks_mut::<BLOCK>().0.iter_mut().zip(pixels(x)).zip(pixels(dy)) {
                    for lane in 0..BLOCK {
                        dx[lane] = if x[lane] < 0.0 { slope[lane] * dy[lane] } else { dy[lane] };
                        row[lane] += if x[lane] < 0.0 { x[lane] * dy[lane] } else { 0.0 };
                    }
                }
                sum.iter_mut().zip(row).for_each(|(sum, row)| *sum += f64::from(row));
            }
        }));
    });
    let of = |c: usize, n: usize| found[n * shape.blocks() + c / BLOCK][c % BLOCK];
    (0..shape.c).map(|c| (0..shape.n).map(|n| of(c, n)).sum::<f64>() as f32).collect()
}

/// `y = x · factor`, one factor `[n, h, w]` a pixel.
///
/// # Panics
/// If a length is not that of its shape.
pub fn weigh(isa: Isa, shape: Blocked, x: &[f32], factors: &[f32], y: &mut [f32]) {
    shape.check(x);
    shape.check(y);
    assert_eq!(factors.len(), shape.n * shape.h * shape.w, "a factor for each pixel");
    let y = Shared::new(y);
    each(shape.n * shape.blocks(), |plane| {
        isa.run(OfPlane(|| {
            // SAFETY: each task has a plane of its own.
            let y = unsafe { y.part(plane * shape.plane(), shape.plane()) };
            shape.clear_plane_halo(y);
            for row in 0..shape.h {
                let at = inside(shape, row);
                let factors = &factors[(plane / shape.blocks() * shape.h + row) * shape.w..][..shape.w];
                let x = pixels(&x[plane * shape.plane()..][at.clone()]);
                for ((y, x), &factor) in y[at].as_chunks_mut::<BLOCK>().0.iter_mut().zip(x).zip(factors) {
                    *y = x.map(|x| x * factor);
                }
            }
        }));
    });
}

/// The gradient of the factors of [`weigh`], `[n, h, w]`; that of `x` is `dy` weighed.
///
/// # Panics
/// If a length is not that of its shape.
pub fn weigh_backward(isa: Isa, shape: Blocked, x: &[f32], dy: &[f32], factors: &mut [f32]) {
    shape.check(x);
    shape.check(dy);
    assert_eq!(factors.len(), shape.n * shape.h * shape.w, "a factor for each pixel");
    let factors = Shared::new(factors);
    each(shape.n * shape.h, |task| {
        isa.run(OfPlane(|| {
            let (n, at) = (task / shape.h, inside(shape, task % shape.h));
            // SAFETY: each task has a row of its own.
            let factors = unsafe { factors.part(task * shape.w, shape.w) };
            factors.fill(0.0);
            for block in 0..shape.blocks() {
                let start = (n * shape.blocks() + block) * shape.plane();
                let [x, dy] = [x, dy].map(|values| pixels(&values[start..][at.clone()]));
                for ((factor, x), dy) in factors.iter_mut().zip(x).zip(dy) {
                    let products: [f32; BLOCK] = std::array::from_fn(|lane| x[lane] * dy[lane]);
                    let [a, b, c, d] = std::array::from_fn(|i| products[i] + products[i + 4]);
                    *factor += (a + b) + (c + d);
                }
            }
        }));
    });
}

/// A computation that the compiler vectorises by itself, compiled for an instruction set.
struct OfPlane<F: FnOnce()>(F);

impl<F: FnOnce()> Kernel for OfPlane<F> {
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        (self.0)();
    }
}

fn pixels(values: &[f32]) -> &[[f32; BLOCK]] {
    values.as_chunks().0
}

/// Where the pixels of a row lie in a plane.
fn inside(shape: Blocked, row: usize) -> std::ops::Range<usize> {
    let start = (row + 1) * shape.row() + BLOCK;
    start..start + shape.w * BLOCK
}

/// The values of a block's channels, zero beyond the last.
fn lanes(values: &[f32], block: usize) -> [f32; BLOCK] {
    std::array::from_fn(|lane| values.get(block * BLOCK + lane).copied().unwrap_or(0.0))
}
