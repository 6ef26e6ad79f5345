//! Weights that lie output by output, to lanes of outputs and back.

use crate::shape::BLOCK;
use crate::simd::{LANES, Simd};

/// Up to 16 rows of a matrix in memory, at `*const f32` to be read or at `*mut f32` to be written.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<P> {
    /// The first value of the first row.
    pub(crate) first: P,
    /// Values between the beginnings of two rows.
    pub(crate) apart: usize,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
}

impl<P> Matrix<P> {
    /// Whether it is 16 rows of four values without gaps.
    fn is_quads(&self) -> bool {
        (self.rows, self.apart, self.columns) == (LANES, QUAD, QUAD)
    }
}

/// A row that does not exist.
static NOTHING: [f32; BLOCK] = [0.0; BLOCK];

/// The weights of a transposed 2×2 convolution from one channel to another.
const QUAD: usize = 4;

/// Where eight columns at a time begin; the last eight overlap those before if the columns are no multiple of eight.
#[inline(always)]
fn squares(columns: usize) -> impl Iterator<Item = usize> {
    (0..columns).step_by(BLOCK).map(move |column| column.min(columns - BLOCK))
}

/// Writes each column's 16 lanes to where `to` has room for them, zeros in the lanes of rows that do not exist.
///
/// # Safety
/// The rows must be readable and 16 values writable at `to` of each column.
#[inline(always)]
pub(crate) unsafe fn to_lanes<S: Simd>(s: S, of: Matrix<*const f32>, to: impl Fn(usize) -> *mut f32) {
    let Matrix { first, apart, rows, columns } = of;
    if of.is_quads() {
        let mut quads = [s.zero(); QUAD];
        for (i, lanes) in quads.iter_mut().enumerate() {
            let from = first.add(i * BLOCK);
            *lanes = s.load2(from, from.add(QUAD * BLOCK));
        }
        let quads = s.turn(quads, 3);
        for (column, &lanes) in quads.iter().enumerate() {
            s.store(to(column), lanes);
        }
    } else if columns < BLOCK {
        for column in 0..columns {
            let mut lanes = [0.0; LANES];
            for (row, lane) in lanes[..rows].iter_mut().enumerate() {
                *lane = *first.add(row * apart + column);
            }
            s.store(to(column), s.lanes(&lanes));
        }
    } else {
        for column in squares(columns) {
            let mut square = [s.zero(); BLOCK];
            for (row, lanes) in square.iter_mut().enumerate() {
                let [low, high] = [row, row + BLOCK]
                    .map(|row| if row < rows { first.add(row * apart + column) } else { NOTHING.as_ptr() });
                *lanes = s.load2(low, high);
            }
            let square = s.turn(square, 3);
            for (c, &lanes) in square.iter().enumerate() {
                s.store(to(column + c), lanes);
            }
        }
    }
}

/// Reads each column's 16 lanes from where `from` has them, and writes the rows that exist.
///
/// # Safety
/// 16 values must be readable at `from` of each column; the rows must be writable and no other task's.
#[inline(always)]
pub(crate) unsafe fn from_lanes<S: Simd>(s: S, from: impl Fn(usize) -> *const f32, of: Matrix<*mut f32>) {
    let Matrix { first, apart, rows, columns } = of;
    if of.is_quads() {
        let mut quads = [s.zero(); QUAD];
        for (column, lanes) in quads.iter_mut().enumerate() {
            *lanes = s.load(from(column));
        }
        let quads = s.turn(quads, 2);
        for (i, &lanes) in quads.iter().enumerate() {
            let to = first.add(i * BLOCK);
            s.store2(to, to.add(QUAD * BLOCK), lanes);
        }
    } else if columns < BLOCK {
        for column in 0..columns {
            for row in 0..rows {
                *first.add(row * apart + column) = *from(column).add(row);
            }
        }
    } else {
        for column in squares(columns) {
            let mut square = [s.zero(); BLOCK];
            for (c, lanes) in square.iter_mut().enumerate() {
                *lanes = s.load(from(column + c));
            }
            let square = s.turn(square, 3);
            for (row, &lanes) in square.iter().enumerate() {
                let low = first.add(row * apart + column);
                if row + BLOCK < rows {
                    s.store2(low, low.add(BLOCK * apart), lanes);
                } else if row < rows {
                    s.store_low(low, lanes);
                }
            }
        }
    }
}
