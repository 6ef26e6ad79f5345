//! The two register tiles that all convolutions end in.
//!
//! [`gather`] multiplies a few rows (pixels or Winograd tiles) by a panel of 16 output channels:
//! `acc[r][o] += Σ_k a[r][k] · b[k][o]`. [`outer`] is its gradient with respect to the panel:
//! `acc[k][o] += Σ_r a[r][k] · g[r][o]` for eight channels `k`.
//! The rows hold blocks of eight channels; the panel is packed `[k][16]`.

use crate::shape::BLOCK;
use crate::simd::{LANES, Simd};

/// Binds the constant `$R` to a run-time number of rows between 1 and `S::ROWS`.
macro_rules! with_rows {
    ($rows:expr, $S:ty, $R:ident => $body:expr) => {
        $crate::gemm::with_rows!(@ $rows, $S, $R, $body, 1 2 3 4 5 6 7 8 9 10 11 12)
    };
    (@ $rows:expr, $S:ty, $R:ident, $body:expr, $($r:literal)*) => {
        match $rows {
            $($r => {
                const $R: usize = $r;
                if $R <= <$S>::ROWS { $body }
            })*
            _ => {}
        }
    };
}
pub(crate) use with_rows;

/// The next tile's rows when `left` rows remain: `most`, or halves of what is left, so that no tile
/// is so small that it waits for its own sums.
#[inline(always)]
pub(crate) fn next_rows(left: usize, most: usize) -> usize {
    if left <= most {
        left
    } else if left < 2 * most {
        left.div_ceil(2)
    } else {
        most
    }
}

/// Adds `k` channels of `R` rows times a packed panel to the sums.
///
/// # Safety
/// Row `r` of channel block `j` is read at `a + r·row + j·block`, eight values, for `8j < k`; the panel
/// `b` holds `16·k` values.
#[inline(always)]
pub(crate) unsafe fn gather<S: Simd, const R: usize>(
    s: S,
    acc: &mut [S::V; R],
    a: *const f32,
    (row, block): (usize, usize),
    k: usize,
    b: *const f32,
) {
    let (mut a, mut b) = (a, b);
    for _ in 0..k / BLOCK {
        for i in 0..BLOCK {
            let weights = s.load(b.add(i * LANES));
            for (r, sum) in acc.iter_mut().enumerate() {
                *sum = s.fma(s.splat(*a.add(r * row + i)), weights, *sum);
            }
        }
        a = a.add(block);
        b = b.add(BLOCK * LANES);
    }
    for i in 0..k % BLOCK {
        let weights = s.load(b.add(i * LANES));
        for (r, sum) in acc.iter_mut().enumerate() {
            *sum = s.fma(s.splat(*a.add(r * row + i)), weights, *sum);
        }
    }
}

/// Adds the products of `rows` rows of eight channels with `rows` rows of 16 gradients to `sums`,
/// `[8][16]`, or overwrites them if they are `fresh`.
///
/// # Safety
/// Row `r` is read at `a + r·a_row` (eight values) and by `gradient.row(r)`; `sums` holds 128 values.
#[inline(always)]
pub(crate) unsafe fn outer<S: Simd, G: Rows<S>>(
    s: S,
    (sums, fresh): (*mut f32, bool),
    (a, a_row): (*const f32, usize),
    gradient: G,
    rows: usize,
) {
    if S::ROWS >= BLOCK {
        outer_part::<S, G, 8>(s, (sums, fresh), (a, a_row), gradient, rows);
    } else {
        outer_part::<S, G, 4>(s, (sums, fresh), (a, a_row), gradient, rows);
        outer_part::<S, G, 4>(s, (sums.add(4 * LANES), fresh), (a.add(4), a_row), gradient, rows);
    }
}

/// [`outer`] for `K` of the eight channels.
#[inline(always)]
unsafe fn outer_part<S: Simd, G: Rows<S>, const K: usize>(
    s: S,
    (sums, fresh): (*mut f32, bool),
    (a, a_row): (*const f32, usize),
    gradient: G,
    rows: usize,
) {
    let mut acc = [s.zero(); K];
    if !fresh {
        for (k, sum) in acc.iter_mut().enumerate() {
            *sum = s.load(sums.add(k * LANES));
        }
    }
    for r in 0..rows {
        let g = gradient.row(s, r);
        let a = a.add(r * a_row);
        for (k, sum) in acc.iter_mut().enumerate() {
            *sum = s.fma(s.splat(*a.add(k)), g, *sum);
        }
    }
    for (k, &sum) in acc.iter().enumerate() {
        s.store(sums.add(k * LANES), sum);
    }
}

/// Rows of 16 channels.
pub(crate) trait Rows<S: Simd>: Copy {
    /// Row `r`.
    ///
    /// # Safety
    /// The row must exist.
    unsafe fn row(self, s: S, r: usize) -> S::V;
}

/// Rows of 16 channels side by side.
#[derive(Clone, Copy)]
pub(crate) struct Packed(pub(crate) *const f32);

impl<S: Simd> Rows<S> for Packed {
    #[inline(always)]
    unsafe fn row(self, s: S, r: usize) -> S::V {
        s.load(self.0.add(r * LANES))
    }
}

/// Rows whose lower and upper eight channels lie in two planes.
#[derive(Clone, Copy)]
pub(crate) struct Planes {
    pub(crate) low: *const f32,
    pub(crate) high: *const f32,
    pub(crate) step: usize,
}

impl<S: Simd> Rows<S> for Planes {
    #[inline(always)]
    unsafe fn row(self, s: S, r: usize) -> S::V {
        s.load2(self.low.add(r * self.step), self.high.add(r * self.step))
    }
}
