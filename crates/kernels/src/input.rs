//! What a kernel reads.

use crate::buffer::Buffer;
use crate::norm::{Active, Deferred};
use crate::shape::Blocked;
use crate::simd::Simd;

/// An activation as a kernel reads it: values, or what a [`Deferred`] norm makes of them.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) norm: Option<&'a Deferred>,
}

impl<'a> Input<'a> {
    /// Values and the norm that is left to do.
    pub fn new(values: &'a [f32], norm: Option<&'a Deferred>) -> Self {
        Self { values, norm }
    }

    /// Panics unless both are of this shape; lanes beyond the last channel may count as channels.
    pub(crate) fn check(self, shape: Blocked) {
        shape.check(self.values);
        assert!(self.norm.is_none_or(|norm| norm.shape().dims() == shape.dims()), "a norm of {shape:?}");
    }

    /// The norm of a plane.
    #[inline(always)]
    pub(crate) fn active<S: Simd>(self, s: S, plane: usize) -> Option<Active<S>> {
        let lanes = self.norm?.of(plane);
        Some(Active::new(s, lanes, lanes))
    }
}

impl<'a> From<&'a Buffer> for Input<'a> {
    fn from(values: &'a Buffer) -> Self {
        Self { values, norm: None }
    }
}

impl<'a> From<&'a [f32]> for Input<'a> {
    fn from(values: &'a [f32]) -> Self {
        Self { values, norm: None }
    }
}
