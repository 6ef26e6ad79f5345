//! The whole volume through a network, slab by slab and window by window.
//!
//! A slab holds the slices to segment and a halo of neighbours; each slice is covered by overlapping
//! windows whose probabilities (or whatever else a network makes of them) are blended, so that no seam
//! shows. Only one slab of grey values and one slice of probabilities are ever in memory, or as many slices as it
//! takes to give every thread a window.

use std::ops::Range;

use rayon::prelude::*;
use tomosieve_nn::kernels::Buffer;
use tomosieve_nn::networks::NetworkConfig;
use tomosieve_volume::slab::{Slabs, reflect};
use tomosieve_volume::tile::Tiles;
use tomosieve_volume::{Region, Shape, VolumeReader};

use crate::Result;
use crate::config::{Config, SegmentConfig};
use crate::lanes::Lanes;
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
    /// Pixels that go through the network together, unless one window has more.
    pub pixels: usize,
    /// How many such batches are in work at a time; the result does not depend on it.
    pub lanes: usize,
    /// Parameters of the network, for what its transformed filters take.
    pub parameters: usize,
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
    /// Pixels that go through the network together, at least on a CPU, whose cache should hold what becomes of them, and on a
    /// GPU, which should have enough to do.
    const PIXELS: [usize; 2] = [1 << 13, 1 << 16];
    /// Batches for each lane before their values are blended.
    const ROUNDS: usize = 4;

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
            pixels: if config.device == "cpu" { pixels(&config.network) } else { Self::PIXELS[1] },
            lanes: 1,
            parameters: 0,
        }
    }

    /// The sweep of patches of so many slices, whose grey values are scaled already, in windows of `tile` pixels a side that
    /// overlap by half.
    pub fn over_patches(slices: usize, tile: usize, classes: usize) -> Self {
        let (scale, pixels) = (Scale { low: 0.0, high: 1.0 }, Self::PIXELS[0]);
        let (rims, lanes, parameters) = (None, 1, 0);
        Self { depth: 1, slices, classes, tile, overlap: tile / 2, scale, rims, pixels, lanes, parameters }
    }

    /// Pixels of a window, for slices of this size.
    fn window(&self, shape: Shape) -> usize {
        (self.tile.min(shape.y) * self.tile.min(shape.x)).max(1)
    }

    /// How many windows go through the network together on a lane, at most.
    pub fn at_once(&self, shape: Shape) -> usize {
        (self.pixels / self.window(shape)).max(1)
    }

    /// How many slices are in work at a time: as many as give every lane a window.
    pub fn slices_at_once(&self, shape: Shape) -> usize {
        let windows = self.windows(shape).map_or(1, |windows| windows / shape.z.max(1));
        self.lanes.div_ceil(windows.max(1))
    }

    /// Pixels of all windows in work, for slices of this size.
    pub fn pixels_at_once(&self, shape: Shape) -> usize {
        self.window(shape) * self.at_once(shape) * self.lanes
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

    /// Bytes needed beside the slab and the network, for slices of this size: blended probabilities, labels, confidence,
    /// windows before and after.
    pub fn fixed_bytes(&self, shape: Shape) -> usize {
        let (slices, window) = (self.slices_at_once(shape), 4 * self.window(shape));
        let all = slices * self.windows(shape).map_or(1, |windows| windows / shape.z.max(1));
        let at_hand = self.lanes * self.at_once(shape);
        shape.slice_voxels() * (4 * self.classes * slices + 2)
            + window * (at_hand * self.slices + all.min(Self::ROUNDS * at_hand) * self.classes)
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
    /// # Errors
    /// What the reader or the sink says.
    pub fn blended(
        &self,
        reader: &dyn VolumeReader,
        look: &Look<'_>,
        wanted: Range<usize>,
        mut sink: impl FnMut(usize, &[f32], &[f32]) -> Result<()>,
    ) -> Result<()> {
        let shape = reader.shape();
        let plane = shape.slice_voxels();
        let half = self.slices / 2;
        let tiles = Tiles::new([shape.y, shape.x], self.tile, self.overlap)?;
        let lanes = Lanes::new(self.lanes)?;
        let mut values = Buffer::dirty(self.slices_at_once(shape) * self.classes * plane);
        let mut slab_values = Buffer::dirty((self.depth + 2 * half).min(shape.z) * plane);
        for slab in Slabs::new(shape, self.depth, half) {
            if slab.z.end <= wanted.start || slab.z.start >= wanted.end {
                continue;
            }
            let region = Region::slab(shape, slab.with_halo.clone())?;
            let grey = &mut slab_values[..region.voxels()];
            reader.read(&region, grey)?;
            self.scale.apply_all(grey);
            let at = |z: usize, offset: isize| {
                let at = reflect(z as isize + offset, shape.z) - slab.with_halo.start;
                &grey[at * plane..(at + 1) * plane]
            };
            let zs: Vec<usize> = slab.z.clone().filter(|z| wanted.contains(z)).collect();
            for zs in zs.chunks(self.slices_at_once(shape)) {
                let around = |&z| (-(half as isize)..=half as isize).map(|offset| at(z, offset)).collect();
                let neighbours: Vec<Vec<&[f32]>> = zs.iter().map(around).collect();
                self.blend(&neighbours, shape, &tiles, &lanes, look, &mut values);
                for (&z, values) in zs.iter().zip(values.chunks_exact(self.classes * plane)) {
                    sink(z, at(z, 0), values)?;
                }
            }
        }
        Ok(())
    }

    /// The blended values `[slice, k, y, x]` of some slices, each with its neighbours.
    fn blend(
        &self,
        neighbours: &[Vec<&[f32]>],
        shape: Shape,
        tiles: &Tiles,
        lanes: &Lanes,
        look: &Look<'_>,
        into: &mut [f32],
    ) {
        let [height, width] = tiles.size();
        let plane = height * width;
        let windows: Vec<_> = tiles.iter().collect();
        // Of nearly equal size, and if it can be as many for each lane.
        let rounds = windows.len().div_ceil(self.at_once(shape) * lanes.count());
        let batches = windows.chunks(windows.len().div_ceil(rounds * lanes.count()).max(1));
        let jobs: Vec<_> = (0..neighbours.len())
            .flat_map(|slice| batches.clone().map(move |windows| (slice, windows)))
            .collect();
        for (round, jobs) in jobs.chunks(lanes.count() * Self::ROUNDS).enumerate() {
            let found = lanes.map(jobs.to_vec(), |(slice, windows)| {
                let mut images = Buffer::dirty(windows.len() * self.slices * plane);
                let mut rows = images.chunks_exact_mut(width);
                for window in windows {
                    for slice in &neighbours[slice] {
                        for (y, row) in window.y.clone().zip(&mut rows) {
                            row.copy_from_slice(&slice[y * shape.x..][window.x.clone()]);
                        }
                    }
                }
                look(images, [windows.len(), self.slices, height, width])
            });
            into.par_chunks_mut(shape.slice_voxels()).enumerate().for_each(|(i, into)| {
                let (slice, class) = (i / self.classes, i % self.classes);
                if round == 0 {
                    into.fill(0.0);
                }
                let of_slice = jobs.iter().zip(&found).filter(|((of, _), _)| *of == slice);
                let of_windows = of_slice.flat_map(|((_, windows), found)| {
                    windows.iter().zip(found.chunks_exact(self.classes * plane))
                });
                for (window, found) in of_windows {
                    let rows = found[class * plane..][..plane].chunks_exact(width);
                    for ((y, found), weight_y) in window.y.clone().zip(rows).zip(window.weights_y) {
                        let into = into[y * shape.x..][window.x.clone()].iter_mut();
                        let weights = window.weights_x.iter().map(|weight_x| weight_y * weight_x);
                        into.zip(found).zip(weights).for_each(|((into, p), w)| *into += p * w);
                    }
                }
            });
        }
    }
}

/// Pixels that go through a network together on a CPU: where its deepest level is wide, so many that the filters there,
/// which every batch reads anew, cost little beside them.
fn pixels(network: &NetworkConfig) -> usize {
    let deepest = network.levels().last().copied().unwrap_or(0);
    (deepest * deepest * 2 / 5).clamp(Sweep::PIXELS[0], Sweep::PIXELS[1])
}

/// Makes of `[n, c, h, w]` scaled grey values as many times `[k, h, w]` values.
pub type Look<'a> = dyn Fn(Buffer, [usize; 4]) -> Buffer + Sync + 'a;

/// Class and confidence of each pixel of `[k, y, x]` probabilities.
fn decide(probabilities: &[f32], labels: &mut [u8], confidence: &mut [u8]) {
    const BLOCK: usize = 1 << 12;
    let plane = labels.len();
    labels.par_chunks_mut(BLOCK).zip(confidence.par_chunks_mut(BLOCK)).enumerate().for_each(
        |(block, (labels, confidence))| {
            let mut most = [f32::NEG_INFINITY; BLOCK];
            labels.fill(0);
            for (class, of_class) in probabilities.chunks_exact(plane).enumerate() {
                let of_block = &of_class[block * BLOCK..][..labels.len()];
                for ((label, most), &p) in labels.iter_mut().zip(&mut most).zip(of_block) {
                    *label = if p > *most { class as u8 } else { *label };
                    *most = if p > *most { p } else { *most };
                }
            }
            for (sure, p) in confidence.iter_mut().zip(most) {
                *sure = (p * 255.0 + 0.5) as u8; // rounded, and within 0..255 as such a cast leaves it
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_the_most_likely_classes_is_it() {
        const PLANE: usize = 5000; // more than a block
        let mut probabilities = vec![0.2; 3 * PLANE];
        probabilities[PLANE + 4999] = 0.6;
        probabilities[2 * PLANE + 1] = 0.6;
        probabilities[2] = 1.0;
        let (mut labels, mut confidence) = (vec![9; PLANE], vec![9; PLANE]);
        decide(&probabilities, &mut labels, &mut confidence);
        for (i, found) in labels.iter().zip(&confidence).enumerate() {
            let expected = match i {
                1 => (2, 153),
                2 => (0, 255),
                4999 => (1, 153),
                _ => (0, 51),
            };
            assert_eq!((*found.0, *found.1), expected, "pixel {i}");
        }
    }
}
