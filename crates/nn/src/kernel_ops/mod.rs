//! The kernels of [`tomosieve_kernels`] as differentiable operations of burn.
//!
//! Activations are float tensors `[n, ⌈c/8⌉, h + 2, w + 2, 8]` in the kernels' blocked layout. The
//! operations exist on the CPU back end (`Flex`) and, with gradients written by hand, on `Autodiff` of
//! it; on any other back end they panic, so ask [`available`] first. [`Features`](crate::features)
//! does, and is what networks use.
//!
//! No operation copies a tensor: inputs are read where they lie (unless they are views with gaps),
//! outputs are [`tomosieve_kernels::Buffer`]s that burn's storage takes over and that go back to
//! their shelf when the last tensor is dropped.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, ExtensionType, backend_extension};
use burn::tensor::{Device, Tensor};
use tomosieve_kernels::{Buffer, Deferred, Kind, Resample};

mod backends;
mod channelwise;
mod conv;
mod conv_norm_act;
mod deferred;
mod depthwise;
mod frozen;
mod layout;
mod norm_act;
mod paths;
mod pool;
mod resample;
mod root;
mod storage;
mod update;

pub use deferred::Pending;
pub use frozen::FrozenFilters;
pub use storage::data;
pub use update::{UpdateOps, adam, blend};

/// What is joined with a first activation: as many as a network has levels, but for very deep ones.
#[derive(Debug, ExtensionType)]
pub enum Others<B: Backend> {
    /// One.
    One(FloatTensor<B>),
    /// Two.
    Two(FloatTensor<B>, FloatTensor<B>),
    /// Three.
    Three(FloatTensor<B>, FloatTensor<B>, FloatTensor<B>),
    /// Four.
    Four(FloatTensor<B>, FloatTensor<B>, FloatTensor<B>, FloatTensor<B>),
}

/// The operations, on primitive tensors.
#[backend_extension(Flex, Autodiff)]
pub trait BlockedOps: Backend {
    /// `[n, c, h, w]` to the blocked layout.
    fn blocked_enter(x: FloatTensor<Self>) -> FloatTensor<Self>;
    /// The blocked layout to `[n, channels, h, w]`.
    fn blocked_leave(x: FloatTensor<Self>, channels: usize) -> FloatTensor<Self>;
    /// A convolution with a bias.
    fn blocked_conv(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        kind: Kind,
        pending: Pending,
    ) -> FloatTensor<Self>;
    /// 3×3 convolution of each channel by itself, its taps `rate` pixels apart.
    fn blocked_depthwise(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        rate: usize,
    ) -> FloatTensor<Self>;
    /// 3×3 convolution, group norm, `PReLU` and channel dropout, whose factors are `[n, c_out]`; `pending` is what `x` awaits,
    /// and then what the result does.
    #[allow(clippy::too_many_arguments)]
    fn blocked_conv_norm_act(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        slope: FloatTensor<Self>,
        mask: Option<Vec<f32>>,
        groups: usize,
        epsilon: f32,
        pending: &mut Pending,
    ) -> FloatTensor<Self>;
    /// Group norm, `PReLU` and channel dropout, whose factors are `[n, c]`; `pending` as there.
    #[allow(clippy::too_many_arguments)]
    fn blocked_norm_act(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        slope: FloatTensor<Self>,
        mask: Option<Vec<f32>>,
        groups: usize,
        epsilon: f32,
        pending: &mut Pending,
    ) -> FloatTensor<Self>;
    /// Maximum of 2×2, stride 2.
    fn blocked_max_pool2(x: FloatTensor<Self>, pending: Pending) -> FloatTensor<Self>;
    /// What a norm makes of the activation that awaits it.
    fn blocked_settle(x: FloatTensor<Self>, norm: Arc<Deferred>) -> FloatTensor<Self>;
    /// Every second pixel, or every pixel four times.
    fn blocked_resample(x: FloatTensor<Self>, how: Resample) -> FloatTensor<Self>;
    /// `PReLU` alone.
    fn blocked_prelu(x: FloatTensor<Self>, slope: FloatTensor<Self>) -> FloatTensor<Self>;
    /// Each pixel times its factor, `[n, 1, h, w]`.
    fn blocked_weigh(x: FloatTensor<Self>, factors: FloatTensor<Self>) -> FloatTensor<Self>;
    /// The same values for one of several readers, which share whether the gradient of one has arrived.
    fn blocked_fork(x: FloatTensor<Self>, arrived: Arc<AtomicBool>) -> FloatTensor<Self>;
    /// The same values, whose gradient is taken for zero beside the pixels.
    fn blocked_pixels(x: FloatTensor<Self>) -> FloatTensor<Self>;
    /// `a + b`
    fn blocked_sum(a: FloatTensor<Self>, b: FloatTensor<Self>) -> FloatTensor<Self>;
    /// The blocks of the first part, then those of the others in order.
    fn blocked_join(first: FloatTensor<Self>, #[extension_type] others: Others<Self>) -> FloatTensor<Self>;
    /// A number with its gradient along `x`, as `judge` finds them from the values.
    fn blocked_root(x: FloatTensor<Self>, judge: Judge<'_>) -> FloatTensor<Self>;
}

/// Whether the operations exist on a device, with or without autodiff.
pub fn available(device: &Device) -> bool {
    *device == Device::flex()
}

/// `[n, c, h, w] → [n, ⌈c/8⌉, h + 2, w + 2, 8]`
pub fn enter(x: Tensor<4>) -> Tensor<5> {
    Tensor::from_dispatch(Dispatch::blocked_enter(x.into_dispatch()))
}

/// `[n, ⌈c/8⌉, h + 2, w + 2, 8] → [n, c, h, w]`
pub fn leave(x: Tensor<5>, channels: usize) -> Tensor<4> {
    Tensor::from_dispatch(Dispatch::blocked_leave(x.into_dispatch(), channels))
}

/// 1×1 convolution with a weight `[c_out, c, 1, 1]` and a bias `[c_out]`.
pub fn conv_point(x: Tensor<5>, weight: Tensor<4>, bias: Tensor<1>, pending: Pending) -> Tensor<5> {
    conv(x, weight, bias, Kind::Point, pending)
}

/// 3×3 convolution of padding 1 with a weight `[c_out, c, 3, 3]` and a bias `[c_out]`.
pub fn conv_square(x: Tensor<5>, weight: Tensor<4>, bias: Tensor<1>, pending: Pending) -> Tensor<5> {
    conv(x, weight, bias, Kind::Square, pending)
}

/// 2×2 convolution of stride 2 with a weight `[c_out, c, 2, 2]` and a bias `[c_out]`; height and width even.
pub fn conv_collect(x: Tensor<5>, weight: Tensor<4>, bias: Tensor<1>, pending: Pending) -> Tensor<5> {
    conv(x, weight, bias, Kind::Collect, pending)
}

/// Transposed 2×2 convolution of stride 2 with a weight `[c, c_out, 2, 2]` and a bias `[c_out]`.
pub fn conv_spread(x: Tensor<5>, weight: Tensor<4>, bias: Tensor<1>, pending: Pending) -> Tensor<5> {
    conv(x, weight, bias, Kind::Spread, pending)
}

/// 3×3 convolution of each channel by itself, taps and padding `rate` pixels, with a weight `[c, 1, 3, 3]`
/// and a bias `[c]`.
pub fn conv_depthwise(x: Tensor<5>, weight: Tensor<4>, bias: Tensor<1>, rate: usize) -> Tensor<5> {
    Tensor::from_dispatch(Dispatch::blocked_depthwise(
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        rate,
    ))
}

fn conv(x: Tensor<5>, weight: Tensor<4>, bias: Tensor<1>, kind: Kind, pending: Pending) -> Tensor<5> {
    Tensor::from_dispatch(Dispatch::blocked_conv(
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        kind,
        pending,
    ))
}

/// The parameters of a [`conv_norm_act`].
#[derive(Debug, Clone)]
pub struct ConvNormActParams {
    /// Filters `[c_out, c_in, 3, 3]`.
    pub weight: Tensor<4>,
    /// Bias `[c_out]`.
    pub bias: Tensor<1>,
    /// The norm's scales `[c_out]`.
    pub gamma: Tensor<1>,
    /// The norm's offsets `[c_out]`.
    pub beta: Tensor<1>,
    /// Slopes `[c_out]` of the negative half.
    pub slope: Tensor<1>,
    /// Dropout's factors `[n, c_out]`; no gradient flows to them.
    pub mask: Option<Tensor<2>>,
    /// Groups of the norm, a divisor of `c_out`.
    pub groups: usize,
    /// Added to the variance.
    pub epsilon: f64,
}

/// `m · prelu(norm(x ∗ weight + bias))`, padding 1; `pending` is the norm that `x` awaits, and then that which the result does.
///
/// # Panics
/// If the factors of the dropout are not `f32`.
pub fn conv_norm_act(x: Tensor<5>, params: ConvNormActParams, pending: &mut Pending) -> Tensor<5> {
    Tensor::from_dispatch(Dispatch::blocked_conv_norm_act(
        x.into_dispatch(),
        params.weight.into_dispatch(),
        params.bias.into_dispatch(),
        params.gamma.into_dispatch(),
        params.beta.into_dispatch(),
        params.slope.into_dispatch(),
        params.mask.map(|mask| mask.into_data().try_to_vec().expect("factors of f32")),
        params.groups,
        params.epsilon as f32,
        pending,
    ))
}

/// The parameters of a [`norm_act`].
#[derive(Debug, Clone)]
pub struct NormActParams {
    /// The norm's scales `[c]`.
    pub gamma: Tensor<1>,
    /// The norm's offsets `[c]`.
    pub beta: Tensor<1>,
    /// Slopes `[c]` of the negative half.
    pub slope: Tensor<1>,
    /// Dropout's factors `[n, c]`; no gradient flows to them.
    pub mask: Option<Tensor<2>>,
    /// Groups of the norm, a divisor of `c`.
    pub groups: usize,
    /// Added to the variance.
    pub epsilon: f64,
}

/// `m · prelu(norm(x))`; `pending` is the norm that `x` awaits, and then that which the result does.
///
/// # Panics
/// If the factors of the dropout are not `f32`.
pub fn norm_act(x: Tensor<5>, params: NormActParams, pending: &mut Pending) -> Tensor<5> {
    Tensor::from_dispatch(Dispatch::blocked_norm_act(
        x.into_dispatch(),
        params.gamma.into_dispatch(),
        params.beta.into_dispatch(),
        params.slope.into_dispatch(),
        params.mask.map(|mask| mask.into_data().try_to_vec().expect("factors of f32")),
        params.groups,
        params.epsilon as f32,
        pending,
    ))
}

/// Maximum of 2×2, stride 2; a last odd row or column is left out.
pub fn max_pool2(x: Tensor<5>, pending: Pending) -> Tensor<5> {
    Tensor::from_dispatch(Dispatch::blocked_max_pool2(x.into_dispatch(), pending))
}

/// What a norm makes of the activation that awaits it.
pub fn settle(x: Tensor<5>, norm: Arc<Deferred>) -> Tensor<5> {
    Tensor::from_dispatch(Dispatch::blocked_settle(x.into_dispatch(), norm))
}

/// Every second pixel, or every pixel four times.
pub fn resample(x: Tensor<5>, how: Resample) -> Tensor<5> {
    Tensor::from_dispatch(Dispatch::blocked_resample(x.into_dispatch(), how))
}

/// `max(x, 0) + slope · min(x, 0)` with slopes `[c]`.
pub fn prelu(x: Tensor<5>, slope: Tensor<1>) -> Tensor<5> {
    Tensor::from_dispatch(Dispatch::blocked_prelu(x.into_dispatch(), slope.into_dispatch()))
}

/// Each pixel times its factor, `[n, 1, h, w]`.
pub fn weigh(x: Tensor<5>, factors: Tensor<4>) -> Tensor<5> {
    Tensor::from_dispatch(Dispatch::blocked_weigh(x.into_dispatch(), factors.into_dispatch()))
}

/// The same values for one of several readers of an activation, whose gradients are summed as they arrive; the readers share
/// `arrived`, false at first.
///
/// # Panics
/// The backward pass does, if `arrived` was true before.
pub fn fork(x: Tensor<5>, arrived: Arc<AtomicBool>) -> Tensor<5> {
    Tensor::from_dispatch(Dispatch::blocked_fork(x.into_dispatch(), arrived))
}

/// The same values, to be read by an operation of burn whose gradient is not zero beside the pixels: a sum over all values,
/// say. A 3×3 convolution before it would read what lies there.
pub fn pixels(x: Tensor<5>) -> Tensor<5> {
    Tensor::from_dispatch(Dispatch::blocked_pixels(x.into_dispatch()))
}

/// `a + b`, of the same shape.
pub fn sum<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::blocked_sum(a.into_dispatch(), b.into_dispatch()))
}

/// `[n, a, h + 2, w + 2, 8], [n, b, h + 2, w + 2, 8], … → [n, a + b + …, h + 2, w + 2, 8]`
///
/// # Panics
/// If there are no parts.
pub fn join(parts: impl IntoIterator<Item = Tensor<5>>) -> Tensor<5> {
    let mut parts = parts.into_iter().map(Tensor::into_dispatch);
    let mut whole = parts.next().expect("a part to join");
    loop {
        let next = [parts.next(), parts.next(), parts.next(), parts.next()];
        let others = match next {
            [None, ..] => return Tensor::from_dispatch(whole),
            [Some(a), None, ..] => Others::One(a),
            [Some(a), Some(b), None, _] => Others::Two(a, b),
            [Some(a), Some(b), Some(c), None] => Others::Three(a, b, c),
            [Some(a), Some(b), Some(c), Some(d)] => Others::Four(a, b, c, d),
        };
        whole = Dispatch::blocked_join(whole, others);
    }
}

/// What finds a number and its gradient, in the order of the values given.
pub type Judge<'a> = &'a mut dyn FnMut(&[f32]) -> (f32, Buffer);

/// The number that `judge` finds from the values of `x`, with the gradient along `x` that it finds too; `[1]`.
///
/// # Panics
/// If `judge` does not find as many gradients as there are values.
pub fn root<const D: usize>(x: Tensor<D>, judge: Judge<'_>) -> Tensor<1> {
    Tensor::from_dispatch(Dispatch::blocked_root(x.into_dispatch(), judge))
}
