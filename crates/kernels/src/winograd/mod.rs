//! 3×3 convolution of padding 1 by Winograd's F(4×4, 3×3).
//!
//! Lavin & Gray 2016 (arXiv 1509.09308): a 4×4 tile of the output is
//! `Aᵀ [ (G g Gᵀ) ⊙ (Bᵀ d B) ] A` of the 6×6 tile `d` of the input and the 3×3 filter `g`. Summed over
//! channels, each of the 36 places of a tile is a matrix product of tiles × input channels by input ×
//! output channels: 36 products where the direct way needs 144, at the price of the transforms.
//! The weight gradient is `Gᵀ [ Σ (Bᵀ d B) ⊙ (A y Aᵀ) ] G` with the 4×4 tile `y` of the output's
//! gradient; the input's gradient is a convolution with the filters turned by 180° and the channels'
//! roles swapped.
//!
//! Height and width need not divide by four: tiles that stick out are copied with zeros around.
//!
//! | array | layout |
//! |---|---|
//! | transformed input `V` | `[36][channel block][tile][8]` |
//! | transformed filters `U` | `[36][16 outputs][input channel][16]` |
//! | products `M` | `[36][16 outputs][tile][16]` |

mod filters;
mod forward;
mod gradient;
mod tiles;
mod transforms;

pub(crate) use filters::{Filters, Turn};
pub(crate) use forward::convolve;
pub(crate) use gradient::weight_gradient;

/// Places of a transformed tile.
const PLACES: usize = 36;

/// Values added between the places of an array, lest they fall on the same cache sets.
const SKEW: usize = 16;
