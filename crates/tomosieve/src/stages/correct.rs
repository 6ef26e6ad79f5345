//! Stage 3: self-correction (Sec. III-D, Eq. 8-10), Unbiased Teacher (Liu et al. 2021, arXiv 2102.09480)
//! without labels.
//!
//! The teacher labels weak views; the student learns these labels from strong views of the same crops,
//! where the teacher was confident; the teacher follows the student as a moving average. Checks at
//! regular intervals watch the teacher's class shares; when one leaves its band, the last good teacher
//! is restored and the stage ends.

use std::path::Path;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use tomosieve_nn::networks::Network;
use tomosieve_nn::{checkpoint, teacher};

use super::{Context, steps};
use crate::batches::{Batches, Stream, seed_for};
use crate::confidence::{Confidence, most_likely};
use crate::guard::{self, Alarm};
use crate::journal::{Entry, Journal};
use crate::ledger::{Ledger, Stage};
use crate::pool::Pool;
use crate::predictor::{Predict, Predictor};
use crate::student::Student;
use crate::{Error, Result, augment, checkpoints, model};

/// Crops by which the guard judges a teacher.
const GUARD_CROPS: usize = 32;

/// How stage 3 ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Steps the shipped teacher has taken; 0 = it is the network of stage 2.
    pub steps: usize,
    /// What the guard found, if it stepped in.
    pub alarm: Option<Alarm>,
}

/// State of the stage beside its networks.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct State {
    confidence: Confidence,
    good: usize,
}

/// A check of the teacher, as the log keeps it.
#[derive(Serialize)]
struct Check<'a> {
    stage: Stage,
    step: usize,
    measured: &'static str,
    shares: &'a [f64],
    pseudo_label_shares: &'a [f64],
    alarm: Option<Alarm>,
}

/// Corrects the student of stage 2 and writes the teacher that came of it.
///
/// # Errors
/// When the volume cannot be read, a file cannot be written, or the run was stopped (a checkpoint is
/// then in the run folder).
pub fn run(context: &Context<'_>) -> Result<Outcome> {
    let Context { config, input, run, progress, .. } = *context;
    let stage1 = context.stage1()?;
    let classes = stage1.clusters.classes();
    let device = context.device()?;
    let training = device.clone().autodiff();
    let start = model::load(&run.student(), &device)?.predictor.network;
    let fresh = Network::new(&config.network, config.input.slices, classes, 0, &training)?;
    let mut student = Student::new(checkpoint::load(fresh, &run.student())?, &config.loss, &device)?;
    let (mut taught, mut good) = (start.clone(), start);
    let settings = &config.correct;
    let mut state = State { confidence: Confidence::new(settings, classes), good: 0 };

    let key = Ledger::key(Stage::Correct, config, input);
    let mut first = 0;
    if let Some((folder, step, saved)) = checkpoints::find::<State>(run, Stage::Correct, &key)? {
        student = student.restore(&folder)?;
        taught = checkpoint::load(taught, &teacher_in(&folder))?;
        good = checkpoint::load(good, &good_in(&folder))?;
        (first, state) = (step, saved);
    }

    let total = steps(settings.steps, settings.epochs, input.shape().z, settings.batch);
    let pool = context.pool(&stage1)?;
    let batches = Batches {
        pool: &pool,
        batch: settings.batch,
        crop: settings.crop,
        weak: augment::weak(&config.views.weak)?,
        strong: augment::strong(&config.views.strong_config())?,
        seed: config.seed,
        stream: Stream::Correct,
    };
    let jury = Jury::new(&pool, settings.crop, config.seed, classes);
    let mut journal = Journal::open(run, Stage::Correct, first)?;
    let mut saved = Instant::now();
    let mut alarm = None;
    progress.begin("correct", total as u64, first as u64, "steps");
    for step in first..total {
        let (weak, mut strong) = batches.draw(step);
        let plane = weak.shape[2] * weak.shape[3];
        let predictor = Predictor::new(&taught, &device);
        let judged = state.confidence.judge(&predictor.probabilities(weak.images, weak.shape), plane);
        strong.labels = judged.labels;
        let rate = settings.schedule.rate(settings.learning_rate, step, total);
        let weights = state.confidence.class_weights();
        let seed = seed_for(config.seed, Stream::Correct, step, usize::MAX);
        let done = student.step(strong, weights.as_deref(), rate, seed);
        taught = teacher::blend(taught, &student.network, settings.momentum);
        let step = step + 1;
        journal.add(&Entry {
            stage: Stage::Correct,
            step,
            loss: done.loss,
            learning_rate: rate,
            confident: judged.confident,
            agreement: done.agreement,
            confidence: Some(judged.confidence),
            fractions: judged.fractions,
        })?;
        progress.advance(1, &format!("loss {:.3}, {:.0} % confident", done.loss, 100.0 * judged.confident));
        if is_check(step, total, settings.checks) {
            let shares = jury.shares(&Predictor::new(&taught, &device));
            alarm = guard::judge(&shares, &jury.expected, settings.guard_low, settings.guard_high);
            let pseudo_label_shares = &jury.expected;
            let measured = "class shares";
            let stage = Stage::Correct;
            journal.add(&Check { stage, step, measured, shares: &shares, pseudo_label_shares, alarm })?;
            if settings.guard && alarm.is_some() {
                break;
            }
            (good, state.good) = (taught.clone(), step);
        }
        let stopped = progress.stopped();
        if step < total && (stopped || saved.elapsed() > super::train::CHECKPOINT_EVERY) {
            journal.flush()?;
            checkpoints::save(run, Stage::Correct, &key, step, &state, |folder| {
                student.save(folder)?;
                checkpoint::save(&taught, &[].into(), &teacher_in(folder))?;
                Ok(checkpoint::save(&good, &[].into(), &good_in(folder))?)
            })?;
            saved = Instant::now();
        }
        if stopped && step < total {
            return Err(Error::Stopped { stage: "correct" });
        }
    }
    progress.end();
    journal.flush()?;
    let outcome = Outcome { steps: state.good, alarm: alarm.filter(|_| settings.guard) };
    if let Some(alarm) = outcome.alarm {
        progress.note(&format!(
            "self-correction was stopped: {alarm}; the result is the network {}",
            if outcome.steps == 0 {
                "of stage 2".to_owned()
            } else {
                format!("after {} steps", outcome.steps)
            }
        ));
    }
    model::save(&good, config, &stage1, if outcome.steps == 0 { "train" } else { "correct" }, &run.model())?;
    Ok(outcome)
}

/// Whether the teacher is checked after `step` of `total` steps: `checks` times, the end included.
fn is_check(step: usize, total: usize, checks: usize) -> bool {
    step * checks / total > (step - 1) * checks / total
}

fn teacher_in(folder: &Path) -> std::path::PathBuf {
    folder.join("teacher.safetensors")
}

fn good_in(folder: &Path) -> std::path::PathBuf {
    folder.join("good.safetensors")
}

/// The crops on which the guard compares a teacher with the pseudo labels.
struct Jury {
    crops: Vec<crate::patch::Patch>,
    /// Share of each class among the crops' pseudo labels.
    expected: Vec<f64>,
}

impl Jury {
    /// Seeded crops, without any view.
    fn new(pool: &Pool, crop: usize, seed: u64, classes: usize) -> Self {
        let crops: Vec<_> = (0..GUARD_CROPS)
            .map(|item| pool.draw(crop, &mut crate::batches::generator(seed, Stream::Guard, 0, item)))
            .collect();
        let mut counts = vec![0_u64; classes];
        crops.iter().flat_map(|crop| &crop.labels).for_each(|&l| counts[usize::from(l)] += 1);
        Self { expected: normalised(&counts), crops }
    }

    /// Share of each class in the map of a network.
    fn shares(&self, predictor: &Predictor) -> Vec<f64> {
        let mut counts = vec![0_u64; self.expected.len()];
        for crop in &self.crops {
            let shape = [1, crop.slices, crop.height, crop.width];
            let plane = crop.height * crop.width;
            let probabilities = predictor.probabilities(crop.image.clone(), shape);
            (0..plane)
                .for_each(|pixel| counts[usize::from(most_likely(&probabilities, pixel, plane).0)] += 1);
        }
        normalised(&counts)
    }
}

/// Counts as shares of their sum.
fn normalised(counts: &[u64]) -> Vec<f64> {
    let total = counts.iter().sum::<u64>().max(1) as f64;
    counts.iter().map(|&count| count as f64 / total).collect()
}
