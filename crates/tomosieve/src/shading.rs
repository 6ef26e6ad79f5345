//! Shading: grey values that drift slowly through the volume (cupping, a beam that fades along z), taken out before
//! anything looks at them.
//!
//! Stage 1 knows a voxel by its value alone, so a drift that is as large as the distance of two phases gives one of them
//! to the other. The drift is found in histograms of neighbourhoods ([`fit`]): it is what lays them over one another. No
//! class enters, so nothing depends on how many are asked for. It is taken out only where it makes the histogram of the
//! volume clearly sharper ([`Shading::is_clear`]); a volume without shading stays as it is, to the bit.
//!
//! The idea is that of entropy minimisation in magnetic resonance (N3: Sled, Zijdenbos & Evans 1998; N4: Tustison et al.
//! 2010, doi:10.1109/TMI.2010.2046908) and of congealing (Learned-Miller 2006, doi:10.1109/TPAMI.2006.34).

use std::fmt;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use tomosieve_volume::{Region, Shape, VolumeInfo, VolumeReader, VoxelType};

mod congeal;
mod fit;

pub use fit::{fit, memory, slices};

/// What part of the way from the dark class to the bright one a correction may move a value, at most.
const MOST: f32 = 0.8;
/// Air is squeezed to this much of its spread, lest a clustering spend a class on its rim, which the correction of what
/// lies beside it left behind.
const SQUEEZE: f32 = 0.5;
/// Nats by which the entropy of the histogram must fall.
const CLEAR: f64 = 0.11;

/// What drifts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Drifting {
    /// The sample, not the air around it: the darker of two classes stays where it is.
    Sample,
    /// Everything.
    All,
}

/// A drift on a grid of nodes. Values are shares of the range of grey values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shading {
    /// What drifts.
    pub drifting: Drifting,
    /// Nodes along `[z, y, x]`; the first and the last lie at the ends of the volume.
    pub nodes: [usize; 3],
    /// The drift at each node, `[z, y, x]` with x fastest.
    pub drift: Vec<f32>,
    /// The range of grey values; what lies outside is moved to its ends.
    pub range: [f32; 2],
    /// Means of a dark and a bright class.
    pub means: [f32; 2],
    /// How much taking it out changes the entropy of the histogram of what drifts, nats.
    pub entropy: f64,
}

impl Shading {
    /// No drift anywhere.
    pub fn none() -> Self {
        let (nodes, drift) = ([1; 3], vec![0.0]);
        Self { drifting: Drifting::All, nodes, drift, range: [0.0, 1.0], means: [0.0, 1.0], entropy: 0.0 }
    }

    /// Whether its numbers belong together, as they may not where they were read from a file.
    pub fn is_sound(&self) -> bool {
        let nodes = self.nodes.iter().try_fold(1_usize, |product, &nodes| product.checked_mul(nodes));
        nodes == Some(self.drift.len())
            && !self.drift.is_empty()
            && self.range[0] < self.range[1]
            && self.means[0] < self.means[1]
            && self.drift.iter().all(|drift| drift.is_finite())
    }

    /// Whether taking it out makes the histogram so much sharper that it is no accident. Without shading 0.06 nats are
    /// reached, 0.10 where materials that look much alike lie in different places (a container and what it holds); the
    /// `intergrowth` phantoms reach 0.10 to 0.42.
    pub fn is_clear(&self) -> bool {
        self.entropy <= -CLEAR
    }

    /// The range of the corrected values.
    pub fn corrected_range(&self) -> [f64; 2] {
        let [low, high] = self.range.map(f64::from);
        let most = self.drift.iter().fold(0.0, |most: f32, drift| most.max(drift.abs()));
        let beyond = f64::from(most) * (high - low);
        [low - beyond, high + beyond]
    }

    /// The corrected value of a voxel where the drift is `drift`.
    #[inline]
    fn correct(&self, value: f32, drift: f32) -> f32 {
        let [low, high] = self.range;
        let y = self.without((value.clamp(low, high) - low) / (high - low), drift);
        let middle = f32::midpoint(self.means[0], self.means[1]);
        let air = self.drifting == Drifting::Sample && y < middle;
        low + (high - low) * if air { middle + SQUEEZE * (y - middle) } else { y }
    }

    /// A share of the range without the drift, before air is squeezed.
    #[inline]
    fn without(&self, x: f32, drift: f32) -> f32 {
        let [dark, bright] = self.means;
        let half = 0.5 * (bright - dark);
        match self.drifting {
            Drifting::All => x - drift,
            Drifting::Sample => {
                x - drift.clamp(-MOST * half, MOST * half) * ((x - dark) / half).clamp(0.0, 1.0)
            }
        }
    }

    /// Corrects the voxels of a part of a volume of this shape. What is not finite stays.
    pub fn apply(&self, shape: Shape, at: &Region, values: &mut [f32]) {
        let [_, height, width] = at.size;
        let place = |axis: usize, index: usize| {
            Place::of(at.start[axis] + index, [shape.z, shape.y, shape.x][axis], self.nodes[axis])
        };
        let columns: Vec<Place> = (0..width).map(|x| place(2, x)).collect();
        values.par_chunks_mut(width.max(1)).enumerate().for_each_init(
            || vec![0.0_f32; self.nodes[2]],
            |nodes, (row, values)| {
                let (z, y) = (place(0, row / height), place(1, row % height));
                for (x, node) in nodes.iter_mut().enumerate() {
                    let of =
                        |z: usize| y.between(|y| self.drift[(z * self.nodes[1] + y) * self.nodes[2] + x]);
                    *node = z.between(of);
                }
                for (value, place) in values.iter_mut().zip(&columns) {
                    if value.is_finite() {
                        *value = self.correct(*value, place.between(|x| nodes[x]));
                    }
                }
            },
        );
    }
}

impl fmt::Display for Shading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (least, most) =
            self.drift.iter().fold((0.0_f32, 0.0_f32), |(a, b), &drift| (a.min(drift), b.max(drift)));
        let what = match self.drifting {
            Drifting::Sample => "of the sample",
            Drifting::All => "everywhere",
        };
        write!(
            f,
            "grey values {what} drift from {:+.0} to {:+.0} % of their range, which was taken out (the histogram's \
             entropy changes by {:.2} nats)",
            100.0 * least,
            100.0 * most,
            self.entropy
        )
    }
}

/// Where a voxel lies between the nodes of an axis.
#[derive(Debug, Clone, Copy)]
struct Place {
    node: usize,
    next: usize,
    /// Part of the way from one to the next.
    way: f32,
}

impl Place {
    /// Voxel `index` of `length`, between nodes of which the first and the last lie at the ends.
    fn of(index: usize, length: usize, nodes: usize) -> Self {
        if nodes < 2 || length < 2 {
            return Self { node: 0, next: 0, way: 0.0 };
        }
        let at = index as f64 * (nodes - 1) as f64 / (length - 1) as f64;
        let node = (at as usize).min(nodes - 2);
        Self { node, next: node + 1, way: (at - node as f64) as f32 }
    }

    /// The nodes around it, and how near it is to each.
    fn weights(self) -> [(usize, f64); 2] {
        let way = f64::from(self.way);
        [(self.node, 1.0 - way), (self.next, way)]
    }

    /// The value between those of the two nodes.
    fn between(self, of: impl Fn(usize) -> f32) -> f32 {
        let (from, to) = (of(self.node), of(self.next));
        from + self.way * (to - from)
    }
}

/// A volume whose shading is taken out as it is read.
pub struct Unshaded<'a> {
    reader: &'a dyn VolumeReader,
    shading: &'a Shading,
    info: VolumeInfo,
}

impl<'a> Unshaded<'a> {
    /// `reader` without `shading`.
    pub fn new(reader: &'a dyn VolumeReader, shading: &'a Shading) -> Self {
        let info = VolumeInfo { voxel_type: VoxelType::F32, ..reader.info().clone() };
        Self { reader, shading, info }
    }
}

impl VolumeReader for Unshaded<'_> {
    fn info(&self) -> &VolumeInfo {
        &self.info
    }

    fn slices_at_once(&self) -> usize {
        self.reader.slices_at_once()
    }

    fn read_overhead(&self, threads: usize) -> usize {
        self.reader.read_overhead(threads)
    }

    fn read(&self, at: &Region, into: &mut [f32]) -> tomosieve_volume::Result<()> {
        self.reader.read(at, into)?;
        self.shading.apply(self.shape(), at, into);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_do_not_belong_together_are_noticed() {
        let sound = Shading { nodes: [1, 2, 2], drift: vec![0.1; 4], ..Shading::none() };
        assert!(sound.is_sound() && Shading::none().is_sound());
        for broken in [
            Shading { drift: vec![0.1; 3], ..sound.clone() },
            Shading { nodes: [usize::MAX, 2, 2], ..sound.clone() },
            Shading { nodes: [0; 3], drift: Vec::new(), ..sound.clone() },
            Shading { drift: vec![f32::NAN; 4], ..sound.clone() },
            Shading { range: [1.0, 1.0], ..sound.clone() },
            Shading { means: [0.5, f32::NAN], ..sound },
        ] {
            assert!(!broken.is_sound(), "{broken:?}");
        }
    }
}
