//! A start of stage 2 on its way: its student, how far that has settled, and what follows from it.

use tomosieve_nn::networks::Network;

use super::Learning;
use crate::batches::{Batch, Stream, seed_for, start_seed};
use crate::config::TrainConfig;
use crate::journal::Entry;
use crate::lanes::Lanes;
use crate::ledger::Stage;
use crate::settling::Settling;
use crate::stages::{Context, is_check};
use crate::student::Student;
use crate::{Result, shares};

/// A start on its way.
pub(super) struct Start {
    index: usize,
    pub(super) seed: u64,
    pub(super) student: Student,
    pub(super) settling: Settling,
    /// Steps of the whole training, as far as can be told.
    pub(super) total: usize,
    /// Those of them before the learning rate falls.
    full: usize,
    /// What each class weighs in the loss, if not all alike.
    weights: Option<Vec<f32>>,
    classes: usize,
    /// Steps it may take.
    most: usize,
}

impl Start {
    /// One that has learned nothing yet, of `most` steps; `index` is its place among the starts.
    pub(super) fn new(context: &Context<'_>, classes: usize, index: usize, most: usize) -> Result<Self> {
        let (config, device) = (context.config, context.device()?);
        let seed = start_seed(config.seed, index);
        let (weights, training) = (seed_for(seed, Stream::Weights, 0, 0), device.clone().autodiff());
        let network = Network::new(&config.network, config.input.slices, classes, weights, &training)?;
        let student = Student::new(network, &config.network, &config.loss, &device)?;
        let mut start = Self {
            index,
            seed,
            student,
            settling: Settling::default(),
            total: most,
            full: 0,
            weights: None,
            classes,
            most,
        };
        start.conclude(&config.train);
        Ok(start)
    }

    /// Draws the conclusions from how far it has settled.
    pub(super) fn conclude(&mut self, config: &TrainConfig) {
        (self.total, self.full) = self.settling.length(self.most, config.settled);
        self.weights = self.settling.weights(config.rare);
    }

    /// Its student learns from a batch.
    pub(super) fn step(&mut self, step: usize, batch: Batch, config: &TrainConfig, lanes: &Lanes) -> Entry {
        let fractions = shares::shares(&shares::tally(&batch.labels), self.classes);
        let (falling, fall) = (step.saturating_sub(self.full), self.total - self.full);
        let learning_rate = config.schedule.rate(config.learning_rate, falling, fall);
        let seed = seed_for(self.seed, Stream::Train, step, usize::MAX);
        let done = self.student.step(batch, self.weights.as_deref(), learning_rate, seed, lanes);
        self.settling.add(&done.found);
        if is_check(step + 1, self.most, config.checks) {
            self.settling.check(step + 1, config.settled);
            self.conclude(config);
        }
        Entry {
            stage: Stage::Train,
            start: self.index,
            step: step + 1,
            loss: done.loss,
            learning_rate,
            confident: 1.0,
            agreement: done.found.agreement(),
            confidence: None,
            fractions,
        }
    }

    /// How it went.
    pub(super) fn learning(&self) -> Learning {
        Learning {
            steps: self.total,
            most: self.most,
            full: self.full,
            checks: self.settling.checks.clone(),
            weights: self.weights.clone(),
        }
    }
}
