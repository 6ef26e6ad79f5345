//! Which pixels the teacher is sure enough of (Sec. III-D, Eq. 8), and what each class weighs.

use serde::{Deserialize, Serialize};

use crate::config::CorrectConfig;
use crate::student::IGNORE;

/// How fast the per-class averages follow the teacher.
const FOLLOW: f64 = 0.05;
/// Pixels of a class a batch must hold to count for its average confidence.
const ENOUGH: usize = 50;

/// Turns teacher probabilities into hard labels, leaving out what it is not sure of.
///
/// With `adaptive`, each class has a threshold of its own, τ scaled by the teacher's usual confidence in
/// the class relative to the class it is surest of (FlexMatch, Zhang et al. 2021, arXiv 2110.08263): a
/// fixed τ starves rare and faint classes until they die out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Confidence {
    threshold: f64,
    adaptive: bool,
    power: f64,
    /// Usual confidence in each class.
    usual: Vec<f64>,
    /// Share of each class among the pixels that passed; empty before the first batch.
    shares: Vec<f64>,
}

/// Labels of one batch and how the teacher stood to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// Classes, 255 where the teacher is not sure, `[n, h, w]`.
    pub labels: Vec<u8>,
    /// Share of pixels that passed.
    pub confident: f64,
    /// Mean of the teacher's largest probability.
    pub confidence: f64,
    /// Share of each class in the teacher's labels, mask or no mask.
    pub fractions: Vec<f64>,
}

impl Confidence {
    /// The mask of `config` for `classes` classes.
    pub fn new(config: &CorrectConfig, classes: usize) -> Self {
        Self {
            threshold: config.threshold,
            adaptive: config.adaptive,
            power: config.class_weight_power,
            usual: vec![0.9; classes],
            shares: Vec::new(),
        }
    }

    /// Judges a batch: `probabilities` are `[n, k, h, w]`, `plane` is `h·w`. `resolve` may change the labels
    /// `[h, w]` of each item before they are judged.
    pub fn judge(
        &mut self,
        probabilities: &[f32],
        plane: usize,
        resolve: impl Fn(usize, &mut [u8]),
    ) -> Judged {
        let classes = self.usual.len();
        let pixels = probabilities.len() / classes;
        let (mut labels, mut best) = (Vec::with_capacity(pixels), Vec::with_capacity(pixels));
        for item in probabilities.chunks_exact(classes * plane) {
            for pixel in 0..plane {
                let (label, p) = most_likely(item, pixel, plane);
                labels.push(label);
                best.push(p);
            }
        }
        labels.chunks_exact_mut(plane).enumerate().for_each(|(item, labels)| resolve(item, labels));
        let mut counts = vec![0_usize; classes];
        let mut sums = vec![0.0_f64; classes];
        for (&label, &p) in labels.iter().zip(&best) {
            counts[usize::from(label)] += 1;
            sums[usize::from(label)] += f64::from(p);
        }
        for class in 0..classes {
            if counts[class] > ENOUGH {
                let mean = sums[class] / counts[class] as f64;
                self.usual[class] += FOLLOW * (mean - self.usual[class]);
            }
        }
        let thresholds = self.thresholds();
        let mut passed = vec![0_usize; classes];
        for (label, &p) in labels.iter_mut().zip(&best) {
            let class = usize::from(*label);
            if f64::from(p) >= thresholds[class] {
                passed[class] += 1;
            } else {
                *label = IGNORE;
            }
        }
        let total: usize = passed.iter().sum();
        self.follow_shares(&passed, total);
        Judged {
            labels,
            confident: total as f64 / pixels as f64,
            confidence: sums.iter().sum::<f64>() / pixels as f64,
            fractions: counts.iter().map(|&c| c as f64 / pixels as f64).collect(),
        }
    }

    /// The threshold of each class.
    pub fn thresholds(&self) -> Vec<f64> {
        if !self.adaptive {
            return vec![self.threshold; self.usual.len()];
        }
        let surest = self.usual.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        self.usual.iter().map(|usual| self.threshold * usual / surest).collect()
    }

    /// The weight of each class: `f^-γ`, scaled so that the weights average 1 over the pixels; `None`
    /// when all weigh alike.
    pub fn class_weights(&self) -> Option<Vec<f32>> {
        if self.power == 0.0 || self.shares.is_empty() {
            return None;
        }
        let raw: Vec<f64> = self.shares.iter().map(|f| (f + 1e-3).powf(-self.power)).collect();
        let mean: f64 = raw.iter().zip(&self.shares).map(|(w, f)| w * f).sum();
        Some(raw.iter().map(|w| (w / mean) as f32).collect())
    }

    /// Lets the class shares follow those of a batch.
    fn follow_shares(&mut self, passed: &[usize], total: usize) {
        if total == 0 {
            return;
        }
        let now = passed.iter().map(|&c| c as f64 / total as f64);
        if self.shares.is_empty() {
            self.shares = now.collect();
        } else {
            self.shares.iter_mut().zip(now).for_each(|(share, now)| *share += FOLLOW * (now - *share));
        }
    }
}

/// The most likely class of each pixel of `[k, h, w]` probabilities, `[h, w]`; `plane` is `h·w`.
pub fn labels(probabilities: &[f32], plane: usize) -> Vec<u8> {
    (0..plane).map(|pixel| most_likely(probabilities, pixel, plane).0).collect()
}

/// The most likely class of one pixel of `[k, h, w]` probabilities, and its probability.
#[inline]
pub fn most_likely(probabilities: &[f32], pixel: usize, plane: usize) -> (u8, f32) {
    let mut best = (0_u8, f32::NEG_INFINITY);
    for (class, &p) in probabilities.iter().skip(pixel).step_by(plane).enumerate() {
        if p > best.1 {
            best = (class as u8, p);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(adaptive: bool, power: f64) -> CorrectConfig {
        let mut config = crate::Config::defaults().unwrap().correct;
        (config.threshold, config.adaptive, config.class_weight_power) = (0.8, adaptive, power);
        config
    }

    /// Two classes, four pixels: probabilities of class 1 are .9, .7, .2, .5.
    const PROBABILITIES: [f32; 8] = [0.1, 0.3, 0.8, 0.5, 0.9, 0.7, 0.2, 0.5];

    #[test]
    fn a_fixed_threshold_masks_what_is_below_it() {
        let judged = Confidence::new(&config(false, 0.0), 2).judge(&PROBABILITIES, 4, |_, _| ());
        assert_eq!(judged.labels, [1, IGNORE, 0, IGNORE]);
        assert!((judged.confident - 0.5).abs() < 1e-12);
        assert!((judged.confidence - (0.9 + 0.7 + 0.8 + 0.5) / 4.0).abs() < 1e-6);
        assert_eq!(judged.fractions, [0.5, 0.5]);
    }

    #[test]
    fn an_adaptive_threshold_spares_a_class_the_teacher_doubts() {
        let mut confidence = Confidence::new(&config(true, 0.0), 2);
        // Class 0 at .95, class 1 at .7, often enough to count.
        let (sure, doubted) = ([0.95_f32, 0.3], [0.05_f32, 0.7]);
        let item: Vec<f32> =
            [0, 1]
                .iter()
                .flat_map(|&k| {
                    (0..400).map(move |pixel| {
                        if pixel % 2 == 0 { [sure[0], doubted[0]][k] } else { [sure[1], doubted[1]][k] }
                    })
                })
                .collect();
        let first = confidence.judge(&item, 400, |_, _| ());
        assert!((first.confident - 0.5).abs() < 1e-12, "at first the doubted class is masked");
        for _ in 0..100 {
            confidence.judge(&item, 400, |_, _| ());
        }
        let thresholds = confidence.thresholds();
        assert!((thresholds[0] - 0.8).abs() < 1e-3);
        assert!((thresholds[1] - 0.8 * 0.7 / 0.95).abs() < 1e-2);
        assert!((confidence.judge(&item, 400, |_, _| ()).confident - 1.0).abs() < 1e-12);
    }

    #[test]
    fn class_weights_average_one_and_favour_the_rare() {
        let mut confidence = Confidence::new(&config(false, 0.5), 2);
        // Three confident pixels of class 0, one of class 1.
        confidence.judge(&[0.9, 0.9, 0.9, 0.1, 0.1, 0.1, 0.1, 0.9], 4, |_, _| ());
        let weights = confidence.class_weights().unwrap();
        assert!((0.75 * weights[0] + 0.25 * weights[1] - 1.0).abs() < 1e-6);
        assert!((weights[1] / weights[0] - (0.751_f32 / 0.251).sqrt()).abs() < 1e-4);
        assert_eq!(Confidence::new(&config(false, 0.0), 2).class_weights(), None);
    }
}
