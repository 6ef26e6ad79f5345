//! Overlapping tiles over a slice, and weights that blend what is computed on each.
//!
//! All tiles have one size, the last of a row or column being shifted inwards; a slice smaller
//! than a tile is one tile of the slice's size. Weights fall off smoothly towards a tile's edge
//! but stay positive, so that dividing the sum of weighted values by the sum of weights is well
//! defined everywhere and equal values blend to themselves.

use std::f32::consts::PI;
use std::ops::Range;

use crate::error::{Error, Result};

/// A tile's window `[y, x]` of the slice, and its weights.
///
/// A voxel's weight is the product of those of its row and its column, divided by the sum of all tiles' weights: over all
/// tiles they sum to one at every voxel.
#[derive(Debug, Clone, PartialEq)]
pub struct Tile<'a> {
    /// Rows.
    pub y: Range<usize>,
    /// Columns.
    pub x: Range<usize>,
    /// The weight of each row.
    pub weights_y: &'a [f32],
    /// The weight of each column.
    pub weights_x: &'a [f32],
}

/// A grid of tiles over slices of one size.
#[derive(Debug, Clone)]
pub struct Tiles {
    size: [usize; 2],
    /// Where tiles start along each axis, and their weights.
    along: [Vec<(usize, Vec<f32>)>; 2],
}

impl Tiles {
    /// Square tiles of edge `tile` that overlap by at least `overlap`, over slices `[y, x]`.
    ///
    /// # Errors
    ///
    /// [`Error::TileOverlap`] if the overlap is not below the tile's edge.
    pub fn new(slice: [usize; 2], tile: usize, overlap: usize) -> Result<Self> {
        if overlap >= tile {
            return Err(Error::TileOverlap { tile, overlap });
        }
        let size = slice.map(|len| len.min(tile));
        Ok(Self { size, along: slice.map(|len| along(len, tile, overlap)) })
    }

    /// The size `[y, x]` all tiles have.
    pub fn size(&self) -> [usize; 2] {
        self.size
    }

    /// How many tiles there are.
    pub fn len(&self) -> usize {
        self.along[0].len() * self.along[1].len()
    }

    /// Whether there are none: the slice has no voxels.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The tiles, row by row.
    pub fn iter(&self) -> impl Iterator<Item = Tile<'_>> {
        let ([height, width], [rows, columns]) = (self.size, &self.along);
        rows.iter().flat_map(move |(y, weights_y)| {
            columns.iter().map(move |(x, weights_x)| Tile {
                y: *y..y + height,
                x: *x..x + width,
                weights_y,
                weights_x,
            })
        })
    }
}

/// Where tiles start along an axis, and their weights, which sum to one.
fn along(len: usize, tile: usize, overlap: usize) -> Vec<(usize, Vec<f32>)> {
    let starts = starts(len, tile, tile - overlap);
    let size = len.min(tile);
    let ramps = starts.iter().map(|&start| ramp(size, start == 0, start + size == len, overlap));
    let mut tiles: Vec<(usize, Vec<f32>)> = starts.iter().copied().zip(ramps).collect();
    let mut sums = vec![0.0_f32; len];
    for (start, weights) in &tiles {
        sums[*start..].iter_mut().zip(weights).for_each(|(sum, weight)| *sum += weight);
    }
    for (start, weights) in &mut tiles {
        weights.iter_mut().zip(&sums[*start..]).for_each(|(weight, sum)| *weight /= sum);
    }
    tiles
}

/// The weights along an axis of a tile that is the first or the last one, or not: one inside and towards the end of
/// the slice; towards a neighbour a raised cosine that begins three quarters of the overlap inside and has all but
/// vanished in the last quarter, where what is computed on the tile lacks its surroundings.
fn ramp(size: usize, first: bool, last: bool, overlap: usize) -> Vec<f32> {
    let margin = overlap as f32 / 4.0;
    let rise = (overlap as f32 / 2.0).max(1.0);
    let weight = |i: usize| {
        let before = if first { usize::MAX } else { i };
        let after = if last { usize::MAX } else { size - 1 - i };
        let inwards = (before.min(after) as f32 + 0.5 - margin) / rise;
        (0.5 - 0.5 * (PI * inwards.clamp(0.0, 1.0)).cos()).max(1e-6)
    };
    (0..size).map(weight).collect()
}

/// Where tiles start along an axis.
fn starts(len: usize, tile: usize, step: usize) -> Vec<usize> {
    if len == 0 {
        return Vec::new();
    }
    let last = len.saturating_sub(tile);
    let mut starts: Vec<usize> = (0..last).step_by(step).collect();
    starts.push(last);
    starts
}
