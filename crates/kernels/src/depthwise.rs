//! 3×3 convolution of each channel by itself, with holes (Chen et al. 2018, arXiv 1802.02611), forward and
//! backward.
//!
//! With taps side by side, all nine are added up in registers, the halo being the padding. With holes, rows
//! are added up tap by tap while they lie in the cache; taps that meet nothing but padding cost nothing.

use crate::norm::{Sums, twice};
use crate::parallel::{Shared, each};
use crate::shape::{BLOCK, Blocked};
use crate::simd::{Isa, Kernel, Simd};

/// A depthwise convolution, its taps `rate` pixels apart, of padding `rate`: weight `[c, 1, 3, 3]`.
#[derive(Debug, Clone, Copy)]
pub struct Depthwise {
    /// What it reads, and as large as what it writes.
    pub input: Blocked,
    /// Pixels from tap to tap, at least 1.
    pub rate: usize,
}

/// One value for each channel of a block and each tap.
type Taps<T> = [[T; BLOCK]; 9];

/// Along one axis of `len` pixels: the first output that tap `k` adds to, the first input it reads, and
/// how many there are.
#[inline(always)]
fn overlap(k: usize, rate: usize, len: usize) -> [usize; 3] {
    let far = rate.min(len);
    match k {
        0 => [far, 0, len - far],
        1 => [0, 0, len],
        _ => [0, far, len - far],
    }
}

impl Depthwise {
    /// `y = x ∗ weight + bias`, with its halo.
    ///
    /// # Panics
    /// If a length is not that of its shape.
    pub fn forward(self, isa: Isa, x: &[f32], weight: &[f32], bias: &[f32], y: &mut [f32]) {
        assert_eq!(bias.len(), self.input.c, "a bias for each channel");
        self.convolve(isa, x, weight, Some(bias), y);
    }

    /// The input's gradient from the output's, with its halo; the halo of `dy` must be zero.
    ///
    /// # Panics
    /// If a length is not that of its shape.
    pub fn backward_input(self, isa: Isa, dy: &[f32], weight: &[f32], dx: &mut [f32]) {
        self.convolve(isa, dy, weight, None, dx);
    }

    /// The weights' gradient.
    ///
    /// # Panics
    /// If a length is not that of its shape.
    pub fn backward_weight(self, isa: Isa, x: &[f32], dy: &[f32], dw: &mut [f32]) {
        let shape = self.input;
        shape.check(x);
        shape.check(dy);
        assert_eq!(dw.len(), 9 * shape.c, "nine weights for each channel");
        let mut found: Vec<Taps<f64>> = vec![[[0.0; BLOCK]; 9]; shape.n * shape.blocks()];
        let sums = Shared::new(&mut found);
        each(shape.n * shape.blocks(), |plane| {
            if self.rate == 1 {
                isa.run(ReduceNear { shape, plane, x, dy, sums });
            } else {
                isa.run(Reduce { of: self, plane, x, dy, sums });
            }
        });
        for (i, dw) in dw.iter_mut().enumerate() {
            let (c, tap) = (i / 9, i % 9);
            let of = |n: usize| found[n * shape.blocks() + c / BLOCK][tap][c % BLOCK];
            *dw = (0..shape.n).map(of).sum::<f64>() as f32;
        }
    }

    /// Forward with a bias, and the turned convolution without.
    fn convolve(self, isa: Isa, x: &[f32], weight: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
        let shape = self.input;
        shape.check(x);
        shape.check(y);
        assert!(self.rate > 0, "taps a pixel or more apart");
        assert_eq!(weight.len(), 9 * shape.c, "nine weights for each channel");
        let y = Shared::new(y);
        each(shape.n * shape.blocks(), |plane| isa.run(Convolve { of: self, plane, x, weight, bias, y }));
    }

    /// Where the pixels `first..first + count` of a row lie in a plane.
    #[inline(always)]
    fn pixels(self, row: usize, first: usize, count: usize) -> std::ops::Range<usize> {
        let start = (row + 1) * self.input.row() + (first + 1) * BLOCK;
        start..start + count * BLOCK
    }
}

struct Convolve<'a> {
    of: Depthwise,
    plane: usize,
    x: &'a [f32],
    weight: &'a [f32],
    bias: Option<&'a [f32]>,
    y: Shared,
}

impl Kernel for Convolve<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (shape, rate) = (self.of.input, self.of.rate);
        let (start, first) = (self.plane * shape.plane(), self.plane % shape.blocks() * BLOCK);
        let x = &self.x[start..][..shape.plane()];
        // SAFETY: each task has a plane of its own.
        let y = unsafe { self.y.part(start, shape.plane()) };
        shape.clear_plane_halo(y);
        let bias: [f32; BLOCK] =
            std::array::from_fn(|lane| self.bias.and_then(|b| b.get(first + lane)).copied().unwrap_or(0.0));
        let taps: Taps<f32> = std::array::from_fn(|tap| {
            let tap = if self.bias.is_some() { tap } else { 8 - tap }; // the gradient looks the other way
            std::array::from_fn(|lane| self.weight.get((first + lane) * 9 + tap).copied().unwrap_or(0.0))
        });
        if rate == 1 {
            // SAFETY: both slices are planes of the shape.
            unsafe { convolve_near(s, shape, x.as_ptr(), &taps, &bias, y.as_mut_ptr()) };
            return;
        }
        for row in 0..shape.h {
            for pixel in y[self.of.pixels(row, 0, shape.w)].chunks_exact_mut(BLOCK) {
                pixel.copy_from_slice(&bias);
            }
            for (tap, weights) in taps.iter().enumerate() {
                let [to_y, from_y, rows] = overlap(tap / 3, rate, shape.h);
                let [to_x, from_x, columns] = overlap(tap % 3, rate, shape.w);
                if (to_y..to_y + rows).contains(&row) {
                    let from = &x[self.of.pixels(row - to_y + from_y, from_x, columns)];
                    let to = &mut y[self.of.pixels(row, to_x, columns)];
                    for (to, from) in to.chunks_exact_mut(BLOCK).zip(from.chunks_exact(BLOCK)) {
                        for lane in 0..BLOCK {
                            to[lane] += from[lane] * weights[lane];
                        }
                    }
                }
            }
        }
    }
}

/// A plane with taps side by side.
///
/// # Safety
/// `x` and `y` must be planes of `shape`.
#[inline(always)]
unsafe fn convolve_near<S: Simd>(
    s: S,
    shape: Blocked,
    x: *const f32,
    taps: &Taps<f32>,
    bias: &[f32; BLOCK],
    y: *mut f32,
) {
    let weights = taps.map(|tap| s.lanes(&twice(&tap)));
    let bias = s.lanes(&twice(bias));
    for row in 0..shape.h {
        let from = x.add(row * shape.row());
        let to = y.add((row + 1) * shape.row() + BLOCK);
        for pixel in (0..shape.w).step_by(2) {
            let two = pixel + 1 < shape.w;
            let next = if two { BLOCK } else { 0 };
            let mut sum = bias;
            for (tap, &weight) in weights.iter().enumerate() {
                let at = from.add(tap / 3 * shape.row() + (pixel + tap % 3) * BLOCK);
                sum = s.fma(s.load2(at, at.add(next)), weight, sum);
            }
            if two {
                s.store(to.add(pixel * BLOCK), sum);
            } else {
                s.store_low(to.add(pixel * BLOCK), sum);
            }
        }
    }
}

/// The weights' gradient of a plane, taps side by side.
struct ReduceNear<'a> {
    shape: Blocked,
    plane: usize,
    x: &'a [f32],
    dy: &'a [f32],
    sums: Shared<Taps<f64>>,
}

impl Kernel for ReduceNear<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let shape = self.shape;
        let mut sums = Sums::<S, 9>::new(s);
        let nothing = [0.0; BLOCK];
        // SAFETY: the plane lies within the arrays, which were checked against the shape; each task has a
        // slot of its own.
        unsafe {
            let start = self.plane * shape.plane();
            let (x, dy) = (self.x.as_ptr().add(start), self.dy.as_ptr().add(start));
            for row in 0..shape.h {
                sums.make_room(s, shape.w.div_ceil(2));
                for pixel in (0..shape.w).step_by(2) {
                    let two = pixel + 1 < shape.w;
                    let next = if two { BLOCK } else { 0 };
                    let g = dy.add((row + 1) * shape.row() + (pixel + 1) * BLOCK);
                    let g = s.load2(g, if two { g.add(BLOCK) } else { nothing.as_ptr() });
                    for (tap, sum) in sums.lanes.iter_mut().enumerate() {
                        let at = x.add((row + tap / 3) * shape.row() + (pixel + tap % 3) * BLOCK);
                        *sum = s.fma(s.load2(at, at.add(next)), g, *sum);
                    }
                }
            }
            *self.sums.at(self.plane) = sums.finish(s);
        }
    }
}

struct Reduce<'a> {
    of: Depthwise,
    plane: usize,
    x: &'a [f32],
    dy: &'a [f32],
    sums: Shared<Taps<f64>>,
}

impl Kernel for Reduce<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let (shape, rate) = (self.of.input, self.of.rate);
        let start = self.plane * shape.plane();
        let [x, dy] = [self.x, self.dy].map(|values| &values[start..][..shape.plane()]);
        // SAFETY: each task has a slot of its own.
        let sums = unsafe { &mut self.sums.part(self.plane, 1)[0] };
        for row in 0..shape.h {
            for (tap, sums) in sums.iter_mut().enumerate() {
                let [to_y, from_y, rows] = overlap(tap / 3, rate, shape.h);
                let [to_x, from_x, columns] = overlap(tap % 3, rate, shape.w);
                if (to_y..to_y + rows).contains(&row) {
                    let from = &x[self.of.pixels(row - to_y + from_y, from_x, columns)];
                    let to = &dy[self.of.pixels(row, to_x, columns)];
                    let mut lanes = [0.0_f32; BLOCK];
                    for (to, from) in to.chunks_exact(BLOCK).zip(from.chunks_exact(BLOCK)) {
                        for lane in 0..BLOCK {
                            lanes[lane] += from[lane] * to[lane];
                        }
                    }
                    for (sum, lane) in sums.iter_mut().zip(lanes) {
                        *sum += f64::from(lane);
                    }
                }
            }
        }
    }
}
