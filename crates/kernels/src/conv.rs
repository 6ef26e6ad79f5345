//! The convolutions: 3×3 of padding 1, 1×1, 2×2 and transposed 2×2 of stride 2.
//!
//! Weights lie as in `PyTorch` and burn: `[c_out, c_in, k, k]`, for the transposed convolution
//! `[c_in, c_out, 2, 2]`.

use crate::buffer::Buffer;
use crate::input::Input;
use crate::norm::ChannelMoments;
use crate::shape::Blocked;
use crate::simd::Isa;
use crate::stencil::{COLLECT, Job, POINT, SPREAD, Strides};
use crate::winograd::{self, Filters, Turn};

/// A kind of convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// 3×3, padding 1.
    Square,
    /// 1×1.
    Point,
    /// Transposed 2×2, stride 2: doubles height and width.
    Spread,
    /// 2×2, stride 2: halves height and width, which must be even.
    Collect,
}

/// A convolution of activations of one shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv {
    /// The kind.
    pub kind: Kind,
    /// The input.
    pub input: Blocked,
    /// Channels of the output.
    pub c_out: usize,
}

impl Conv {
    /// The output's shape.
    pub fn output(self) -> Blocked {
        let Blocked { n, h, w, .. } = self.input;
        let [h, w] = match self.kind {
            Kind::Square | Kind::Point => [h, w],
            Kind::Spread => [2 * h, 2 * w],
            Kind::Collect => [h / 2, w / 2],
        };
        Blocked::new(n, self.c_out, h, w)
    }

    /// Number of weights.
    pub fn weights(self) -> usize {
        self.input.c * self.c_out * self.taps()
    }

    /// Multiply-adds of the plain algorithm, for one direction.
    pub fn products(self) -> usize {
        let places = if self.kind == Kind::Collect { self.output() } else { self.input };
        self.input.n * places.h * places.w * self.weights()
    }

    fn taps(self) -> usize {
        match self.kind {
            Kind::Square => 9,
            Kind::Point => 1,
            Kind::Spread | Kind::Collect => 4,
        }
    }

    /// The convolution as a stencil and its weights' strides; none for Winograd's.
    fn stencil(self) -> Option<Job> {
        let (stencil, strides) = match self.kind {
            Kind::Square => return None,
            Kind::Point => (POINT, Strides { out: self.input.c, input: 1 }),
            Kind::Spread => (SPREAD, Strides { out: 4, input: 4 * self.c_out }),
            Kind::Collect => (COLLECT, Strides { out: 4 * self.input.c, input: 4 }),
        };
        Some(Job::new(stencil, self.input, self.output(), strides))
    }

    /// The gradient of the input as a stencil; none for Winograd's.
    fn turned(self) -> Option<Job> {
        let (stencil, strides) = match self.kind {
            Kind::Square => return None,
            Kind::Point => (POINT, Strides { out: 1, input: self.input.c }),
            Kind::Spread => (COLLECT, Strides { out: 4 * self.c_out, input: 4 }),
            Kind::Collect => (SPREAD, Strides { out: 4, input: 4 * self.input.c }),
        };
        Some(Job::new(stencil, self.output(), self.input, strides))
    }

    /// `y = x ∗ weight + bias`, with its halo.
    ///
    /// # Panics
    /// If a length is not that of its shape.
    pub fn forward<'a>(
        self,
        isa: Isa,
        x: impl Into<Input<'a>>,
        weight: &[f32],
        bias: Option<&[f32]>,
        y: &mut [f32],
    ) {
        let x = x.into();
        if let Some(job) = self.stencil() {
            job.convolve(isa, x, weight, bias, y);
        } else {
            winograd::convolve(isa, self.input, x, (self.filters(weight), None), bias, y, false);
        }
        self.output().clear_halo(y);
    }

    /// [`Conv::forward`] of a [`Kind::Square`] before a norm: the pixels alone, their halo as it was, and their moments where
    /// it saves the norm a look at them. The weights may be [prepared](Conv::prepare).
    ///
    /// # Panics
    /// If a length is not that of its shape, or the kind another.
    pub fn forward_measured<'a>(
        self,
        isa: Isa,
        x: impl Into<Input<'a>>,
        (weight, prepared): (&[f32], Option<&[f32]>),
        bias: Option<&[f32]>,
        y: &mut [f32],
    ) -> Option<ChannelMoments> {
        assert_eq!(self.kind, Kind::Square, "a convolution before a norm");
        winograd::convolve(isa, self.input, x.into(), (self.filters(weight), prepared), bias, y, true)
    }

    /// The weights of a [`Kind::Square`] in the form that [`Conv::forward_prepared`] takes, four times their size;
    /// none for other kinds, which have no such form.
    ///
    /// # Panics
    /// If there are not as many weights as the convolution has.
    pub fn prepare(self, isa: Isa, weight: &[f32]) -> Option<Buffer> {
        (self.kind == Kind::Square).then(|| self.filters(weight).transformed(isa))
    }

    /// [`Conv::forward`] of weights that were [prepared](Conv::prepare) for a convolution of as many channels: the same
    /// values, without the time that preparing takes.
    ///
    /// # Panics
    /// If a length is not that of its shape, or the kind has no such form.
    pub fn forward_prepared<'a>(
        self,
        isa: Isa,
        x: impl Into<Input<'a>>,
        (weight, prepared): (&[f32], &[f32]),
        bias: Option<&[f32]>,
        y: &mut [f32],
    ) {
        assert_eq!(self.kind, Kind::Square, "a convolution with prepared weights");
        let filters = (self.filters(weight), Some(prepared));
        winograd::convolve(isa, self.input, x.into(), filters, bias, y, false);
        self.output().clear_halo(y);
    }

    fn filters(self, weight: &[f32]) -> Filters<'_> {
        Filters::new(weight, self.c_out, self.input.c, Turn::Forward)
    }

    /// The input's gradient from the output's, with its halo.
    ///
    /// # Panics
    /// If a length is not that of its shape.
    pub fn backward_input(self, isa: Isa, dy: &[f32], weight: &[f32], dx: &mut [f32]) {
        if let Some(job) = self.turned() {
            job.convolve(isa, dy.into(), weight, None, dx);
        } else {
            let filters = Filters::new(weight, self.c_out, self.input.c, Turn::Backward);
            winograd::convolve(isa, self.output(), dy.into(), (filters, None), None, dx, false);
        }
        self.input.clear_halo(dx);
    }

    /// The weights' gradient.
    ///
    /// # Panics
    /// If a length is not that of its shape.
    pub fn backward_weight(self, isa: Isa, x: &[f32], dy: &[f32], dw: &mut [f32]) {
        if let Some(job) = self.stencil() {
            job.weight_gradient(isa, x, dy, dw);
        } else {
            winograd::weight_gradient(isa, self.input, x, self.c_out, dy, dw);
        }
    }
}
