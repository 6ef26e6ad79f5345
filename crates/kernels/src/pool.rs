//! Maximum of 2×2 pixels, stride 2; a last odd row or column is left out.

use crate::input::Input;
use crate::parallel::{Shared, each};
use crate::shape::{BLOCK, Blocked};
use crate::simd::{Isa, Kernel, Simd};

/// The shape after pooling.
pub fn pooled(shape: Blocked) -> Blocked {
    Blocked { h: shape.h / 2, w: shape.w / 2, ..shape }
}

/// `y[i, j] = max x[2i..2i+2, 2j..2j+2]`, with its halo.
///
/// # Panics
/// If the lengths are not those of the shapes.
pub fn max_pool2<'a>(isa: Isa, shape: Blocked, x: impl Into<Input<'a>>, y: &mut [f32]) {
    let x = x.into();
    x.check(shape);
    pooled(shape).check(y);
    let y = Shared::new(y);
    each(shape.n * shape.blocks(), |plane| isa.run(Forward { shape, plane, x, y }));
}

/// The gradient of [`max_pool2`]: `dy` goes to the first maximum of each 2×2 in reading order.
///
/// # Panics
/// If the lengths are not those of the shapes.
pub fn max_pool2_backward(isa: Isa, shape: Blocked, x: &[f32], dy: &[f32], dx: &mut [f32]) {
    shape.check(x);
    shape.check(dx);
    pooled(shape).check(dy);
    let dx = Shared::new(dx);
    each(shape.n * shape.blocks(), |plane| isa.run(Backward { shape, plane, x, dy, dx }));
}

struct Forward<'a> {
    shape: Blocked,
    plane: usize,
    x: Input<'a>,
    y: Shared,
}

impl Kernel for Forward<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (shape, out) = (self.shape, pooled(self.shape));
        let x = &self.x.values[self.plane * shape.plane()..][..shape.plane()];
        let active = self.x.active(s, self.plane);
        // SAFETY: each task has a plane of its own, and two pixels are handled at once only where both
        // exist.
        unsafe {
            let y = self.y.part(self.plane * out.plane(), out.plane());
            out.clear_plane_halo(y);
            for row in 0..out.h {
                let from = x.as_ptr().add((2 * row + 1) * shape.row() + BLOCK);
                let to = y.as_mut_ptr().add((row + 1) * out.row() + BLOCK);
                for pixel in (0..out.w).step_by(2) {
                    let two = pixel + 1 < out.w;
                    let mut inputs = window(s, from.add(pixel * 2 * BLOCK), shape.row(), two);
                    if let Some(active) = active {
                        for input in &mut inputs {
                            *input = active.of(s, *input);
                        }
                    }
                    let [a, b, c, d] = inputs;
                    let most = s.max(s.max(a, b), s.max(c, d));
                    if two {
                        s.store(to.add(pixel * BLOCK), most);
                    } else {
                        s.store_low(to.add(pixel * BLOCK), most);
                    }
                }
            }
        }
    }
}

/// The four inputs of two outputs; of one output twice if `!two`.
///
/// # Safety
/// They must exist.
#[inline(always)]
unsafe fn window<S: Simd>(s: S, x: *const f32, row: usize, two: bool) -> [S::V; 4] {
    let next = if two { 2 * BLOCK } else { 0 };
    let at = |offset: usize| x.add(offset);
    [
        s.load2(at(0), at(next)),
        s.load2(at(BLOCK), at(BLOCK + next)),
        s.load2(at(row), at(row + next)),
        s.load2(at(row + BLOCK), at(row + BLOCK + next)),
    ]
}

struct Backward<'a> {
    shape: Blocked,
    plane: usize,
    x: &'a [f32],
    dy: &'a [f32],
    dx: Shared,
}

impl Kernel for Backward<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (shape, out) = (self.shape, pooled(self.shape));
        let x = &self.x[self.plane * shape.plane()..][..shape.plane()];
        let dy = &self.dy[self.plane * out.plane()..][..out.plane()];
        // SAFETY: as in `Forward`.
        unsafe {
            let dx = self.dx.part(self.plane * shape.plane(), shape.plane());
            shape.clear_plane_halo(dx);
            if shape.h % 2 == 1 {
                dx[shape.h * shape.row()..(shape.h + 1) * shape.row()].fill(0.0);
            }
            for row in 0..out.h {
                let start = (2 * row + 1) * shape.row() + BLOCK;
                let (from, to) = (x.as_ptr().add(start), dx.as_mut_ptr().add(start));
                let gradient = dy.as_ptr().add((row + 1) * out.row() + BLOCK);
                for pixel in (0..out.w).step_by(2) {
                    let two = pixel + 1 < out.w;
                    let next = if two { BLOCK } else { 0 };
                    let g = gradient.add(pixel * BLOCK);
                    let mut left = s.load2(g, g.add(next));
                    let inputs = window(s, from.add(pixel * 2 * BLOCK), shape.row(), two);
                    let most = s.max(s.max(inputs[0], inputs[1]), s.max(inputs[2], inputs[3]));
                    let to = to.add(pixel * 2 * BLOCK);
                    for (i, &input) in inputs.iter().enumerate() {
                        // What is smaller gets nothing; the first that is not gets all that is left.
                        let share = s.select_lt(input, most, s.zero(), left);
                        left = s.sub(left, share);
                        let to = to.add(i / 2 * shape.row() + i % 2 * BLOCK);
                        if two {
                            s.store2(to, to.add(2 * BLOCK), share);
                        } else {
                            s.store_low(to, share);
                        }
                    }
                }
                if shape.w % 2 == 1 {
                    let last = shape.row() - 2 * BLOCK - BLOCK;
                    for y in 0..2 {
                        std::slice::from_raw_parts_mut(to.add(y * shape.row() + last), BLOCK).fill(0.0);
                    }
                }
            }
        }
    }
}
