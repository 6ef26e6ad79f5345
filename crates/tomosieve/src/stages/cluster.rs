//! Stage 1: pseudo labels from voxel values alone (Sec. III-B, Eq. 1 and 2).
//!
//! The volume is streamed: float volumes once for their robust range, then every volume once for its
//! histogram and once to be labelled, and where shading is taken out once more for the histogram of what is left. The
//! clustering sees only the histogram.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tomosieve_cluster::{Clustering, Clusters, Histogram, KMeans, RangeScan, Scan};
use tomosieve_volume::{Slab, Slabs, VolumeReader, VoxelBuffer, VoxelType, Voxels, read_ahead};

use super::Context;
use crate::config::ShadingConfig;
use crate::lanes::Lanes;
use crate::scale::Scale;
use crate::shading::{self, Shading, Unshaded};
use crate::{Error, Result, drawing, palette, scan_chart, shares};

/// Percentiles between which shading is looked for.
const SHADING_RANGE: [f64; 2] = [0.1, 99.9];

/// What stage 1 leaves for the stages after it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stage1 {
    /// The fitted clustering; classes ascend in mean intensity.
    pub clusters: Clusters,
    /// The robust scale of grey values.
    pub scale: Scale,
    /// Voxels of the volume.
    pub voxels: u64,
    /// NaN and infinite voxels, all labelled 0.
    pub non_finite: u64,
    /// Share of each class among the voxels.
    pub fractions: Vec<f64>,
    /// The shading that was taken out before anything else; scale and clustering are those of what is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shading: Option<Shading>,
}

impl Stage1 {
    /// Mean grey value of each class on the scale of what the network sees.
    pub fn scaled_means(&self) -> Vec<f32> {
        self.clusters.means.iter().map(|&mean| self.scale.apply(mean as f32)).collect()
    }
}

/// Fits the clustering and writes the pseudo labels.
///
/// # Errors
/// When the volume cannot be read, holds too few distinct values, or the labels cannot be written.
pub fn run(context: &Context<'_>) -> Result<Stage1> {
    let Context { input, run, progress, .. } = *context;
    let (values, mut stage1) = fitted(context)?;
    let clusters = &stage1.clusters;
    let shape = input.shape();
    // Of exact values it is known how many there are; others are counted once they are labelled.
    let known = values.is_exact();
    let mut counts = [0; 256];
    let table = palette::label_table(clusters);
    let mut writer = run.create_like(&run.pseudo_labels(), input, Some(table))?;
    let mut labels = Vec::new();
    progress.begin("labelling", shape.z as u64, 0, "slices");
    stream(context, context.volume(&stage1).as_ref(), |voxels| {
        labels.resize(voxels.len(), 0);
        match voxels {
            Voxels::U8(values) => clusters.assign_slice(values, &mut labels),
            Voxels::U16(values) => clusters.assign_slice(values, &mut labels),
            Voxels::F32(values) => clusters.assign_slice(values, &mut labels),
        }?;
        if !known {
            counts = shares::sum(&counts, &shares::tally(&labels));
        }
        Ok(writer.write(Voxels::U8(&labels))?)
    })?;
    progress.end();
    writer.finish()?;

    if !known {
        stage1.fractions = shares::shares(&counts, stage1.clusters.classes());
    }
    run.write_json(&run.clusters(), &stage1)?;
    Ok(stage1)
}

/// Fits the clustering alone: what is needed to train without labels of the whole volume on the disk.
///
/// # Errors
/// When the volume cannot be read, or holds too few distinct values.
pub fn fit(context: &Context<'_>) -> Result<Stage1> {
    let (_, stage1) = fitted(context)?;
    context.run.write_json(&context.run.clusters(), &stage1)?;
    Ok(stage1)
}

/// The volume's histogram, without its shading if that is clear.
fn seen(context: &Context<'_>) -> Result<(Histogram, Option<Shading>)> {
    let Context { config, input, progress, .. } = *context;
    let values = histogram(context)?;
    let range = Scale::between(&values, SHADING_RANGE);
    if config.input.shading == ShadingConfig::Off || range.low >= range.high {
        return Ok((values, None));
    }
    let Ok(two) = KMeans::default().fit(&clipped(&values, range), 2) else {
        return Ok((values, None)); // of one value: nothing can drift
    };
    let (range, means) = ([range.low, range.high], [two.means[0] as f32, two.means[1] as f32]);
    let adjacent = config.input.slices > 1;
    progress.begin("looking for shading", shading::slices(input.shape()) as u64, 0, "slices");
    let found = shading::fit(input.reader.as_ref(), range, means, adjacent, || {
        progress.advance(1, "");
        if progress.stopped() { Err(Error::Stopped { stage: "cluster" }) } else { Ok(()) }
    })?;
    progress.end();
    if !found.is_clear() {
        return Ok((values, None));
    }
    progress.note(&format!("{found}; input.shading = \"off\" leaves it"));
    let [low, high] = found.corrected_range();
    let mut values = Histogram::uniform(low, high, config.cluster.bins)?;
    count(context, &Unshaded::new(input.reader.as_ref(), &found), &mut values)?;
    Ok((values, Some(found)))
}

/// The volume's histogram, and what stage 1 makes of it.
fn fitted(context: &Context<'_>) -> Result<(Histogram, Stage1)> {
    let Context { config, input, progress, .. } = *context;
    let (values, shading) = seen(context)?;
    let scale = Scale::between(&values, config.input.percentiles);
    if values.non_finite() > 0 {
        progress.note(&format!(
            "{} voxels are NaN or infinite; they are treated as background (class 0)",
            values.non_finite()
        ));
    }
    let method = tomosieve_cluster::methods::by_name(&config.cluster.method)?;
    let clusters = if method.tolerates_clipping() {
        method.fit(&clipped(&values, scale), config.input.classes)?
    } else {
        method.fit(&values, config.input.classes)?
    };
    let stage1 = Stage1 {
        fractions: shares::shares(&counted(&values, &clusters), clusters.classes()),
        clusters,
        scale,
        voxels: input.shape().voxels() as u64,
        non_finite: values.non_finite(),
        shading,
    };
    Ok((values, stage1))
}

/// Voxels of each class.
fn counted(values: &Histogram, clusters: &Clusters) -> [u64; 256] {
    let mut counts = [0; 256];
    for (value, count) in values.occupied() {
        counts[usize::from(clusters.assign(value as f32))] += count;
    }
    counts[0] += values.non_finite();
    counts
}

/// Values outside the scale moved to its ends.
fn clipped(values: &Histogram, scale: Scale) -> Histogram {
    values.clamped_to(f64::from(scale.low), f64::from(scale.high))
}

/// How many classes? Curves over K of the volume's values, and a picture of them.
///
/// # Errors
/// When the volume cannot be read, holds too few distinct values, or the files cannot be written.
pub fn scan(context: &Context<'_>, classes: RangeInclusive<usize>) -> Result<Scan> {
    let (values, _) = seen(context)?;
    let scale = Scale::between(&values, context.config.input.percentiles);
    let scan = tomosieve_cluster::scan(&clipped(&values, scale), &values, classes)?;
    context.run.write_json(&context.run.scan(), &scan)?;
    drawing::save(context.run, &scan_chart::draw(&scan), &context.run.scan_picture())?;
    Ok(scan)
}

/// The histogram of the whole volume: exact for integers up to 16 bits, finely binned otherwise.
///
/// # Errors
/// When the volume cannot be read.
pub fn histogram(context: &Context<'_>) -> Result<Histogram> {
    let slices = context.input.shape().z as u64;
    let progress = context.progress;
    let mut values = match context.input.reader.info().voxel_type {
        VoxelType::U8 => Histogram::integer(0, 255)?,
        VoxelType::I8 => Histogram::integer(-128, 127)?,
        VoxelType::U16 => Histogram::integer(0, 65_535)?,
        VoxelType::I16 => Histogram::integer(-32_768, 32_767)?,
        _ => {
            progress.begin("finding the range", slices, 0, "slices");
            let parts = fold(context, context.input.reader.as_ref(), &RangeScan::new(), |scan, voxels| {
                scan.add(voxels.as_f32(&mut Vec::new()));
            })?;
            progress.end();
            let mut scan = RangeScan::new();
            parts.iter().for_each(|part| scan.merge(part));
            Histogram::for_floats(&scan, context.config.cluster.bins)?
        }
    };
    count(context, context.input.reader.as_ref(), &mut values)?;
    Ok(values)
}

/// Counts every voxel of a volume.
fn count(context: &Context<'_>, reader: &dyn VolumeReader, values: &mut Histogram) -> Result<()> {
    context.progress.begin("counting values", reader.shape().z as u64, 0, "slices");
    let parts = fold(context, reader, values, |values, voxels| match voxels {
        Voxels::U8(voxels) => values.add(voxels),
        Voxels::U16(voxels) => values.add(voxels),
        Voxels::F32(voxels) => values.add(voxels),
    })?;
    parts.iter().try_for_each(|part| values.merge(part))?;
    context.progress.end();
    Ok(())
}

/// What becomes of some copies of an empty `start` when every slab of a volume is shown to one of them, in no order.
///
/// Every thread reads for itself, so that what it works on is still in its processor's cache. A single one, and slices that
/// decode together, which takes all threads, are streamed instead.
fn fold<T: Clone + Send + Sync>(
    context: &Context<'_>,
    reader: &dyn VolumeReader,
    start: &T,
    each: impl Fn(&mut T, Voxels<'_>) + Sync,
) -> Result<Vec<T>> {
    let (shape, progress) = (reader.shape(), context.progress);
    let threads = rayon::current_num_threads();
    if threads == 1 || reader.slices_at_once() > 1 {
        let mut all = start.clone();
        stream(context, reader, |voxels| {
            each(&mut all, voxels);
            Ok(())
        })?;
        return Ok(vec![all]);
    }
    let slices = 2 * crate::plan::stream_depth(reader, context.memory); // as many as are in memory when they are streamed
    let lanes = Lanes::new(threads.min(slices))?;
    let slabs = Slabs::new(shape, slices / lanes.count(), 0).collect();
    let (idle, failed) = (Mutex::new(Vec::new()), AtomicBool::new(false));
    let idle = || idle.lock().unwrap_or_else(PoisonError::into_inner);
    let done = lanes.map(slabs, |slab: Slab| {
        if failed.load(Ordering::Relaxed) {
            return Ok(());
        }
        let (mut folded, mut buffer) =
            idle().pop().unwrap_or_else(|| (start.clone(), VoxelBuffer::default()));
        let read = if progress.stopped() {
            Err(Error::Stopped { stage: "cluster" })
        } else {
            slab.region(shape).and_then(|at| reader.read_native(&at, &mut buffer)).map_err(Error::from)
        };
        failed.fetch_or(read.is_err(), Ordering::Relaxed);
        read?;
        each(&mut folded, buffer.voxels());
        progress.advance(slab.z.len() as u64, "");
        idle().push((folded, buffer));
        Ok(())
    });
    done.into_iter().collect::<Result<()>>()?; // the first slab that failed: those before it had been begun
    let folded = std::mem::take(&mut *idle());
    Ok(folded.into_iter().map(|(folded, _)| folded).collect())
}

/// Hands a volume over slab by slab, and reads ahead meanwhile.
fn stream(
    context: &Context<'_>,
    reader: &dyn VolumeReader,
    mut each: impl FnMut(Voxels<'_>) -> Result<()>,
) -> Result<()> {
    let slice = reader.shape().slice_voxels();
    let depth = crate::plan::stream_depth(reader, context.memory);
    read_ahead(reader, depth, |voxels| {
        if context.progress.stopped() {
            return Err(Error::Stopped { stage: "cluster" });
        }
        each(voxels)?;
        context.progress.advance((voxels.len() / slice) as u64, "");
        Ok(true)
    })?;
    Ok(())
}
