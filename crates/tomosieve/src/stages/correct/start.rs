//! A start of self-correction on its way: its networks, its state, and both in a checkpoint.

use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use tomosieve_nn::networks::Network;
use tomosieve_nn::{checkpoint, teacher};

use crate::Result;
use crate::confidence::Confidence;
use crate::config::Config;
use crate::guard::Alarm;
use crate::jury::Verdict;
use crate::starts::Attempt;
use crate::student::Student;

/// The teacher's file in a checkpoint.
const TEACHER: &str = "teacher.safetensors";
/// That of the teacher which is kept.
const GOOD: &str = "good.safetensors";

/// State of a start beside its networks.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) confidence: Confidence,
    /// Steps of the teacher that is kept, and its score.
    pub(super) good: usize,
    pub(super) score: f64,
    /// Why the guard has ended the start, if it has.
    pub(super) ended: Option<Alarm>,
}

/// A start on its way.
pub(super) struct Start {
    pub(super) networks: Networks,
    /// What the jury thought of its network of stage 2.
    pub(super) stage2: Verdict,
    pub(super) state: State,
}

impl Start {
    /// How it ended.
    pub(super) fn attempt(&self) -> Attempt {
        let State { good, ended, score, .. } = self.state;
        Attempt { steps: good, alarm: ended, train: self.stage2.score(), correct: score }
    }
}

/// The networks of a start.
pub(super) struct Networks {
    pub(super) student: Student,
    /// The teacher: the student's moving average.
    pub(super) taught: Network,
    /// The teacher that is kept.
    pub(super) good: Network,
}

impl Networks {
    /// Student and teacher start as the network of stage 2.
    pub(super) fn of_stage2(config: &Config, classes: usize, device: &Device, path: &Path) -> Result<Self> {
        let training = device.clone().autodiff();
        let fresh = Network::new(&config.network, config.input.slices, classes, 0, &training)?;
        let network = checkpoint::load(fresh, path)?;
        let taught = network.valid();
        let student = Student::new(network, &config.network, &config.loss, device)?;
        Ok(Self { student, good: taught.clone(), taught })
    }

    /// The teacher follows the student (Eq. 10).
    pub(super) fn follow(&mut self, momentum: f64) {
        self.taught = teacher::blend(self.taught.clone(), &self.student.network, momentum);
    }

    pub(super) fn save(&self, folder: &Path) -> Result<()> {
        self.student.save(folder)?;
        checkpoint::save(&self.taught, &[].into(), &folder.join(TEACHER))?;
        Ok(checkpoint::save(&self.good, &[].into(), &folder.join(GOOD))?)
    }

    pub(super) fn restore(&mut self, folder: &Path) -> Result<()> {
        self.student.restore(folder)?;
        self.taught = checkpoint::load(self.taught.clone(), &folder.join(TEACHER))?;
        self.good = checkpoint::load(self.good.clone(), &folder.join(GOOD))?;
        Ok(())
    }
}
