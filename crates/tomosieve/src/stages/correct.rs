//! Stage 3: self-correction (Sec. III-D, Eq. 8-10), Unbiased Teacher (Liu et al. 2021, arXiv 2102.09480)
//! without labels.
//!
//! The teacher labels weak views; the student learns these labels from strong views of the same crops,
//! where the teacher was confident; the teacher follows the student as a moving average. Checks at
//! regular intervals judge the teacher ([`crate::guard`]); when one fails, the last good teacher is
//! restored and the stage ends.

use std::path::Path;
use std::time::Instant;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use tomosieve_nn::networks::Network;
use tomosieve_nn::{checkpoint, teacher};

use super::cluster::Stage1;
use super::{Context, steps};
use crate::batches::{Batches, Stream, ahead, seed_for};
use crate::confidence::Confidence;
use crate::config::Config;
use crate::guard::{self, Alarm};
use crate::journal::{Entry, Journal};
use crate::jury::{self, Jury, Verdict};
use crate::ledger::{Ledger, Stage};
use crate::pool::Pool;
use crate::predictor::{Predict, Predictor};
use crate::student::Student;
use crate::{Error, Result, augment, checkpoints, model};

/// The teacher's file in a checkpoint.
const TEACHER: &str = "teacher.safetensors";
/// The last good teacher's.
const GOOD: &str = "good.safetensors";

/// How stage 3 ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Steps the shipped teacher has taken; 0 = it is the network of stage 2.
    pub steps: usize,
    /// What the guard found, if it stepped in.
    pub alarm: Option<Alarm>,
    /// Structure scores.
    pub structure: Structure,
}

/// Structure that the image confirms ([`crate::structure`]), on the crops of the jury.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Structure {
    /// In what stage 2 learned from.
    pub pseudo_labels: f64,
    /// In the map of stage 2's network.
    pub train: f64,
    /// In the map of the network that ships.
    pub correct: f64,
}

impl Structure {
    fn of(jury: &Jury, stage2: &Verdict, state: &State) -> Self {
        Self {
            pseudo_labels: jury.pseudo_labels.structure,
            train: stage2.structure,
            correct: if state.good == 0 { stage2.structure } else { state.structure },
        }
    }
}

/// State of the stage beside its networks.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct State {
    confidence: Confidence,
    /// Steps of the last good teacher, and its score.
    good: usize,
    structure: f64,
}

/// A check of the teacher, as the log keeps it; step 0 is the network of stage 2.
#[derive(Serialize)]
struct Check<'a> {
    stage: Stage,
    step: usize,
    measured: &'static str,
    shares: &'a [f64],
    structure: f64,
    alarm: Option<Alarm>,
}

/// That the stage was left out, as the log keeps it.
#[derive(Serialize)]
struct LeftOut {
    stage: Stage,
    step: usize,
    alarm: Alarm,
}

impl<'a> Check<'a> {
    fn of(verdict: &'a Verdict, step: usize, alarm: Option<Alarm>) -> Self {
        let Verdict { shares, structure } = verdict;
        Self { stage: Stage::Correct, step, measured: "teacher", shares, structure: *structure, alarm }
    }
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
    let settings = &config.correct;
    let start = model::load(&run.student(), &device)?.predictor.network;
    let mut networks = Networks::new(context, classes, &start, &device)?;
    let mut state = State { confidence: Confidence::new(settings, classes), good: 0, structure: 0.0 };

    let key = Ledger::key(Stage::Correct, config, input);
    let mut first = 0;
    if let Some((folder, step, saved)) = checkpoints::find::<State>(run, Stage::Correct, &key)? {
        networks = networks.restore(&folder)?;
        (first, state) = (step, saved);
    }

    let total = steps(settings.steps, settings.epochs, input.shape().z, settings.batch);
    let mut journal = Journal::open(run, Stage::Correct, first)?;
    let pool = context.pool(&stage1)?;
    let rims = context.rims(&stage1);
    let jury = Jury::new(&pool, settings.crop, classes, rims.clone(), config.seed);
    let stage2 = jury.judge(&Predictor::new(&start, &device));
    let mut alarm = None;
    if settings.guard && first == 0 && total > 0 {
        alarm = needless(&pool, &Predictor::new(&start, &device), config);
    }
    if total == 0 || alarm.is_some() {
        if let Some(alarm) = alarm {
            journal.add(&LeftOut { stage: Stage::Correct, step: 0, alarm })?;
            journal.flush()?;
        }
        let outcome = Outcome { steps: 0, alarm, structure: Structure::of(&jury, &stage2, &state) };
        return finish(context, &stage1, &start, outcome);
    }
    let batches = batches(config, &pool)?;
    if first == 0 {
        journal.add(&Check::of(&stage2, 0, None))?;
    }
    let mut saved = Instant::now();
    progress.begin("correct", total as u64, first as u64, "steps");
    std::thread::scope(|scope| {
        for (step, (weak, mut strong)) in ahead(scope, first..total, |step| batches.draw(step)) {
            let plane = weak.shape[2] * weak.shape[3];
            let probabilities = networks.teacher(&device).probabilities(weak.images.clone(), weak.shape);
            let judged = state.confidence.judge(&probabilities, plane, |item, labels| {
                if let Some(rims) = &rims {
                    rims.resolve(weak.middle(item), labels, weak.shape[3]);
                }
            });
            strong.labels = judged.labels;
            let rate = settings.schedule.rate(settings.learning_rate, step, total);
            let weights = state.confidence.class_weights();
            let seed = seed_for(config.seed, Stream::Correct, step, usize::MAX);
            let done = networks.student.step(strong, weights.as_deref(), rate, seed);
            networks.follow(settings.momentum);
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
            progress
                .advance(1, &format!("loss {:.3}, {:.0} % confident", done.loss, 100.0 * judged.confident));
            if is_check(step, total, settings.checks) {
                let verdict = jury.judge(&networks.teacher(&device));
                alarm = guard::judge(&verdict, &jury.pseudo_labels, &stage2, settings);
                journal.add(&Check::of(&verdict, step, alarm))?;
                if settings.guard && alarm.is_some() {
                    break;
                }
                networks.good = networks.taught.clone();
                (state.good, state.structure) = (step, verdict.structure);
            }
            let stopped = progress.stopped();
            if step < total && (stopped || saved.elapsed() > config.checkpoint_every()) {
                journal.flush()?;
                checkpoints::save(run, Stage::Correct, &key, step, &state, |folder| networks.save(folder))?;
                saved = Instant::now();
            }
            if stopped && step < total {
                return Err(Error::Stopped { stage: "correct" });
            }
        }
        Ok(())
    })?;
    progress.end();
    journal.flush()?;
    let outcome = Outcome {
        steps: state.good,
        alarm: alarm.filter(|_| settings.guard),
        structure: Structure::of(&jury, &stage2, &state),
    };
    finish(context, &stage1, &networks.good, outcome)
}

/// The stage's crops and views.
fn batches<'a>(config: &Config, pool: &'a Pool) -> Result<Batches<'a>> {
    Ok(Batches {
        pool,
        batch: config.correct.batch,
        crop: config.correct.crop,
        weak: augment::weak(&config.views.weak)?,
        strong: augment::strong(&config.views.strong_config())?,
        blind: 0.0,
        seed: config.seed,
        stream: Stream::Correct,
    })
}

/// Why stage 3 should not even begin, if so.
fn needless(pool: &Pool, stage2: &Predictor, config: &Config) -> Option<Alarm> {
    if config.input.slices == 1 {
        return Some(Alarm::Unconfirmed);
    }
    let confirmed = jury::confirmed(pool, config.correct.crop, stage2, config.seed);
    (confirmed >= config.correct.guard_confirmed).then_some(Alarm::Settled { confirmed })
}

/// Writes the network that ships and says why it is not the last one, if it is not.
fn finish(context: &Context<'_>, stage1: &Stage1, network: &Network, outcome: Outcome) -> Result<Outcome> {
    if let Some(alarm) = &outcome.alarm {
        let shipped = match outcome.steps {
            0 => "of stage 2".to_owned(),
            steps => format!("after {steps} steps"),
        };
        let what = if alarm.is_idle() { "left out" } else { "stopped" };
        let note = format!("self-correction was {what}: {alarm}; the result is the network {shipped}");
        context.progress.note(&note);
    }
    let made_by = if outcome.steps == 0 { "train" } else { "correct" };
    model::save(network, context.config, stage1, made_by, &context.run.model())?;
    Ok(outcome)
}

/// Whether the teacher is checked after `step` of `total` steps: `checks` times, the end included.
fn is_check(step: usize, total: usize, checks: usize) -> bool {
    step * checks / total > (step - 1) * checks / total
}

/// The networks of the stage.
struct Networks {
    student: Student,
    /// The teacher: the student's moving average.
    taught: Network,
    /// The teacher at its last good check.
    good: Network,
}

impl Networks {
    /// Student and teacher start as the network of stage 2.
    fn new(context: &Context<'_>, classes: usize, start: &Network, device: &Device) -> Result<Self> {
        let Context { config, run, .. } = *context;
        let training = device.clone().autodiff();
        let fresh = Network::new(&config.network, config.input.slices, classes, 0, &training)?;
        let student = Student::new(checkpoint::load(fresh, &run.student())?, &config.loss, device)?;
        Ok(Self { student, taught: start.clone(), good: start.clone() })
    }

    /// The teacher, to be asked.
    fn teacher(&self, device: &Device) -> Predictor {
        Predictor::new(&self.taught, device)
    }

    /// The teacher follows the student (Eq. 10).
    fn follow(&mut self, momentum: f64) {
        self.taught = teacher::blend(self.taught.clone(), &self.student.network, momentum);
    }

    fn save(&self, folder: &Path) -> Result<()> {
        self.student.save(folder)?;
        checkpoint::save(&self.taught, &[].into(), &folder.join(TEACHER))?;
        Ok(checkpoint::save(&self.good, &[].into(), &folder.join(GOOD))?)
    }

    fn restore(self, folder: &Path) -> Result<Self> {
        Ok(Self {
            student: self.student.restore(folder)?,
            taught: checkpoint::load(self.taught, &folder.join(TEACHER))?,
            good: checkpoint::load(self.good, &folder.join(GOOD))?,
        })
    }
}
