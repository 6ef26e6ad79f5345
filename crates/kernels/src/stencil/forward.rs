//! The convolution itself, which with other strides is also the gradient of its input.

use super::Job;
use crate::buffer::Buffer;
use crate::gemm::{gather, next_rows, with_panels, with_rows};
use crate::input::Input;
use crate::norm::Active;
use crate::parallel::{Shared, each};
use crate::shape::BLOCK;
use crate::simd::{Isa, Kernel, LANES, Simd};
use crate::transpose::{Matrix, to_lanes};

/// Rows of the grid that a task takes.
const ROWS: usize = 8;

impl Job {
    /// `y = x ∗ weight + bias`, written inside `y`'s halo.
    pub(crate) fn convolve(
        self,
        isa: Isa,
        x: Input<'_>,
        weight: &[f32],
        bias: Option<&[f32]>,
        y: &mut [f32],
    ) {
        x.check(self.x);
        self.y.check(y);
        assert_eq!(weight.len(), self.stencil.taps() * self.x.c * self.y.c, "weights");
        assert!(bias.is_none_or(|b| b.len() == self.y.c), "a bias for each output channel");
        let panels = self.pack(isa, weight, bias);
        let y = Shared::new(y);
        each(self.x.n * self.rows.div_ceil(ROWS), |task| {
            isa.run(Convolve { job: self, task, x, panels: &panels, y });
        });
    }

    /// Of each 16 outputs the bias, `[16]`, and the weights, `[tap][input][16]`.
    fn pack(self, isa: Isa, weight: &[f32], bias: Option<&[f32]>) -> Buffer {
        let mut panels = Buffer::dirty(self.groups() * self.panel());
        let shared = Shared::new(&mut panels);
        each(self.groups(), |group| isa.run(Pack { job: self, group, weight, bias, panels: shared }));
        panels
    }

    /// Values of the inputs of a row of the grid.
    fn normed(self) -> usize {
        self.x.blocks() * self.stencil.in_step * self.x.w * BLOCK
    }

    /// Values of a group's bias and packed weights.
    fn panel(self) -> usize {
        (1 + self.stencil.taps() * self.x.c) * LANES
    }
}

/// The bias and the weights of a group.
struct Pack<'a> {
    job: Job,
    group: usize,
    weight: &'a [f32],
    bias: Option<&'a [f32]>,
    panels: Shared,
}

impl Kernel for Pack<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { job, group, weight, bias, panels } = self;
        let rows = LANES.min(job.y.c - group * LANES);
        // SAFETY: each group has its own part; the weights were counted.
        unsafe {
            let first = panels.part(group * job.panel(), LANES);
            first.fill(0.0);
            if let Some(bias) = bias {
                first[..rows].copy_from_slice(&bias[group * LANES..][..rows]);
            }
            let panel = panels.at(group * job.panel() + LANES);
            let weight = weight.as_ptr().add(group * LANES * job.strides.out);
            for (input, columns) in job.matrices() {
                let first = weight.add(input * job.strides.input);
                let of = Matrix { first, apart: job.strides.out, rows, columns };
                to_lanes(s, of, |column| panel.add(job.place(input, column, job.x.c) * LANES));
            }
        }
    }
}

/// Some rows of the grid, all channels.
struct Convolve<'a> {
    job: Job,
    task: usize,
    x: Input<'a>,
    panels: &'a [f32],
    y: Shared,
}

impl Kernel for Convolve<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let job = self.job;
        let tasks = job.rows.div_ceil(ROWS);
        let (n, first) = (self.task / tasks, self.task % tasks * ROWS);
        let mut normed = Buffer::dirty(if self.x.norm.is_some() { job.normed() } else { 0 });
        for row in first..job.rows.min(first + ROWS) {
            // SAFETY: the values were checked against their shape, and the buffer has room for the inputs of a row.
            let inputs = unsafe { self.inputs(s, n, row, &mut normed) };
            with_panels!(0..job.groups(), S, group, P => {
                for to in 0..job.stencil.to.len() {
                    // SAFETY: the arrays were checked against their shapes; rows of different tasks
                    // do not overlap.
                    unsafe { self.row::<S, P>(s, inputs, n, row, group, to) }
                }
            });
        }
    }
}

/// Where the inputs of a row of the grid lie, the values of a line of them, and those of a plane.
type Inputs = (*const f32, usize, usize);

impl Convolve<'_> {
    /// The inputs of a row of the grid, normalised into `normed` if that was left to us.
    ///
    /// # Safety
    /// The row must exist, and `normed` must have room for [`Job::normed`] values then.
    #[inline(always)]
    unsafe fn inputs<S: Simd>(&self, s: S, n: usize, row: usize, normed: &mut [f32]) -> Inputs {
        let job = self.job;
        let x = self.x.values.as_ptr().add(job.x.at(n, 0, row * job.stencil.in_step, 0));
        let Some(norm) = self.x.norm else { return (x, job.x.row(), job.x.plane()) };
        let (lines, line) = (job.stencil.in_step, job.x.w * BLOCK);
        for block in 0..job.x.blocks() {
            let lanes = norm.of(n * job.x.blocks() + block);
            let active = Active::new(s, lanes, lanes);
            for y in 0..lines {
                let from = x.add(block * job.x.plane() + y * job.x.row());
                let to = normed.as_mut_ptr().add((block * lines + y) * line);
                for at in (0..line / LANES * LANES).step_by(LANES) {
                    s.store(to.add(at), active.of(s, s.load(from.add(at))));
                }
                if job.x.w % 2 == 1 {
                    let at = line - BLOCK;
                    s.store_low(to.add(at), active.of(s, s.load2(from.add(at), from.add(at))));
                }
            }
        }
        (normed.as_ptr(), line, lines * line)
    }

    /// One row of the grid, `P` groups of outputs, one output place.
    ///
    /// # Safety
    /// All of them must exist, and no other task may write them.
    #[inline(always)]
    unsafe fn row<S: Simd, const P: usize>(
        &self,
        s: S,
        (x, line, plane): Inputs,
        n: usize,
        row: usize,
        group: usize,
        to: usize,
    ) {
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
                for (k, &(down, right)) in stencil.from.iter().enumerate() {
                    let a = x.add(down * line + right * BLOCK + pixel * in_step);
                    let tap = to * stencil.from.len() + k;
                    let panel = panel.add((1 + tap * inputs) * LANES);
                    gather(s, &mut acc, a, (in_step, plane), inputs, (panel, job.panel()));
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
