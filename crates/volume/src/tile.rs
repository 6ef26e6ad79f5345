//! Overlapping tiles over a slice, and weights that blend what is computed on each.
//!
//! All tiles have one size, the last of a row or column being shifted inwards; a slice smaller
//! than a tile is one tile of the slice's size. Weights fall off smoothly towards a tile's edge
//! but stay positive, so that dividing the sum of weighted values by the sum of weights is well
//! defined everywhere and equal values blend to themselves.

use std::f32::consts::PI;
use std::ops::Range;

use crate::error::{Error, Result};

/// A tile's window `[y, x]` of the slice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    /// Rows.
    pub y: Range<usize>,
    /// Columns.
    pub x: Range<usize>,
}

/// A grid of tiles over slices of one size.
#[derive(Debug, Clone)]
pub struct Tiles {
    starts: [Vec<usize>; 2],
    size: [usize; 2],
    slice: [usize; 2],
    overlap: usize,
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
        Ok(Self { starts: slice.map(|len| starts(len, tile, tile - overlap)), size, slice, overlap })
    }

    /// The size `[y, x]` all tiles have.
    pub fn size(&self) -> [usize; 2] {
        self.size
    }

    /// How many tiles there are.
    pub fn len(&self) -> usize {
        self.starts[0].len() * self.starts[1].len()
    }

    /// Whether there are none: the slice has no voxels.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The tiles, row by row.
    pub fn iter(&self) -> impl Iterator<Item = Tile> + '_ {
        let [height, width] = self.size;
        self.starts[0].iter().flat_map(move |&y| {
            self.starts[1].iter().map(move |&x| Tile { y: y..y + height, x: x..x + width })
        })
    }

    /// The weights `[y, x]` of tile `index`, divided by the sum of all tiles' weights: over all
    /// tiles they sum to one at every voxel.
    pub fn normalised_weights(&self, index: usize) -> Vec<f32> {
        let columns = self.starts[1].len();
        if columns == 0 {
            return Vec::new();
        }
        let (row, column) = (index / columns, index % columns);
        let (Some(&y), Some(&x)) = (self.starts[0].get(row), self.starts[1].get(column)) else {
            return Vec::new();
        };
        // The sum over a grid of products is the product of the sums along each axis.
        let along = |axis: usize, start: usize| -> Vec<f32> {
            let sums = self.sums(axis);
            self.ramp(axis, start).zip(&sums[start..]).map(|(w, sum)| w / sum).collect()
        };
        let (along_y, along_x) = (along(0, y), along(1, x));
        along_y.iter().flat_map(|y| along_x.iter().map(move |x| y * x)).collect()
    }

    fn sums(&self, axis: usize) -> Vec<f32> {
        let mut sums = vec![0.0; self.slice[axis]];
        for &start in &self.starts[axis] {
            for (sum, weight) in sums[start..].iter_mut().zip(self.ramp(axis, start)) {
                *sum += weight;
            }
        }
        sums
    }

    /// The weights along an axis of the tile that starts at `start`: one inside and towards the end of
    /// the slice; towards a neighbour a raised cosine that begins three quarters of the overlap inside
    /// and has all but vanished in the last quarter, where what is computed on the tile lacks its
    /// surroundings.
    fn ramp(&self, axis: usize, start: usize) -> impl Iterator<Item = f32> {
        let (size, slice) = (self.size[axis], self.slice[axis]);
        let margin = self.overlap as f32 / 4.0;
        let rise = (self.overlap as f32 / 2.0).max(1.0);
        (0..size).map(move |i| {
            let before = if start == 0 { usize::MAX } else { i };
            let after = if start + size == slice { usize::MAX } else { size - 1 - i };
            let inwards = (before.min(after) as f32 + 0.5 - margin) / rise;
            (0.5 - 0.5 * (PI * inwards.clamp(0.0, 1.0)).cos()).max(1e-6)
        })
    }
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
