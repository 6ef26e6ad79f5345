//! Several starts of a training, and the best of them.
//!
//! Starts differ in the seed of their random draws, and nothing of one depends on another. They go side by side, all of
//! them taking their first step, then all their second, so a checkpoint and the log are those of one step.

use serde::{Deserialize, Serialize};

use crate::guard::Alarm;

/// How one start ended.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// Steps that the teacher it kept has taken; 0 = it is the network of stage 2.
    pub steps: usize,
    /// What the guard found, if it ended the start.
    pub alarm: Option<Alarm>,
    /// Score of the map of its stage 2 ([`crate::jury::Verdict::score`]).
    pub train: f64,
    /// Score of the map of the teacher it kept.
    pub correct: f64,
}

impl Attempt {
    /// Whether it ended better than `other`: a start that the guard had no need to end is better than one it ended,
    /// among equals the one with the higher score.
    fn beats(&self, other: &Self) -> bool {
        let rank = |attempt: &Self| (attempt.alarm.is_none(), attempt.correct);
        rank(self) > rank(other)
    }
}

/// Which of the starts ended best; the first of equals, 0 of none.
pub fn best(attempts: &[Attempt]) -> usize {
    let better =
        |best: usize, other: usize| if attempts[other].beats(&attempts[best]) { other } else { best };
    (0..attempts.len()).reduce(better).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_score_decides_among_those_that_were_not_ended() {
        let attempt = |correct, ended: bool| Attempt {
            steps: 1,
            alarm: ended.then_some(Alarm::Unconfirmed),
            train: 1.0,
            correct,
        };
        let attempts = [attempt(1.0, false), attempt(3.0, true), attempt(2.0, false), attempt(2.0, false)];
        assert_eq!(best(&attempts), 2);
        assert_eq!(best(&[attempt(1.0, true), attempt(3.0, true)]), 1);
    }
}
