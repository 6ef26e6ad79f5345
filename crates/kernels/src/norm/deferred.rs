//! A norm and an activation that are left to whoever reads the values.
//!
//! Where planes are larger than any cache, to go through them once more takes as long as a convolution's input transform,
//! and a reader has every value in a register anyway.

use super::forward::{Apply, measured};
use super::moments::ChannelMoments;
use super::{NormAct, Stats, affine, channels};
use crate::change::Change;
use crate::parallel::{Source, each};
use crate::shape::{BLOCK, Blocked};
use crate::simd::{Isa, Simd};

/// Of eight channels of an image: scale and offset that make `γ x̂ + β` of `x`, and the slope where that is negative.
pub(crate) type Lanes = [[f32; BLOCK]; 3];

/// A norm and an activation to be applied by whoever reads the values. Their halo need not be written; it counts as zero.
#[derive(Debug, Clone)]
pub struct Deferred {
    shape: Blocked,
    /// By plane.
    lanes: Vec<Lanes>,
}

impl Deferred {
    /// The norm of `x`, whose moments may be known already.
    ///
    /// # Panics
    /// If there is dropout, a length is not that of the shape, or the groups do not divide the channels.
    pub fn new(
        isa: Isa,
        shape: Blocked,
        x: &[f32],
        known: Option<ChannelMoments>,
        params: NormAct<'_>,
    ) -> Self {
        shape.check(x);
        assert!(params.mask.is_none(), "a deferred norm has no dropout");
        let stats = measured(isa, shape, Source::new(x.as_ptr()), known, params, |_, _| ());
        let of_plane = |plane| lanes(shape, params, stats.of(plane), plane);
        Self { shape, lanes: (0..shape.n * shape.blocks()).map(of_plane).collect() }
    }

    /// Applies it, and writes the halo.
    ///
    /// # Panics
    /// If there are not as many values as it is the norm of.
    pub fn apply(&self, isa: Isa, values: Change<'_>) {
        let shape = self.shape;
        shape.check_len(values.len());
        let (x, y) = values.ends();
        each(self.lanes.len(), |plane| {
            isa.run(Apply { shape, plane, x, lanes: self.lanes[plane], mask: [1.0; BLOCK], y });
        });
    }

    /// The shape of the values.
    pub(crate) fn shape(&self) -> Blocked {
        self.shape
    }

    /// Those of a plane.
    #[inline(always)]
    pub(crate) fn of(&self, plane: usize) -> &Lanes {
        &self.lanes[plane]
    }
}

/// What makes the output of the pixels of a plane.
#[inline(always)]
pub(super) fn lanes(shape: Blocked, params: NormAct<'_>, stats: &Stats, plane: usize) -> Lanes {
    let [scale, offset] = affine(shape, params, stats, plane);
    [scale, offset, channels(params.slope, plane % shape.blocks())]
}

/// [`Lanes`] in registers.
#[derive(Clone, Copy)]
pub(crate) struct Active<S: Simd> {
    scale: S::V,
    offset: S::V,
    slope: S::V,
    zero: S::V,
}

impl<S: Simd> Active<S> {
    /// Of the lower and of the upper pixel of two.
    #[inline(always)]
    pub(crate) fn new(s: S, low: &Lanes, high: &Lanes) -> Self {
        // SAFETY: each has eight values. (A closure would not be compiled for the instruction set.)
        unsafe {
            Self {
                scale: s.load2(low[0].as_ptr(), high[0].as_ptr()),
                offset: s.load2(low[1].as_ptr(), high[1].as_ptr()),
                slope: s.load2(low[2].as_ptr(), high[2].as_ptr()),
                zero: s.zero(),
            }
        }
    }

    /// `prelu(γ x̂ + β)`
    #[inline(always)]
    pub(crate) fn of(self, s: S, x: S::V) -> S::V {
        let before = s.fma(x, self.scale, self.offset);
        s.fma(self.slope, s.min(before, self.zero), s.max(before, self.zero))
    }
}
