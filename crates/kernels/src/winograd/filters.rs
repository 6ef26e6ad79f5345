//! Filters to Winograd's domain and back.

use super::transforms::{both_ways, filter, filter_gradient};
use super::{PLACES, SKEW};
use crate::buffer::Buffer;
use crate::parallel::{Shared, each};
use crate::simd::{Isa, Kernel, LANES, Simd};

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

    /// The nine taps of input `i` to the 16 outputs of a group.
    #[inline(always)]
    pub(crate) fn taps(self, group: usize, i: usize) -> [[f32; LANES]; 9] {
        let mut taps = [[0.0; LANES]; 9];
        let first = group * LANES;
        for lane in 0..LANES.min(self.outputs - first) {
            let o = first + lane;
            let start = match self.turn {
                Turn::Forward => o * self.inputs + i,
                Turn::Backward => i * self.outputs + o,
            } * 9;
            let filter: &[f32; 9] = self.weight[start..start + 9].try_into().expect("nine");
            for (k, tap) in taps.iter_mut().enumerate() {
                tap[lane] = if self.turn == Turn::Forward { filter[k] } else { filter[8 - k] };
            }
        }
        taps
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
    for i in 0..filters.inputs {
        let taps = filters.taps(group, i);
        both_ways!(
            s,
            filter: 3 => 6,
            |y, x| s.lanes(&taps[y * 3 + x]),
            |y, x, point| s.store(u.add((y * 6 + x) * stride + i * LANES), point)
        );
    }
}

/// Brings the gradient of one input's 16 filters back: `[36]` values `stride` apart to `[9][16]`.
///
/// # Safety
/// `35 · stride + 16` values must be readable at `du`.
#[inline(always)]
pub(super) unsafe fn transform_back<S: Simd>(s: S, du: *const f32, stride: usize) -> [[f32; LANES]; 9] {
    let mut taps = [[0.0; LANES]; 9];
    both_ways!(
        s,
        filter_gradient: 6 => 3,
        |y, x| s.load(du.add((y * 6 + x) * stride)),
        |y, x, value| taps[y * 3 + x] = s.to_array(value)
    );
    taps
}
