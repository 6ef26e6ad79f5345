//! Group normalisation, `PReLU` and channel dropout in one go.
//!
//! `y = m · prelu(γ x̂ + β)` with `x̂ = (x − μ) / √(σ² + ε)` over a group of channels of an image, the
//! biased variance `σ²` (Wu & He 2018, arXiv 1803.08494), a slope for each channel (He et al. 2015, arXiv
//! 1502.01852) and an optional factor `m` for each image and channel (Tompson et al. 2015, arXiv
//! 1411.4280). The input is read twice and the output written once,
//! or both once where a convolution has measured what it wrote.
//!
//! Sums are taken in `f32` over at most [`RUN`] pixels at a time, from the channel's first pixel as
//! origin, and in `f64` beyond, so that a large mean costs no digits.

mod backward;
mod deferred;
mod forward;
mod moments;

pub use backward::{NormGradients, norm_act_backward};
pub use deferred::Deferred;
pub(crate) use deferred::{Active, Lanes};
pub use forward::norm_act;
pub use moments::ChannelMoments;
pub(crate) use moments::{Measuring, Stretch};

use std::ops::Range;

use crate::buffer::Buffer;
use crate::parallel::{Shared, each};
use crate::shape::{BLOCK, Blocked};
use crate::simd::{LANES, Simd};

/// Lane groups whose sums are kept in `f32`.
const RUN: usize = 128;

/// The parameters of a fused norm and activation.
#[derive(Debug, Clone, Copy)]
pub struct NormAct<'a> {
    /// Scales `γ`, one a channel.
    pub gamma: &'a [f32],
    /// Offsets `β`, one a channel.
    pub beta: &'a [f32],
    /// Slopes for negative values, one a channel.
    pub slope: &'a [f32],
    /// Dropout's factors `m`, `[n, c]`.
    pub mask: Option<&'a [f32]>,
    /// Groups, a divisor of the channels.
    pub groups: usize,
    /// `ε`
    pub epsilon: f32,
}

impl NormAct<'_> {
    fn check(&self, shape: Blocked) {
        for values in [self.gamma, self.beta, self.slope] {
            assert_eq!(values.len(), shape.c, "a value for each channel");
        }
        assert!(
            self.mask.is_none_or(|m| m.len() == shape.n * shape.c),
            "a factor for each image and channel"
        );
        assert!(
            self.groups > 0 && shape.c.is_multiple_of(self.groups),
            "{} groups of {}",
            self.groups,
            shape.c
        );
    }
}

/// What the forward pass found for each image and channel.
#[derive(Debug)]
pub struct NormStats(Buffer);

/// Of eight channels: the mean `μ` of their groups, `1 / √(σ² + ε)`, and by how much a channel's own mean is larger.
type Stats = [[f32; BLOCK]; 3];

impl NormStats {
    fn new(shape: Blocked) -> Self {
        Self(Buffer::zeroed(shape.n * shape.blocks() * size_of::<Stats>() / size_of::<f32>()))
    }

    /// What becomes of them while parts of it are found.
    fn shared(&mut self) -> Shared<Stats> {
        Shared::new(self.0.as_chunks_mut::<BLOCK>().0.as_chunks_mut().0)
    }

    /// Those of a plane.
    #[inline(always)]
    fn of(&self, plane: usize) -> &Stats {
        &self.0.as_chunks().0.as_chunks().0[plane]
    }
}

/// Channel blocks of an image whose groups have no channel elsewhere.
struct Part {
    /// Counted through all images.
    planes: Range<usize>,
    groups: Range<usize>,
}

/// Does `task` for every part. Its planes are gone through twice, and the second time may still lie in a cache.
fn each_part(shape: Blocked, groups: usize, task: impl Fn(Part) + Sync + Send) {
    let width = shape.c / groups;
    let blocks = width >> width.trailing_zeros().min(BLOCK.trailing_zeros()); // until a group and a block end together
    let parts = shape.blocks().div_ceil(blocks);
    each(shape.n * parts, |i| {
        let (image, first) = (i / parts, i % parts * blocks);
        let last = shape.blocks().min(first + blocks);
        let before = image * shape.blocks();
        let groups = first * BLOCK / width..shape.c.min(last * BLOCK) / width;
        task(Part { planes: before + first..before + last, groups });
    });
}

/// Whether the pixel at value `at` and the next one, both before `end`, share a cache line: a register of 512 bits that lies
/// across lines is loaded and stored at half the rate.
#[inline(always)]
fn share_line(at: usize, end: usize) -> bool {
    at.is_multiple_of(LANES) && at + LANES <= end
}

/// Eight values twice over, for two pixels.
#[inline(always)]
pub(crate) fn twice(values: &[f32]) -> [f32; LANES] {
    std::array::from_fn(|lane| values[lane % BLOCK])
}

/// The eight values of a block's channels, zero beyond the last channel.
#[inline(always)]
fn channels(values: &[f32], block: usize) -> [f32; BLOCK] {
    std::array::from_fn(|lane| values.get(block * BLOCK + lane).copied().unwrap_or(0.0))
}

/// Scale and offset that make `γ x̂ + β` of `x`, for the channels of a plane.
#[inline(always)]
fn affine(shape: Blocked, params: NormAct<'_>, stats: &Stats, plane: usize) -> [[f32; BLOCK]; 2] {
    let block = plane % shape.blocks();
    let [mean, inverse, _] = stats;
    let (gamma, beta) = (channels(params.gamma, block), channels(params.beta, block));
    let scale: [f32; BLOCK] = std::array::from_fn(|i| inverse[i] * gamma[i]);
    [scale, std::array::from_fn(|i| beta[i] - mean[i] * scale[i])]
}

/// The factors of a plane.
#[inline(always)]
fn mask_lanes(shape: Blocked, mask: Option<&[f32]>, plane: usize) -> [f32; BLOCK] {
    let (image, block) = (plane / shape.blocks(), plane % shape.blocks());
    mask.map_or([1.0; BLOCK], |mask| channels(&mask[image * shape.c..][..shape.c], block))
}

/// Sums in lanes of `f32`, now and then added to `f64`.
pub(crate) struct Sums<S: Simd, const N: usize> {
    pub(crate) lanes: [S::V; N],
    total: [[f64; BLOCK]; N],
    left: usize,
}

impl<S: Simd, const N: usize> Sums<S, N> {
    #[inline(always)]
    pub(crate) fn new(s: S) -> Self {
        Self { lanes: [s.zero(); N], total: [[0.0; BLOCK]; N], left: RUN }
    }

    /// To be called before `count` lane groups are added.
    #[inline(always)]
    pub(crate) fn make_room(&mut self, s: S, count: usize) {
        if self.left < count {
            self.flush(s);
        }
        self.left = self.left.saturating_sub(count);
    }

    #[inline(always)]
    fn flush(&mut self, s: S) {
        for (lanes, total) in self.lanes.iter_mut().zip(&mut self.total) {
            let values = s.to_array(*lanes);
            for (channel, sum) in total.iter_mut().enumerate() {
                *sum += f64::from(values[channel]) + f64::from(values[channel + BLOCK]);
            }
            *lanes = s.zero();
        }
        self.left = RUN;
    }

    #[inline(always)]
    pub(crate) fn finish(mut self, s: S) -> [[f64; BLOCK]; N] {
        self.flush(s);
        self.total
    }
}
