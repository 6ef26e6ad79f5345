//! The whole volume through the network of stage 3, out of core.

use std::path::Path;

use burn::module::Module;
use tomosieve_nn::kernels;
use tomosieve_volume::{OutputKind, OutputMeta, VolumeWriter, VoxelType, Voxels};

use super::Context;
use super::cluster::Stage1;
use crate::denoised::Denoised;
use crate::inference::Sweep;
use crate::ledger::{Ledger, Stage};
use crate::metrics::ConfusionMatrix;
use crate::parts::Parts;
use crate::run_dir::RunDir;
use crate::stages::train::Learning;
use crate::{
    Error, Result, checkpoints, denoised_chart, drawing, flow_chart, learning_chart, model, palette,
    previews, summary,
};

/// Segments the volume and writes labels, confidence, metrics and previews.
///
/// # Errors
/// When the volume or the model cannot be read, a file cannot be written, or the run was stopped.
pub fn run(context: &Context<'_>) -> Result<()> {
    let Context { config, input, run, progress, .. } = *context;
    let stage1 = context.stage1()?;
    let model = model::load(&run.model(), &context.device()?)?;
    let learning = Learning::read(run)?;
    let shape = input.shape();
    let sweep = sweep(context, &model)?;

    let folder = checkpoints::parts(run, &Ledger::key(Stage::Predict, config, input))?;
    let mut parts = Parts::new(folder, shape)?;
    let done = parts.done();
    progress.begin("predict", shape.z as u64, done as u64, "slices");
    sweep.run(context.volume(&stage1).as_ref(), &model.predictor, done..shape.z, |slice| {
        if progress.stopped() {
            return Err(Error::Stopped { stage: "predict" });
        }
        parts.push(slice)?;
        progress.advance(1, "");
        Ok(())
    })?;
    progress.end();

    kernels::release();
    let (mut labels, mut confidence) = outputs(context, &stage1)?;
    let pseudo = RunDir::open_labels(&run.pseudo_labels())?;
    let mut before = vec![0.0_f32; shape.slice_voxels()];
    let mut flow = ConfusionMatrix::new(model.classes, model.classes)?;
    let mut sure = vec![0_u64; model.classes];
    progress.begin("writing", shape.z as u64, 0, "slices");
    parts.each(|slice| {
        if progress.stopped() {
            return Err(Error::Stopped { stage: "predict" });
        }
        write_all(&mut labels, slice.labels)?;
        write_all(&mut confidence, slice.confidence)?;
        let region = tomosieve_volume::Region::slab(shape, slice.z..slice.z + 1)?;
        pseudo.read(&region, &mut before)?;
        let before: Vec<u8> = before.iter().map(|&label| label as u8).collect();
        flow.add(&before, slice.labels, None)?;
        for (&label, &confidence) in slice.labels.iter().zip(slice.confidence) {
            sure[usize::from(label)] += u64::from(confidence);
        }
        progress.advance(1, "");
        Ok(())
    })?;
    progress.end();
    for writer in labels.into_iter().chain(confidence) {
        writer.finish()?;
    }
    run.write_json(&run.metrics(), &summary::Summary::new(&stage1, &flow, &sure, &model.made_by))?;
    previews::write(context, &model)?;
    if let Some(learning) = learning {
        drawing::save(run, &learning_chart::draw(&learning), &run.learning_picture())?;
    }
    if let Some(denoised) = run.read_json::<Denoised>(&run.denoised())? {
        drawing::save(run, &denoised_chart::draw(&denoised), &run.denoised_picture())?;
    }
    drawing::save(run, &flow_chart::draw(flow.rows()), &run.flow_picture())
}

/// Writers of what the result is written to.
type Writers = Vec<Box<dyn VolumeWriter>>;

/// Where labels and where confidence go.
fn outputs(context: &Context<'_>, stage1: &Stage1) -> Result<(Writers, Writers)> {
    let Context { config, input, run, .. } = *context;
    let table = palette::label_table(&stage1.clusters);
    let zarr = |path: &Path, labels| {
        let meta = OutputMeta { labels, ..OutputMeta::like(input.reader.info()) };
        tomosieve_volume::create(OutputKind::OmeZarr, path, input.shape(), VoxelType::U8, &meta)
    };
    let mut labels = vec![run.create_like(&run.segmentation(), input, Some(table.clone()))?];
    let mut confidence = Vec::new();
    if config.output.confidence {
        confidence.push(run.create_like(&run.confidence(), input, None)?);
    }
    if config.output.ome_zarr {
        labels.push(zarr(&run.segmentation_zarr(), Some(table))?);
        if config.output.confidence {
            confidence.push(zarr(&run.confidence_zarr(), None)?);
        }
    }
    Ok((labels, confidence))
}

/// The sweep of a volume within the memory at hand.
///
/// # Errors
/// [`Error::Resources`] when not even one slice fits.
pub fn sweep(context: &Context<'_>, model: &model::Model) -> Result<Sweep> {
    let mut sweep = Sweep::new(context.config, model.scale);
    (sweep.slices, sweep.classes) = (model.slices, model.classes);
    sweep.parameters = model.predictor.network.num_params();
    sweep.rims = context.rims(&context.stage1()?);
    sweep.lanes = crate::plan::sweep_lanes(&sweep, context.config, context.input.shape(), context.memory);
    sweep.depth =
        crate::plan::sweep_depth(&sweep, context.config, context.input.reader.as_ref(), context.memory)?;
    Ok(sweep)
}

fn write_all(writers: &mut [Box<dyn VolumeWriter>], voxels: &[u8]) -> Result<()> {
    writers.iter_mut().try_for_each(|writer| Ok(writer.write(Voxels::U8(voxels))?))
}
