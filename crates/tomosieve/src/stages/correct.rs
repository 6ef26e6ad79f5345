//! Stage 3: self-correction (Sec. III-D, Eq. 8-10), Unbiased Teacher (Liu et al. 2021, arXiv 2102.09480)
//! without labels.
//!
//! The teacher labels weak views; the student learns these labels from strong views of the same crops,
//! where the teacher was confident; the teacher follows the student as a moving average. Checks at
//! regular intervals judge the teacher ([`crate::guard`]); when one fails, the last good teacher is
//! restored and the start ends. Of several starts the one whose map has most structure that the image
//! confirms ([`crate::structure`]) is kept.

use std::path::{Path, PathBuf};
use std::time::Instant;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use tomosieve_nn::networks::Network;
use tomosieve_nn::{checkpoint, teacher};

use super::cluster::Stage1;
use super::{Context, steps};
use crate::batches::{Batches, Stream, ahead, seed_for, start_seed};
use crate::confidence::Confidence;
use crate::guard::{self, Alarm};
use crate::journal::{Entry, Journal};
use crate::jury::{self, Jury, Verdict};
use crate::ledger::{Ledger, Stage};
use crate::partial_volume::Rims;
use crate::pool::Pool;
use crate::predictor::{Predict, Predictor};
use crate::starts::{Attempt, Starts};
use crate::student::Student;
use crate::{Error, Result, augment, checkpoints, model};

/// The teacher's file in a checkpoint.
const TEACHER: &str = "teacher.safetensors";
/// The last good teacher's.
const GOOD: &str = "good.safetensors";
/// How stage 3 ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The start that ships, counted from 0.
    #[serde(default)]
    pub start: usize,
    /// Steps the shipped teacher has taken; 0 = it is the network of stage 2.
    pub steps: usize,
    /// What the guard found, if it stepped in.
    pub alarm: Option<Alarm>,
    /// Structure scores.
    pub structure: Structure,
    /// How every start ended, in order; none where the stage was left out.
    #[serde(default)]
    pub starts: Vec<Attempt>,
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

/// State of the stage beside its networks.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct State {
    confidence: Confidence,
    /// Steps of the last good teacher, and its score.
    good: usize,
    structure: f64,
    /// The starts before this one.
    attempts: Vec<Attempt>,
}

/// A check of the teacher, as the log keeps it; before the first step of a start it is the network of stage 2.
#[derive(Serialize)]
struct Check<'a> {
    stage: Stage,
    start: usize,
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
    fn of(verdict: &'a Verdict, start: usize, step: usize, alarm: Option<Alarm>) -> Self {
        let Verdict { shares, structure } = verdict;
        Self { stage: Stage::Correct, start, step, measured: "teacher", shares, structure: *structure, alarm }
    }
}

/// Corrects the students of stage 2 and writes the teacher that came of the best of them.
///
/// # Errors
/// When the volume cannot be read, a file cannot be written, or the run was stopped (a checkpoint is
/// then in the run folder).
pub fn run(context: &Context<'_>) -> Result<Outcome> {
    let Context { config, input, run, progress, .. } = *context;
    let stage1 = context.stage1()?;
    let device = context.device()?;
    let settings = &config.correct;
    let total = steps(settings.steps, settings.epochs, input.shape().z, settings.batch);
    let key = Ledger::key(Stage::Correct, config, input);
    let mut found = checkpoints::find::<State>(run, Stage::Correct, &key)?;
    let pool = context.pool(&stage1)?;
    let rims = context.rims(&stage1);
    let jury = Jury::new(&pool, settings.crop, stage1.clusters.classes(), rims.clone(), config.seed);
    let stage = Correction { context, stage1: &stage1, device, key, total, pool, rims, jury };

    let (mut first, mut starts) = (0, Starts::default());
    if let Some((folder, step, state)) = &found {
        (first, starts) = (*step, Starts::restore(&state.attempts, folder, stage.student(0)?)?);
    }
    let mut journal = Journal::open(run, Stage::Correct, first)?;
    let mut saved = Instant::now();
    if first == 0
        && let Some(outcome) = stage.left_out(&mut journal)?
    {
        return Ok(outcome);
    }
    progress.begin("correct", (config.starts * total) as u64, first as u64, "steps");
    for start in first / total..config.starts {
        let (attempt, network) = stage.attempt(start, &starts, found.take(), &mut journal, &mut saved)?;
        starts.add(attempt, network);
    }
    progress.end();
    journal.flush()?;
    let (start, network, attempts) = starts.into_best()?;
    let Attempt { steps, alarm, train, correct } = attempts[start];
    let structure = Structure { pseudo_labels: stage.jury.pseudo_labels.structure, train, correct };
    stage.finish(&network, Outcome { start, steps, alarm, structure, starts: attempts })
}

/// What every start works with.
struct Correction<'a> {
    context: &'a Context<'a>,
    stage1: &'a Stage1,
    device: Device,
    /// What checkpoints are known by.
    key: String,
    /// Steps of a start.
    total: usize,
    pool: Pool,
    rims: Option<Rims>,
    jury: Jury,
}

impl Correction<'_> {
    /// The network of stage 2 of a start.
    fn student(&self, start: usize) -> Result<Network> {
        Ok(model::load(&self.context.run.student(start), &self.device)?.predictor.network)
    }

    /// What the jury thinks of a network.
    fn judge(&self, network: &Network) -> Verdict {
        self.jury.judge(&Predictor::new(network, &self.device))
    }

    /// The outcome where there is nothing to do: no steps were asked for, or they could only do harm. The network of
    /// stage 2 with most structure ships.
    fn left_out(&self, journal: &mut Journal) -> Result<Option<Outcome>> {
        let config = self.context.config;
        let alarm = match self.total {
            0 => None,
            _ if !config.correct.guard => return Ok(None),
            _ => match self.needless(&Predictor::new(&self.student(0)?, &self.device)) {
                None => return Ok(None),
                alarm => alarm,
            },
        };
        if let Some(alarm) = alarm {
            journal.add(&LeftOut { stage: Stage::Correct, step: 0, alarm })?;
            journal.flush()?;
        }
        let mut students = Starts::default();
        for start in 0..config.starts {
            let network = self.student(start)?;
            let structure = self.judge(&network).structure;
            students.add(Attempt { steps: 0, alarm: None, train: structure, correct: structure }, network);
        }
        let (start, network, attempts) = students.into_best()?;
        let train = attempts[start].train;
        let pseudo_labels = self.jury.pseudo_labels.structure;
        let structure = Structure { pseudo_labels, train, correct: train };
        self.finish(&network, Outcome { start, steps: 0, alarm, structure, starts: Vec::new() }).map(Some)
    }

    /// Why the stage should not even begin, if so.
    fn needless(&self, stage2: &Predictor) -> Option<Alarm> {
        let config = self.context.config;
        if config.input.slices == 1 {
            return Some(Alarm::Unconfirmed);
        }
        let confirmed = jury::confirmed(&self.pool, config.correct.crop, stage2, config.seed);
        (confirmed >= config.correct.guard_confirmed).then_some(Alarm::Settled { confirmed })
    }

    /// Self-correction from the network of stage 2 of `start`, after the starts in `before`: how it ended, and its last
    /// good teacher. Goes on from a checkpoint of this start, if there is one; `saved` is when the last was written.
    fn attempt(
        &self,
        start: usize,
        before: &Starts,
        checkpoint: Option<Checkpoint>,
        journal: &mut Journal,
        saved: &mut Instant,
    ) -> Result<(Attempt, Network)> {
        let Self { context, device, key, total, .. } = self;
        let Context { config, run, progress, .. } = **context;
        let settings = &config.correct;
        let seed = start_seed(config.seed, start);
        let network = self.student(start)?;
        let stage2 = self.judge(&network);
        let classes = self.stage1.clusters.classes();
        let mut networks = Networks::new(context, classes, start, &network, device)?;
        let mut state = State {
            confidence: Confidence::new(settings, classes),
            good: 0,
            structure: stage2.structure,
            attempts: before.attempts.clone(),
        };
        let earlier = start * total; // steps are counted through all starts
        let mut first = 0;
        if let Some((folder, step, saved)) = checkpoint {
            networks = networks.restore(&folder)?;
            (first, state) = (step - earlier, saved);
        }
        if first == 0 {
            journal.add(&Check::of(&stage2, start, earlier, None))?;
        }
        let batches = self.batches(seed)?;
        let mut alarm = None;
        std::thread::scope(|scope| {
            for (step, (weak, mut strong)) in ahead(scope, first..*total, |step| batches.draw(step)) {
                let plane = weak.shape[2] * weak.shape[3];
                let probabilities = networks.teacher(device).probabilities(weak.images.clone(), weak.shape);
                let judged = state.confidence.judge(&probabilities, plane, |item, labels| {
                    if let Some(rims) = &self.rims {
                        rims.resolve(weak.middle(item), labels, weak.shape[3]);
                    }
                });
                strong.labels = judged.labels;
                let rate = settings.schedule.rate(settings.learning_rate, step, *total);
                let weights = state.confidence.class_weights();
                let seed = seed_for(seed, Stream::Correct, step, usize::MAX);
                let done = networks.student.step(strong, weights.as_deref(), rate, seed);
                networks.follow(settings.momentum);
                let step = step + 1;
                journal.add(&Entry {
                    stage: Stage::Correct,
                    start,
                    step: earlier + step,
                    loss: done.loss,
                    learning_rate: rate,
                    confident: judged.confident,
                    agreement: done.agreement,
                    confidence: Some(judged.confidence),
                    fractions: judged.fractions,
                })?;
                let sure = 100.0 * judged.confident;
                progress.advance(1, &format!("loss {:.3}, {sure:.0} % confident", done.loss));
                if is_check(step, *total, settings.checks) {
                    let verdict = self.judge(&networks.taught);
                    alarm = guard::judge(&verdict, &self.jury.pseudo_labels, &stage2, settings);
                    journal.add(&Check::of(&verdict, start, earlier + step, alarm))?;
                    if settings.guard && alarm.is_some() {
                        progress.advance((total - step) as u64, "");
                        break;
                    }
                    networks.good = networks.taught.clone();
                    (state.good, state.structure) = (step, verdict.structure);
                }
                let (stopped, last) = (progress.stopped(), step == *total);
                if !last && (stopped || saved.elapsed() > config.checkpoint_every()) {
                    journal.flush()?;
                    checkpoints::save(run, Stage::Correct, key, earlier + step, &state, |folder| {
                        networks.save(folder)?;
                        before.save(folder)
                    })?;
                    *saved = Instant::now();
                }
                if stopped && !last {
                    return Err(Error::Stopped { stage: "correct" });
                }
            }
            Ok(())
        })?;
        let attempt = Attempt {
            steps: state.good,
            alarm: alarm.filter(|_| settings.guard),
            train: stage2.structure,
            correct: state.structure,
        };
        Ok((attempt, networks.good))
    }

    /// The crops and views of a start.
    fn batches(&self, seed: u64) -> Result<Batches<'_>> {
        let config = self.context.config;
        Ok(Batches {
            pool: &self.pool,
            batch: config.correct.batch,
            crop: config.correct.crop,
            weak: augment::weak(&config.views.weak)?,
            strong: augment::strong(&config.views.strong_config())?,
            blind: 0.0,
            seed,
            stream: Stream::Correct,
        })
    }

    /// Writes the network that ships and says why it is not the last one, if it is not.
    fn finish(&self, network: &Network, outcome: Outcome) -> Result<Outcome> {
        if let Some(alarm) = &outcome.alarm {
            let shipped = match outcome.steps {
                0 => "of stage 2".to_owned(),
                steps => format!("after {steps} steps"),
            };
            let what = if alarm.is_idle() { "left out" } else { "stopped" };
            let note = format!("self-correction was {what}: {alarm}; the result is the network {shipped}");
            self.context.progress.note(&note);
        }
        let made_by = if outcome.steps == 0 { "train" } else { "correct" };
        model::save(network, self.context.config, self.stage1, made_by, &self.context.run.model())?;
        Ok(outcome)
    }
}

/// A checkpoint of the stage: its folder, the steps done in all starts, its state.
type Checkpoint = (PathBuf, usize, State);

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
    fn new(
        context: &Context<'_>,
        classes: usize,
        start: usize,
        network: &Network,
        device: &Device,
    ) -> Result<Self> {
        let Context { config, run, .. } = *context;
        let training = device.clone().autodiff();
        let fresh = Network::new(&config.network, config.input.slices, classes, 0, &training)?;
        let student = Student::new(checkpoint::load(fresh, &run.student(start))?, &config.loss, device)?;
        Ok(Self { student, taught: network.clone(), good: network.clone() })
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
