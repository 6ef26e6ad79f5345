//! Between `[n, c, h, w]` and the blocked layout.

use crate::parallel::{Shared, each};
use crate::shape::{BLOCK, Blocked};
use crate::simd::{Isa, Kernel, LANES, Simd};

/// `[n, c, h, w]` to the blocked layout, halo and missing channels zero.
///
/// # Panics
/// If the lengths are not those of the shape.
pub fn to_blocked(isa: Isa, shape: Blocked, nchw: &[f32], blocked: &mut [f32]) {
    assert_eq!(nchw.len(), shape.n * shape.c * shape.h * shape.w, "values of [n, c, h, w]");
    shape.check(blocked);
    let blocked = Shared::new(blocked);
    each(shape.n * shape.blocks(), |plane| isa.run(ToBlocked { shape, plane, nchw, blocked }));
}

/// The blocked layout to `[n, c, h, w]`.
///
/// # Panics
/// If the lengths are not those of the shape.
pub fn to_nchw(isa: Isa, shape: Blocked, blocked: &[f32], nchw: &mut [f32]) {
    assert_eq!(nchw.len(), shape.n * shape.c * shape.h * shape.w, "values of [n, c, h, w]");
    shape.check(blocked);
    let nchw = Shared::new(nchw);
    each(shape.n * shape.blocks(), |plane| isa.run(ToNchw { shape, plane, blocked, nchw }));
}

/// Channels of a plane that exist, and where the first of them begins in `[n, c, h, w]`.
fn channels(shape: Blocked, plane: usize) -> (usize, usize) {
    let (image, first) = (plane / shape.blocks(), plane % shape.blocks() * BLOCK);
    (BLOCK.min(shape.c - first), (image * shape.c + first) * shape.h * shape.w)
}

/// Where 16 pixels at a time of a row begin; the last 16 overlap those before if the width is no multiple of 16.
#[inline(always)]
fn runs(width: usize) -> impl Iterator<Item = usize> {
    let all = if width < LANES { 0 } else { width };
    (0..all).step_by(LANES).map(move |x| x.min(width - LANES))
}

/// Pixels that do not exist.
static NOTHING: [f32; LANES] = [0.0; LANES];

/// A plane to the blocked layout.
struct ToBlocked<'a> {
    shape: Blocked,
    plane: usize,
    nchw: &'a [f32],
    blocked: Shared,
}

impl Kernel for ToBlocked<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { shape, plane, nchw, blocked } = self;
        let (channels, start) = channels(shape, plane);
        // SAFETY: each task has a plane of its own, and reads rows of channels that exist.
        unsafe {
            let plane = blocked.part(plane * shape.plane(), shape.plane());
            shape.clear_plane_halo(plane);
            for y in 0..shape.h {
                let from = nchw.as_ptr().add(start + y * shape.w);
                let from: [(*const f32, usize); BLOCK] = std::array::from_fn(|channel| {
                    if channel < channels {
                        (from.add(channel * shape.h * shape.w), 1)
                    } else {
                        (NOTHING.as_ptr(), 0)
                    }
                });
                let row = plane.as_mut_ptr().add((y + 1) * shape.row() + BLOCK);
                for x in runs(shape.w) {
                    let mut square = [s.zero(); BLOCK];
                    for (lanes, (from, step)) in square.iter_mut().zip(&from) {
                        *lanes = s.load(from.add(x * step));
                    }
                    let square = s.turn(square, 3);
                    for (i, &pixels) in square.iter().enumerate() {
                        let to = row.add((x + i) * BLOCK);
                        s.store2(to, to.add(BLOCK * BLOCK), pixels);
                    }
                }
                if shape.w < LANES {
                    for (x, i) in (0..shape.w).flat_map(|x| (0..BLOCK).map(move |i| (x, i))) {
                        *row.add(x * BLOCK + i) = *from[i].0.add(x * from[i].1);
                    }
                }
            }
        }
    }
}

/// A plane from the blocked layout.
struct ToNchw<'a> {
    shape: Blocked,
    plane: usize,
    blocked: &'a [f32],
    nchw: Shared,
}

impl Kernel for ToNchw<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { shape, plane, blocked, nchw } = self;
        let (channels, start) = channels(shape, plane);
        // SAFETY: each task has channels of its own.
        unsafe {
            let plane = blocked.as_ptr().add(plane * shape.plane());
            for y in 0..shape.h {
                let row = plane.add((y + 1) * shape.row() + BLOCK);
                let to = nchw.at(start + y * shape.w);
                for x in runs(shape.w) {
                    let mut square = [s.zero(); BLOCK];
                    for (i, pixels) in square.iter_mut().enumerate() {
                        let from = row.add((x + i) * BLOCK);
                        *pixels = s.load2(from, from.add(BLOCK * BLOCK));
                    }
                    let square = s.turn(square, 3);
                    for (channel, &lanes) in square[..channels].iter().enumerate() {
                        s.store(to.add(channel * shape.h * shape.w + x), lanes);
                    }
                }
                if shape.w < LANES {
                    for (channel, x) in (0..channels).flat_map(|c| (0..shape.w).map(move |x| (c, x))) {
                        *to.add(channel * shape.h * shape.w + x) = *row.add(x * BLOCK + channel);
                    }
                }
            }
        }
    }
}
