//! Stage 2: the network learns the pseudo labels (Sec. III-C, Eq. 3-7).
//!
//! Several starts, if asked for, are networks of their own, from other weights and other crops; stage 3 goes on from each.

use std::time::Instant;

use tomosieve_nn::networks::Network;
use tomosieve_volume::VolumeReader;

use super::cluster::Stage1;
use super::{Context, steps};
use crate::batches::{Batch, Batches, Stream, ahead, seed_for, start_seed};
use crate::journal::{Entry, Journal};
use crate::ledger::{Ledger, Stage};
use crate::pool::{Labelling, Pool};
use crate::student::Student;
use crate::{Error, Result, augment, checkpoints, model, shares};

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

/// Trains the students on the crops of a pool.
fn learn(context: &Context<'_>, stage1: &Stage1, pool: &Pool) -> Result<()> {
    let Context { config, input, run, progress, .. } = *context;
    let classes = stage1.clusters.classes();
    let device = context.device()?;
    let training = device.clone().autodiff();
    let settings = &config.train;
    let total = steps(settings.steps, settings.epochs, input.shape().z, settings.batch);
    let seeds: Vec<u64> = (0..config.starts).map(|start| start_seed(config.seed, start)).collect();

    let key = Ledger::key(Stage::Train, config, input);
    let found = checkpoints::find::<()>(run, Stage::Train, &key)?;
    if found.is_none() {
        // Of other settings, and so are the students beside them.
        checkpoints::clear(run)?;
        run.remove_students()?;
    }
    let student = |(start, seed): (usize, &u64)| {
        let weights = seed_for(*seed, Stream::Weights, 0, 0);
        let network = Network::new(&config.network, config.input.slices, classes, weights, &training)?;
        let mut student = Student::new(network, &config.network, &config.loss, &device)?;
        if let Some((folder, ..)) = &found {
            student.restore(&checkpoints::of_start(folder, start))?;
        }
        Ok(student)
    };
    let mut students = seeds.iter().enumerate().map(student).collect::<Result<Vec<_>>>()?;
    let first = found.as_ref().map_or(0, |(_, step, ())| *step);
    let strong = (settings.strong * settings.batch as f64).round() as usize;
    let batches = |&seed: &u64| -> Result<Batches<'_>> {
        Ok(Batches {
            pool,
            batch: settings.batch,
            crop: settings.crop,
            weak: augment::weak(&config.views.weak)?,
            strong: if strong > 0 { augment::strong(&config.views.strong_config())? } else { Vec::new() },
            blind: settings.blind,
            seed,
            stream: Stream::Train,
        })
    };
    let batches = seeds.iter().map(batches).collect::<Result<Vec<_>>>()?;
    let draw = |step| batches.iter().map(|batches| batches.draw_mixed(step, strong)).collect::<Vec<_>>();
    let save = |step, students: &[Student]| {
        checkpoints::save(run, Stage::Train, &key, step, &(), |folder| {
            let folders = (0..).map(|start| checkpoints::of_start(folder, start));
            folders.zip(students).try_for_each(|(folder, student)| student.save(&folder))
        })
    };

    let (lanes, of_parts) = context.lanes(settings.crop, settings.batch)?;
    let mut journal = Journal::open(run, Stage::Train, first)?;
    let mut saved = Instant::now();
    let starts = config.starts as u64;
    progress.begin("train", starts * total as u64, starts * first as u64, "steps");
    std::thread::scope(|scope| {
        for (step, drawn) in ahead(scope, first..total, draw) {
            let learning_rate = settings.schedule.rate(settings.learning_rate, step, total);
            let learn = |((start, student), batch): ((usize, &mut Student), Batch)| {
                let fractions = shares::shares(&shares::tally(&batch.labels), classes);
                let seed = seed_for(seeds[start], Stream::Train, step, usize::MAX);
                let done = student.step(batch, None, learning_rate, seed, &of_parts);
                Entry {
                    stage: Stage::Train,
                    start,
                    step: step + 1,
                    loss: done.loss,
                    learning_rate,
                    confident: 1.0,
                    agreement: done.agreement,
                    confidence: None,
                    fractions,
                }
            };
            let entries = lanes.map(students.iter_mut().enumerate().zip(drawn).collect(), learn);
            entries.iter().try_for_each(|entry| journal.add(entry))?;
            let loss = entries.iter().map(|entry| entry.loss).sum::<f64>() / entries.len() as f64;
            progress.advance(starts, &format!("loss {loss:.3}"));
            let (stopped, last) = (progress.stopped(), step + 1 == total);
            if !last && (stopped || saved.elapsed() > config.checkpoint_every()) {
                journal.flush()?;
                save(step + 1, &students)?;
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
        save(total, &students)?;
        checkpoints::keep(run)?;
    }
    for (start, student) in students.iter().enumerate() {
        model::save(&student.network, config, stage1, "train", &run.student(start))?;
    }
    Ok(())
}
