//! Is confidence worth its name? Reliability curve and expected calibration error.
//!
//! Self-correction keeps only pixels the teacher is sure of (Eq. 8), so a threshold on confidence is only as good as
//! its calibration; the paper finds that calibrating losses help. Confidences `q` are gathered in equal bins over
//! [0, 1], the last one closed; `ECE = Σ_b n_b / n · |accuracy_b − confidence_b|`.
//!
//! Confidences are summed in fixed point, so the result depends neither on threads nor on order.
//!
//! Reference: Guo et al., *On calibration of modern neural networks*, ICML 2017.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::error::MetricsError;

/// Fixed-point units per 1; a confidence is rounded by less than 2⁻³².
const UNIT: f64 = 4_294_967_296.0;

/// Pixels counted by one task.
const SHARE: usize = 1 << 16;

/// Mergeable counts of (confidence, correct) pairs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reliability {
    bins: Vec<Bin>,
}

/// One bin's sums.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Bin {
    count: u64,
    correct: u64,
    confidence: u128,
}

impl Bin {
    fn plus(self, other: Self) -> Self {
        Self {
            count: self.count + other.count,
            correct: self.correct + other.correct,
            confidence: self.confidence + other.confidence,
        }
    }
}

/// One point of a reliability curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ReliabilityBin {
    /// Lower end of the bin.
    pub from: f64,
    /// Upper end of the bin.
    pub to: f64,
    /// Pixels in the bin.
    pub count: u64,
    /// Their mean confidence; `None` if there are none.
    pub confidence: Option<f64>,
    /// Share of them that are correct; `None` if there are none.
    pub accuracy: Option<f64>,
}

/// A reliability curve with its summary.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReliabilityCurve {
    /// Bins in ascending order of confidence.
    pub bins: Vec<ReliabilityBin>,
    /// Expected calibration error; `None` without pixels.
    pub ece: Option<f64>,
    /// Mean confidence over all pixels; `None` without pixels.
    pub mean_confidence: Option<f64>,
    /// Share of correct pixels; `None` without pixels.
    pub accuracy: Option<f64>,
}

impl Reliability {
    /// No pixels yet, in `bins` equal bins (15 is customary).
    ///
    /// # Errors
    /// [`MetricsError::Bins`] unless 1 to 65536.
    pub fn new(bins: usize) -> Result<Self, MetricsError> {
        if !(1..=65_536).contains(&bins) {
            return Err(MetricsError::Bins { got: bins });
        }
        Ok(Self { bins: vec![Bin::default(); bins] })
    }

    /// Counts pixels, shared among the threads of the current rayon pool.
    ///
    /// # Errors
    /// [`MetricsError::Length`] for streams of different length, [`MetricsError::Confidence`] for one outside [0, 1];
    /// nothing is then counted.
    pub fn add(&mut self, confidence: &[f32], correct: &[bool]) -> Result<(), MetricsError> {
        if confidence.len() != correct.len() {
            let (got, expected) = (correct.len(), confidence.len());
            return Err(MetricsError::Length { what: "confidence and correctness", got, expected });
        }
        if let Some(&got) = confidence.par_iter().find_first(|c| !(0.0..=1.0).contains(*c)) {
            return Err(MetricsError::Confidence { got });
        }
        let n = self.bins.len();
        let partials = confidence.par_chunks(SHARE).zip(correct.par_chunks(SHARE)).fold(
            || vec![Bin::default(); n],
            |mut bins, (confidence, correct)| {
                for (&q, &correct) in confidence.iter().zip(correct) {
                    let q = f64::from(q);
                    let bin = &mut bins[((q * n as f64) as usize).min(n - 1)];
                    bin.count += 1;
                    bin.correct += u64::from(correct);
                    bin.confidence += u128::from((q * UNIT).round() as u64);
                }
                bins
            },
        );
        let sums = partials.reduce(|| vec![Bin::default(); n], |a, b| sum(&a, &b));
        self.bins = sum(&self.bins, &sums);
        Ok(())
    }

    /// Adds the counts of `other`.
    ///
    /// # Errors
    /// [`MetricsError::Shape`] if the numbers of bins differ.
    pub fn merge(&mut self, other: &Self) -> Result<(), MetricsError> {
        if self.bins.len() != other.bins.len() {
            let (got, expected) = (format!("{} bins", other.bins.len()), format!("{}", self.bins.len()));
            return Err(MetricsError::Shape { what: "reliability curves", got, expected });
        }
        self.bins = sum(&self.bins, &other.bins);
        Ok(())
    }

    /// Pixels counted.
    pub fn total(&self) -> u64 {
        self.bins.iter().map(|bin| bin.count).sum()
    }

    /// The curve and its summary.
    pub fn curve(&self) -> ReliabilityCurve {
        let n = self.bins.len() as f64;
        let confidence = |bin: &Bin| (bin.count > 0).then(|| bin.confidence as f64 / UNIT / bin.count as f64);
        let accuracy = |bin: &Bin| (bin.count > 0).then(|| bin.correct as f64 / bin.count as f64);
        let whole = self.bins.iter().fold(Bin::default(), |sum, &bin| sum.plus(bin));
        let gaps = self.bins.iter().filter_map(|bin| {
            Some((accuracy(bin)? - confidence(bin)?).abs() * bin.count as f64 / whole.count as f64)
        });
        let bins = self.bins.iter().enumerate().map(|(i, bin)| ReliabilityBin {
            from: i as f64 / n,
            to: (i + 1) as f64 / n,
            count: bin.count,
            confidence: confidence(bin),
            accuracy: accuracy(bin),
        });
        ReliabilityCurve {
            bins: bins.collect(),
            ece: (whole.count > 0).then(|| gaps.sum()),
            mean_confidence: confidence(&whole),
            accuracy: accuracy(&whole),
        }
    }
}

/// Bin-wise sum.
fn sum(a: &[Bin], b: &[Bin]) -> Vec<Bin> {
    a.iter().zip(b).map(|(&a, &b)| a.plus(b)).collect()
}
