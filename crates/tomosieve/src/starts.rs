//! The starts of stage 3 that have ended, and the best of them.

use std::path::Path;

use serde::{Deserialize, Serialize};
use tomosieve_nn::checkpoint;
use tomosieve_nn::networks::Network;

use crate::guard::Alarm;
use crate::{Error, Result};

/// The best one's teacher in a checkpoint.
const BEST: &str = "best.safetensors";

/// How one start ended.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// Steps that its last good teacher has taken; 0 = it is the network of stage 2.
    pub steps: usize,
    /// What the guard found, if it ended the start.
    pub alarm: Option<Alarm>,
    /// Structure in the map of its stage 2.
    pub train: f64,
    /// Structure in the map of its last good teacher.
    pub correct: f64,
}

impl Attempt {
    /// Whether it ended better than `other`: a start that the guard had no need to end is better than one it ended,
    /// among equals the one with more structure.
    fn beats(&self, other: &Self) -> bool {
        let rank = |attempt: &Self| (attempt.alarm.is_none(), attempt.correct);
        rank(self) > rank(other)
    }
}

/// The starts that have ended, in order.
#[derive(Default)]
pub(crate) struct Starts {
    pub(crate) attempts: Vec<Attempt>,
    /// The best of them and its teacher.
    best: Option<(usize, Network)>,
}

impl Starts {
    /// Adds a start.
    pub(crate) fn add(&mut self, attempt: Attempt, network: Network) {
        if self.best.as_ref().is_none_or(|(index, _)| attempt.beats(&self.attempts[*index])) {
            self.best = Some((self.attempts.len(), network));
        }
        self.attempts.push(attempt);
    }

    /// The best start and its teacher, and how all of them ended.
    ///
    /// # Errors
    /// [`Error::Config`] when there was none.
    pub(crate) fn into_best(self) -> Result<(usize, Network, Vec<Attempt>)> {
        let none = || Error::Config("starts is 0; expected at least 1".into());
        let (start, network) = self.best.ok_or_else(none)?;
        Ok((start, network, self.attempts))
    }

    /// Writes the best teacher into a checkpoint.
    pub(crate) fn save(&self, folder: &Path) -> Result<()> {
        match &self.best {
            Some((_, network)) => Ok(checkpoint::save(network, &[].into(), &folder.join(BEST))?),
            None => Ok(()),
        }
    }

    /// What a checkpoint after these `attempts` holds; `fresh` is any network of this kind.
    pub(crate) fn restore(attempts: &[Attempt], folder: &Path, fresh: Network) -> Result<Self> {
        let best = (0..attempts.len())
            .reduce(|best, other| if attempts[other].beats(&attempts[best]) { other } else { best });
        let best = match best {
            Some(index) => Some((index, checkpoint::load(fresh, &folder.join(BEST))?)),
            None => None,
        };
        Ok(Self { attempts: attempts.to_vec(), best })
    }
}
