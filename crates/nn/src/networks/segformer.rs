//! SegFormer (Xie et al. 2021, arXiv 2105.15203): a hierarchical transformer and an all-MLP decoder.
//!
//! The widths scale its smallest variant, B0: two blocks a stage, a feed-forward network four times as wide,
//! one attention head for each `widths[0]` channels, keys and values reduced to the grid of the last stage, a
//! decoder as wide as the last stage. The first stage works on a quarter of the height and width, and so do
//! the logits, which are interpolated. As elsewhere the decoder's norm is a group norm and its activation a
//! PReLU; stochastic depth is left out.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{GroupNorm, GroupNormConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::nn::{PRelu, PReluConfig, PaddingConfig2d};
use burn::tensor::activation::{gelu, prelu, softmax};
use burn::tensor::{Device, Tensor};

use super::NetworkConfig;
use crate::blocks::{ChannelDropout, gcd};
use crate::features::{Features, bilinear};
use crate::segmenter::{Segmenter, Tap};

/// Transformer blocks of a stage.
const DEPTH: usize = 2;
/// Channels inside a feed-forward network for each outside.
const EXPANSION: usize = 4;
/// Stride of the first stage; the others halve.
const FIRST_STRIDE: usize = 4;

/// `[n, c, h, w] → [n, h·w, c]`
fn to_tokens(x: Tensor<4>) -> Tensor<3> {
    x.flatten::<3>(2, 3).swap_dims(1, 2)
}

/// `[n, h·w, c] → [n, c, h, w]`
fn to_grid(tokens: Tensor<3>, [h, w]: [usize; 2]) -> Tensor<4> {
    let [n, _, c] = tokens.dims();
    tokens.swap_dims(1, 2).reshape([n, c, h, w])
}

/// A layer norm with the original's ε.
fn layer_norm(channels: usize, device: &Device) -> LayerNorm {
    LayerNormConfig::new(channels).with_epsilon(1e-6).init(device)
}

/// Overlapped patch merging: a strided convolution whose windows overlap, and a layer norm.
#[derive(Module, Debug)]
pub struct OverlapPatchEmbed {
    conv: Conv2d,
    norm: LayerNorm,
}

impl OverlapPatchEmbed {
    /// From `c_in` to `c_out` channels; the windows are `2·stride − 1` pixels a side.
    pub fn new(c_in: usize, c_out: usize, stride: usize, device: &Device) -> Self {
        let (size, pad) = (2 * stride - 1, stride - 1);
        let conv = Conv2dConfig::new([c_in, c_out], [size, size])
            .with_stride([stride, stride])
            .with_padding(PaddingConfig2d::Explicit(pad, pad, pad, pad))
            .init(device);
        Self { conv, norm: layer_norm(c_out, device) }
    }

    /// The tokens, and the height and width of their grid.
    ///
    /// # Shapes
    /// `[n, c_in, h, w] → [n, h/stride · w/stride, c_out]`
    pub fn forward(&self, x: Tensor<4>) -> (Tensor<3>, [usize; 2]) {
        let x = self.conv.forward(x);
        let [_, _, h, w] = x.dims();
        (self.norm.forward(to_tokens(x)), [h, w])
    }
}

/// Multi-head self-attention whose keys and values lie on a grid `reduction` times coarser.
#[derive(Module, Debug)]
pub struct EfficientAttention {
    query: Linear,
    reduce: Option<Conv2d>,
    reduced_norm: Option<LayerNorm>,
    key: Linear,
    value: Linear,
    project: Linear,
    heads: usize,
}

impl EfficientAttention {
    /// Attention of `channels`, a multiple of `heads`.
    pub fn new(channels: usize, heads: usize, reduction: usize, device: &Device) -> Self {
        let linear = || LinearConfig::new(channels, channels).init(device);
        let size = [reduction, reduction];
        let reduce = || Conv2dConfig::new([channels, channels], size).with_stride(size).init(device);
        Self {
            query: linear(),
            reduce: (reduction > 1).then(reduce),
            reduced_norm: (reduction > 1).then(|| layer_norm(channels, device)),
            key: linear(),
            value: linear(),
            project: linear(),
            heads,
        }
    }

    /// `softmax(q kᵀ / √d) v` of every head, projected (its Eq. 1 and 2).
    ///
    /// # Shapes
    /// `[n, h·w, c] → [n, h·w, c]`, `grid` being `[h, w]`, multiples of the reduction
    pub fn forward(&self, x: Tensor<3>, grid: [usize; 2]) -> Tensor<3> {
        let [n, count, c] = x.dims();
        let d = c / self.heads;
        let split = |x: Tensor<3>| {
            let tokens = x.dims()[1];
            x.reshape([n, tokens, self.heads, d]).swap_dims(1, 2) // [n, heads, tokens, d]
        };
        let reduced = match (&self.reduce, &self.reduced_norm) {
            (Some(reduce), Some(norm)) => norm.forward(to_tokens(reduce.forward(to_grid(x.clone(), grid)))),
            _ => x.clone(),
        };
        let query = split(self.query.forward(x)) / (d as f32).sqrt();
        let key = split(self.key.forward(reduced.clone()));
        let value = split(self.value.forward(reduced));
        let attention = softmax(query.matmul(key.transpose()), 3); // [n, heads, h·w, reduced tokens]
        let seen = attention.matmul(value).swap_dims(1, 2).reshape([n, count, c]);
        self.project.forward(seen)
    }
}

/// Mix-FFN: a feed-forward network that learns of positions from the zero padding of its 3×3 convolution.
#[derive(Module, Debug)]
pub struct MixFfn {
    expand: Linear,
    depthwise: Conv2d,
    contract: Linear,
}

impl MixFfn {
    /// A feed-forward network of `channels` with `hidden` inside.
    pub fn new(channels: usize, hidden: usize, device: &Device) -> Self {
        let depthwise = Conv2dConfig::new([hidden, hidden], [3, 3])
            .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
            .with_groups(hidden)
            .init(device);
        Self {
            expand: LinearConfig::new(channels, hidden).init(device),
            depthwise,
            contract: LinearConfig::new(hidden, channels).init(device),
        }
    }

    /// `MLP(GELU(conv3×3(MLP(x))))` (its Eq. 3, without the residual).
    ///
    /// # Shapes
    /// `[n, h·w, c] → [n, h·w, c]`, `grid` being `[h, w]`
    pub fn forward(&self, x: Tensor<3>, grid: [usize; 2]) -> Tensor<3> {
        let x = self.depthwise.forward(to_grid(self.expand.forward(x), grid));
        self.contract.forward(gelu(to_tokens(x)))
    }
}

/// A transformer block: attention and feed-forward network, each after a norm and around a residual.
#[derive(Module, Debug)]
pub struct Block {
    attention_norm: LayerNorm,
    attention: EfficientAttention,
    ffn_norm: LayerNorm,
    ffn: MixFfn,
}

impl Block {
    /// A block of `channels`.
    pub fn new(channels: usize, heads: usize, reduction: usize, device: &Device) -> Self {
        Self {
            attention_norm: layer_norm(channels, device),
            attention: EfficientAttention::new(channels, heads, reduction, device),
            ffn_norm: layer_norm(channels, device),
            ffn: MixFfn::new(channels, EXPANSION * channels, device),
        }
    }

    /// `[n, h·w, c] → [n, h·w, c]`, `grid` being `[h, w]`
    pub fn forward(&self, x: Tensor<3>, grid: [usize; 2]) -> Tensor<3> {
        let x = x.clone() + self.attention.forward(self.attention_norm.forward(x), grid);
        x.clone() + self.ffn.forward(self.ffn_norm.forward(x), grid)
    }
}

/// One level of the encoder.
#[derive(Module, Debug)]
struct Stage {
    embed: OverlapPatchEmbed,
    blocks: Vec<Block>,
    norm: LayerNorm,
}

impl Stage {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let (tokens, grid) = self.embed.forward(x);
        let tokens = self.blocks.iter().fold(tokens, |x, block| block.forward(x, grid));
        to_grid(self.norm.forward(tokens), grid)
    }
}

/// A SegFormer of `widths.len()` stages.
#[derive(Module, Debug)]
pub struct SegFormer {
    stages: Vec<Stage>,
    unify: Vec<Linear>,
    fuse: Conv2d,
    norm: GroupNorm,
    act: PRelu,
    dropout: ChannelDropout,
    head: Conv2d,
}

impl SegFormer {
    /// A SegFormer for patches of `slices` channels and `classes` classes.
    pub fn new(config: &NetworkConfig, slices: usize, classes: usize, device: &Device) -> Self {
        let widths = &config.widths;
        let last = widths.len() - 1;
        let stage = |level: usize| {
            let width = widths[level];
            let (c_in, stride) = if level == 0 { (slices, FIRST_STRIDE) } else { (widths[level - 1], 2) };
            let heads = gcd(width, (width / widths[0]).max(1));
            let block = |_| Block::new(width, heads, 1 << (last - level), device);
            Stage {
                embed: OverlapPatchEmbed::new(c_in, width, stride, device),
                blocks: (0..DEPTH).map(block).collect(),
                norm: layer_norm(width, device),
            }
        };
        let wide = widths[last];
        Self {
            stages: (0..=last).map(stage).collect(),
            unify: widths.iter().map(|&width| LinearConfig::new(width, wide).init(device)).collect(),
            fuse: Conv2dConfig::new([widths.len() * wide, wide], [1, 1]).with_bias(false).init(device),
            norm: GroupNormConfig::new(gcd(config.groups, wide), wide).init(device),
            act: PReluConfig::new().with_num_parameters(wide).init(device),
            dropout: ChannelDropout::new(config.dropout),
            head: Conv2dConfig::new([wide, classes], [1, 1]).init(device),
        }
    }

    /// The decoder: every scale at one width and the finest size, fused.
    fn decode(&self, scales: Vec<Tensor<4>>) -> Tensor<4> {
        let [n, _, h, w] = scales[0].dims();
        let unified = scales.into_iter().zip(&self.unify).map(|(x, unify)| {
            let [_, _, rows, columns] = x.dims();
            let x = to_grid(unify.forward(to_tokens(x)), [rows, columns]);
            if [rows, columns] == [h, w] { x } else { bilinear(x, [h, w]) }
        });
        let fused = self.fuse.forward(Tensor::cat(unified.collect(), 1)); // [n, wide, h, w]
        let fused = prelu(self.norm.forward(fused), self.act.alpha.val());
        let wide = fused.dims()[1];
        match self.dropout.mask(n, wide, &fused.device()) {
            Some(mask) => fused * mask.reshape([n, wide, 1, 1]),
            None => fused,
        }
    }
}

impl Segmenter for SegFormer {
    fn stride(&self) -> usize {
        FIRST_STRIDE << (self.stages.len() - 1)
    }

    fn logits(&self, x: Tensor<4>, tap: Tap<'_>) -> Tensor<4> {
        let [_, _, h, w] = x.dims();
        let mut scales: Vec<Tensor<4>> = Vec::with_capacity(self.stages.len());
        for (level, stage) in self.stages.iter().enumerate() {
            let found = stage.forward(scales.last().unwrap_or(&x).clone());
            scales.push(tap(&format!("encoder.{level}"), Features::plain(found)).leave());
        }
        let fused = tap("decoder.0", Features::plain(self.decode(scales))).leave();
        bilinear(self.head.forward(fused), [h, w]) // [n, k, h, w]
    }
}
