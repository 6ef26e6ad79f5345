//! The gradient of the weights: a fixed number of partial sums, added in order.

use super::Job;
use crate::buffer::Buffer;
use crate::gemm::{Planes, outer};
use crate::parallel::{Shared, each, part};
use crate::shape::BLOCK;
use crate::simd::{Isa, Kernel, LANES, Simd};

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
        each(parts * self.groups(), |task| {
            let rows = part(rows, parts, task / self.groups());
            isa.run(Gradient {
                job: self,
                group: task % self.groups(),
                rows,
                x,
                dy,
                sums: shared,
                offset: task * group_len,
            });
        });
        let dw = Shared::new(dw);
        each(self.groups(), |group| isa.run(Finish { job: self, group, parts, sums: shared, dw }));
    }
}

/// A part of the sum of one group's weight gradients.
struct Gradient<'a> {
    job: Job,
    group: usize,
    rows: std::ops::Range<usize>,
    x: &'a [f32],
    dy: &'a [f32],
    sums: Shared,
    offset: usize,
}

/// Eight zeros in place of a channel block that does not exist.
static NOTHING: [f32; BLOCK] = [0.0; BLOCK];

impl Kernel for Gradient<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let job = self.job;
        let stencil = job.stencil;
        let has_high = 2 * self.group + 1 < job.y.blocks();
        for row in self.rows.clone() {
            let fresh = row == self.rows.start;
            let (n, row) = (row / job.rows, row % job.rows);
            for (t, &to) in stencil.to.iter().enumerate() {
                for (f, &from) in stencil.from.iter().enumerate() {
                    for block in 0..job.x.blocks() {
                        let tap = t * stencil.from.len() + f;
                        // SAFETY: the arrays were checked against their shapes; each task has its sums.
                        unsafe {
                            let sums = (tap * job.x.blocks() + block) * BLOCK * LANES;
                            let sums = (self.sums.at(self.offset + sums), fresh);
                            let x = self.x.as_ptr().add(job.x_at(n, row, from) + block * job.x.plane());
                            let low = self.dy.as_ptr().add(job.y_at(n, self.group, row, to));
                            let (a_row, step) = (stencil.in_step * BLOCK, stencil.out_step * BLOCK);
                            if has_high {
                                let planes = Planes { low, high: low.add(job.y.plane()), step };
                                outer(s, sums, (x, a_row), planes, job.columns);
                            } else {
                                outer(s, sums, (x, a_row), LowPlane { low, step }, job.columns);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Rows of eight channels, the other eight zero.
#[derive(Clone, Copy)]
struct LowPlane {
    low: *const f32,
    step: usize,
}

impl<S: Simd> crate::gemm::Rows<S> for LowPlane {
    #[inline(always)]
    unsafe fn row(self, s: S, r: usize) -> S::V {
        s.load2(self.low.add(r * self.step), NOTHING.as_ptr())
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
        let lanes = LANES.min(job.y.c - group * LANES);
        for i in 0..job.x.c {
            for tap in 0..taps {
                // SAFETY: the sums have `parts` parts of `len` values a group; each group has its own
                // outputs' weights.
                unsafe {
                    let at = ((tap * blocks + i / BLOCK) * BLOCK + i % BLOCK) * LANES;
                    let mut total = s.zero();
                    for part in 0..parts {
                        total = s.add(total, s.load(sums.at((part * job.groups() + group) * len + at)));
                    }
                    let total = s.to_array(total);
                    let to = dw.at(group * LANES * job.strides.out + i * job.strides.input + tap);
                    for (lane, &value) in total[..lanes].iter().enumerate() {
                        *to.add(lane * job.strides.out) = value;
                    }
                }
            }
        }
    }
}
