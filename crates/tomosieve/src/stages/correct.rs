//! Stage 3: self-correction (Sec. III-D, Eq. 8-10), Unbiased Teacher (Liu et al. 2021, arXiv 2102.09480)
//! without labels.
//!
//! The teacher labels weak views; the student learns these labels from strong views of the same crops,
//! where the teacher was confident; the teacher follows the student as a moving average. Checks at
//! regular intervals judge the teacher ([`crate::guard`]); when one fails, the start ends, and of the teachers before, and
//! the network of stage 2, the one is restored whose map fits the image best ([`crate::jury::Verdict::score`]).
//! Of several starts the one that fits best is kept.

use std::time::Instant;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use tomosieve_nn::kernels::Buffer;
use tomosieve_nn::networks::Network;

use super::cluster::Stage1;
use super::{Context, is_check, steps};
use crate::batches::{Batch, Batches, Stream, ahead, seed_for, start_seed};
use crate::checkpoints::Checkpoint;
use crate::confidence::Confidence;
use crate::config::Config;
use crate::guard::{self, Alarm};
use crate::journal::{Entry, Journal};
use crate::jury::{self, Jury, Verdict};
use crate::lanes::Lanes;
use crate::ledger::{Ledger, Stage};
use crate::partial_volume::Rims;
use crate::pool::Pool;
use crate::predictor::{Predict, Predictor};
use crate::starts::{self, Attempt};
use crate::{Error, Result, augment, checkpoints, model};

mod start;

use start::{Networks, Start, State};

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
    /// Scores of the maps, without labels.
    #[serde(alias = "structure")]
    pub scores: Scores,
    /// How every start ended, in order; none where the stage was left out.
    #[serde(default)]
    pub starts: Vec<Attempt>,
}

/// How well maps fit the image ([`Verdict::score`]), on the crops of the jury.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// What stage 2 learned from.
    pub pseudo_labels: f64,
    /// The map of stage 2's network.
    pub train: f64,
    /// The map of the network that ships.
    pub correct: f64,
}

impl Outcome {
    /// What is to be said where the map that ships fits the image less well than the pseudo labels, by more than the guard
    /// forgives. With one slice at a time there are no others that could tell.
    pub fn warning(&self, config: &Config) -> Option<String> {
        let Scores { pseudo_labels, correct, .. } = self.scores;
        let worse = guard::falls_short(correct, pseudo_labels, config.correct.guard_score);
        (worse && config.input.slices > 1).then(|| {
            let lost = 100.0 * (1.0 - correct / pseudo_labels);
            format!("the result fits the image {lost:.1} % less well than the pseudo labels; compare the two before you use it")
        })
    }
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
    spread: f64,
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
        let &Verdict { ref shares, structure, spread } = verdict;
        Self { stage: Stage::Correct, start, step, measured: "teacher", shares, structure, spread, alarm }
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
    let pool = context.pool(&stage1)?;
    let rims = context.rims(&stage1);
    let jury = Jury::new(&pool, settings.crop, &stage1.scaled_means(), rims.clone());
    let (lanes, of_parts) = context.lanes(settings.crop, settings.batch)?;
    let stage = Correction { context, stage1: &stage1, device, total, pool, rims, jury, lanes, of_parts };

    let found = checkpoints::find(run, Stage::Correct, &key, config.starts)?;
    let first = found.as_ref().map_or(0, |found| found.step);
    let mut journal = Journal::open(run, Stage::Correct, first)?;
    if first == 0
        && let Some(outcome) = stage.left_out(&mut journal)?
    {
        return Ok(outcome);
    }
    let mut starts = stage.starts(found)?;
    if first == 0 {
        for (index, start) in starts.iter().enumerate() {
            journal.add(&Check::of(&start.stage2, index, 0, None))?;
        }
    }
    let count = config.starts as u64;
    let batches = (0..config.starts).map(|start| stage.batches(start)).collect::<Result<Vec<_>>>()?;
    let draw = |step| batches.iter().map(|batches| batches.draw(step)).collect::<Vec<_>>();
    let mut saved = Instant::now();
    progress.begin("correct", count * total as u64, count * first as u64, "steps");
    std::thread::scope(|scope| {
        for (step, drawn) in ahead(scope, first..total, draw) {
            let going = starts.iter_mut().enumerate().zip(drawn);
            let going: Vec<_> = going.filter(|((_, start), _)| start.state.ended.is_none()).collect();
            if going.is_empty() {
                break;
            }
            let done = stage.lanes.map(going, |((index, start), (weak, strong))| {
                let entry = stage.step(start, index, step, &weak, strong);
                let verdict =
                    is_check(step + 1, total, settings.checks).then(|| stage.check(start, step + 1));
                (entry, verdict)
            });
            let mean = |of: fn(&Entry) -> f64| {
                done.iter().map(|(entry, _)| of(entry)).sum::<f64>() / done.len() as f64
            };
            let message =
                format!("loss {:.3}, {:.0} % confident", mean(|e| e.loss), 100.0 * mean(|e| e.confident));
            for (entry, verdict) in &done {
                journal.add(entry)?;
                if let Some((verdict, alarm)) = verdict {
                    journal.add(&Check::of(verdict, entry.start, entry.step, *alarm))?;
                }
            }
            progress.advance(count, &message);
            let (stopped, last) = (progress.stopped(), step + 1 == total);
            if !last && (stopped || saved.elapsed() > config.checkpoint_every()) {
                journal.flush()?;
                let states: Vec<&State> = starts.iter().map(|start| &start.state).collect();
                checkpoints::save(run, Stage::Correct, &key, step + 1, &states, |start, folder| {
                    starts[start].networks.save(folder)
                })?;
                saved = Instant::now();
            }
            if stopped && !last {
                return Err(Error::Stopped { stage: "correct" });
            }
        }
        Ok(())
    })?;
    progress.end();
    journal.flush()?;
    let attempts: Vec<Attempt> = starts.iter().map(Start::attempt).collect();
    let start = starts::best(&attempts);
    let Attempt { steps, alarm, train, correct } = attempts[start];
    let scores = Scores { pseudo_labels: stage.jury.pseudo_labels.score(), train, correct };
    let outcome = Outcome { start, steps, alarm, scores, starts: attempts };
    stage.finish(&starts[start].networks.good, outcome)
}

/// What every start works with.
struct Correction<'a> {
    context: &'a Context<'a>,
    stage1: &'a Stage1,
    device: Device,
    /// Steps of a start.
    total: usize,
    pool: Pool,
    rims: Option<Rims>,
    jury: Jury,
    /// Where starts go side by side.
    lanes: Lanes,
    /// Where the parts of a start's batch do.
    of_parts: Lanes,
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
    /// stage 2 that fits best ships.
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
        let students = (0..config.starts).map(|start| self.student(start)).collect::<Result<Vec<_>>>()?;
        let scores = self.lanes.map(students.iter().collect(), |network| self.judge(network).score());
        let attempt = |score| Attempt { steps: 0, alarm: None, train: score, correct: score };
        let attempts: Vec<Attempt> = scores.into_iter().map(attempt).collect();
        let start = starts::best(&attempts);
        let train = attempts[start].train;
        let scores = Scores { pseudo_labels: self.jury.pseudo_labels.score(), train, correct: train };
        self.finish(&students[start], Outcome { start, steps: 0, alarm, scores, starts: Vec::new() })
            .map(Some)
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

    /// All starts from their networks of stage 2, or from a checkpoint.
    fn starts(&self, found: Option<Checkpoint<State>>) -> Result<Vec<Start>> {
        let Context { config, run, .. } = *self.context;
        let (device, classes) = (&self.device, self.stage1.clusters.classes());
        let student = |start| Networks::of_stage2(config, classes, device, &run.student(start));
        let students = (0..config.starts).map(student);
        let students = students.collect::<Result<Vec<_>>>()?;
        let verdicts = self.lanes.map(students.iter().collect(), |networks| self.judge(&networks.taught));
        let fresh = |(networks, stage2): (Networks, Verdict)| {
            let confidence = Confidence::new(&config.correct, classes);
            let state = State { confidence, good: 0, score: stage2.score(), ended: None };
            Start { networks, stage2, state }
        };
        let mut starts: Vec<Start> = students.into_iter().zip(verdicts).map(fresh).collect();
        for (start, (folder, state)) in
            starts.iter_mut().zip(found.into_iter().flat_map(|found| found.starts))
        {
            start.state = state;
            start.networks.restore(&folder)?;
        }
        Ok(starts)
    }

    /// The crops and views of a start.
    fn batches(&self, start: usize) -> Result<Batches<'_>> {
        let config = self.context.config;
        Ok(Batches {
            pool: &self.pool,
            batch: config.correct.batch,
            crop: config.correct.crop,
            weak: augment::weak(&config.views.weak)?,
            strong: augment::strong(&config.views.strong_config())?,
            blind: 0.0,
            seed: start_seed(config.seed, start),
            stream: Stream::Correct,
        })
    }

    /// A start's step: its teacher labels the weak views, its student learns them from the strong ones.
    fn step(&self, start: &mut Start, index: usize, step: usize, weak: &Batch, mut strong: Batch) -> Entry {
        let config = self.context.config;
        let settings = &config.correct;
        let Start { networks, state, .. } = start;
        let plane = weak.shape[2] * weak.shape[3];
        let teacher = Predictor::new(&networks.taught, &self.device);
        let label = |part: Batch| teacher.probabilities(part.images, part.shape);
        let probabilities =
            Buffer::concat(&self.of_parts.map(weak.clone().parts_for(&config.network), label));
        let judged = state.confidence.judge(&probabilities, plane, |item, labels| {
            if let Some(rims) = &self.rims {
                rims.resolve(weak.middle(item), labels, weak.shape[3]);
            }
        });
        strong.labels = judged.labels;
        let learning_rate = settings.schedule.rate(settings.learning_rate, step, self.total);
        let weights = state.confidence.class_weights();
        let seed = seed_for(start_seed(config.seed, index), Stream::Correct, step, usize::MAX);
        let done = networks.student.step(strong, weights.as_deref(), learning_rate, seed, &self.of_parts);
        networks.follow(settings.momentum);
        Entry {
            stage: Stage::Correct,
            start: index,
            step: step + 1,
            loss: done.loss,
            learning_rate,
            confident: judged.confident,
            agreement: done.found.agreement(),
            confidence: Some(judged.confidence),
            fractions: judged.fractions,
        }
    }

    /// Checks a start's teacher after so many steps. When something is wrong with it, the guard ends the start, and of those
    /// before it the one that fits best is kept; otherwise the last one is.
    fn check(&self, start: &mut Start, steps: usize) -> (Verdict, Option<Alarm>) {
        let settings = &self.context.config.correct;
        let Start { networks, stage2, state } = start;
        let verdict = self.judge(&networks.taught);
        let alarm = guard::judge(&verdict, &self.jury.pseudo_labels, stage2, settings);
        if settings.guard && alarm.is_some() {
            state.ended = alarm;
        } else if steps == self.total || !settings.guard || verdict.score() > state.score {
            networks.good = networks.taught.clone();
            (state.good, state.score) = (steps, verdict.score());
        }
        (verdict, alarm)
    }

    /// Writes the network that ships and says why it is not the last one, if it is not.
    fn finish(&self, network: &Network, outcome: Outcome) -> Result<Outcome> {
        if let Some(alarm) = &outcome.alarm {
            let shipped = match outcome.steps {
                0 => "of stage 2".to_owned(),
                steps => format!("after {steps} steps"),
            };
            let note =
                format!("self-correction {}: {alarm}; the result is the network {shipped}", alarm.meaning());
            self.context.progress.note(&note);
        }
        if let Some(warning) = outcome.warning(self.context.config) {
            self.context.progress.note(&warning);
        }
        let made_by = if outcome.steps == 0 { "train" } else { "correct" };
        model::save(network, self.context.config, self.stage1, made_by, &self.context.run.model())?;
        Ok(outcome)
    }
}
