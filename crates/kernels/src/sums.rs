//! The gradient of a bias.

use crate::parallel::{Shared, each};
use crate::shape::{BLOCK, Blocked};
use crate::simd::{Isa, Kernel, LANES, Simd};

/// The gradient of a bias: the sums of each channel.
///
/// # Panics
/// If the length is not that of the shape.
pub fn channel_sums(isa: Isa, shape: Blocked, dy: &[f32]) -> Vec<f32> {
    shape.check(dy);
    let mut planes = vec![[0.0_f32; LANES]; shape.n * shape.blocks()];
    let sums = Shared::new(&mut planes);
    each(shape.n * shape.blocks(), |plane| isa.run(PlaneSum { shape, plane, dy, sums }));
    let of = |n: usize, c: usize| {
        let lanes = &planes[n * shape.blocks() + c / BLOCK];
        lanes[c % BLOCK] + lanes[c % BLOCK + BLOCK]
    };
    (0..shape.c).map(|c| (0..shape.n).map(|n| of(n, c)).sum()).collect()
}

struct PlaneSum<'a> {
    shape: Blocked,
    plane: usize,
    dy: &'a [f32],
    sums: Shared<[f32; LANES]>,
}

impl Kernel for PlaneSum<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let shape = self.shape;
        let nothing = [0.0; BLOCK];
        let mut total = s.zero();
        // SAFETY: the plane lies within the array; each task has a slot of its own.
        unsafe {
            for y in 0..shape.h {
                let row = self.dy.as_ptr().add(self.plane * shape.plane() + (y + 1) * shape.row() + BLOCK);
                let mut sum = s.zero();
                for pixel in (0..shape.w - 1).step_by(2) {
                    sum = s.add(sum, s.load(row.add(pixel * BLOCK)));
                }
                if shape.w % 2 == 1 {
                    sum = s.add(sum, s.load2(row.add((shape.w - 1) * BLOCK), nothing.as_ptr()));
                }
                total = s.add(total, sum);
            }
            *self.sums.at(self.plane) = s.to_array(total);
        }
    }
}
