//! When stage 2 has learned what there is to learn, told without a truth.
//!
//! How many of its labels a network finds again, class by class, in crops it has not learned from yet rises fast at first,
//! then ever more slowly, and rare classes come last: where they are few, a fixed number of steps ends before they are
//! learned at all. So stage 2 learns at its full rate until that rise is over in every class, which is to say until the
//! last quarter of its steps brought hardly more than the quarter before to any of them; in a mean of the classes a rare
//! one that still rises would be lost among the others. One such check may be a bad stretch, so it takes two in a row.
//! Then the rate falls for half as many steps again, in which a network settles (a constant rate and a short cool-down do
//! what a cosine of that length does: Hägele et al. 2024, arXiv 2405.18392).
//!
//! A class that is hardly found when that is first asked may never be: where it is rare and its labels are noisy, a pixel of it
//! is more likely to bear another label, and to name that one is right more often. From then on such a class weighs
//! (n / nₖ)^γ in the loss, `nₖ` its labels and `n` those of the class that has most (γ = ½ as in Mahajan et al. 2018,
//! arXiv 1805.00932), and before it is found the rise is not over. All classes that are found weigh one, as ever.

use serde::{Deserialize, Serialize};

/// Checks in a row that must find the rise over.
const IN_A_ROW: usize = 2;
/// A class is hardly found of whose labels less than this share is found again.
const HARDLY: f64 = 1.0 / 3.0;

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
        let (sum, classes) =
            self.recalls().flatten().fold((0.0, 0), |(sum, classes), recall| (sum + recall, classes + 1));
        if classes == 0 { 1.0 } else { sum / f64::from(classes) }
    }

    /// The classes there are of whose labels hardly any were found, less than a third.
    pub fn hardly_found(&self) -> impl Iterator<Item = usize> + '_ {
        self.recalls().enumerate().filter_map(|(class, recall)| (recall? < HARDLY).then_some(class))
    }

    /// Share of the labels of each class that were found, if there were any.
    pub fn recalls(&self) -> impl Iterator<Item = Option<f64>> + '_ {
        self.same.iter().zip(&self.of).map(|(&same, &of)| (of > 0).then(|| same as f64 / of as f64))
    }
}

/// What was found again between a check and the one before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// Steps before it.
    pub steps: usize,
    /// Labels since the check before.
    pub found: Found,
}

/// How far a training has settled, and when it ends.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Settling {
    /// What was found since the last check.
    since: Found,
    /// The checks so far.
    pub checks: Vec<Check>,
    /// Steps at the full rate, once they are over.
    pub full: Option<usize>,
}

impl Settling {
    /// Counts what was found in a step.
    pub fn add(&mut self, found: &Found) {
        self.since.add(found);
    }

    /// Checks the training after `steps` steps, the last of which have just been counted: its full rate is over when in the
    /// last quarter of all checks no class was found again more often by `least`, a share of its labels, than in the
    /// quarter before, and the check before this one said so, too.
    pub fn check(&mut self, steps: usize, least: f64) {
        self.checks.push(Check { steps, found: std::mem::take(&mut self.since) });
        let is_over = |back| rise(&self.checks[..self.checks.len() - back]).is_some_and(|rise| rise < least);
        if self.full.is_none() && (0..IN_A_ROW).all(is_over) {
            self.full = Some(steps);
        }
    }

    /// What each class weighs in the loss, if not all alike: the power `gamma` of how much fewer labels it has than the class
    /// that has most, once it was hardly found.
    pub fn weights(&self, gamma: f64) -> Option<Vec<f32>> {
        let all = sum(&self.checks);
        let most = all.of.iter().copied().max()?;
        let mut weights = vec![1.0; all.of.len()];
        for [_, last] in (1..=self.checks.len()).filter_map(|count| quarters(&self.checks[..count])) {
            for class in last.hardly_found() {
                weights[class] = (most as f64 / all.of[class] as f64).powf(gamma) as f32;
            }
        }
        weights.iter().any(|weight| *weight != 1.0).then_some(weights)
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

/// By how much the recall of the class that gained most rose from the last quarter of these checks but one to the last; without
/// bounds while a class is hardly found; not before there are two checks in a quarter.
fn rise(checks: &[Check]) -> Option<f64> {
    let [before, last] = quarters(checks)?;
    if last.hardly_found().next().is_some() {
        return Some(f64::INFINITY);
    }
    let rises = before.recalls().zip(last.recalls()).filter_map(|(before, last)| Some(last? - before?));
    Some(rises.fold(f64::NEG_INFINITY, f64::max))
}

/// What was found in the last quarter of these checks but one, and in the last; not before there are two checks in a quarter.
fn quarters(checks: &[Check]) -> Option<[Found; 2]> {
    let quarter = checks.len() / 4;
    let (before, last) = checks.split_at(checks.len() - quarter);
    (quarter >= 2).then(|| [sum(&before[before.len() - quarter..]), sum(last)])
}

/// What was found in all of these checks.
fn sum(checks: &[Check]) -> Found {
    checks.iter().fold(Found::default(), |mut sum, check| {
        sum.add(&check.found);
        sum
    })
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
        // The eighth check is the first that is looked at: (0.91 + 0.91) / 2 − (0.90 + 0.90) / 2 = 0.01; the ninth sees
        // (0.91 + 0.92) / 2 − (0.90 + 0.91) / 2 = 0.01 as well.
        let recalls = [0.1, 0.5, 0.8, 0.85, 0.9, 0.9, 0.91, 0.91, 0.92];
        assert_eq!(checked(recalls, 0.009).full, None);
        let settled = checked(recalls, 0.011);
        assert_eq!(settled.full, Some(900));
        assert_eq!(settled.length(3000, 0.011), (1350, 900));
        assert_eq!(settled.length(900, 0.011), (900, 600)); // as long as it may be
        assert_eq!(settled.length(1, 0.011), (1, 1));
        assert_eq!(settled.length(900, 0.0), (900, 0));
    }

    #[test]
    fn a_bad_stretch_does_not() {
        // At the eighth check it looks as if nothing were gained any more, at the ninth not.
        let recalls = [0.1, 0.3, 0.5, 0.7, 0.8, 0.82, 0.81, 0.81, 0.9, 0.91, 0.91, 0.91, 0.91, 0.91, 0.91];
        assert_eq!(checked(recalls[..8].to_vec(), 0.01).full, None);
        assert_eq!(rise(&checked(recalls[..8].to_vec(), 0.01).checks).map(|rise| rise < 0.01), Some(true));
        assert_eq!(checked(recalls, 0.01).full, Some(1500));
    }

    #[test]
    fn one_class_that_rises_goes_on() {
        let rises = |class: u64| {
            let mut settling = Settling::default();
            for check in 1..=9 {
                // A fiftieth of a rare class more with every check.
                let same = vec![900_000, 40 + class * check];
                settling.add(&Found { same, of: vec![1_000_000, 100] });
                settling.check(100 * check as usize, 0.01);
            }
            settling.full
        };
        assert_eq!((rises(0), rises(2)), (Some(900), None));
        // A class without labels says nothing.
        let mut settling = Settling::default();
        for check in 1..=9 {
            settling.add(&Found { same: vec![9, 0], of: vec![10, 0] });
            settling.check(check, 0.01);
        }
        assert_eq!(settling.full, Some(9));
    }

    #[test]
    fn a_class_that_is_hardly_found_weighs_more_and_is_waited_for() {
        // The second class has a hundredth of the labels of the first; it begins to be found at the tenth check.
        let checked = |checks: u64| {
            let mut settling = Settling::default();
            for check in 1..=checks {
                let same = vec![900, 300, if check < 10 { 3 } else { 9 }, 0];
                settling.add(&Found { same, of: vec![1000, 500, 10, 0] });
                settling.check(100 * check as usize, 0.01);
            }
            settling
        };
        assert_eq!(checked(7).weights(0.5), None, "not asked yet");
        assert_eq!(checked(8).weights(0.5), Some(vec![1.0, 1.0, 10.0, 1.0]));
        assert_eq!(checked(8).weights(0.0), None);
        assert_eq!(checked(20).weights(0.5), checked(8).weights(0.5), "for good");
        // Its recall of 0.3 is constant up to the ninth check; it is 0.9 throughout both quarters at the 17th and 18th.
        assert_eq!((checked(17).full, checked(40).full), (None, Some(1800)));
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
