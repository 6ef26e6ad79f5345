//! The contracting path that the U-Net family shares: level after level, each at half the size of the one before.

use burn::tensor::Device;

use crate::blocks::{BlockStyle, DoubleConv};
use crate::features::Features;
use crate::segmenter::Tap;

/// The levels of an encoder for patches of `slices` channels, finest first.
pub fn levels(widths: &[usize], slices: usize, style: BlockStyle, device: &Device) -> Vec<DoubleConv> {
    let inputs = std::iter::once(slices).chain(widths.iter().copied());
    inputs.zip(widths).map(|(c, &w)| DoubleConv::new(c, w, style, device)).collect()
}

/// [`walk`] down the [`levels`], with a pooling before each but the first.
///
/// # Shapes
/// `[n, slices, h, w] → [n, widths[level], h / 2^level, w / 2^level]`
pub fn encode(levels: &[DoubleConv], x: Features, skips: bool, tap: Tap<'_>) -> (Vec<Features>, Features) {
    walk(levels, x, skips, tap, |level, block, x| block.forward(if level == 0 { x } else { x.max_pool2() }))
}

/// Walks down a contracting path: each level makes its activation of that of the level before, by `step`, and
/// passes it through `tap` as `encoder.{level}`.
///
/// Returns the finer activations, finest first, and the coarsest. Without `skips` the finer ones are not kept.
pub fn walk<L>(
    levels: &[L],
    mut x: Features,
    skips: bool,
    tap: Tap<'_>,
    step: impl Fn(usize, &L, Features) -> Features,
) -> (Vec<Features>, Features) {
    let mut passed = Vec::with_capacity(levels.len());
    for (level, block) in levels.iter().enumerate() {
        if skips && level > 0 {
            passed.push(x.clone());
        }
        x = tap(&format!("encoder.{level}"), step(level, block, x));
    }
    (passed, x)
}
