//! Convolutions by matrix products on pixels as they lie: 1×1 and transposed 2×2.
//!
//! A [`Stencil`] walks a grid of pixels over the smaller plane. At each it takes the input at some
//! places (`from`) and gives the output at some places (`to`), every pair of places with a matrix of its
//! own: a 1×1 convolution takes one and gives one, a transposed 2×2 takes one and gives four, and its
//! input's gradient takes four and gives one. (A 3×3 convolution would take nine; it was measured at
//! half the speed of Winograd's even from 7 to 8 channels, and left out.)

mod forward;
mod gradient;

use crate::shape::Blocked;
use crate::simd::LANES;

/// Where a convolution takes and gives.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stencil {
    /// Input pixels between two places of the grid.
    pub(crate) in_step: usize,
    /// Output pixels between two places of the grid.
    pub(crate) out_step: usize,
    /// Row and column of each input, from the place of the grid.
    pub(crate) from: &'static [(usize, usize)],
    /// Row and column of each output.
    pub(crate) to: &'static [(usize, usize)],
}

/// 1×1 convolution.
pub(crate) const POINT: Stencil = Stencil { in_step: 1, out_step: 1, from: &[(0, 0)], to: &[(0, 0)] };
const QUAD: [(usize, usize); 4] = [(0, 0), (0, 1), (1, 0), (1, 1)];
/// Transposed 2×2 convolution of stride 2.
pub(crate) const SPREAD: Stencil = Stencil { in_step: 1, out_step: 2, from: &[(0, 0)], to: &QUAD };
/// Its input's gradient.
pub(crate) const COLLECT: Stencil = Stencil { in_step: 2, out_step: 1, from: &QUAD, to: &[(0, 0)] };

impl Stencil {
    fn taps(self) -> usize {
        self.from.len() * self.to.len()
    }
}

/// Where the weight of an output, an input and a tap lies: `o · out_stride + i · in_stride + tap`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Strides {
    pub(crate) out: usize,
    pub(crate) input: usize,
}

/// A convolution between two shapes.
#[derive(Clone, Copy)]
pub(crate) struct Job {
    stencil: Stencil,
    x: Blocked,
    y: Blocked,
    strides: Strides,
    rows: usize,
    columns: usize,
}

impl Job {
    /// # Panics
    /// If the shapes do not fit the stencil.
    pub(crate) fn new(stencil: Stencil, x: Blocked, y: Blocked, strides: Strides) -> Self {
        let (rows, columns) = (x.h / stencil.in_step, x.w / stencil.in_step);
        let fits = y.n == x.n && y.h == rows * stencil.out_step && y.w == columns * stencil.out_step;
        assert!(
            fits && x.h.is_multiple_of(stencil.in_step) && x.w.is_multiple_of(stencil.in_step),
            "{x:?} to {y:?}"
        );
        Self { stencil, x, y, strides, rows, columns }
    }

    fn groups(self) -> usize {
        self.y.c.div_ceil(LANES)
    }

    /// A group's weights as matrices with a row for each output, by their first input and their columns: one where the
    /// weights of all inputs follow one another, else one for each input.
    fn matrices(self) -> impl Iterator<Item = (usize, usize)> {
        let taps = self.stencil.taps();
        let inputs = if self.strides.input == taps { self.x.c } else { 1 };
        (0..self.x.c).step_by(inputs).map(move |input| (input, inputs * taps))
    }

    /// Where the weights of a column of such a matrix lie in `[tap][inputs][16]`.
    #[inline(always)]
    fn place(self, input: usize, column: usize, inputs: usize) -> usize {
        let shift = self.stencil.taps().trailing_zeros(); // one or four
        (column & ((1 << shift) - 1)) * inputs + input + (column >> shift)
    }

    /// Offset of an input of a row's first place.
    #[inline(always)]
    fn x_at(self, n: usize, row: usize, tap: (usize, usize)) -> usize {
        self.x.at(n, 0, row * self.stencil.in_step + tap.0, tap.1)
    }

    /// Offset of an output of a row's first place.
    #[inline(always)]
    fn y_at(self, n: usize, group: usize, row: usize, tap: (usize, usize)) -> usize {
        self.y.at(n, 2 * group, row * self.stencil.out_step + tap.0, tap.1)
    }
}
