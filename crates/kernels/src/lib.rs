//! What the networks of tomosieve spend their time on, for CPUs: convolutions, fused norms and
//! pooling, forward and backward, on activations in a [blocked layout](shape).
//!
//! Weights and activations are plain slices of `f32`; no tensor framework is known here, but for what the feature `burn` adds:
//! a [`Buffer`] may become the memory of a tensor. Each function
//! takes the [`Isa`] to run on, usually [`Isa::best`]. Work is spread over the current rayon pool, and
//! results do not depend on the number of its threads. Scratch memory is [used again](buffer).
//!
//! This is the one crate with `unsafe` code. [`mod@reference`] holds the same functions in plain loops;
//! the tests hold the two together.
//!
//! ```
//! use tomosieve_kernels::{Blocked, Buffer, Conv, Isa, Kind, to_blocked, to_nchw};
//!
//! let input = Blocked::new(1, 1, 5, 5);
//! let conv = Conv { kind: Kind::Square, input, c_out: 1 };
//! let mut x = Buffer::dirty(input.len());
//! to_blocked(Isa::best(), input, &[1.0; 25], &mut x);
//! let mut y = Buffer::dirty(conv.output().len());
//! conv.forward(Isa::best(), &x, &[1.0; 9], None, &mut y);
//! let mut sums = vec![0.0; 25];
//! to_nchw(Isa::best(), conv.output(), &y, &mut sums);
//! assert!((sums[12] - 9.0).abs() < 1e-5); // all nine neighbours
//! assert!((sums[0] - 4.0).abs() < 1e-5); // four in the corner
//! ```

pub mod buffer;
#[cfg(feature = "burn")]
mod bytes;
mod cache;
mod change;
mod channelwise;
mod conv;
mod convert;
mod depthwise;
mod gemm;
pub mod heap;
mod input;
mod join;
mod norm;
mod parallel;
mod pool;
pub mod reference;
mod resample;
pub mod shape;
mod simd;
mod softmax;
mod stencil;
mod sums;
mod transpose;
mod update;
mod winograd;

pub use buffer::{Buffer, release};
pub use change::Change;
pub use channelwise::{prelu, prelu_backward, weigh, weigh_backward};
pub use conv::{Conv, Kind};
pub use convert::{to_blocked, to_nchw};
pub use depthwise::Depthwise;
pub use input::Input;
pub use join::{join, split};
pub use norm::{ChannelMoments, Deferred, NormAct, NormGradients, NormStats, norm_act, norm_act_backward};
pub use parallel::together;
pub use pool::{max_pool2, max_pool2_backward, pooled};
pub use resample::Resample;
pub use shape::{BLOCK, Blocked};
pub use simd::Isa;
pub use softmax::softmax;
pub use sums::channel_sums;
pub use update::{Adam, add, blend};
