//! Filters to Winograd's domain and back.

use super::transforms::{both_ways, filter, filter_gradient};
use super::{PLACES, SKEW};
use crate::buffer::Buffer;
use crate::parallel::{Shared, each};
use crate::shape::BLOCK;
use crate::simd::{Isa, Kernel, LANES, Simd};
use crate::transpose::{Matrix, from_lanes, to_lanes};

/// Weights of a filter.
const TAPS: usize = 9;

/// Which filters are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Those of the convolution, `[c_out, c_in, 3, 3]`.
    Forward,
    /// Those that give the input's gradient: turned by 180°, outputs and inputs swapped.
    Backward,
}

/// Filters `[c_out, c_in, 3, 3]` seen as a map from `inputs` to `outputs` channels.
#[derive(Clone, Copy)]
pub(crate) struct Filters<'a> {
    weight: &'a [f32],
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    turn: Turn,
}

impl<'a> Filters<'a> {
    pub(crate) fn new(weight: &'a [f32], c_out: usize, c_in: usize, turn: Turn) -> Self {
        assert_eq!(weight.len(), c_out * c_in * 9, "weights of [{c_out}, {c_in}, 3, 3]");
        let (inputs, outputs) = if turn == Turn::Forward { (c_in, c_out) } else { (c_out, c_in) };
        Self { weight, inputs, outputs, turn }
    }

    /// Groups of 16 outputs.
    pub(crate) fn groups(self) -> usize {
        self.outputs.div_ceil(LANES)
    }

    /// All of them in Winograd's domain.
    pub(crate) fn transformed(self, isa: Isa) -> Buffer {
        let stride = place_len(self.inputs, self.groups());
        let mut u = Buffer::dirty(PLACES * stride);
        let shared = Shared::new(&mut u);
        each(self.groups(), |group| isa.run(Prepare { filters: self, group, stride, u: shared }));
        u
    }

    /// The nine taps each of inputs `first .. first + count` to the 16 outputs of a group: `[input][tap][16]`.
    ///
    /// # Safety
    /// The inputs and the group must exist, and `taps` have room.
    #[inline(always)]
    unsafe fn taps<S: Simd>(self, s: S, group: usize, (first, count): (usize, usize), taps: *mut f32) {
        let (inputs, outputs) = (self.inputs, self.outputs);
        let rows = LANES.min(outputs - group * LANES);
        match self.turn {
            Turn::Forward => {
                let first = self.weight.as_ptr().add((group * LANES * inputs + first) * TAPS);
                let of = Matrix { first, apart: inputs * TAPS, rows, columns: count * TAPS };
                to_lanes(s, of, |column| taps.add(column * LANES));
            }
            Turn::Backward => {
                for i in 0..count {
                    let first = self.weight.as_ptr().add(((first + i) * outputs + group * LANES) * TAPS);
                    let to = taps.add(i * TAPS * LANES);
                    to_lanes(s, Matrix { first, apart: TAPS, rows, columns: TAPS }, |tap| {
                        to.add(tap * LANES)
                    });
                }
            }
        }
    }
}

/// Values between two places of transformed filters of `groups` groups.
pub(super) fn place_len(inputs: usize, groups: usize) -> usize {
    groups * inputs * LANES + SKEW
}

/// Transforms one group's filters into an array of all.
struct Prepare<'a> {
    filters: Filters<'a>,
    group: usize,
    stride: usize,
    u: Shared,
}

impl Kernel for Prepare<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { filters, group, stride, u } = self;
        // SAFETY: each group has its own part of every place of the array.
        unsafe { transform(s, filters, group, u.at(group * filters.inputs * LANES), stride) }
    }
}

/// Transforms one group's filters to `u + place · stride`, `[inputs][16]` each.
///
/// # Safety
/// `36 · stride` values must be writable at `u`.
#[inline(always)]
pub(super) unsafe fn transform<S: Simd>(
    s: S,
    filters: Filters<'_>,
    group: usize,
    u: *mut f32,
    stride: usize,
) {
    let order: [usize; TAPS] =
        std::array::from_fn(|tap| if filters.turn == Turn::Forward { tap } else { TAPS - 1 - tap });
    let mut lanes = [[[0.0; LANES]; TAPS]; BLOCK];
    for first in (0..filters.inputs).step_by(BLOCK) {
        let count = BLOCK.min(filters.inputs - first);
        filters.taps(s, group, (first, count), lanes.as_mut_ptr().cast());
        for (i, taps) in (first..).zip(&lanes[..count]) {
            both_ways!(
                s,
                filter: 3 => 6,
                |y, x| s.lanes(&taps[order[y * 3 + x]]),
                |y, x, point| s.store(u.add((y * 6 + x) * stride + i * LANES), point)
            );
        }
    }
}

/// Brings the gradients of one group's filters back, `[c_in / 8][36][8][16]`, to `[rows][c_in][9]`.
///
/// # Safety
/// `sums` must have so many values; `dw` must be writable and no other task's.
#[inline(always)]
pub(super) unsafe fn transform_back<S: Simd>(
    s: S,
    sums: *const f32,
    (rows, c_in): (usize, usize),
    dw: *mut f32,
) {
    let mut lanes = [[[0.0; LANES]; TAPS]; BLOCK];
    for first in (0..c_in).step_by(BLOCK) {
        let count = BLOCK.min(c_in - first);
        let block = sums.add(first * PLACES * LANES);
        for (i, taps) in lanes[..count].iter_mut().enumerate() {
            both_ways!(
                s,
                filter_gradient: 6 => 3,
                |y, x| s.load(block.add(((y * 6 + x) * BLOCK + i) * LANES)),
                |y, x, value| s.store(taps[y * 3 + x].as_mut_ptr(), value)
            );
        }
        let of = Matrix { first: dw.add(first * TAPS), apart: c_in * TAPS, rows, columns: count * TAPS };
        let lanes = lanes.as_ptr().cast::<f32>();
        from_lanes(s, |column| lanes.add(column * LANES), of);
    }
}
