//! Where training crops come from: voxels of the volume held in memory, never all of a large one.
//!
//! A volume within the pool's bound is held whole; of a larger one, seeded bricks spread over z. Voxels
//! are kept as 16-bit fractions of the scaled range next to their pseudo label: three bytes each.

use rand::{Rng, RngExt};
use rayon::prelude::*;
use tomosieve_cluster::Clusters;
use tomosieve_nn::kernels::Buffer;
use tomosieve_volume::slab::reflect;
use tomosieve_volume::{Region, Shape, VolumeReader};

use crate::partial_volume::Rims;
use crate::patch::Patch;
use crate::scale::Scale;
use crate::{Error, Result};

/// Bytes a pooled voxel takes: value and label.
pub const BYTES_PER_VOXEL: usize = 3;
/// Middle slices of a brick; the halo comes on top.
const BRICK_DEPTH: usize = 8;
/// Height and width of a brick, or two crops if that is more.
const BRICK_SIDE: usize = 512;

/// Height and width of a brick for crops of this side.
pub(crate) fn side(crop: usize) -> usize {
    BRICK_SIDE.max(2 * crop)
}

/// Voxels and pseudo labels to draw crops from.
pub struct Pool {
    bricks: Vec<Brick>,
    shape: Shape,
    slices: usize,
}

/// How voxels get the labels that stage 2 learns.
pub enum Labelling<'a> {
    /// From their values.
    Clusters {
        /// The clustering of stage 1.
        clusters: &'a Clusters,
        /// Where partial-volume rims go, if anywhere.
        rims: Option<Rims>,
    },
    /// From a volume of labels.
    Volume {
        /// Labels below `classes`, or [`Patch::IGNORE`]; of the same shape.
        labels: &'a dyn VolumeReader,
        /// K.
        classes: usize,
    },
}

impl Labelling<'_> {
    /// The labels of a part of the volume, whose raw values are given.
    fn label(&self, part: &Region, raw: &[f32], into: &mut [u8]) -> Result<()> {
        match self {
            Self::Clusters { clusters, .. } => clusters.assign_slice(raw, into)?,
            Self::Volume { labels, classes } => {
                let mut found = vec![0.0_f32; into.len()];
                labels.read(part, &mut found)?;
                for (&found, label) in found.iter().zip(into) {
                    *label = found as u8;
                    let known = usize::from(*label) < *classes || *label == Patch::IGNORE;
                    if !known || f32::from(*label) != found {
                        return Err(Error::Input(format!(
                            "`{}`: {found} is no label; expected whole numbers below {classes}, or {}",
                            labels.info().source.display(),
                            Patch::IGNORE
                        )));
                    }
                }
            }
        }
        Ok(())
    }

    /// Where rims go, if anywhere.
    fn rims(&self) -> Option<&Rims> {
        match self {
            Self::Clusters { rims, .. } => rims.as_ref(),
            Self::Volume { .. } => None,
        }
    }
}

/// A box of the volume.
struct Brick {
    region: Region,
    /// Middle slices that have all their neighbours inside the brick.
    middles: std::ops::Range<usize>,
    values: Vec<u16>,
    labels: Vec<u8>,
}

impl Pool {
    /// The boxes to hold: the whole volume, or bricks of at most `voxels` voxels together.
    ///
    /// # Errors
    /// Never for a shape that has voxels.
    pub fn plan(
        shape: Shape,
        slices: usize,
        crop: usize,
        voxels: usize,
        rng: &mut dyn Rng,
    ) -> Result<Vec<(Region, std::ops::Range<usize>)>> {
        if shape.voxels() <= voxels {
            return Ok(vec![(Region::whole(shape), 0..shape.z)]);
        }
        let half = slices / 2;
        let depth = BRICK_DEPTH.min(shape.z);
        let side = side(crop);
        let (height, width) = (side.min(shape.y), side.min(shape.x));
        let count = (voxels / ((depth + 2 * half) * height * width)).max(1);
        (0..count)
            .map(|i| {
                // Stratified in z, so that no part of the sample is left out.
                let last = shape.z - depth;
                let z = ((i as f64 + rng.random::<f64>()) / count as f64 * (last + 1) as f64) as usize;
                let middles = z.min(last)..z.min(last) + depth;
                let (z0, z1) = (middles.start.saturating_sub(half), (middles.end + half).min(shape.z));
                let y = rng.random_range(0..=shape.y - height);
                let x = rng.random_range(0..=shape.x - width);
                Ok((Region::new(shape, [z0, y, x], [z1 - z0, height, width])?, middles))
            })
            .collect()
    }

    /// Reads the planned boxes.
    ///
    /// # Errors
    /// What the reader says.
    pub fn load(
        reader: &dyn VolumeReader,
        plan: Vec<(Region, std::ops::Range<usize>)>,
        slices: usize,
        scale: Scale,
        labelling: &Labelling<'_>,
        mut read: impl FnMut(usize),
    ) -> Result<Self> {
        let mut bricks = Vec::with_capacity(plan.len());
        for (region, middles) in plan {
            let mut values = Vec::with_capacity(region.voxels());
            let mut labels = vec![0_u8; region.voxels()];
            let layer = region.size[1] * region.size[2];
            let mut raw = vec![0.0_f32; layer * BRICK_DEPTH.min(region.size[0])];
            let mut z = 0;
            while z < region.size[0] {
                let depth = BRICK_DEPTH.min(region.size[0] - z);
                let part = Region {
                    start: [region.start[0] + z, region.start[1], region.start[2]],
                    size: [depth, region.size[1], region.size[2]],
                };
                let raw = &mut raw[..depth * layer];
                reader.read(&part, raw)?;
                let labels = &mut labels[z * layer..(z + depth) * layer];
                labelling.label(&part, raw, labels)?;
                scale.apply_all(raw);
                if let Some(rims) = labelling.rims() {
                    let slices = raw.par_chunks(layer).zip(labels.par_chunks_mut(layer));
                    slices.for_each(|(values, labels)| rims.resolve(values, labels, region.size[2]));
                }
                values.par_extend(raw.par_iter().map(|&v| (v * 65535.0).round() as u16));
                z += depth;
                read(depth * layer);
            }
            bricks.push(Brick { region, middles, values, labels });
        }
        Ok(Self { bricks, shape: reader.shape(), slices })
    }

    /// A crop of at most `crop` pixels a side around a random middle slice, its neighbours beside it
    /// (reflected at the volume's first and last slice).
    pub fn draw(&self, crop: usize, rng: &mut dyn Rng) -> Patch {
        let brick = &self.bricks[rng.random_range(0..self.bricks.len())];
        let [_, by, bx] = brick.region.size;
        let (height, width) = (crop.min(by), crop.min(bx));
        let z = rng.random_range(brick.middles.clone());
        let y = rng.random_range(0..=by - height);
        let x = rng.random_range(0..=bx - width);
        let mut image = Buffer::dirty(self.slices * height * width);
        let half = (self.slices / 2) as isize;
        for (offset, slice) in (-half..=half).zip(image.chunks_exact_mut(height * width)) {
            let at = reflect(z as isize + offset, self.shape.z) - brick.region.start[0];
            for (row, to) in (y..y + height).zip(slice.chunks_exact_mut(width)) {
                let start = (at * by + row) * bx + x;
                let row = &brick.values[start..start + width];
                to.iter_mut().zip(row).for_each(|(to, &v)| *to = f32::from(v) * (1.0 / 65535.0));
            }
        }
        let middle = z - brick.region.start[0];
        let labels = (y..y + height)
            .flat_map(|row| {
                let start = (middle * by + row) * bx + x;
                brick.labels[start..start + width].iter().copied()
            })
            .collect();
        Patch { slices: self.slices, height, width, image, labels }
    }

    /// c, slices of a crop.
    pub fn slices(&self) -> usize {
        self.slices
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.bricks.iter().map(|b| b.labels.len() * BYTES_PER_VOXEL).sum()
    }
}
