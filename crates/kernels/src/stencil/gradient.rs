//! The gradient of the weights: a fixed number of partial sums, added in order.

use std::ops::Range;

use super::Job;
use crate::buffer::Buffer;
use crate::gemm::{Planes, add_parts, outer, with_panels};
use crate::parallel::{Shared, each, part};
use crate::shape::BLOCK;
use crate::simd::{Isa, Kernel, LANES, Simd};
use crate::transpose::{Matrix, from_lanes};

/// Rows of the grid below which a sum is not split.
const ROWS: usize = 8;
/// Most parts of a weight gradient's sum.
const PARTS: usize = 8;
/// Bytes that all parts together should not exceed.
const PARTS_BYTES: usize = 2 << 20;

impl Job {
    /// The weights' gradient from the input `x` and the output's gradient `dy`.
    pub(crate) fn weight_gradient(self, isa: Isa, x: &[f32], dy: &[f32], dw: &mut [f32]) {
        self.x.check(x);
        self.y.check(dy);
        assert_eq!(dw.len(), self.stencil.taps() * self.x.c * self.y.c, "weights");
        let blocks = self.x.blocks();
        // Sums are [part][16 outputs][tap][channel block][8][16].
        let group_len = self.stencil.taps() * blocks * BLOCK * LANES;
        let len = self.groups() * group_len;
        let rows = self.x.n * self.rows;
        let parts = (PARTS_BYTES / (len * size_of::<f32>())).clamp(1, PARTS).min(rows.div_ceil(ROWS));
        let mut sums = Buffer::dirty(parts * len);
        let shared = Shared::new(&mut sums);
        let pairs = self.groups().div_ceil(2);
        each(parts * pairs, |task| {
            let (i, pair) = (task / pairs, task % pairs);
            let groups = 2 * pair..self.groups().min(2 * pair + 2);
            let rows = part(rows, parts, i);
            let offset = i * len;
            isa.run(Gradient { job: self, groups, rows, x, dy, sums: shared, offset, group_len });
        });
        let dw = Shared::new(dw);
        each(self.groups(), |group| isa.run(Finish { job: self, group, parts, sums: shared, dw }));
    }
}

/// A part of the sum of two groups' weight gradients, or of the last one's.
struct Gradient<'a> {
    job: Job,
    groups: Range<usize>,
    rows: Range<usize>,
    x: &'a [f32],
    dy: &'a [f32],
    sums: Shared,
    offset: usize,
    group_len: usize,
}

/// Eight zeros in place of a channel block that does not exist.
static NOTHING: [f32; BLOCK] = [0.0; BLOCK];

impl Kernel for Gradient<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        // SAFETY: the arrays were checked against their shapes; each task has its sums.
        with_panels!(self.groups.clone(), S, group, P => unsafe { self.add::<S, P>(s, group) });
    }
}

impl Gradient<'_> {
    /// The sums of `P` groups.
    ///
    /// # Safety
    /// The arrays must be those of the job, and no other task may write these sums.
    #[inline(always)]
    unsafe fn add<S: Simd, const P: usize>(&self, s: S, group: usize) {
        let job = self.job;
        let (stencil, blocks) = (job.stencil, job.x.blocks());
        let (a_row, step) = (stencil.in_step * BLOCK, stencil.out_step * BLOCK);
        for row in self.rows.clone() {
            let fresh = row == self.rows.start;
            let (n, row) = (row / job.rows, row % job.rows);
            for (t, &to) in stencil.to.iter().enumerate() {
                let gradients: [Planes; P] = std::array::from_fn(|p| {
                    let low = self.dy.as_ptr().add(job.y_at(n, group + p, row, to));
                    let has_high = 2 * (group + p) + 1 < job.y.blocks();
                    let high = if has_high { (low.add(job.y.plane()), step) } else { (NOTHING.as_ptr(), 0) };
                    Planes { low: (low, step), high }
                });
                for (f, &from) in stencil.from.iter().enumerate() {
                    let tap = t * stencil.from.len() + f;
                    for block in 0..blocks {
                        let sums: [*mut f32; P] = std::array::from_fn(|p| {
                            let at = (group + p) * self.group_len + (tap * blocks + block) * BLOCK * LANES;
                            self.sums.at(self.offset + at)
                        });
                        let x = self.x.as_ptr().add(job.x_at(n, row, from) + block * job.x.plane());
                        outer(s, (sums, fresh), (x, a_row), gradients, job.columns);
                    }
                }
            }
        }
    }
}

/// Adds the parts of one group's weight gradients and lays them out like the weights.
struct Finish {
    job: Job,
    group: usize,
    parts: usize,
    sums: Shared,
    dw: Shared,
}

impl Kernel for Finish {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { job, group, parts, sums, dw } = self;
        let (taps, blocks) = (job.stencil.taps(), job.x.blocks());
        let len = taps * blocks * BLOCK * LANES;
        let rows = LANES.min(job.y.c - group * LANES);
        // SAFETY: the sums have `parts` parts of `len` values a group; each group has its own outputs' weights.
        unsafe {
            let total = sums.at(group * len);
            add_parts(s, total, len, (parts, job.groups() * len));
            for (input, columns) in job.matrices() {
                let first = dw.at(group * LANES * job.strides.out + input * job.strides.input);
                let of = Matrix { first, apart: job.strides.out, rows, columns };
                from_lanes(s, |column| total.add(job.place(input, column, blocks * BLOCK) * LANES), of);
            }
        }
    }
}
