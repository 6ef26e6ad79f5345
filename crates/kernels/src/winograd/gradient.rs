//! The gradient of the filters.
//!
//! `∂g = Gᵀ [ Σ_tiles (Bᵀ d B) ⊙ (A y Aᵀ) ] G`. The sum over tiles is split into a fixed number of
//! parts where there are many tiles, else the work is split by output channels; the parts are added in
//! the order of their index.

use super::filters::transform_back;
use super::tiles::{Grid, MOST, input_place_len, transform_gradient, transform_input};
use super::{PLACES, SKEW};
use crate::buffer::Buffer;
use crate::cache;
use crate::gemm::{Packed, add_parts, outer, with_panels};
use crate::parallel::{Shared, each, part};
use crate::shape::{BLOCK, Blocked};
use crate::simd::{Isa, Kernel, LANES, Simd};

/// Most parts of the sum over tiles.
const PARTS: usize = 8;
/// Bytes that all parts together should not exceed.
const PARTS_BYTES: usize = 8 << 20;
/// Bytes that the transformed tiles of a task may have even where the core's own cache is smaller.
const CACHE: usize = 512 << 10;

/// `[c_out, c_in, 3, 3]` from the input `x` and the output's gradient `dy`.
pub(crate) fn weight_gradient(isa: Isa, shape: Blocked, x: &[f32], c_out: usize, dy: &[f32], dw: &mut [f32]) {
    let out = shape.with_channels(c_out);
    shape.check(x);
    out.check(dy);
    assert_eq!(dw.len(), c_out * shape.c * 9, "weights of [{c_out}, {}, 3, 3]", shape.c);
    let groups = c_out.div_ceil(LANES);
    // Sums are [group][channel block][36][8][16].
    let group_len = shape.blocks() * PLACES * BLOCK * LANES;
    let job = Job { shape, out, grid: Grid::new(shape), x, dy, groups, group_len };
    let tiles = job.grid.tiles();
    let parts = if tiles <= MOST {
        1
    } else {
        (PARTS_BYTES / (groups * group_len * size_of::<f32>())).clamp(1, PARTS).min(tiles.div_ceil(MOST))
    };
    let mut sums = Buffer::dirty(parts * groups * group_len);
    let shared = Shared::new(&mut sums);
    if parts == 1 {
        for first in (0..tiles).step_by(MOST) {
            job.by_channels(isa, first, MOST.min(tiles - first), shared);
        }
    } else {
        each(parts, |i| {
            let range = part(tiles, parts, i);
            isa.run(Part {
                job,
                first: range.start,
                end: range.end,
                sums: shared,
                offset: i * groups * group_len,
            });
        });
    }
    let dw = Shared::new(dw);
    each(groups, |group| isa.run(Finish { job, parts, group, sums: shared, dw }));
}

/// One gradient.
#[derive(Clone, Copy)]
struct Job<'a> {
    shape: Blocked,
    out: Blocked,
    grid: Grid,
    x: &'a [f32],
    dy: &'a [f32],
    groups: usize,
    group_len: usize,
}

impl Job<'_> {
    /// Adds the products of tiles `first .. first + count` for `P` groups of outputs; the first tiles overwrite the
    /// sums. There is room for the gradients' transforms in `z`.
    ///
    /// # Safety
    /// `v` must be the transforms of these tiles, `z` have room for those of `P` groups, `sums` be those of the groups
    /// from `group` on.
    #[inline(always)]
    unsafe fn add<S: Simd, const P: usize>(
        self,
        s: S,
        (first, count): (usize, usize),
        group: usize,
        (v, v_stride): (*const f32, usize),
        (z, z_stride): (*mut f32, usize),
        (sums, fresh): (*mut f32, bool),
    ) {
        let even = count.next_multiple_of(2);
        let zs: [*mut f32; P] = std::array::from_fn(|p| z.add(p * PLACES * z_stride));
        for (p, z) in zs.into_iter().enumerate() {
            // The gradient has other channels than the input, hence another image length.
            let places = Grid::new(self.out).places(first, count);
            transform_gradient(s, self.out, self.dy.as_ptr(), group + p, places, z, z_stride);
        }
        for block in 0..self.shape.blocks() {
            for place in 0..PLACES {
                let v = v.add(place * v_stride + block * even * BLOCK);
                let to = std::array::from_fn(|p| {
                    sums.add(p * self.group_len + (block * PLACES + place) * BLOCK * LANES)
                });
                let gradients = zs.map(|z| Packed(z.add(place * z_stride)));
                outer(s, (to, fresh), (v, BLOCK), gradients, count);
            }
        }
    }

    /// [`add`](Self::add) for `groups`, as many at a time as there are registers for.
    ///
    /// # Safety
    /// As there; `z` must have room for the transforms of as many groups.
    #[inline(always)]
    unsafe fn add_all<S: Simd>(
        self,
        s: S,
        tiles: (usize, usize),
        groups: std::ops::Range<usize>,
        v: (*const f32, usize),
        z: (*mut f32, usize),
        (sums, fresh): (*mut f32, bool),
    ) {
        with_panels!(groups, S, group, P => {
            self.add::<S, P>(s, tiles, group, v, z, (sums.add(group * self.group_len), fresh));
        });
    }

    /// Adds the products of a few tiles; tasks are first channel blocks, then two groups of outputs each.
    fn by_channels(self, isa: Isa, first: usize, count: usize, sums: Shared) {
        let blocks = self.shape.blocks();
        let stride = input_place_len(blocks, count.next_multiple_of(2));
        let mut v = Buffer::dirty(PLACES * stride);
        let shared = Shared::new(&mut v);
        each(blocks, |block| isa.run(Input { job: self, block, first, count, stride, v: shared }));
        let v = &v[..];
        each(self.groups.div_ceil(2), |pair| {
            isa.run(Outputs { job: self, pair, first, count, v, stride, sums });
        });
    }
}

/// All channels of a part of the tiles.
struct Part<'a> {
    job: Job<'a>,
    first: usize,
    end: usize,
    sums: Shared,
    offset: usize,
}

impl Kernel for Part<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { job, first, end, sums, offset } = self;
        let blocks = job.shape.blocks();
        let per_tile = PLACES * size_of::<f32>() * (blocks * BLOCK + LANES);
        let at_once = (cache::own(CACHE) / per_tile / 4 * 4).clamp(16, MOST);
        let (v_stride, z_stride) = (input_place_len(blocks, at_once), at_once * LANES + SKEW);
        let mut v = Buffer::dirty(PLACES * v_stride);
        let mut z = Buffer::dirty(S::PANELS * PLACES * z_stride);
        for at in (first..end).step_by(at_once) {
            let (fresh, first) = (at == first, at);
            let count = at_once.min(end - first);
            let places = job.grid.places(first, count);
            let even = count.next_multiple_of(2);
            // SAFETY: `x` and `dy` were checked against their shapes, the buffers have the lengths that
            // the strides imply, and each part has its own sums.
            unsafe {
                for block in 0..blocks {
                    let to = v.as_mut_ptr().add(block * even * BLOCK);
                    transform_input(s, job.shape, job.x.into(), block, places.clone(), to, v_stride);
                }
                let (v, z) = ((v.as_ptr(), v_stride), (z.as_mut_ptr(), z_stride));
                job.add_all(s, (first, count), 0..job.groups, v, z, (sums.at(offset), fresh));
            }
        }
    }
}

/// Transforms the tiles of one channel block of the input.
struct Input<'a> {
    job: Job<'a>,
    block: usize,
    first: usize,
    count: usize,
    stride: usize,
    v: Shared,
}

impl Kernel for Input<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { job, block, first, count, stride, v } = self;
        let places = job.grid.places(first, count);
        // SAFETY: `x` was checked against its shape; each block has its own part of every place.
        unsafe {
            let to = v.at(block * count.next_multiple_of(2) * BLOCK);
            transform_input(s, job.shape, job.x.into(), block, places, to, stride);
        }
    }
}

/// Two groups of outputs of a few tiles, the second absent when it is beyond the last.
struct Outputs<'a> {
    job: Job<'a>,
    pair: usize,
    first: usize,
    count: usize,
    v: &'a [f32],
    stride: usize,
    sums: Shared,
}

impl Kernel for Outputs<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { job, pair, first, count, v, stride, sums } = self;
        let z_stride = count * LANES + SKEW;
        let mut z = Buffer::dirty(S::PANELS * PLACES * z_stride);
        let groups = 2 * pair..job.groups.min(2 * pair + 2);
        // SAFETY: `dy` was checked against its shape, the buffers have the lengths that the strides
        // imply, and each group has its own sums.
        unsafe {
            let (v, z) = ((v.as_ptr(), stride), (z.as_mut_ptr(), z_stride));
            job.add_all(s, (first, count), groups, v, z, (sums.at(0), first == 0));
        }
    }
}

/// Adds the parts of one group of outputs and brings them back from Winograd's domain.
struct Finish<'a> {
    job: Job<'a>,
    parts: usize,
    group: usize,
    sums: Shared,
    dw: Shared,
}

impl Kernel for Finish<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { job, parts, group, sums, dw } = self;
        let (c_in, c_out) = (job.shape.c, job.out.c);
        let lanes = LANES.min(c_out - group * LANES);
        // SAFETY: each group has its own sums and its own outputs' weights.
        unsafe {
            let total = sums.at(group * job.group_len);
            add_parts(s, total, job.group_len, (parts, job.groups * job.group_len));
            transform_back(s, total, (lanes, c_in), dw.at(group * LANES * c_in * 9));
        }
    }
}
