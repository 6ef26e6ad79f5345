//! Stage 2: the network learns the pseudo labels (Sec. III-C, Eq. 3-7).
//!
//! It ends when what it learns has settled ([`crate::settling`]), after `train.steps` steps at the latest.
//! Several starts, if asked for, are networks of their own, from other weights and other crops; stage 3 goes on from each.

use std::time::Instant;

use serde::{Deserialize, Serialize};
use tomosieve_nn::networks::Network;
use tomosieve_volume::VolumeReader;

use super::cluster::Stage1;
use super::{Context, is_check, steps};
use crate::batches::{Batch, Batches, Stream, ahead, seed_for, start_seed};
use crate::config::Config;
use crate::denoised::Denoised;
use crate::journal::{Entry, Journal};
use crate::lanes::Lanes;
use crate::ledger::{Ledger, Stage};
use crate::pool::{Labelling, Pool};
use crate::predictor::Predictor;
use crate::settling::{Check, Settling};
use crate::student::Student;
use crate::{Error, Result, augment, checkpoints, model, shares};

/// How stage 2 went, and when it ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Learning {
    /// Steps it took.
    pub steps: usize,
    /// Steps it might have taken.
    pub most: usize,
    /// Steps at the full learning rate; 0 where it falls from the first on.
    pub full: usize,
    /// What was found again of the labels, of all starts together.
    pub checks: Vec<Check>,
    /// What each class weighed in the loss in the end, if not all alike.
    #[serde(default)]
    pub weights: Option<Vec<f32>>,
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

/// The students of so many classes, one a seed, as the last checkpoint has them or else as they begin; how many steps they took, and
/// how far they settled.
fn begun(
    context: &Context<'_>,
    classes: usize,
    seeds: &[u64],
    key: &str,
) -> Result<(Vec<Student>, usize, Settling)> {
    let mut students =
        seeds.iter().map(|seed| student(context, classes, *seed)).collect::<Result<Vec<_>>>()?;
    let Some((folder, first, settling)) = checkpoints::find(context.run, Stage::Train, key)? else {
        // Of other settings, and so are the students beside them.
        checkpoints::clear(context.run)?;
        context.run.remove_students()?;
        return Ok((students, 0, Settling::default()));
    };
    let folders = (0..).map(|start| checkpoints::of_start(&folder, start));
    students.iter_mut().zip(folders).try_for_each(|(student, folder)| student.restore(&folder))?;
    Ok((students, first, settling))
}

/// Trains the students on the crops of a pool.
fn learn(context: &Context<'_>, stage1: &Stage1, pool: &Pool) -> Result<()> {
    let Context { config, input, run, progress, .. } = *context;
    let classes = stage1.clusters.classes();
    let settings = &config.train;
    let most = steps(settings.steps, settings.epochs, input.shape().z, settings.batch);
    let seeds: Vec<u64> = (0..config.starts).map(|start| start_seed(config.seed, start)).collect();

    let key = Ledger::key(Stage::Train, config, input);
    let (mut students, first, mut settling) = begun(context, classes, &seeds, &key)?;
    let strong = (settings.strong * settings.batch as f64).round() as usize;
    let batches =
        seeds.iter().map(|seed| batches(config, pool, *seed, strong > 0)).collect::<Result<Vec<_>>>()?;
    let draw = |step| batches.iter().map(|batches| batches.draw_mixed(step, strong)).collect::<Vec<_>>();
    let save = |step, settling: &Settling, students: &[Student]| {
        checkpoints::save(run, Stage::Train, &key, step, settling, |folder| {
            let folders = (0..).map(|start| checkpoints::of_start(folder, start));
            folders.zip(students).try_for_each(|(folder, student)| student.save(&folder))
        })
    };

    let (lanes, of_parts) = context.lanes(settings.crop, settings.batch)?;
    let mut journal = Journal::open(run, Stage::Train, first)?;
    let mut saved = Instant::now();
    let starts = config.starts as u64;
    // Steps of all, and those of them before the rate falls.
    let (mut total, mut full) = settling.length(most, settings.settled);
    let mut weights = settling.weights(settings.rare);
    progress.begin("train", starts * total as u64, starts * first as u64, "steps");
    std::thread::scope(|scope| {
        for (step, drawn) in ahead(scope, first..most, draw) {
            let falling =
                settings.schedule.rate(settings.learning_rate, step.saturating_sub(full), total - full);
            let learn = |((start, student), batch): ((usize, &mut Student), Batch)| {
                let fractions = shares::shares(&shares::tally(&batch.labels), classes);
                let seed = seed_for(seeds[start], Stream::Train, step, usize::MAX);
                let done = student.step(batch, weights.as_deref(), falling, seed, &of_parts);
                let entry = Entry {
                    stage: Stage::Train,
                    start,
                    step: step + 1,
                    loss: done.loss,
                    learning_rate: falling,
                    confident: 1.0,
                    agreement: done.found.agreement(),
                    confidence: None,
                    fractions,
                };
                (entry, done.found)
            };
            let done = lanes.map(students.iter_mut().enumerate().zip(drawn).collect(), learn);
            for (entry, found) in &done {
                journal.add(entry)?;
                settling.add(found);
            }
            if is_check(step + 1, most, settings.checks) {
                settling.check(step + 1, settings.settled);
                weights = settling.weights(settings.rare);
                let before = total;
                (total, full) = settling.length(most, settings.settled);
                if total != before {
                    progress.shorten(starts * total as u64);
                }
            }
            let loss = done.iter().map(|(entry, _)| entry.loss).sum::<f64>() / done.len() as f64;
            progress.advance(starts, &format!("loss {loss:.3}"));
            let (stopped, last) = (progress.stopped(), step + 1 == total);
            if !last && (stopped || saved.elapsed() > config.checkpoint_every()) {
                journal.flush()?;
                save(step + 1, &settling, &students)?;
                saved = Instant::now();
            }
            if stopped && !last {
                return Err(Error::Stopped { stage: "train" });
            }
            if last {
                break;
            }
        }
        Ok(())
    })?;
    progress.end();
    journal.flush()?;
    if settings.keep {
        save(total, &settling, &students)?;
        checkpoints::keep(run)?;
    }
    let learning = Learning { steps: total, most, full, checks: settling.checks, weights };
    run.write_json(&run.learning(), &learning)?;
    let first = Predictor::new(&students[0].network, &context.device()?);
    denoise(context, stage1, pool, &first, &of_parts)?;
    for (start, student) in students.iter().enumerate() {
        model::save(&student.network, config, stage1, "train", &run.student(start))?;
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

/// A student that has learned nothing yet.
fn student(context: &Context<'_>, classes: usize, seed: u64) -> Result<Student> {
    let (config, device) = (context.config, context.device()?);
    let (weights, training) = (seed_for(seed, Stream::Weights, 0, 0), device.clone().autodiff());
    let network = Network::new(&config.network, config.input.slices, classes, weights, &training)?;
    Student::new(network, &config.network, &config.loss, &device)
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
