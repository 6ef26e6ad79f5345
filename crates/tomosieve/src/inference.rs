//! The whole volume through a network, slab by slab and window by window.
//!
//! A slab holds the slices to segment and a halo of neighbours; each slice is covered by overlapping
//! windows whose probabilities (or whatever else a network makes of them) are blended, so that no seam
//! shows. Only one slab of grey values and one slice of probabilities are ever in memory.

use std::ops::Range;

use rayon::prelude::*;
use tomosieve_volume::slab::{Slabs, reflect};
use tomosieve_volume::tile::Tiles;
use tomosieve_volume::{Region, Shape, VolumeReader};

use crate::Result;
use crate::confidence::most_likely;
use crate::config::{Config, SegmentConfig};
use crate::partial_volume::Rims;
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
    /// Where partial-volume rims go, if anywhere.
    pub rims: Option<Rims>,
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
    /// Pixels of windows that go through the network together, unless one window has more.
    const PIXELS: usize = 1 << 16;

    /// The sweep that the settings ask for, one slice at a time.
    pub fn new(config: &Config, scale: Scale) -> Self {
        let SegmentConfig { tile, overlap } = config.segment;
        Self {
            depth: 1,
            slices: config.input.slices,
            classes: config.input.classes,
            tile,
            overlap: (tile as f64 * overlap).round() as usize,
            scale,
            rims: None,
        }
    }

    /// How many windows of so many pixels go through the network together.
    pub fn at_once(pixels: usize) -> usize {
        (Self::PIXELS / pixels.max(1)).max(1)
    }

    /// Pixels that go through the network together, for slices of this size.
    pub fn pixels_at_once(&self, shape: Shape) -> usize {
        let window = self.tile.min(shape.y) * self.tile.min(shape.x);
        window * Self::at_once(window)
    }

    /// Windows that a volume takes.
    ///
    /// # Errors
    /// When the overlap is not below the window's side.
    pub fn windows(&self, shape: Shape) -> Result<usize> {
        Ok(shape.z * Tiles::new([shape.y, shape.x], self.tile, self.overlap)?.len())
    }

    /// Bytes a slab slice takes: raw or scaled grey values.
    pub const BYTES_PER_VOXEL: usize = 4;

    /// Bytes needed beside the slab, for slices of this size: blended probabilities, labels, confidence.
    pub fn fixed_bytes(&self, shape: Shape) -> usize {
        let windows = self.pixels_at_once(shape);
        shape.slice_voxels() * (4 * self.classes + 2) + windows * 4 * (self.slices + 2 * self.classes)
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
        let (plane, width) = (reader.shape().slice_voxels(), reader.shape().x);
        let (mut labels, mut confidence) = (vec![0_u8; plane], vec![0_u8; plane]);
        let look = |images, shape| network.probabilities(images, shape);
        self.blended(reader, &look, wanted, |z, grey, probabilities| {
            decide(probabilities, &mut labels, &mut confidence);
            if let Some(rims) = &self.rims {
                rims.resolve(grey, &mut labels, width);
            }
            sink(Segmented { z, labels: &labels, confidence: &confidence })
        })
    }

    /// Shows every window of the slices of `wanted` to `look` and hands z, the scaled grey values `[y, x]`
    /// and the blended values `[k, y, x]` of each slice to `sink`, in order of z.
    ///
    /// `look` makes of `[n, c, h, w]` scaled grey values as many times `[k, h, w]` values.
    ///
    /// # Errors
    /// What the reader or the sink says.
    pub fn blended(
        &self,
        reader: &dyn VolumeReader,
        look: &dyn Fn(Vec<f32>, [usize; 4]) -> Vec<f32>,
        wanted: Range<usize>,
        mut sink: impl FnMut(usize, &[f32], &[f32]) -> Result<()>,
    ) -> Result<()> {
        let shape = reader.shape();
        let plane = shape.slice_voxels();
        let half = self.slices / 2;
        let tiles = Tiles::new([shape.y, shape.x], self.tile, self.overlap)?;
        let mut values = vec![0.0_f32; self.classes * plane];
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
                self.blend(&neighbours, shape, &tiles, look, &mut values);
                sink(z, neighbours[half], &values)?;
            }
        }
        Ok(())
    }

    /// The blended values `[k, y, x]` of one slice.
    fn blend(
        &self,
        neighbours: &[&[f32]],
        shape: Shape,
        tiles: &Tiles,
        look: &dyn Fn(Vec<f32>, [usize; 4]) -> Vec<f32>,
        into: &mut [f32],
    ) {
        into.fill(0.0);
        let [height, width] = tiles.size();
        let plane = height * width;
        let windows: Vec<_> = tiles.iter().enumerate().collect();
        for windows in windows.chunks(Self::at_once(plane)) {
            let mut images = Vec::with_capacity(windows.len() * self.slices * plane);
            for (_, window) in windows {
                for slice in neighbours {
                    for y in window.y.clone() {
                        images.extend_from_slice(&slice[y * shape.x..][window.x.clone()]);
                    }
                }
            }
            let found = look(images, [windows.len(), self.slices, height, width]);
            let weights: Vec<_> = windows.iter().map(|(index, _)| tiles.normalised_weights(*index)).collect();
            into.par_chunks_mut(shape.slice_voxels()).enumerate().for_each(|(class, into)| {
                for (item, (_, window)) in windows.iter().enumerate() {
                    let found = &found[(item * self.classes + class) * plane..][..plane];
                    let rows = found.chunks_exact(width).zip(weights[item].chunks_exact(width));
                    for (y, (found, weights)) in window.y.clone().zip(rows) {
                        let into = &mut into[y * shape.x..][window.x.clone()];
                        into.iter_mut().zip(found).zip(weights).for_each(|((into, p), w)| *into += p * w);
                    }
                }
            });
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
