//! Filters to Winograd's domain and back.

use super::SKEW;
use super::transforms::{filter, filter_gradient};
use crate::simd::{LANES, Simd};

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
        let mut half = [[s.zero(); 3]; 6];
        for x in 0..3 {
            let column = [s.lanes(&taps[x]), s.lanes(&taps[3 + x]), s.lanes(&taps[6 + x])];
            let points = filter(s, column);
            for y in 0..6 {
                half[y][x] = points[y];
            }
        }
        for (y, row) in half.into_iter().enumerate() {
            let points = filter(s, row);
            for (x, &point) in points.iter().enumerate() {
                s.store(u.add((y * 6 + x) * stride + i * LANES), point);
            }
        }
    }
}

/// Brings the gradient of one input's 16 filters back: `[36]` values `stride` apart to `[9][16]`.
///
/// # Safety
/// `35 · stride + 16` values must be readable at `du`.
#[inline(always)]
pub(super) unsafe fn transform_back<S: Simd>(s: S, du: *const f32, stride: usize) -> [[f32; LANES]; 9] {
    let mut half = [[s.zero(); 6]; 3];
    for x in 0..6 {
        let mut column = [s.zero(); 6];
        for (y, value) in column.iter_mut().enumerate() {
            *value = s.load(du.add((y * 6 + x) * stride));
        }
        let taps = filter_gradient(s, column);
        for y in 0..3 {
            half[y][x] = taps[y];
        }
    }
    let mut taps = [[0.0; LANES]; 9];
    for (y, row) in half.into_iter().enumerate() {
        let values = filter_gradient(s, row);
        for (x, &value) in values.iter().enumerate() {
            taps[y * 3 + x] = s.to_array(value);
        }
    }
    taps
}
