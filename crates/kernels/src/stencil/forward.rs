//! The convolution itself, which with other strides is also the gradient of its input.

use super::Job;
use crate::buffer::Buffer;
use crate::gemm::{gather, next_rows, with_panels, with_rows};
use crate::parallel::{Shared, each};
use crate::shape::BLOCK;
use crate::simd::{Isa, Kernel, LANES, Simd};

/// Rows of the grid that a task takes.
const ROWS: usize = 8;

impl Job {
    /// `y = x ∗ weight + bias`, written inside `y`'s halo.
    pub(crate) fn convolve(self, isa: Isa, x: &[f32], weight: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
        self.x.check(x);
        self.y.check(y);
        assert_eq!(weight.len(), self.stencil.taps() * self.x.c * self.y.c, "weights");
        assert!(bias.is_none_or(|b| b.len() == self.y.c), "a bias for each output channel");
        let panels = self.pack(weight, bias);
        let y = Shared::new(y);
        each(self.x.n * self.rows.div_ceil(ROWS), |task| {
            isa.run(Convolve { job: self, task, x, panels: &panels, y });
        });
    }

    /// Of each 16 outputs the bias, `[16]`, and the weights, `[tap][input][16]`.
    fn pack(self, weight: &[f32], bias: Option<&[f32]>) -> Buffer {
        let inputs = self.x.c;
        let by_input = weight.len() == inputs * self.strides.input; // those of an input follow one another
        let mut panels = Buffer::dirty(self.groups() * self.panel());
        let shared = Shared::new(&mut panels);
        each(self.groups(), |group| {
            // SAFETY: each group has its own part.
            let panel = unsafe { shared.part(group * self.panel(), self.panel()) };
            let lanes = LANES.min(self.y.c - group * LANES);
            let (first, panel) = panel.split_at_mut(LANES);
            if lanes < LANES {
                panel.fill(0.0);
            }
            first.fill(0.0);
            if let Some(bias) = bias {
                first[..lanes].copy_from_slice(&bias[group * LANES..][..lanes]);
            }
            let rows = panel.as_chunks_mut::<LANES>().0; // [tap][input]
            let weight = &weight[group * LANES * self.strides.out..];
            // In the order of the weights.
            if by_input {
                for (i, of_input) in weight.chunks(self.strides.input).enumerate() {
                    for (lane, of_output) in of_input.chunks(self.strides.out).take(lanes).enumerate() {
                        for (tap, &value) in of_output.iter().enumerate() {
                            rows[tap * inputs + i][lane] = value;
                        }
                    }
                }
            } else {
                for (lane, of_output) in weight.chunks(self.strides.out).take(lanes).enumerate() {
                    for (tap, rows) in rows.chunks_exact_mut(inputs).enumerate() {
                        let values = of_output[tap..].iter().step_by(self.strides.input);
                        rows.iter_mut().zip(values).for_each(|(row, &value)| row[lane] = value);
                    }
                }
            }
        });
        panels
    }

    /// Values of a group's bias and packed weights.
    fn panel(self) -> usize {
        (1 + self.stencil.taps() * self.x.c) * LANES
    }
}

/// Some rows of the grid, all channels.
struct Convolve<'a> {
    job: Job,
    task: usize,
    x: &'a [f32],
    panels: &'a [f32],
    y: Shared,
}

impl Kernel for Convolve<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let job = self.job;
        let tasks = job.rows.div_ceil(ROWS);
        let (n, first) = (self.task / tasks, self.task % tasks * ROWS);
        for row in first..job.rows.min(first + ROWS) {
            with_panels!(0..job.groups(), S, group, P => {
                for to in 0..job.stencil.to.len() {
                    // SAFETY: the arrays were checked against their shapes; rows of different tasks
                    // do not overlap.
                    unsafe { self.row::<S, P>(s, n, row, group, to) }
                }
            });
        }
    }
}

impl Convolve<'_> {
    /// One row of the grid, `P` groups of outputs, one output place.
    ///
    /// # Safety
    /// All of them must exist, and no other task may write them.
    #[inline(always)]
    unsafe fn row<S: Simd, const P: usize>(&self, s: S, n: usize, row: usize, group: usize, to: usize) {
        let job = self.job;
        let (stencil, inputs) = (job.stencil, job.x.c);
        let panel = self.panels.as_ptr().add(group * job.panel());
        let (in_step, out_step) = (stencil.in_step * BLOCK, stencil.out_step * BLOCK);
        let mut pixel = 0;
        while pixel < job.columns {
            let rows = next_rows(job.columns - pixel, S::ROWS);
            with_rows!(rows, S, R => {
                // Read for every tile: kept in registers, the bias would push sums out of them.
                let mut acc = [[s.zero(); R]; P];
                for (p, sums) in acc.iter_mut().enumerate() {
                    *sums = [s.load(panel.add(p * job.panel())); R];
                }
                for (k, &from) in stencil.from.iter().enumerate() {
                    let a = self.x.as_ptr().add(job.x_at(n, row, from) + pixel * in_step);
                    let tap = to * stencil.from.len() + k;
                    let panel = panel.add((1 + tap * inputs) * LANES);
                    gather(s, &mut acc, a, (in_step, job.x.plane()), inputs, (panel, job.panel()));
                }
                for (group, sums) in (group..).zip(acc) {
                    let out = self.y.at(job.y_at(n, group, row, stencil.to[to]));
                    let has_high = 2 * group + 1 < job.y.blocks();
                    for (r, sum) in sums.into_iter().enumerate() {
                        let at = out.add((pixel + r) * out_step);
                        if has_high {
                            s.store2(at, at.add(job.y.plane()), sum);
                        } else {
                            s.store_low(at, sum);
                        }
                    }
                }
            });
            pixel += rows;
        }
    }
}
