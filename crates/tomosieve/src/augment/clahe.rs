//! Strong view `clahe` (paper Sec. III-D): contrast limited adaptive histogram equalisation.
//!
//! The slice is quantised to 8 bits, `q = round(255·x)`, and cut into a grid of equal tiles (extended
//! by reflection where it does not divide). Every tile of `A` pixels gets a map of grey values:
//!
//! ```text
//! limit  = max(1, ⌊clip·A / 256⌋)
//! h'(v)  = min(h(v), limit) + the clipped counts, spread evenly over all 256 values
//! map(v) = round(255/A · Σ_{u ≤ v} h'(u))
//! ```
//!
//! and every pixel takes the bilinear mean of the maps of the four nearest tile centres. The clip
//! limit is `U(1, 4)`, whatever the strength. Each slice has its own maps, as each image has in a peer.
//!
//! With the same tiles and clip limit, the difference to `OpenCV` 4.11's `createCLAHE` is zero: every
//! pixel is equal to the last of the 8 bits (`tests/views.rs` asserts equality, not closeness; `tests/peers/views`
//! does so on fresh images, grids and limits). Albumentations 2.0.8 calls that function, on 8 bits too.
//! Its default is a grid of 8 × 8 tiles; ours is a tile size in pixels, so that crops of any size are
//! treated alike.
//!
//! Reference: Zuiderveld 1994, *Contrast limited adaptive histogram equalization*, Graphics Gems IV,
//! 474–485.

use std::cell::RefCell;

use rand::Rng;

use super::augment::Augment;
use super::draw;
use super::tile_maps::{Map, TileMaps};
use crate::patch::Patch;

/// Name in the roster.
pub const NAME: &str = "clahe";

/// Range of the clip limit.
const CLIP: (f64, f64) = (1.0, 4.0);

/// How a slice is cut into tiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grid {
    /// As many tiles of about this edge, in pixels, as fit along each axis, at least one.
    TileSize(usize),
    /// So many tiles.
    Tiles {
        /// Along the width.
        x: usize,
        /// Along the height.
        y: usize,
    },
}

impl Grid {
    /// Tiles along height and width, `[y, x]`, of a slice of that size.
    pub fn tiles(self, height: usize, width: usize) -> [usize; 2] {
        match self {
            Self::TileSize(edge) => [height, width].map(|size| (size / edge.max(1)).max(1)),
            Self::Tiles { x, y } => [y.max(1), x.max(1)],
        }
    }
}

/// Random CLAHE.
#[derive(Debug, Clone, Copy)]
pub struct Clahe {
    /// How often the view is taken.
    pub probability: f64,
    /// How slices are cut into tiles.
    pub grid: Grid,
}

impl Augment for Clahe {
    fn apply(&self, patch: &mut Patch, rng: &mut dyn Rng) {
        if !draw::chance(rng, self.probability) {
            return;
        }
        let clip = draw::uniform(rng, CLIP.0, CLIP.1);
        let (pixels, width) = (patch.pixels(), patch.width);
        if pixels > 0 {
            patch.image.chunks_exact_mut(pixels).for_each(|slice| clahe(slice, width, clip, self.grid));
        }
    }
}

/// Working memory, kept by every thread.
#[derive(Default)]
struct Scratch {
    /// The slice in 8 bits.
    grey: Vec<u8>,
    /// Grey-value maps of all tiles.
    maps: TileMaps,
    /// The runs of columns between the same tile centres.
    cells: Vec<Cell>,
    /// Every column's share of the tile to its right.
    right: Vec<f32>,
    /// The maps of the four tiles around each cell, by grey value: one word for the four results.
    corners: Vec<[u32; 256]>,
    /// The four mapped values of every pixel of a row.
    mapped: Vec<u32>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Equalises one slice `[h, w]` with values in `[0, 1]`, in place.
///
/// # Panics
/// If the slice is not a whole number of rows.
pub fn clahe(slice: &mut [f32], width: usize, clip: f64, grid: Grid) {
    if slice.is_empty() {
        return;
    }
    assert!(slice.len().is_multiple_of(width), "{} values in rows of {width}", slice.len());
    SCRATCH.with_borrow_mut(|scratch| scratch.equalise(slice, width, clip, grid));
}

impl Scratch {
    fn equalise(&mut self, slice: &mut [f32], width: usize, clip: f64, grid: Grid) {
        let height = slice.len() / width;
        self.grey.clear();
        self.grey.extend(slice.iter().map(|&value| quantise(value)));
        let tiles = grid.tiles(height, width);
        self.maps.build(&self.grey, [height, width], tiles, clip);

        let [tile_height, tile_width] = self.maps.tile();
        self.load_columns(width, tile_width);
        self.mapped.resize(width, 0);

        let mut strip = None;
        for (y, out) in slice.chunks_exact_mut(width).enumerate() {
            let row = Place::of(y, tile_height);
            if strip != Some(row.cell) {
                self.load_corners(row.cell, tiles);
                strip = Some(row.cell);
            }
            let grey = &self.grey[y * width..(y + 1) * width];
            for &Cell { number, from, to } in &self.cells {
                let corners = &self.corners[number];
                for (word, &value) in self.mapped[from..to].iter_mut().zip(&grey[from..to]) {
                    *word = corners[usize::from(value)];
                }
            }
            blend(&self.mapped, &self.right, row.share, out);
        }
    }

    /// Finds every column's place.
    fn load_columns(&mut self, width: usize, tile: usize) {
        self.cells.clear();
        self.right.clear();
        for x in 0..width {
            let Place { cell, share } = Place::of(x, tile);
            self.right.push(share);
            match self.cells.last_mut() {
                Some(last) if last.number == cell => last.to = x + 1,
                _ => self.cells.push(Cell { number: cell, from: x, to: x + 1 }),
            }
        }
    }

    /// Packs the maps around every cell of a strip between two rows of tile centres. Outside the
    /// outermost centres both neighbours are the same tile.
    fn load_corners(&mut self, strip: usize, [rows, columns]: [usize; 2]) {
        let [above, below] = [strip.saturating_sub(1), strip.min(rows - 1)];
        self.corners.resize(columns + 1, [0; 256]);
        for (cell, corners) in self.corners.iter_mut().enumerate() {
            let [left, right] = [cell.saturating_sub(1), cell.min(columns - 1)];
            let map = |row: usize, column: usize| -> &Map { self.maps.map(row * columns + column) };
            let (top_left, top_right) = (map(above, left), map(above, right));
            let (low_left, low_right) = (map(below, left), map(below, right));
            for (value, word) in corners.iter_mut().enumerate() {
                let four = [top_left[value], top_right[value], low_left[value], low_right[value]];
                *word = u32::from_le_bytes(four);
            }
        }
    }
}

/// A pixel's place along one axis among the tile centres.
struct Place {
    /// 0 before the first centre, `i` between the centres of the tiles `i − 1` and `i`.
    cell: usize,
    /// How far it is on the way to the next centre, in `[0, 1)`.
    share: f32,
}

impl Place {
    fn of(pixel: usize, tile: usize) -> Self {
        let centres = pixel as f32 * (1.0 / tile as f32) - 0.5;
        let before = centres.floor();
        Self { cell: (before + 1.0) as usize, share: centres - before }
    }
}

/// The columns `from..to`, all in cell `number`.
struct Cell {
    number: usize,
    from: usize,
    to: usize,
}

/// Bilinear mean of the four mapped values of every pixel of a row, back in `[0, 1]`.
fn blend(mapped: &[u32], right: &[f32], low: f32, out: &mut [f32]) {
    let top = 1.0 - low;
    for ((out, &word), &right) in out.iter_mut().zip(mapped).zip(right) {
        let corner = |place: u32| ((word >> (8 * place)) & 255) as i32 as f32;
        let left = 1.0 - right;
        let above = corner(0) * left + corner(1) * right;
        let below = corner(2) * left + corner(3) * right;
        *out = nearest(above * top + below * low) / 255.0;
    }
}

/// The nearest of 256 grey values.
fn quantise(value: f32) -> u8 {
    let clipped = value.clamp(0.0, 1.0);
    (clipped * 255.0 + TO_INTEGER).to_bits() as u8
}

/// The nearest integer, the even one of two, of a number in `[0, 2²²]`.
fn nearest(value: f32) -> f32 {
    value + TO_INTEGER - TO_INTEGER
}

/// 2²³: a number that it is added to has no room for a fraction, and its integer stands in the low bits.
const TO_INTEGER: f32 = 8_388_608.0;

#[cfg(test)]
mod tests {
    use super::{Grid, clahe, quantise};

    #[test]
    fn grids_of_a_tile_size() {
        assert_eq!(Grid::TileSize(24).tiles(64, 128), [2, 5]);
        assert_eq!(Grid::TileSize(24).tiles(10, 24), [1, 1]);
        assert_eq!(Grid::Tiles { x: 8, y: 4 }.tiles(64, 128), [4, 8]);
    }

    #[test]
    fn quantisation_rounds_to_the_nearest() {
        for value in 0..=255_u8 {
            assert_eq!(quantise(f32::from(value) / 255.0), value);
            assert_eq!(quantise((f32::from(value) + 0.49) / 255.0), value);
        }
        assert_eq!((quantise(-1.0), quantise(2.0), quantise(f32::NAN)), (0, 255, 0));
    }

    #[test]
    fn a_wide_open_limit_equalises_the_histogram() {
        let mut slice: Vec<f32> = (0..256_u16).map(|i| f32::from(i) / 255.0 * 0.5).collect();
        clahe(&mut slice, 16, 256.0, Grid::Tiles { x: 1, y: 1 });
        assert!(slice.is_sorted());
        assert!(slice[0] < 0.01 && slice[255] > 0.99, "{} to {}", slice[0], slice[255]);
    }

    #[test]
    fn slices_smaller_than_the_grid() {
        for (height, width) in [(1, 1), (1, 9), (3, 2)] {
            let mut slice = vec![0.5; height * width];
            clahe(&mut slice, width, 2.0, Grid::Tiles { x: 8, y: 8 });
            assert!(slice.iter().all(|value| (0.0..=1.0).contains(value)));
        }
    }
}
