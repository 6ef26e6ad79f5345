//! When stage 2 has learned what there is to learn, told without a truth.
//!
//! How many of its labels a network finds again, class by class, in crops it has not learned from yet rises fast at first,
//! then ever more slowly, and rare classes come last: where they are few, a fixed number of steps ends before they are
//! learned at all. So stage 2 learns at its full rate until that rise is over, which is to say until the last quarter of
//! its steps brought hardly more than the quarter before. Then the rate falls for half as many steps again, in which a
//! network settles (a constant rate and a short cool-down do what a cosine of that length does: Hägele et al. 2024,
//! arXiv 2405.18392). All classes count alike in that, or the rare ones would not be heard.

use serde::{Deserialize, Serialize};

/// Labels of each class, and how many of them were found again.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// Pixels of each class whose most likely class was their label.
    pub same: Vec<u64>,
    /// Pixels of each class.
    pub of: Vec<u64>,
}

impl Found {
    /// Nothing yet, of so many classes.
    pub fn new(classes: usize) -> Self {
        Self { same: vec![0; classes], of: vec![0; classes] }
    }

    /// Counts others, too.
    pub fn add(&mut self, other: &Self) {
        for (sum, more) in [(&mut self.same, &other.same), (&mut self.of, &other.of)] {
            sum.resize(sum.len().max(more.len()), 0);
            sum.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        }
    }

    /// Share of all labels that were found; 1 of none.
    pub fn agreement(&self) -> f64 {
        let [same, of] = [&self.same, &self.of].map(|counts| counts.iter().sum::<u64>());
        if of == 0 { 1.0 } else { same as f64 / of as f64 }
    }

    /// Mean over the classes there are of the share of their labels that were found; 1 of none.
    ///
    /// ```
    /// use tomosieve::settling::Found;
    ///
    /// let found = Found { same: vec![900, 10, 0], of: vec![1000, 100, 0] };
    /// assert_eq!(found.recall(), (0.9 + 0.1) / 2.0);
    /// ```
    pub fn recall(&self) -> f64 {
        let there = self.same.iter().zip(&self.of).filter(|(_, of)| **of > 0);
        let (sum, classes) =
            there.fold((0.0, 0), |(sum, classes), (&same, &of)| (sum + same as f64 / of as f64, classes + 1));
        if classes == 0 { 1.0 } else { sum / f64::from(classes) }
    }
}

/// How far a training has settled, and when it ends.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Settling {
    /// What was found since the last check.
    since: Found,
    /// Steps before each check, and the recall since the one before.
    pub recalls: Vec<(usize, f64)>,
    /// Steps at the full rate, once they are over.
    pub full: Option<usize>,
}

impl Settling {
    /// Counts what was found in a step.
    pub fn add(&mut self, found: &Found) {
        self.since.add(found);
    }

    /// Checks the training after `steps` steps, the last of which have just been counted: its full rate is over when the
    /// recall of the last quarter of all checks is less than `least` above that of the quarter before.
    pub fn check(&mut self, steps: usize, least: f64) {
        self.recalls.push((steps, std::mem::take(&mut self.since).recall()));
        if self.full.is_none() && self.rise().is_some_and(|rise| rise < least) {
            self.full = Some(steps);
        }
    }

    /// By how much the recall of the last quarter of all checks is above that of the quarter before; not before there are
    /// two checks in a quarter.
    fn rise(&self) -> Option<f64> {
        let quarter = self.recalls.len() / 4;
        let (before, last) = self.recalls.split_at(self.recalls.len() - quarter);
        let before = &before[before.len() - quarter.min(before.len())..];
        let mean = |recalls: &[(usize, f64)]| {
            recalls.iter().map(|(_, recall)| recall).sum::<f64>() / recalls.len() as f64
        };
        (quarter >= 2).then(|| mean(last) - mean(before))
    }

    /// Steps of the whole training, `most` at most, and those of them at the full rate. With 0 as the `least` rise it takes
    /// all of them, and the rate falls from the first on.
    pub fn length(&self, most: usize, least: f64) -> (usize, usize) {
        if least <= 0.0 {
            return (most, 0);
        }
        let full = self.full.unwrap_or(most).min(most - most / 3);
        ((full + full / 2).max(1).min(most), full)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn checked(recalls: impl IntoIterator<Item = f64>, least: f64) -> Settling {
        let mut settling = Settling::default();
        for (index, recall) in recalls.into_iter().enumerate() {
            settling.add(&Found { same: vec![(1e6 * recall) as u64], of: vec![1_000_000] });
            settling.check(100 * (index + 1), least);
        }
        settling
    }

    #[test]
    fn a_rise_that_is_over_ends_the_full_rate() {
        // The eighth check is the first that is looked at: (0.91 + 0.91) / 2 − (0.90 + 0.90) / 2 = 0.01.
        let recalls = [0.1, 0.5, 0.8, 0.85, 0.9, 0.9, 0.91, 0.91];
        assert_eq!(checked(recalls, 0.009).full, None);
        let settled = checked(recalls, 0.011);
        assert_eq!(settled.full, Some(800));
        assert_eq!(settled.length(3000, 0.011), (1200, 800));
        assert_eq!(settled.length(900, 0.011), (900, 600)); // as long as it may be
        assert_eq!(settled.length(1, 0.011), (1, 1));
        assert_eq!(settled.length(900, 0.0), (900, 0));
    }

    #[test]
    fn rare_classes_are_heard() {
        let mut found = Found::new(2);
        found.add(&Found { same: vec![990, 0], of: vec![990, 10] });
        assert_eq!((found.agreement(), found.recall()), (0.99, 0.5));
        assert_eq!((Found::new(2).agreement(), Found::new(2).recall()), (1.0, 1.0));
    }

    proptest! {
        #[test]
        fn it_ends_in_time(recalls in proptest::collection::vec(0.0..1.0, 0..60), most in 1_usize..5000) {
            let (length, full) = checked(recalls, 0.01).length(most, 0.01);
            prop_assert!((1..=most).contains(&length) && full <= length);
        }

        #[test]
        fn what_rises_steadily_goes_on(checks in 8_usize..60) {
            let rising = (0..checks).map(|check| check as f64 / 100.0);
            prop_assert_eq!(checked(rising, 0.01).full, None);
        }
    }
}
