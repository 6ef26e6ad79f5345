//! The whole volume through a network, slab by slab and window by window.
//!
//! A slab holds the slices to segment and a halo of neighbours; each slice is covered by overlapping
//! windows whose probabilities are blended, so that no seam shows. Only one slab of grey values and one
//! slice of probabilities are ever in memory.

use std::ops::Range;

use rayon::prelude::*;
use tomosieve_volume::slab::{Slabs, reflect};
use tomosieve_volume::tile::Tiles;
use tomosieve_volume::{Region, Shape, VolumeReader};

use crate::Result;
use crate::confidence::most_likely;
use crate::predictor::Predict;
use crate::scale::Scale;

/// How a volume is swept.
#[derive(Debug, Clone, PartialEq)]
pub struct Sweep {
    /// Middle slices per slab.
    pub depth: usize,
    /// c, slices per patch.
    pub slices: usize,
    /// K.
    pub classes: usize,
    /// Window side.
    pub tile: usize,
    /// Overlap of neighbouring windows.
    pub overlap: usize,
    /// Scale of the grey values.
    pub scale: Scale,
}

/// One segmented slice.
#[derive(Debug, Clone, Copy)]
pub struct Segmented<'a> {
    /// Which slice.
    pub z: usize,
    /// Classes, `[y, x]`.
    pub labels: &'a [u8],
    /// Probability of the class, 0..255 for 0..1, `[y, x]`.
    pub confidence: &'a [u8],
}

impl Sweep {
    /// Bytes a slab slice takes: raw or scaled grey values.
    pub const BYTES_PER_VOXEL: usize = 4;

    /// Bytes needed beside the slab, for slices of this size: blended probabilities, labels, confidence.
    pub fn fixed_bytes(&self, shape: Shape) -> usize {
        let tile = self.tile.min(shape.y) * self.tile.min(shape.x);
        shape.slice_voxels() * (4 * self.classes + 2) + tile * 4 * (self.slices + 2 * self.classes)
    }

    /// Segments the slices of `wanted`, handing each to `sink` in order of z.
    ///
    /// # Errors
    /// What the reader or the sink says.
    pub fn run(
        &self,
        reader: &dyn VolumeReader,
        network: &dyn Predict,
        wanted: Range<usize>,
        mut sink: impl FnMut(Segmented<'_>) -> Result<()>,
    ) -> Result<()> {
        let shape = reader.shape();
        let plane = shape.slice_voxels();
        let half = self.slices / 2;
        let tiles = Tiles::new([shape.y, shape.x], self.tile, self.overlap)?;
        let mut probabilities = vec![0.0_f32; self.classes * plane];
        let (mut labels, mut confidence) = (vec![0_u8; plane], vec![0_u8; plane]);
        let mut grey = Vec::new();
        for slab in Slabs::new(shape, self.depth, half) {
            if slab.z.end <= wanted.start || slab.z.start >= wanted.end {
                continue;
            }
            let region = Region::slab(shape, slab.with_halo.clone())?;
            grey.resize(region.voxels(), 0.0);
            reader.read(&region, &mut grey)?;
            grey.par_iter_mut().with_min_len(1 << 14).for_each(|v| *v = self.scale.apply(*v));
            for z in slab.z.clone().filter(|z| wanted.contains(z)) {
                let neighbours: Vec<&[f32]> = (-(half as isize)..=half as isize)
                    .map(|offset| {
                        let at = reflect(z as isize + offset, shape.z) - slab.with_halo.start;
                        &grey[at * plane..(at + 1) * plane]
                    })
                    .collect();
                self.blend(&neighbours, shape, &tiles, network, &mut probabilities);
                decide(&probabilities, &mut labels, &mut confidence);
                sink(Segmented { z, labels: &labels, confidence: &confidence })?;
            }
        }
        Ok(())
    }

    /// The blended probabilities `[k, y, x]` of one slice.
    fn blend(
        &self,
        neighbours: &[&[f32]],
        shape: Shape,
        tiles: &Tiles,
        network: &dyn Predict,
        into: &mut [f32],
    ) {
        into.fill(0.0);
        let [height, width] = tiles.size();
        let plane = height * width;
        for (index, tile) in tiles.iter().enumerate() {
            let mut image = Vec::with_capacity(self.slices * plane);
            for slice in neighbours {
                for y in tile.y.clone() {
                    image.extend_from_slice(&slice[y * shape.x..][tile.x.clone()]);
                }
            }
            let found = network.probabilities(image, [1, self.slices, height, width]);
            let weights = tiles.normalised_weights(index);
            into.par_chunks_mut(shape.slice_voxels()).zip(found.par_chunks(plane)).for_each(
                |(into, found)| {
                    for y in 0..height {
                        let row = y * width..(y + 1) * width;
                        let into = &mut into[(tile.y.start + y) * shape.x..][tile.x.clone()];
                        let (found, weights) = (&found[row.clone()], &weights[row]);
                        into.iter_mut().zip(found).zip(weights).for_each(|((into, p), w)| *into += p * w);
                    }
                },
            );
        }
    }
}

/// Class and confidence of each pixel of `[k, y, x]` probabilities.
fn decide(probabilities: &[f32], labels: &mut [u8], confidence: &mut [u8]) {
    const BLOCK: usize = 1 << 14;
    let plane = labels.len();
    labels.par_chunks_mut(BLOCK).zip(confidence.par_chunks_mut(BLOCK)).enumerate().for_each(
        |(block, (labels, confidence))| {
            for (i, (label, sure)) in labels.iter_mut().zip(confidence).enumerate() {
                let (class, p) = most_likely(probabilities, block * BLOCK + i, plane);
                *label = class;
                *sure = (p * 255.0).round().clamp(0.0, 255.0) as u8;
            }
        },
    );
}
