//! Which tiles there are, and their way to Winograd's domain.

use std::mem::MaybeUninit;
use std::ops::Range;

use super::SKEW;
use super::transforms::{both_ways, gradient, input};
use crate::input::Input;
use crate::norm::{Active, Lanes};
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

    /// The image that a tile belongs to.
    pub(super) fn image(self, tile: usize) -> usize {
        tile / (self.rows * self.columns)
    }

    /// Some tiles, those of each image by themselves.
    pub(super) fn by_image(self, tiles: Range<usize>) -> impl Iterator<Item = Range<usize>> {
        let per_image = self.rows * self.columns;
        let images = self.image(tiles.start)..self.image(tiles.end - 1) + 1;
        images.map(move |n| tiles.start.max(n * per_image)..tiles.end.min((n + 1) * per_image))
    }

    /// Where tiles `first .. first + count` lie, in order.
    #[inline(always)]
    pub(super) fn places(self, first: usize, count: usize) -> Places {
        let per_image = self.rows * self.columns;
        let (n, in_image) = (first / per_image, first % per_image);
        let (y, x) = (in_image / self.columns * EDGE, in_image % self.columns * EDGE);
        Places { shape: self.shape, n, y, x, left: count }
    }
}

/// Most tiles that are transformed at a time.
pub(super) const MOST: usize = 64;

/// Where a tile lies.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// Offset of its first output in the first channel block.
    pub(super) start: usize,
    /// Its image.
    n: usize,
    pub(super) y: usize,
    pub(super) x: usize,
    /// Whether all 4×4 outputs exist.
    pub(super) whole: bool,
}

impl Place {
    /// Whether all 6×6 inputs are pixels, none of the halo.
    #[inline(always)]
    fn is_inside(self, shape: Blocked) -> bool {
        self.y > 0 && self.x > 0 && self.y + EDGE < shape.h && self.x + EDGE < shape.w
    }
}

/// Where some tiles lie, one after the other.
#[derive(Clone)]
pub(super) struct Places {
    shape: Blocked,
    n: usize,
    y: usize,
    x: usize,
    left: usize,
}

impl Places {
    /// The same tiles two by two, an odd last one with itself.
    #[inline(always)]
    fn pairs(mut self) -> impl Iterator<Item = [Place; 2]> {
        std::iter::from_fn(move || {
            let first = self.next()?;
            Some([first, self.next().unwrap_or(first)])
        })
    }
}

impl Iterator for Places {
    type Item = Place;

    #[inline(always)]
    fn next(&mut self) -> Option<Place> {
        self.left = self.left.checked_sub(1)?;
        let Self { shape, n, y, x, .. } = *self;
        let whole = y + EDGE <= shape.h && x + EDGE <= shape.w;
        self.x += EDGE;
        if self.x >= shape.w {
            (self.x, self.y) = (0, y + EDGE);
        }
        if self.y >= shape.h {
            (self.y, self.n) = (0, n + 1);
        }
        Some(Place { start: shape.at(n, 0, y, x), n, y, x, whole })
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
type Patches = MaybeUninit<[[f32; REACH * REACH * BLOCK]; 2]>;

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
    for (patch, place) in patches.write([[0.0; REACH * REACH * BLOCK]; 2]).iter_mut().zip(places) {
        let rows = E.min(shape.h + 2 * frame - place.y);
        let columns = E.min(shape.w + 2 * frame - place.x);
        for r in 0..rows {
            let from = origin.add(place.start + r * shape.row());
            std::ptr::copy_nonoverlapping(from, patch.as_mut_ptr().add(r * E * BLOCK), columns * BLOCK);
        }
    }
    let patches = patches.as_ptr().cast::<f32>();
    Pair { low: patches, high: patches.add(REACH * REACH * BLOCK), row: E * BLOCK }
}

/// As [`find`], two tiles of 6×6 inputs, copied and normalised; what is no pixel is zero.
///
/// # Safety
/// As there.
#[inline(always)]
unsafe fn find_normed<S: Simd>(
    s: S,
    shape: Blocked,
    x: *const f32,
    block: usize,
    (places, lanes): ([Place; 2], [&Lanes; 2]),
    patches: &mut Patches,
) -> Pair {
    let origin = x.add(block * shape.plane()).sub(shape.row() + BLOCK);
    let of_tiles = patches.write([[0.0; REACH * REACH * BLOCK]; 2]).iter_mut().zip(places).zip(lanes);
    for ((patch, place), lanes) in of_tiles {
        let active = Active::new(s, lanes, lanes);
        // Counted from the pixel before the first output, up to the last pixel.
        let first = |at: usize| usize::from(at == 0);
        let end = |at: usize, pixels: usize| REACH.min(pixels + 1 - at);
        for y in first(place.y)..end(place.y, shape.h) {
            for x in first(place.x)..end(place.x, shape.w) {
                let from = origin.add(place.start + y * shape.row() + x * BLOCK);
                let to = patch.as_mut_ptr().add((y * REACH + x) * BLOCK);
                s.store_low(to, active.of(s, s.load2(from, from)));
            }
        }
    }
    let patches = patches.as_ptr().cast::<f32>();
    Pair { low: patches, high: patches.add(REACH * REACH * BLOCK), row: REACH * BLOCK }
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
    x: Input<'_>,
    block: usize,
    places: Places,
    v: *mut f32,
    stride: usize,
) {
    let mut patches = Patches::uninit();
    for (t, pair) in places.pairs().enumerate() {
        let out = v.add(t * 2 * BLOCK);
        let lanes = x.norm.map(|norm| pair.map(|place| norm.of(place.n * shape.blocks() + block)));
        if let Some([low_lanes, high_lanes]) = lanes
            && pair.iter().all(|place| place.is_inside(shape))
        {
            let active = Active::new(s, low_lanes, high_lanes);
            let origin = x.values.as_ptr().add(block * shape.plane()).sub(shape.row() + BLOCK);
            let [low, high] = pair.map(|place| origin.add(place.start));
            both_ways!(
                s,
                input: 6 => 6,
                |y, x| {
                    let at = y * shape.row() + x * BLOCK;
                    active.of(s, s.load2(low.add(at), high.add(at)))
                },
                |y, x, point| s.store(out.add((y * 6 + x) * stride), point)
            );
            continue;
        }
        let Pair { low, high, row } = match lanes {
            Some(lanes) => find_normed(s, shape, x.values.as_ptr(), block, (pair, lanes), &mut patches),
            None => find::<REACH>(shape, x.values.as_ptr(), block, pair, 1, &mut patches),
        };
        both_ways!(
            s,
            input: 6 => 6,
            |y, x| s.load2(low.add(y * row + x * BLOCK), high.add(y * row + x * BLOCK)),
            |y, x, point| s.store(out.add((y * 6 + x) * stride), point)
        );
    }
}

/// A row of pixels of a channel block that does not exist.
static NOTHING: [f32; EDGE * BLOCK] = [0.0; EDGE * BLOCK];

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
    places: Places,
    z: *mut f32,
    stride: usize,
) {
    let (mut low_patches, mut high_patches) = (Patches::uninit(), Patches::uninit());
    let has_high = 2 * group + 1 < shape.blocks();
    for (t, place) in places.enumerate() {
        let low = find::<EDGE>(shape, dy, 2 * group, [place; 2], 0, &mut low_patches);
        let (high, high_row) = if has_high {
            let pair = find::<EDGE>(shape, dy, 2 * group + 1, [place; 2], 0, &mut high_patches);
            (pair.low, pair.row)
        } else {
            (NOTHING.as_ptr(), 0)
        };
        let out = z.add(t * 2 * BLOCK);
        both_ways!(
            s,
            gradient: 4 => 6,
            |y, x| s.load2(low.low.add(y * low.row + x * BLOCK), high.add(y * high_row + x * BLOCK)),
            |y, x, point| s.store(out.add((y * 6 + x) * stride), point)
        );
    }
}
