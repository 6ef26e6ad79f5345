//! The one-dimensional transforms of F(4, 3), on the points 0, ±1, ±2 and ∞, and how a tile goes through one both ways.

use crate::simd::Simd;

/// Takes the columns of a tile of `n × n` through a transform, then the rows of what that gave: `read` is asked for every
/// value of the tile by row and column, `write` told every value of the `m × m` result.
///
/// No function, since closures are compiled for the instruction set of nobody unless the compiler happens to inline them.
macro_rules! both_ways {
    ($s:ident, $transform:ident: $n:literal => $m:literal, |$y:ident, $x:ident| $read:expr, |$row:ident, $column:ident, $value:ident| $write:expr) => {{
        // Zeros would be written for every tile, and rows moved out of the array would be copied: a fifth of all time.
        let mut columns = [const { std::mem::MaybeUninit::<[S::V; $m]>::uninit() }; $n];
        for $x in 0..$n {
            let mut values = [$s.zero(); $n];
            for $y in 0..$n {
                values[$y] = $read;
            }
            columns[$x].write($transform($s, values));
        }
        for $row in 0..$m {
            let mut values = [$s.zero(); $n];
            for x in 0..$n {
                // SAFETY: every column was written above.
                values[x] = unsafe { columns[x].assume_init_ref() }[$row];
            }
            let values = $transform($s, values);
            for $column in 0..$m {
                let $value = values[$column];
                $write;
            }
        }
    }};
}
pub(super) use both_ways;

/// `G`, which takes a filter of three to the six points.
pub(super) const G: [[f32; 3]; 6] = [
    [1.0 / 4.0, 0.0, 0.0],
    [-1.0 / 6.0, -1.0 / 6.0, -1.0 / 6.0],
    [-1.0 / 6.0, 1.0 / 6.0, -1.0 / 6.0],
    [1.0 / 24.0, 1.0 / 12.0, 1.0 / 6.0],
    [1.0 / 24.0, -1.0 / 12.0, 1.0 / 6.0],
    [0.0, 0.0, 1.0],
];

/// `Bᵀ d`: six inputs to the six points.
#[inline(always)]
pub(super) fn input<S: Simd>(s: S, d: [S::V; 6]) -> [S::V; 6] {
    let (two, four, five) = (s.splat(2.0), s.splat(4.0), s.splat(5.0));
    let even = s.fnma(four, d[2], d[4]);
    let odd = s.fnma(four, d[1], d[3]);
    let even2 = s.sub(d[4], d[2]);
    let odd2 = s.sub(d[3], d[1]);
    [
        s.fma(four, d[0], s.fnma(five, d[2], d[4])),
        s.add(even, odd),
        s.sub(even, odd),
        s.fma(two, odd2, even2),
        s.fnma(two, odd2, even2),
        s.fma(four, d[1], s.fnma(five, d[3], d[5])),
    ]
}

/// `Aᵀ m`: six points to four outputs.
#[inline(always)]
pub(super) fn output<S: Simd>(s: S, m: [S::V; 6]) -> [S::V; 4] {
    let (sum, difference) = (s.add(m[1], m[2]), s.sub(m[1], m[2]));
    let (sum2, difference2) = (s.add(m[3], m[4]), s.sub(m[3], m[4]));
    [
        s.add(m[0], s.add(sum, sum2)),
        s.fma(s.splat(2.0), difference2, difference),
        s.fma(s.splat(4.0), sum2, sum),
        s.add(s.fma(s.splat(8.0), difference2, difference), m[5]),
    ]
}

/// `A y`: the gradients of four outputs to the six points.
#[inline(always)]
pub(super) fn gradient<S: Simd>(s: S, y: [S::V; 4]) -> [S::V; 6] {
    let four = s.splat(4.0);
    let (even, odd) = (s.add(y[0], y[2]), s.add(y[1], y[3]));
    let even2 = s.fma(four, y[2], y[0]);
    let odd2 = s.mul(s.splat(2.0), s.fma(four, y[3], y[1]));
    [y[0], s.add(even, odd), s.sub(even, odd), s.add(even2, odd2), s.sub(even2, odd2), y[3]]
}

/// `G g`: a filter of three to the six points.
#[inline(always)]
pub(super) fn filter<S: Simd>(s: S, g: [S::V; 3]) -> [S::V; 6] {
    let (sixth, quarter) = (s.splat(1.0 / 6.0), s.splat(0.25));
    let ends = s.mul(s.splat(-1.0 / 6.0), s.add(g[0], g[2]));
    let middle = s.mul(sixth, g[1]);
    let ends2 = s.fma(s.splat(1.0 / 24.0), g[0], s.mul(sixth, g[2]));
    let middle2 = s.mul(s.splat(1.0 / 12.0), g[1]);
    [
        s.mul(quarter, g[0]),
        s.sub(ends, middle),
        s.add(ends, middle),
        s.add(ends2, middle2),
        s.sub(ends2, middle2),
        g[2],
    ]
}

/// `Gᵀ u`: the gradients at the six points to that of a filter of three.
#[inline(always)]
pub(super) fn filter_gradient<S: Simd>(s: S, u: [S::V; 6]) -> [S::V; 3] {
    let mut g = [s.zero(); 3];
    for (row, &value) in G.iter().zip(&u) {
        for (factor, sum) in row.iter().zip(&mut g) {
            if *factor != 0.0 {
                *sum = s.fma(s.splat(*factor), value, *sum);
            }
        }
    }
    g
}
