//! UNet++ (Zhou et al. 2018, arXiv 1807.10165): a U-Net whose skips are nested and dense.
//!
//! Node `X^{i,j}` of row `i` (the level) and column `j` sees every earlier node of its row and the node
//! below and to the left: `X^{i,j} = H([X^{i,0}, …, X^{i,j−1}, U(X^{i+1,j−1})])` (its Eq. 1), `X^{i,0}` being
//! the encoder, `H` a level of two convolutions and `U` an up-convolution.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::{Device, Tensor};

use super::NetworkConfig;
use crate::blocks::{BlockStyle, DoubleConv, Upsample, conv_point};
use crate::encoder;
use crate::features::Features;
use crate::segmenter::{Segmenter, Tap};

/// A node `X^{i,j}` with `j > 0`.
#[derive(Module, Debug)]
pub struct NestedNode {
    up: Upsample,
    block: DoubleConv,
}

impl NestedNode {
    /// The node after `column` others of its row, of `fine` channels, above one of `coarse` channels.
    pub fn new(column: usize, fine: usize, coarse: usize, style: BlockStyle, device: &Device) -> Self {
        Self {
            up: Upsample::new(coarse, fine, device),
            block: DoubleConv::new((column + 1) * fine, fine, style, device),
        }
    }

    /// The node's activation, from the earlier ones of its `row` and the one `below`.
    ///
    /// # Shapes
    /// `column` times `[n, fine, 2h, 2w]`, `[n, coarse, h, w] → [n, fine, 2h, 2w]`
    pub fn forward(&self, row: &[Features], below: Features) -> Features {
        let risen = self.up.forward(below);
        self.block.forward(Features::join(row.iter().cloned().chain([risen])))
    }
}

/// A UNet++ of `widths.len()` rows.
#[derive(Module, Debug)]
pub struct UNetPlusPlus {
    encoder: Vec<DoubleConv>,
    columns: Vec<Vec<NestedNode>>,
    heads: Vec<Conv2d>,
}

impl UNetPlusPlus {
    /// A UNet++ for patches of `slices` channels and `classes` classes.
    ///
    /// With deep supervision every node of the finest row has a head, and the logits are the mean of theirs
    /// (the paper's accurate mode); without, the last node alone has one.
    pub fn new(
        config: &NetworkConfig,
        deep_supervision: bool,
        slices: usize,
        classes: usize,
        device: &Device,
    ) -> Self {
        let (widths, style) = (&config.widths, config.style());
        let column = |j| {
            let rows = widths.windows(2).take(widths.len() - j);
            rows.map(|pair| NestedNode::new(j, pair[0], pair[1], style, device)).collect()
        };
        let heads = if deep_supervision { widths.len() - 1 } else { 1 };
        Self {
            encoder: encoder::levels(widths, slices, style, device),
            columns: (1..widths.len()).map(column).collect(),
            heads: (0..heads).map(|_| Conv2dConfig::new([widths[0], classes], [1, 1]).init(device)).collect(),
        }
    }
}

impl Segmenter for UNetPlusPlus {
    fn stride(&self) -> usize {
        1 << self.columns.len()
    }

    fn logits(&self, x: Tensor<4>, tap: Tap<'_>) -> Tensor<4> {
        let (finer, coarsest) = encoder::encode(&self.encoder, Features::enter(x), true, tap);
        let mut rows: Vec<Vec<Features>> = finer.into_iter().chain([coarsest]).map(|x| vec![x]).collect();
        for (j, column) in self.columns.iter().enumerate() {
            for (i, node) in column.iter().enumerate() {
                let x = node.forward(&rows[i], rows[i + 1][j].clone());
                rows[i].push(tap(&format!("node.{i}.{}", j + 1), x)); // [n, widths[i], h/2^i, w/2^i]
            }
            rows.truncate(column.len()); // the last row has no further reader
        }
        let supervised = rows.swap_remove(0).into_iter().rev(); // the finest row, last node first
        let logits = supervised.zip(&self.heads).map(|(x, head)| conv_point(head, x));
        let sum = logits.reduce(Features::add).expect("the finest row has a node and a head");
        sum.leave() / self.heads.len() as f32 // [n, k, h, w]
    }
}
