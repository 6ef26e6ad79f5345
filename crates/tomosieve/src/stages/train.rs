//! Stage 2: the network learns the pseudo labels (Sec. III-C, Eq. 3-7).
//!
//! Several starts, if asked for, are networks of their own, from other weights and other crops; stage 3 goes on from each.

use std::time::Instant;

use tomosieve_nn::networks::Network;

use super::{Context, steps};
use crate::batches::{Batches, Stream, ahead, seed_for, start_seed};
use crate::journal::{Entry, Journal};
use crate::ledger::{Ledger, Stage};
use crate::student::Student;
use crate::{Error, Result, augment, checkpoints, model, shares};

/// Trains the students and writes them.
///
/// # Errors
/// When the volume cannot be read, a file cannot be written, or the run was stopped (a checkpoint is
/// then in the run folder).
pub fn run(context: &Context<'_>) -> Result<()> {
    let Context { config, input, run, progress, .. } = *context;
    let stage1 = context.stage1()?;
    let classes = stage1.clusters.classes();
    let device = context.device()?;
    let training = device.clone().autodiff();
    let settings = &config.train;
    let total = steps(settings.steps, settings.epochs, input.shape().z, settings.batch);

    let key = Ledger::key(Stage::Train, config, input);
    let mut found = checkpoints::find::<()>(run, Stage::Train, &key)?;
    if found.is_none() {
        // Of other settings, and so are the students beside them.
        checkpoints::clear(run)?;
        run.remove_students()?;
    }
    // Steps are counted through all starts.
    let first = found.as_ref().map_or(0, |(_, step, ())| *step);
    let pool = context.pool(&stage1)?;
    let strong = (settings.strong * settings.batch as f64).round() as usize;
    let mut journal = Journal::open(run, Stage::Train, first)?;
    let mut saved = Instant::now();
    progress.begin("train", (config.starts * total) as u64, first as u64, "steps");
    for start in (first / total).min(config.starts - 1)..config.starts {
        let seed = start_seed(config.seed, start);
        let weights = seed_for(seed, Stream::Weights, 0, 0);
        let network = Network::new(&config.network, config.input.slices, classes, weights, &training)?;
        let mut student = Student::new(network, &config.loss, &device)?;
        if let Some((folder, ..)) = found.take() {
            student = student.restore(&folder)?;
        }
        let batches = Batches {
            pool: &pool,
            batch: settings.batch,
            crop: settings.crop,
            weak: augment::weak(&config.views.weak)?,
            strong: if strong > 0 { augment::strong(&config.views.strong_config())? } else { Vec::new() },
            blind: settings.blind,
            seed,
            stream: Stream::Train,
        };
        let before = start * total;
        std::thread::scope(|scope| {
            let remaining = first.saturating_sub(before)..total;
            for (step, batch) in ahead(scope, remaining, |step| batches.draw_mixed(step, strong)) {
                let rate = settings.schedule.rate(settings.learning_rate, step, total);
                let fractions = shares::shares(&shares::tally(&batch.labels), classes);
                let done = student.step(batch, None, rate, seed_for(seed, Stream::Train, step, usize::MAX));
                let step = before + step + 1;
                journal.add(&Entry {
                    stage: Stage::Train,
                    start,
                    step,
                    loss: done.loss,
                    learning_rate: rate,
                    confident: 1.0,
                    agreement: done.agreement,
                    confidence: None,
                    fractions,
                })?;
                progress.advance(1, &format!("loss {:.3}", done.loss));
                let (stopped, last) = (progress.stopped(), step == before + total);
                if !last && (stopped || saved.elapsed() > config.checkpoint_every()) {
                    journal.flush()?;
                    checkpoints::save(run, Stage::Train, &key, step, &(), |folder| student.save(folder))?;
                    saved = Instant::now();
                }
                if stopped && !last {
                    return Err(Error::Stopped { stage: "train" });
                }
            }
            Ok(())
        })?;
        journal.flush()?;
        if settings.keep {
            checkpoints::save(run, Stage::Train, &key, total, &(), |folder| student.save(folder))?;
            checkpoints::keep(run)?;
        }
        model::save(&student.network, config, &stage1, "train", &run.student(start))?;
    }
    progress.end();
    Ok(())
}
