//! The contracting path that the U-Net family shares: a level, a pooling to half the size, the next level.

use burn::tensor::Device;

use crate::blocks::{BlockStyle, DoubleConv};
use crate::features::Features;
use crate::segmenter::Tap;

/// The levels of an encoder for patches of `slices` channels, finest first.
pub fn levels(widths: &[usize], slices: usize, style: BlockStyle, device: &Device) -> Vec<DoubleConv> {
    let inputs = std::iter::once(slices).chain(widths.iter().copied());
    inputs.zip(widths).map(|(c, &w)| DoubleConv::new(c, w, style, device)).collect()
}

/// The activation of every level, finest first; each passes `tap` as `encoder.{level}`.
///
/// # Shapes
/// `[n, slices, h, w] → [n, widths[level], h / 2^level, w / 2^level]`
pub fn encode(levels: &[DoubleConv], mut x: Features, tap: Tap<'_>) -> Vec<Features> {
    let mut scales = Vec::with_capacity(levels.len());
    for (level, block) in levels.iter().enumerate() {
        if level > 0 {
            x = x.max_pool2();
        }
        x = tap(&format!("encoder.{level}"), block.forward(x));
        scales.push(x.clone());
    }
    scales
}
