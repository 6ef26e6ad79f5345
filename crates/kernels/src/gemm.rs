//! The two register tiles that all convolutions end in.
//!
//! [`gather`] multiplies a few rows (pixels or Winograd tiles) by panels of 16 output channels:
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

/// Goes through groups of 16 output channels, as many at a time as there are registers for: `$group` is the first of
/// them, the constant `$P` how many.
macro_rules! with_panels {
    ($groups:expr, $S:ty, $group:ident, $P:ident => $body:expr) => {{
        let groups: std::ops::Range<usize> = $groups;
        for $group in groups.clone().step_by(<$S>::PANELS) {
            if <$S>::PANELS == 2 && $group + 1 < groups.end {
                const $P: usize = 2;
                $body
            } else {
                const $P: usize = 1;
                $body
            }
        }
    }};
}
pub(crate) use with_panels;

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

/// Adds `k` channels of `R` rows times `P` packed panels, which lie `apart`, to the sums of each.
///
/// # Safety
/// Row `r` of channel block `j` is read at `a + r·row + j·block`, eight values, for `8j < k`; a panel
/// holds `16·k` values.
#[inline(always)]
pub(crate) unsafe fn gather<S: Simd, const R: usize, const P: usize>(
    s: S,
    acc: &mut [[S::V; R]; P],
    a: *const f32,
    (row, block): (usize, usize),
    k: usize,
    (b, apart): (*const f32, usize),
) {
    let (mut a, mut b) = (a, b);
    for _ in 0..k / BLOCK {
        for i in 0..BLOCK {
            channel(s, acc, (a.add(i), row), (b.add(i * LANES), apart));
        }
        a = a.add(block);
        b = b.add(BLOCK * LANES);
    }
    for i in 0..k % BLOCK {
        channel(s, acc, (a.add(i), row), (b.add(i * LANES), apart));
    }
}

/// One channel of [`gather`].
#[inline(always)]
unsafe fn channel<S: Simd, const R: usize, const P: usize>(
    s: S,
    acc: &mut [[S::V; R]; P],
    (a, row): (*const f32, usize),
    (b, apart): (*const f32, usize),
) {
    let mut weights = [s.zero(); P];
    for (p, weights) in weights.iter_mut().enumerate() {
        *weights = s.load(b.add(p * apart));
    }
    for r in 0..R {
        let value = s.splat(*a.add(r * row));
        for (sums, &weights) in acc.iter_mut().zip(&weights) {
            sums[r] = s.fma(value, weights, sums[r]);
        }
        s.fence();
    }
}

/// Adds the products of `rows` rows of eight channels with `rows` rows of `P` times 16 gradients to `sums`,
/// `[8][16]` each, or overwrites them if they are `fresh`.
///
/// # Safety
/// Row `r` is read at `a + r·a_row` (eight values) and by `row(r)` of each gradient; each of `sums` holds 128 values.
#[inline(always)]
pub(crate) unsafe fn outer<S: Simd, G: Rows<S>, const P: usize>(
    s: S,
    (sums, fresh): ([*mut f32; P], bool),
    (a, a_row): (*const f32, usize),
    gradients: [G; P],
    rows: usize,
) {
    if S::ROWS >= BLOCK {
        outer_part::<S, G, 8, P>(s, (sums, fresh), (a, a_row), gradients, rows);
    } else {
        let upper = sums.map(|sums| sums.add(4 * LANES));
        outer_part::<S, G, 4, P>(s, (sums, fresh), (a, a_row), gradients, rows);
        outer_part::<S, G, 4, P>(s, (upper, fresh), (a.add(4), a_row), gradients, rows);
    }
}

/// [`outer`] for `K` of the eight channels.
#[inline(always)]
unsafe fn outer_part<S: Simd, G: Rows<S>, const K: usize, const P: usize>(
    s: S,
    (sums, fresh): ([*mut f32; P], bool),
    (a, a_row): (*const f32, usize),
    gradients: [G; P],
    rows: usize,
) {
    let mut acc = [[s.zero(); K]; P];
    if !fresh {
        for (acc, from) in acc.iter_mut().zip(sums) {
            for (k, sum) in acc.iter_mut().enumerate() {
                *sum = s.load(from.add(k * LANES));
            }
        }
    }
    for r in 0..rows {
        let gradients = gradients.map(|gradient| gradient.row(s, r));
        let a = a.add(r * a_row);
        for k in 0..K {
            let value = s.splat(*a.add(k));
            for (acc, gradient) in acc.iter_mut().zip(gradients) {
                acc[k] = s.fma(value, gradient, acc[k]);
            }
        }
    }
    for (acc, to) in acc.into_iter().zip(sums) {
        for (k, sum) in acc.into_iter().enumerate() {
            s.store(to.add(k * LANES), sum);
        }
    }
}

/// Adds the sums of all `parts`, which lie `apart`, to those of the first, part by part.
///
/// # Safety
/// Each part must have `len` values, a multiple of 16, and no other task may touch those of the first.
#[inline(always)]
pub(crate) unsafe fn add_parts<S: Simd>(s: S, first: *mut f32, len: usize, (parts, apart): (usize, usize)) {
    for i in 1..parts {
        let part = first.add(i * apart);
        for at in (0..len).step_by(LANES) {
            s.store(first.add(at), s.add(s.load(first.add(at)), s.load(part.add(at))));
        }
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
    /// The first row of either, and the values between rows.
    pub(crate) low: (*const f32, usize),
    pub(crate) high: (*const f32, usize),
}

impl<S: Simd> Rows<S> for Planes {
    #[inline(always)]
    unsafe fn row(self, s: S, r: usize) -> S::V {
        s.load2(self.low.0.add(r * self.low.1), self.high.0.add(r * self.high.1))
    }
}
