//! Which tiles there are, and their way to Winograd's domain.

use super::SKEW;
use super::transforms::{gradient, input};
use crate::shape::{BLOCK, Blocked};
use crate::simd::Simd;

/// Outputs along a tile's edge.
pub(super) const EDGE: usize = 4;
/// Inputs along a tile's edge.
const REACH: usize = 6;

/// The tiles that cover the planes of a batch.
#[derive(Clone, Copy)]
pub(super) struct Grid {
    shape: Blocked,
    rows: usize,
    columns: usize,
}

impl Grid {
    pub(super) fn new(shape: Blocked) -> Self {
        Self { shape, rows: shape.h.div_ceil(EDGE), columns: shape.w.div_ceil(EDGE) }
    }

    /// Tiles of all images.
    pub(super) fn tiles(self) -> usize {
        self.shape.n * self.rows * self.columns
    }

    /// Where tiles `first .. first + count` lie; at most [`MOST`].
    #[inline(always)]
    pub(super) fn places(self, first: usize, count: usize) -> Places {
        let mut places = Places { list: [Place::default(); MOST], count };
        let (shape, per_image) = (self.shape, self.rows * self.columns);
        let (mut n, in_image) = (first / per_image, first % per_image);
        let (mut y, mut x) = (in_image / self.columns * EDGE, in_image % self.columns * EDGE);
        for place in &mut places.list[..count] {
            let whole = y + EDGE <= shape.h && x + EDGE <= shape.w;
            *place = Place { start: shape.at(n, 0, y, x), y, x, whole };
            x += EDGE;
            if x >= shape.w {
                (x, y) = (0, y + EDGE);
            }
            if y >= shape.h {
                (y, n) = (0, n + 1);
            }
        }
        places
    }
}

/// Most tiles that are transformed at a time.
pub(super) const MOST: usize = 64;

/// Where a tile lies.
#[derive(Clone, Copy, Default)]
pub(super) struct Place {
    /// Offset of its first output in the first channel block.
    pub(super) start: usize,
    pub(super) y: usize,
    pub(super) x: usize,
    /// Whether all 4×4 outputs exist.
    pub(super) whole: bool,
}

/// Where some tiles lie.
pub(super) struct Places {
    list: [Place; MOST],
    count: usize,
}

impl std::ops::Deref for Places {
    type Target = [Place];

    #[inline(always)]
    fn deref(&self) -> &[Place] {
        &self.list[..self.count]
    }
}

/// Values between two places of `V` for `blocks` channel blocks and `tiles` tiles.
pub(super) fn input_place_len(blocks: usize, tiles: usize) -> usize {
    blocks * tiles * BLOCK + SKEW
}

/// The values of `E × E` pixels of eight channels of two tiles, where to read them.
struct Pair {
    low: *const f32,
    high: *const f32,
    row: usize,
}

/// Room for two tiles that stick out of the plane.
type Patches = [[f32; REACH * REACH * BLOCK]; 2];

/// Finds two tiles of `E × E` pixels that begin at `offset` pixels from the first output; a tile that
/// sticks out is copied, with zeros, and so is then its neighbour.
///
/// # Safety
/// `x` must hold the values of `shape`, to which the places belong.
#[inline(always)]
unsafe fn find<const E: usize>(
    shape: Blocked,
    x: *const f32,
    block: usize,
    places: [Place; 2],
    frame: usize,
    patches: &mut Patches,
) -> Pair {
    let origin = x.add(block * shape.plane()).sub(frame * (shape.row() + BLOCK));
    if places[0].whole && places[1].whole {
        return Pair {
            low: origin.add(places[0].start),
            high: origin.add(places[1].start),
            row: shape.row(),
        };
    }
    for (patch, place) in patches.iter_mut().zip(places) {
        patch.fill(0.0);
        let rows = E.min(shape.h + 2 * frame - place.y);
        let columns = E.min(shape.w + 2 * frame - place.x);
        for r in 0..rows {
            let from = origin.add(place.start + r * shape.row());
            std::ptr::copy_nonoverlapping(from, patch.as_mut_ptr().add(r * E * BLOCK), columns * BLOCK);
        }
    }
    Pair { low: patches[0].as_ptr(), high: patches[1].as_ptr(), row: E * BLOCK }
}

/// `Bᵀ d B` of some tiles of one channel block: `[36][…][tile][8]`, the 36 places `stride` apart. An odd count writes one tile more.
///
/// # Safety
/// `x` must hold the values of `shape`, to which the places belong; `v` must have
/// room for the tiles, rounded up to even, at each of the 36.
#[inline(always)]
pub(super) unsafe fn transform_input<S: Simd>(
    s: S,
    shape: Blocked,
    x: *const f32,
    block: usize,
    places: &[Place],
    v: *mut f32,
    stride: usize,
) {
    let mut patches = [[0.0; REACH * REACH * BLOCK]; 2];
    for (t, pair) in places.chunks(2).enumerate() {
        let pair = [pair[0], pair[pair.len() - 1]];
        let Pair { low, high, row } = find::<REACH>(shape, x, block, pair, 1, &mut patches);
        let mut half = [[s.zero(); 6]; 6];
        for j in 0..6 {
            let mut column = [s.zero(); 6];
            for (i, value) in column.iter_mut().enumerate() {
                *value = s.load2(low.add(i * row + j * BLOCK), high.add(i * row + j * BLOCK));
            }
            let points = input(s, column);
            for i in 0..6 {
                half[i][j] = points[i];
            }
        }
        let out = v.add(t * 2 * BLOCK);
        for (i, line) in half.into_iter().enumerate() {
            let points = input(s, line);
            for (j, &point) in points.iter().enumerate() {
                s.store(out.add((i * 6 + j) * stride), point);
            }
        }
    }
}

/// `A y Aᵀ` of the output's gradient for the 16 channels of two neighbouring blocks (the second absent
/// when it is beyond the last): `[36][…][tile][16]`, places `stride` apart.
///
/// # Safety
/// `dy` must hold the values of `shape`, to which the places belong; `z` must have
/// room for the tiles at each of the 36.
#[inline(always)]
pub(super) unsafe fn transform_gradient<S: Simd>(
    s: S,
    shape: Blocked,
    dy: *const f32,
    group: usize,
    places: &[Place],
    z: *mut f32,
    stride: usize,
) {
    let mut low_patches = [[0.0; REACH * REACH * BLOCK]; 2];
    let mut high_patches = [[0.0; REACH * REACH * BLOCK]; 2];
    let has_high = 2 * group + 1 < shape.blocks();
    for (t, &place) in places.iter().enumerate() {
        let low = find::<EDGE>(shape, dy, 2 * group, [place; 2], 0, &mut low_patches);
        let (high, high_row) = if has_high {
            let pair = find::<EDGE>(shape, dy, 2 * group + 1, [place; 2], 0, &mut high_patches);
            (pair.low, pair.row)
        } else {
            (high_patches[0].as_ptr(), 0)
        };
        let mut half = [[s.zero(); 4]; 6];
        for j in 0..4 {
            let mut column = [s.zero(); 4];
            for (i, value) in column.iter_mut().enumerate() {
                *value = s.load2(low.low.add(i * low.row + j * BLOCK), high.add(i * high_row + j * BLOCK));
            }
            let points = gradient(s, column);
            for i in 0..6 {
                half[i][j] = points[i];
            }
        }
        let out = z.add(t * 2 * BLOCK);
        for (i, line) in half.into_iter().enumerate() {
            let points = gradient(s, line);
            for (j, &point) in points.iter().enumerate() {
                s.store(out.add((i * 6 + j) * stride), point);
            }
        }
    }
}
