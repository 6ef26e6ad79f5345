//! The drift of a volume, from evenly spaced slices of it.

use rayon::prelude::*;
use tomosieve_volume::{Region, Shape, VolumeReader};

use super::congeal::{BINS, Nodes, congeal, entropy};
use super::{Drifting, Place, Shading};
use crate::Result;

/// Voxels between nodes along `[z, y, x]`, and nodes along an axis at most.
const SPACING: [usize; 3] = [8, 16, 16];
const MOST_NODES: usize = 13;
/// Slices that are looked at, at most: three for each node.
const MOST_SLICES: usize = 3 * MOST_NODES;
/// Voxels of a row or a column that are looked at, about.
const ACROSS: usize = 256;

/// Finds the drift of a volume whose values lie in `range`, and whose dark and bright voxels have these `means`.
/// `adjacent` tells whether slices follow one another; `read` is called after each of [`slices`].
///
/// Both kinds of drift are fitted; what makes the histogram of the whole volume sharper is returned, clear or not.
///
/// # Errors
/// What the reader or `read` says.
pub fn fit(
    reader: &dyn VolumeReader,
    range: [f32; 2],
    means: [f32; 2],
    adjacent: bool,
    read: impl FnMut() -> Result<()>,
) -> Result<Shading> {
    let shape = reader.shape();
    let sample = Sample::take(reader, range, adjacent, read)?;
    let means = means.map(|mean| (mean - range[0]) / (range[1] - range[0]));
    let nodes = nodes(shape, adjacent);
    let before = entropy(&distribution(sample.values.iter().copied()));
    let fitted = [Drifting::Sample, Drifting::All].map(|drifting| {
        let least = match drifting {
            Drifting::Sample => f32::midpoint(means[0], means[1]),
            Drifting::All => f32::NEG_INFINITY,
        };
        let (drift, entropy) = congeal(&sample.histograms(nodes, least));
        let shading = Shading { drifting, nodes, drift, range, means, entropy };
        let change = self::entropy(&distribution(sample.corrected(&shading))) - before;
        (change, shading)
    });
    let [sample, all] = fitted;
    Ok(if all.0 < sample.0 { all.1 } else { sample.1 })
}

/// How many slices of a volume of this shape are looked at, each with its neighbours.
pub fn slices(shape: Shape) -> usize {
    looked_at(shape).count()
}

/// Bytes that [`fit`] takes for a volume of this shape, beside what reading takes: a slice and its neighbours, or the
/// histograms of every slice, and what is looked at.
pub fn memory(shape: Shape) -> u64 {
    let [z, y, x] = nodes(shape, true);
    let histograms = (slices(shape) + 3 * z) * y * x * BINS * size_of::<f64>();
    let stride = stride(shape);
    let sample = slices(shape) * shape.y.div_ceil(stride) * shape.x.div_ceil(stride) * size_of::<f32>();
    (sample + histograms.max(3 * shape.slice_voxels() * size_of::<f32>())) as u64
}

/// Every so manyth voxel of a row or column is looked at.
fn stride(shape: Shape) -> usize {
    shape.y.max(shape.x).div_ceil(ACROSS)
}

/// The slices that are looked at.
fn looked_at(shape: Shape) -> impl Iterator<Item = usize> {
    (0..shape.z).step_by(shape.z.div_ceil(MOST_SLICES).max(1))
}

/// Nodes along `[z, y, x]` for a volume of this shape.
fn nodes(shape: Shape, adjacent: bool) -> [usize; 3] {
    let along = |length: usize, spacing: usize| {
        let intervals = (length as f64 / spacing as f64).round() as usize;
        if length == 1 { 1 } else { (intervals + 1).clamp(2, MOST_NODES) }
    };
    let z = if adjacent { along(shape.z, SPACING[0]) } else { 1 };
    [z, along(shape.y, SPACING[1]), along(shape.x, SPACING[2])]
}

/// The distribution of shares of the range, over three ranges.
fn distribution(values: impl Iterator<Item = f32>) -> Vec<f64> {
    let mut counts = vec![0.0; 3 * BINS];
    for value in values {
        let bin = (f64::from(value) + 1.0) * BINS as f64;
        counts[(bin as usize).min(3 * BINS - 1)] += 1.0;
    }
    let total: f64 = counts.iter().sum();
    counts.iter_mut().for_each(|count| *count /= total);
    counts
}

/// Voxels that are looked at: means over their neighbourhood of three voxels a side, as shares of the range.
struct Sample {
    shape: Shape,
    slices: Vec<usize>,
    rows: Vec<usize>,
    columns: Vec<usize>,
    /// `[slice, row, column]`
    values: Vec<f32>,
}

impl Sample {
    fn take(
        reader: &dyn VolumeReader,
        range: [f32; 2],
        adjacent: bool,
        mut read: impl FnMut() -> Result<()>,
    ) -> Result<Self> {
        let shape = reader.shape();
        let along = |length: usize| (0..length).step_by(stride(shape)).collect::<Vec<_>>();
        let (slices, rows, columns) = (looked_at(shape).collect::<Vec<_>>(), along(shape.y), along(shape.x));
        let mut values = vec![0.0; slices.len() * rows.len() * columns.len()];
        let reach = usize::from(adjacent);
        let mut raw = Vec::new();
        for (&z, values) in slices.iter().zip(values.chunks_exact_mut(rows.len() * columns.len())) {
            let layers = z.saturating_sub(reach)..(z + reach + 1).min(shape.z);
            let region = Region::slab(shape, layers.clone())?;
            raw.resize(region.voxels(), 0.0);
            reader.read(&region, &mut raw)?;
            raw.par_iter_mut().with_min_len(1 << 14).for_each(|v| *v = share(*v, range));
            // Beyond the first and the last, these once more.
            let around = |at: usize, last: usize| [at.saturating_sub(1), at, (at + 1).min(last)];
            let layers: Vec<usize> = if adjacent {
                around(z, shape.z - 1).iter().map(|at| at - layers.start).collect()
            } else {
                vec![0]
            };
            values.par_chunks_mut(columns.len()).zip(&rows).for_each(|(values, &y)| {
                for (value, &x) in values.iter_mut().zip(&columns) {
                    let mut sum = 0.0;
                    for layer in &layers {
                        for y in around(y, shape.y - 1) {
                            let row = &raw[(layer * shape.y + y) * shape.x..][..shape.x];
                            sum += around(x, shape.x - 1).iter().map(|&x| row[x]).sum::<f32>();
                        }
                    }
                    *value = sum / (9 * layers.len()) as f32;
                }
            });
            read()?;
        }
        Ok(Self { shape, slices, rows, columns, values })
    }

    /// Where the sampled voxels lie between the nodes of each axis.
    fn places(&self, nodes: [usize; 3]) -> [Vec<Place>; 3] {
        let lengths = [self.shape.z, self.shape.y, self.shape.x];
        let of = |axis: usize, sampled: &[usize]| {
            sampled.iter().map(|&at| Place::of(at, lengths[axis], nodes[axis])).collect()
        };
        [of(0, &self.slices), of(1, &self.rows), of(2, &self.columns)]
    }

    /// Histograms of the values above `least`, each shared out among the nodes around it.
    fn histograms(&self, nodes: [usize; 3], least: f32) -> Nodes {
        let [of_slices, of_rows, of_columns] = self.places(nodes);
        let plane = self.rows.len() * self.columns.len();
        let layer = nodes[1] * nodes[2] * BINS;
        // Each slice on its own, then all in their order: the sums do not depend on the threads.
        let mut of_slice = vec![0.0; self.slices.len() * layer];
        let slices = of_slice.par_chunks_exact_mut(layer).zip(self.values.par_chunks_exact(plane));
        slices.for_each(|(counts, values)| {
            for (values, y) in values.chunks_exact(self.columns.len()).zip(&of_rows) {
                for (&value, x) in values.iter().zip(&of_columns).filter(|(value, _)| **value > least) {
                    let bin = ((value * BINS as f32) as usize).min(BINS - 1);
                    for (y, weight) in y.weights() {
                        for (x, share) in x.weights() {
                            counts[(y * nodes[2] + x) * BINS + bin] += weight * share;
                        }
                    }
                }
            }
        });
        let mut counts = vec![0.0; nodes[0] * layer];
        for (slice, z) in of_slice.chunks_exact(layer).zip(of_slices) {
            for (z, weight) in z.weights() {
                counts[z * layer..][..layer].iter_mut().zip(slice).for_each(|(sum, n)| *sum += weight * n);
            }
        }
        Nodes { size: nodes, counts }
    }

    /// The values without a drift.
    fn corrected<'a>(&'a self, shading: &'a Shading) -> impl Iterator<Item = f32> + 'a {
        let [of_slices, of_rows, of_columns] = self.places(shading.nodes);
        let [_, height, width] = shading.nodes;
        let size = [self.rows.len(), self.columns.len()];
        self.values.iter().enumerate().map(move |(i, &value)| {
            let (z, y, x) = (i / (size[0] * size[1]), i / size[1] % size[0], i % size[1]);
            let along_x =
                |z: usize, y: usize| of_columns[x].between(|x| shading.drift[(z * height + y) * width + x]);
            let drift = of_slices[z].between(|z| of_rows[y].between(|y| along_x(z, y)));
            shading.without(value, drift)
        })
    }
}

/// A value as a share of the range; what is not finite counts as the lowest.
fn share(value: f32, [low, high]: [f32; 2]) -> f32 {
    if value.is_finite() { (value.clamp(low, high) - low) / (high - low) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use tomosieve_volume::Memory;

    use super::*;

    const SHAPE: Shape = Shape { z: 12, y: 96, x: 112 };

    /// Air around a block of two phases in stripes, under noise; `drift` is added within the block.
    fn volume(drift: impl Fn(f32, f32) -> f32) -> (Memory, Vec<u8>) {
        let noise = |i: usize| ((i as u32).wrapping_mul(2_654_435_761) >> 16) as f32 / 65536.0 - 0.5;
        let truth = |i: usize| {
            let (y, x) = (i / SHAPE.x % SHAPE.y, i % SHAPE.x);
            let inside = (8..88).contains(&y) && (8..104).contains(&x);
            u8::from(inside) * (1 + u8::from((x / 7 + y / 9) % 2 == 0))
        };
        let value = |i: usize| {
            let (y, x) = ((i / SHAPE.x % SHAPE.y) as f32, (i % SHAPE.x) as f32);
            let own = [0.0, 0.6, 0.8][usize::from(truth(i))];
            let drift = if truth(i) > 0 { drift(y / 96.0, x / 112.0) } else { 0.0 };
            1000.0 * (own + drift + 0.05 * noise(i))
        };
        let count = SHAPE.voxels();
        (Memory::new(SHAPE, (0..count).map(value).collect()).unwrap(), (0..count).map(truth).collect())
    }

    fn fitted(volume: &Memory) -> Shading {
        fit(volume, [-50.0, 1100.0], [0.0, 700.0], true, || Ok(())).unwrap()
    }

    /// Share of the voxels of the block that the best threshold between the two phases gets right.
    fn separable(values: &[f32], truth: &[u8]) -> f64 {
        let mut block: Vec<(f32, bool)> =
            values.iter().zip(truth).filter(|(_, t)| **t > 0).map(|(v, t)| (*v, *t == 2)).collect();
        block.sort_by(|a, b| a.0.total_cmp(&b.0));
        let bright = block.iter().filter(|voxel| voxel.1).count();
        let (mut right, mut best) = (bright, bright);
        for (_, is_bright) in &block {
            right = if *is_bright { right - 1 } else { right + 1 };
            best = best.max(right);
        }
        best as f64 / block.len() as f64
    }

    #[test]
    fn a_drift_across_the_sample_is_found_and_taken_out() {
        let (volume, truth) = volume(|y, x| 0.25 * (x - 0.5) + 0.2 * (y - 0.5));
        let shading = fitted(&volume);
        assert!(shading.is_clear() && shading.drifting == Drifting::Sample, "{shading:?}");
        let (mut before, mut after) = (vec![0.0; SHAPE.voxels()], vec![0.0; SHAPE.voxels()]);
        volume.read(&Region::whole(SHAPE), &mut before).unwrap();
        super::super::Unshaded::new(&volume, &shading).read(&Region::whole(SHAPE), &mut after).unwrap();
        let (before, after) = (separable(&before, &truth), separable(&after, &truth));
        assert!(before < 0.93 && after > 0.99, "before {before:.3}, after {after:.3}");
    }

    #[test]
    fn without_a_drift_there_is_nothing_clear() {
        let shading = fitted(&volume(|_, _| 0.0).0);
        assert!(!shading.is_clear(), "{}", shading.entropy);
    }

    #[test]
    fn parts_are_corrected_as_the_whole_is_whatever_the_threads() {
        let (volume, _) = volume(|y, x| 0.2 * x * y);
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| fitted(&volume))
        };
        let shading = with(1);
        assert_eq!(shading, with(3));
        let unshaded = super::super::Unshaded::new(&volume, &shading);
        let mut whole = vec![0.0; SHAPE.voxels()];
        unshaded.read(&Region::whole(SHAPE), &mut whole).unwrap();
        let part = Region::new(SHAPE, [3, 20, 31], [5, 40, 50]).unwrap();
        let mut values = vec![0.0; part.voxels()];
        unshaded.read(&part, &mut values).unwrap();
        for (i, value) in values.iter().enumerate() {
            let (z, y, x) = (3 + i / 2000, 20 + i / 50 % 40, 31 + i % 50);
            assert_eq!(value.to_bits(), whole[(z * SHAPE.y + y) * SHAPE.x + x].to_bits());
        }
        let [low, high] = shading.corrected_range();
        assert!(whole.iter().all(|v| (low..=high).contains(&f64::from(*v))));
    }
}
