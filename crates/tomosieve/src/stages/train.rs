//! Stage 2: the network learns the pseudo labels (Sec. III-C, Eq. 3-7).
//!
//! It ends when what it learns has settled ([`crate::settling`]), after `train.steps` steps at the latest.
//! Several starts, if asked for, are networks of their own, from other weights and other crops, each of which ends when it
//! has settled; stage 3 goes on from each.

use std::time::Instant;

use serde::{Deserialize, Serialize};
use tomosieve_nn::kernels;
use tomosieve_volume::VolumeReader;

use super::cluster::Stage1;
use super::{Context, steps};
use crate::batches::{Batches, Stream, ahead};
use crate::config::Config;
use crate::denoised::Denoised;
use crate::journal::Journal;
use crate::lanes::Lanes;
use crate::ledger::{Ledger, Stage};
use crate::pool::{Labelling, Pool};
use crate::predictor::Predictor;
use crate::provenance::Provenance;
use crate::run_dir::RunDir;
use crate::settling::{Check, Settling};
use crate::{Error, Result, augment, checkpoints, model};

mod start;

use start::Start;

/// How a start of stage 2 went, and when it ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Learning {
    /// Steps it took.
    pub steps: usize,
    /// Steps it might have taken.
    pub most: usize,
    /// Steps at the full learning rate; 0 where it falls from the first on.
    pub full: usize,
    /// What was found again of the labels.
    pub checks: Vec<Check>,
    /// What each class weighed in the loss in the end, if not all alike.
    #[serde(default)]
    pub weights: Option<Vec<f32>>,
}

impl Learning {
    /// How the start went whose network is behind the result of a run; `None` before stage 2 was done.
    ///
    /// # Errors
    /// [`Error::RunFile`] when a file is damaged.
    pub fn read(run: &RunDir) -> Result<Option<Self>> {
        let path = run.learning();
        let Some(of_starts) = run.read_json::<Vec<Self>>(&path)? else { return Ok(None) };
        let start = Provenance::start(run)?;
        let learning = of_starts.into_iter().nth(start);
        learning.map(Some).ok_or_else(|| Error::file(path, format!("damaged: nothing of start {start}")))
    }
}

/// Trains the students and writes them.
///
/// # Errors
/// When the volume cannot be read, a file cannot be written, or the run was stopped (a checkpoint is
/// then in the run folder).
pub fn run(context: &Context<'_>) -> Result<()> {
    let stage1 = context.stage1()?;
    let pool = context.pool(&stage1)?;
    learn(context, &stage1, &pool)
}

/// Trains the students on labels that are given instead of made, in `0..K` or 255 = not to be learned, of the volume's
/// shape. Of a truth they are the network under full supervision: the most that self-correction could reach. Unless the
/// labels ascend in grey value, `train.partial_volume` is to be off, which takes them to.
///
/// # Errors
/// As [`run`]; and when the labels cannot be read, or are none.
pub fn supervised(context: &Context<'_>, labels: &dyn VolumeReader) -> Result<()> {
    let stage1 = context.stage1()?;
    let (got, expected) = (labels.shape(), context.input.shape());
    if got != expected {
        return Err(Error::Input(format!(
            "`{}` is {got}, the volume is {expected}; they must be of one shape",
            labels.info().source.display()
        )));
    }
    let labelling = Labelling::Volume { labels, classes: stage1.clusters.classes() };
    let pool = context.labelled_pool(&stage1, &labelling)?;
    learn(context, &stage1, &pool)
}

/// The starts as the last checkpoint has them or else as they begin, each of `most` steps at most, and how many steps they took.
fn begun(context: &Context<'_>, classes: usize, most: usize, key: &str) -> Result<(Vec<Start>, usize)> {
    let config = context.config;
    let start = |index| Start::new(context, classes, index, most);
    let mut starts = (0..config.starts).map(start).collect::<Result<Vec<_>>>()?;
    let Some(found) = checkpoints::find::<Settling>(context.run, Stage::Train, key, config.starts)? else {
        // Of other settings, and so are the students beside them.
        checkpoints::clear(context.run)?;
        context.run.remove_students()?;
        return Ok((starts, 0));
    };
    for (start, (folder, settling)) in starts.iter_mut().zip(found.starts) {
        start.student.restore(&folder)?;
        start.settling = settling;
        start.conclude(&config.train);
    }
    Ok((starts, found.step))
}

/// Trains the students on the crops of a pool.
fn learn(context: &Context<'_>, stage1: &Stage1, pool: &Pool) -> Result<()> {
    let Context { config, input, run, progress, .. } = *context;
    let settings = &config.train;
    let most = steps(settings.steps, settings.epochs, input.shape().z, settings.batch);
    let key = Ledger::key(Stage::Train, config, input);
    let (mut starts, first) = begun(context, stage1.clusters.classes(), most, &key)?;
    let strong = (settings.strong * settings.batch as f64).round() as usize;
    let batches = starts.iter().map(|start| batches(config, pool, start.seed, strong > 0));
    let batches = batches.collect::<Result<Vec<_>>>()?;
    let draw = |step| batches.iter().map(|batches| batches.draw_mixed(step, strong)).collect::<Vec<_>>();
    let save = |step, starts: &[Start]| {
        let settlings: Vec<&Settling> = starts.iter().map(|start| &start.settling).collect();
        checkpoints::save(run, Stage::Train, &key, step, &settlings, |start, folder| {
            starts[start].student.save(folder)
        })
    };
    // Steps of all starts within so many of each.
    let within = |starts: &[Start], steps: usize| {
        starts.iter().map(|start| start.total.min(steps) as u64).sum::<u64>()
    };

    let (lanes, of_parts) = context.lanes(settings.crop, settings.batch)?;
    let mut journal = Journal::open(run, Stage::Train, first)?;
    let mut saved = Instant::now();
    progress.begin("train", within(&starts, most), within(&starts, first), "steps");
    std::thread::scope(|scope| {
        for (step, drawn) in ahead(scope, first..most, draw) {
            let before = within(&starts, most);
            let going = starts.iter_mut().zip(drawn);
            let going: Vec<_> = going.filter(|(start, _)| step < start.total).collect();
            if going.is_empty() {
                break;
            }
            let entries = lanes.map(going, |(start, batch)| start.step(step, batch, settings, &of_parts));
            entries.iter().try_for_each(|entry| journal.add(entry))?;
            let total = within(&starts, most);
            if total != before {
                progress.shorten(total);
            }
            let loss = entries.iter().map(|entry| entry.loss).sum::<f64>() / entries.len() as f64;
            progress.advance(entries.len() as u64, &format!("loss {loss:.3}"));
            let (stopped, last) = (progress.stopped(), within(&starts, step + 1) == total);
            if !last && (stopped || saved.elapsed() > config.checkpoint_every()) {
                journal.flush()?;
                save(step + 1, &starts)?;
                saved = Instant::now();
            }
            if stopped && !last {
                return Err(Error::Stopped { stage: "train" });
            }
        }
        Ok(())
    })?;
    progress.end();
    journal.flush()?;
    if settings.keep {
        save(starts.iter().map(|start| start.total).max().unwrap_or(most), &starts)?;
        checkpoints::keep(run)?;
    }
    let learning: Vec<Learning> = starts.iter().map(Start::learning).collect();
    run.write_json(&run.learning(), &learning)?;
    kernels::release(); // what comes looks at crops of another size
    let first = Predictor::new(&starts[0].student.network, &context.device()?);
    denoise(context, stage1, pool, &first, &of_parts)?;
    for (index, start) in starts.iter().enumerate() {
        model::save(&start.student.network, config, stage1, "train", &run.student(index))?;
    }
    Ok(())
}

/// Writes the histograms of grey values with and without noise, as a network knows them.
fn denoise(
    context: &Context<'_>,
    stage1: &Stage1,
    pool: &Pool,
    network: &Predictor,
    lanes: &Lanes,
) -> Result<()> {
    let Context { config, run, .. } = *context;
    let size = [config.train.crop, stage1.clusters.classes()];
    run.write_json(&run.denoised(), &Denoised::of(network, pool, size, stage1.scale, config.seed, lanes)?)
}

/// The crops and views of a start, some of them made `strong` or none.
fn batches<'a>(config: &Config, pool: &'a Pool, seed: u64, strong: bool) -> Result<Batches<'a>> {
    Ok(Batches {
        pool,
        batch: config.train.batch,
        crop: config.train.crop,
        weak: augment::weak(&config.views.weak)?,
        strong: if strong { augment::strong(&config.views.strong_config())? } else { Vec::new() },
        blind: config.train.blind,
        seed,
        stream: Stream::Train,
    })
}
