//! The convolution itself, which with turned filters is also the gradient of its input.

use std::ops::Range;

use super::filters::{Filters, place_len, transform};
use super::tiles::{EDGE, Grid, MOST, Place, Places, input_place_len, transform_input};
use super::transforms::{both_ways, output};
use super::{PLACES, SKEW};
use crate::buffer::Buffer;
use crate::cache;
use crate::gemm::{gather, next_rows, with_panels, with_rows};
use crate::input::Input;
use crate::norm::{ChannelMoments, Measuring, Stretch};
use crate::parallel::{Shared, each};
use crate::shape::{BLOCK, Blocked};
use crate::simd::{Isa, Kernel, LANES, Simd};

/// Bytes that the transformed tiles of a task may have even where the core's own cache is smaller.
const CACHE: usize = 640 << 10;

/// Up to this many tiles the tasks are groups of output channels, each of which transforms its own
/// filters; beyond, tasks are tiles and share the transformed filters.
const FEW: usize = MOST;

/// `y = x ∗ filters + bias`, written inside `y`'s halo; `ready` are the filters transformed before, if they were.
///
/// With `measure` a task that has written some pixels of some channels looks at them while they lie in a cache, and their
/// moments are returned; none for few tiles, whose planes lie there anyway.
pub(crate) fn convolve(
    isa: Isa,
    shape: Blocked,
    x: Input<'_>,
    (filters, ready): (Filters<'_>, Option<&[f32]>),
    bias: Option<&[f32]>,
    y: &mut [f32],
    measure: bool,
) -> Option<ChannelMoments> {
    let out = shape.with_channels(filters.outputs);
    x.check(shape);
    out.check(y);
    assert_eq!(shape.c, filters.inputs, "channels that the filters read");
    assert!(bias.is_none_or(|b| b.len() == filters.outputs), "a bias for each output channel");
    let len = PLACES * place_len(filters.inputs, filters.groups());
    assert!(ready.is_none_or(|u| u.len() == len), "transforms of the filters");
    let job = Job { shape, out, grid: Grid::new(shape), x, filters, ready, bias, y: Shared::new(y) };
    if job.grid.tiles() <= FEW {
        job.by_channels(isa);
        return None;
    }
    job.by_tiles(isa, measure)
}

/// One convolution.
#[derive(Clone, Copy)]
struct Job<'a> {
    shape: Blocked,
    out: Blocked,
    grid: Grid,
    x: Input<'a>,
    filters: Filters<'a>,
    ready: Option<&'a [f32]>,
    bias: Option<&'a [f32]>,
    y: Shared,
}

impl Job<'_> {
    /// Tasks are runs of tiles.
    fn by_tiles(self, isa: Isa, measure: bool) -> Option<ChannelMoments> {
        let (blocks, groups) = (self.shape.blocks(), self.filters.groups());
        let stride = place_len(self.filters.inputs, groups);
        let made = if self.ready.is_none() { Some(self.filters.transformed(isa)) } else { None };
        let u = self.ready.or(made.as_deref()).expect("one of the two");
        let per_tile = PLACES * size_of::<f32>() * (blocks * BLOCK + LANES * groups);
        let at_once = (cache::own(CACHE) / per_tile / 12 * 12).clamp(12, 48);
        let runs: Vec<Range<usize>> = (0..self.grid.tiles())
            .step_by(at_once)
            .map(|first| first..self.grid.tiles().min(first + at_once))
            .collect();
        // What is measured of the runs: each is a stretch, or several where it goes beyond an image.
        let (mut stretches, mut before) = (Vec::new(), vec![0]);
        for run in &runs {
            stretches.extend(measure.then(|| self.grid.by_image(run.clone())).into_iter().flatten());
            before.push(stretches.len());
        }
        let mut found = vec![Stretch::default(); stretches.len() * self.out.blocks()];
        let slots = Shared::new(&mut found);
        each(runs.len(), |task| {
            let Range { start: first, end } = runs[task];
            let own = before[task]..before[task + 1];
            let measuring = (&stretches[own.clone()], own.start * self.out.blocks(), slots);
            isa.run(Tiles { job: self, first, count: end - first, u, stride, measuring });
        });
        let images = stretches.iter().map(|stretch| self.grid.image(stretch.start));
        measure.then(|| ChannelMoments::of_stretches(self.out, &found, images))
    }

    /// Measures what was written of `P` groups of output channels in some stretches, whose slots `[stretch][block]` begin at
    /// `slot`.
    ///
    /// # Safety
    /// The task must have written these channels of these tiles; no other one has the slots.
    #[inline(always)]
    unsafe fn measure<S: Simd, const P: usize>(
        self,
        s: S,
        group: usize,
        (stretches, slot, found): (&[Range<usize>], usize, Shared<Stretch>),
    ) {
        let blocks = self.out.blocks();
        for (i, stretch) in stretches.iter().enumerate() {
            for block in 2 * group..blocks.min(2 * (group + P)) {
                let places = Grid::new(self.out).places(stretch.start, stretch.len());
                let at = |place: Place| self.y.at(place.start + block * self.out.plane()).cast_const();
                let mut measuring = Measuring::new(s, at(places.clone().next().expect("a tile")));
                for place in places {
                    let (rows, columns) = (EDGE.min(self.out.h - place.y), EDGE.min(self.out.w - place.x));
                    for row in 0..rows {
                        measuring.add(s, at(place).add(row * self.out.row()), columns);
                    }
                }
                *found.at(slot + i * blocks + block) = measuring.finish(s);
            }
        }
    }

    /// Tasks are two groups of 16 output channels each.
    fn by_channels(self, isa: Isa) {
        let (blocks, count) = (self.shape.blocks(), self.grid.tiles());
        let stride = input_place_len(blocks, count.next_multiple_of(2));
        let mut v = Buffer::dirty(PLACES * stride);
        let shared = Shared::new(&mut v);
        each(blocks, |block| isa.run(Transform { job: self, block, stride, v: shared }));
        let v = &v[..];
        each(self.filters.groups().div_ceil(2), |pair| isa.run(Channels { job: self, pair, v, stride }));
    }

    /// `P` groups of output channels of all tiles.
    ///
    /// # Safety
    /// `v` must be the transforms of all tiles with the given stride; no other task writes these groups.
    #[inline(always)]
    unsafe fn channels<S: Simd, const P: usize>(self, s: S, group: usize, v: &[f32], stride: usize) {
        let count = self.grid.tiles();
        let (panel, m_stride) = (self.filters.inputs * LANES, count * LANES + SKEW);
        let mut m = Buffer::dirty(P * PLACES * m_stride);
        let mut own;
        let u = if let Some(u) = self.ready {
            (u.as_ptr().add(group * panel), place_len(self.filters.inputs, self.filters.groups()))
        } else {
            let place = P * panel + SKEW;
            own = Buffer::dirty(PLACES * place);
            for p in 0..P {
                transform(s, self.filters, group + p, own.as_mut_ptr().add(p * panel), place);
            }
            (own.as_ptr(), place)
        };
        self.products::<S, P>(s, count, (v.as_ptr(), stride), u, (m.as_mut_ptr(), m_stride));
        let places = Grid::new(self.out).places(0, count);
        self.finish_all::<S, P>(s, group, &places, m.as_ptr(), m_stride);
    }

    /// [`finish`](Self::finish) for `P` groups.
    ///
    /// # Safety
    /// As there, of the products of all of them.
    #[inline(always)]
    unsafe fn finish_all<S: Simd, const P: usize>(
        self,
        s: S,
        group: usize,
        places: &Places,
        m: *const f32,
        m_stride: usize,
    ) {
        for p in 0..P {
            self.finish(s, group + p, places.clone(), m.add(p * PLACES * m_stride), m_stride);
        }
    }

    /// Multiplies the tiles' transforms by the filters of `P` groups, for all 36 places: `m` is
    /// `[P][36][tile][16]`.
    ///
    /// # Safety
    /// `v` and `u` must be transforms of this job with the given strides; `m` must have room.
    #[inline(always)]
    unsafe fn products<S: Simd, const P: usize>(
        self,
        s: S,
        count: usize,
        (v, v_stride): (*const f32, usize),
        (u, u_stride): (*const f32, usize),
        (m, m_stride): (*mut f32, usize),
    ) {
        let block = count.next_multiple_of(2) * BLOCK;
        let inputs = self.filters.inputs;
        let panel = inputs * LANES;
        for place in 0..PLACES {
            let (v, u, m) = (v.add(place * v_stride), u.add(place * u_stride), m.add(place * m_stride));
            let mut t = 0;
            while t < count {
                let rows = next_rows(count - t, S::ROWS);
                with_rows!(rows, S, R => {
                    let mut acc = [[s.zero(); R]; P];
                    gather(s, &mut acc, v.add(t * BLOCK), (BLOCK, block), inputs, (u, panel));
                    for (p, sums) in acc.iter().enumerate() {
                        let m = m.add(p * PLACES * m_stride);
                        for (r, &sum) in sums.iter().enumerate() {
                            s.store(m.add((t + r) * LANES), sum);
                        }
                    }
                });
                t += rows;
            }
        }
    }

    /// `Aᵀ m A` plus bias to the output's places.
    ///
    /// # Safety
    /// `m` must be the products of this group and these tiles; no other task writes them.
    #[inline(always)]
    unsafe fn finish<S: Simd>(self, s: S, group: usize, places: Places, m: *const f32, m_stride: usize) {
        let mut bias = [0.0; LANES];
        if let Some(all) = self.bias {
            let first = group * LANES;
            let lanes = LANES.min(all.len() - first);
            bias[..lanes].copy_from_slice(&all[first..first + lanes]);
        }
        let bias = s.lanes(&bias);
        let plane = self.out.plane();
        let has_high = 2 * group + 1 < self.out.blocks();
        for (t, place) in places.enumerate() {
            let m = m.add(t * LANES);
            let low = self.y.at(place.start + 2 * group * plane);
            let (rows, columns) = (EDGE.min(self.out.h - place.y), EDGE.min(self.out.w - place.x));
            both_ways!(
                s,
                output: 6 => 4,
                |y, x| s.load(m.add((y * 6 + x) * m_stride)),
                |y, x, value| if y < rows && x < columns {
                    let to = low.add(y * self.out.row() + x * BLOCK);
                    let value = s.add(value, bias);
                    if has_high {
                        s.store2(to, to.add(plane), value);
                    } else {
                        s.store_low(to, value);
                    }
                }
            );
        }
    }
}

/// All channels of a run of tiles.
struct Tiles<'a> {
    job: Job<'a>,
    first: usize,
    count: usize,
    u: &'a [f32],
    stride: usize,
    /// Stretches to be measured, where their slots begin, and all slots.
    measuring: (&'a [Range<usize>], usize, Shared<Stretch>),
}

impl Kernel for Tiles<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { job, first, count, u, stride, measuring } = self;
        let blocks = job.shape.blocks();
        let even = count.next_multiple_of(2);
        let (v_stride, m_stride) = (input_place_len(blocks, even), count * LANES + SKEW);
        let mut v = Buffer::dirty(PLACES * v_stride);
        let mut m = Buffer::dirty(S::PANELS * PLACES * m_stride);
        let places = job.grid.places(first, count);
        // SAFETY: `x` and `y` were checked against their shapes; the buffers have the lengths that the
        // strides imply; tiles of different tasks do not overlap.
        unsafe {
            for block in 0..blocks {
                let to = v.as_mut_ptr().add(block * even * BLOCK);
                transform_input(s, job.shape, job.x, block, places.clone(), to, v_stride);
            }
            // The output has other channels than the input, hence another image length.
            let places = Grid::new(job.out).places(first, count);
            with_panels!(0..job.filters.groups(), S, group, P => {
                let u = (u.as_ptr().add(group * job.filters.inputs * LANES), stride);
                job.products::<S, P>(s, count, (v.as_ptr(), v_stride), u, (m.as_mut_ptr(), m_stride));
                job.finish_all::<S, P>(s, group, &places, m.as_ptr(), m_stride);
                job.measure::<S, P>(s, group, measuring);
            });
        }
    }
}

/// Transforms all tiles of one channel block.
struct Transform<'a> {
    job: Job<'a>,
    block: usize,
    stride: usize,
    v: Shared,
}

impl Kernel for Transform<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { job, block, stride, v } = self;
        let count = job.grid.tiles();
        let places = job.grid.places(0, count);
        // SAFETY: `x` was checked against its shape; each block has its own part of every place.
        unsafe {
            let to = v.at(block * count.next_multiple_of(2) * BLOCK);
            transform_input(s, job.shape, job.x, block, places, to, stride);
        }
    }
}

/// Two groups of output channels of all tiles, the second absent when it is beyond the last.
struct Channels<'a> {
    job: Job<'a>,
    pair: usize,
    v: &'a [f32],
    stride: usize,
}

impl Kernel for Channels<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { job, pair, v, stride } = self;
        let groups = 2 * pair..job.filters.groups().min(2 * pair + 2);
        // SAFETY: each task has its own groups of output channels.
        with_panels!(groups, S, group, P => unsafe { job.channels::<S, P>(s, group, v, stride) });
    }
}
