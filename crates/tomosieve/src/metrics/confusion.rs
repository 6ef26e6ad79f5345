//! Confusion matrix, truth classes by predicted classes, over all labelled pixels (paper Sec. IV-C).
//!
//! Streamed slice by slice and merged over threads and ranks; counts are integers, so neither matters. The same matrix
//! with stage-1 clusters as "truth" shows what self-correction merged (Fig. 9b, 10b).

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::error::MetricsError;

/// Pixels counted by one task.
const SHARE: usize = 1 << 16;

/// Counts of (truth, predicted) pairs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct ConfusionMatrix {
    /// Rows: one for each truth class, each of one count for each predicted class.
    rows: Vec<Vec<u64>>,
    /// Pixels left out because their truth is unknown.
    ignored: u64,
}

impl ConfusionMatrix {
    /// An empty matrix of `truth` rows and `predicted` columns.
    ///
    /// # Errors
    /// [`MetricsError::Classes`] unless both are 1 to 256.
    pub fn new(truth: usize, predicted: usize) -> Result<Self, MetricsError> {
        for (what, got) in [("truth", truth), ("predicted", predicted)] {
            if !(1..=256).contains(&got) {
                return Err(MetricsError::Classes { what, got });
            }
        }
        Ok(Self { rows: vec![vec![0; predicted]; truth], ignored: 0 })
    }

    /// A matrix of known counts, `rows[truth][predicted]`.
    ///
    /// # Errors
    /// [`MetricsError::Classes`] for a size out of range, [`MetricsError::Shape`] for rows of different length.
    pub fn from_rows(rows: Vec<Vec<u64>>) -> Result<Self, MetricsError> {
        let predicted = rows.first().map_or(0, Vec::len);
        Self::new(rows.len(), predicted)?;
        if let Some(row) = rows.iter().find(|row| row.len() != predicted) {
            let (got, expected) = (format!("a row of {}", row.len()), format!("rows of {predicted}"));
            return Err(MetricsError::Shape { what: "rows", got, expected });
        }
        Ok(Self { rows, ignored: 0 })
    }

    /// Counts pixels, shared among the threads of the current rayon pool. Pixels whose *truth* is `ignore` are left out.
    ///
    /// # Errors
    /// [`MetricsError::Length`] for slices of different length, [`MetricsError::Label`] for a label beyond the matrix;
    /// the matrix is then unchanged.
    pub fn add(&mut self, truth: &[u8], predicted: &[u8], ignore: Option<u8>) -> Result<(), MetricsError> {
        if truth.len() != predicted.len() {
            let (got, expected) = (predicted.len(), truth.len());
            return Err(MetricsError::Length { what: "truth and predicted labels", got, expected });
        }
        let (t, p) = (self.truth_classes(), self.predicted_classes());
        let width = p + 1; // a column for labels out of range
        let row_of = offsets(t, width, ignore);
        let column_of: [u32; 256] = std::array::from_fn(|label| label.min(p) as u32);
        let counts = truth
            .par_chunks(SHARE)
            .zip(predicted.par_chunks(SHARE))
            .fold(
                || vec![0_u64; (t + 2) * width], // two rows more: out of range, ignored
                |mut counts, (truth, predicted)| {
                    for (&t, &p) in truth.iter().zip(predicted) {
                        counts[(row_of[usize::from(t)] + column_of[usize::from(p)]) as usize] += 1;
                    }
                    counts
                },
            )
            .reduce(
                || vec![0; (t + 2) * width],
                |mut a, b| {
                    a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
                    a
                },
            );
        let mut rows = counts.chunks_exact(width);
        let mut valid = true;
        for row in rows.by_ref().take(t) {
            valid &= row[p] == 0;
        }
        valid &= rows.next().is_none_or(|row| row.iter().all(|&count| count == 0));
        if !valid {
            return Err(self.out_of_range(truth, predicted, ignore));
        }
        self.ignored += rows.next().map_or(0, |row| row.iter().sum());
        for (row, more) in self.rows.iter_mut().zip(counts.chunks_exact(width)) {
            row.iter_mut().zip(more).for_each(|(sum, count)| *sum += count);
        }
        Ok(())
    }

    /// The error of the first label beyond the matrix.
    fn out_of_range(&self, truth: &[u8], predicted: &[u8], ignore: Option<u8>) -> MetricsError {
        let (t, p) = (self.truth_classes(), self.predicted_classes());
        let known = |label: &&u8| Some(**label) != ignore;
        match truth.iter().filter(known).find(|&&label| usize::from(label) >= t) {
            Some(&got) => MetricsError::Label { what: "truth", got, classes: t },
            None => MetricsError::Label {
                what: "predicted",
                got: predicted.iter().copied().max().unwrap_or(u8::MAX),
                classes: p,
            },
        }
    }

    /// Adds the counts of `other`.
    ///
    /// # Errors
    /// [`MetricsError::Shape`] if the shapes differ.
    pub fn merge(&mut self, other: &Self) -> Result<(), MetricsError> {
        if (self.truth_classes(), self.predicted_classes())
            != (other.truth_classes(), other.predicted_classes())
        {
            let (got, expected) = (other.describe(), self.describe());
            return Err(MetricsError::Shape { what: "confusion matrices", got, expected });
        }
        for (row, more) in self.rows.iter_mut().zip(&other.rows) {
            row.iter_mut().zip(more).for_each(|(sum, count)| *sum += count);
        }
        self.ignored += other.ignored;
        Ok(())
    }

    /// All counts as one flat vector whose element-wise sum over parts merges them (exact to 2⁵³), for a reduction over
    /// ranks; [`ConfusionMatrix::set_sums`] takes it back.
    pub fn to_sums(&self) -> Vec<f64> {
        self.rows.iter().flatten().chain([&self.ignored]).map(|&count| count as f64).collect()
    }

    /// Replaces all counts by reduced sums from [`ConfusionMatrix::to_sums`].
    ///
    /// # Errors
    /// [`MetricsError::Shape`] if the length is not that of this matrix.
    pub fn set_sums(&mut self, sums: &[f64]) -> Result<(), MetricsError> {
        let expected = self.truth_classes() * self.predicted_classes() + 1;
        if sums.len() != expected {
            let (got, expected) = (format!("{} numbers", sums.len()), format!("{expected}"));
            return Err(MetricsError::Shape { what: "reduced sums", got, expected });
        }
        for (count, &sum) in self.rows.iter_mut().flatten().chain([&mut self.ignored]).zip(sums) {
            *count = sum as u64;
        }
        Ok(())
    }

    fn describe(&self) -> String {
        format!("{} truth by {} predicted classes", self.truth_classes(), self.predicted_classes())
    }

    /// Number of truth classes, rows.
    pub fn truth_classes(&self) -> usize {
        self.rows.len()
    }

    /// Number of predicted classes, columns.
    pub fn predicted_classes(&self) -> usize {
        self.rows[0].len() // never without rows
    }

    /// Counts, `rows()[truth][predicted]`.
    pub fn rows(&self) -> &[Vec<u64>] {
        &self.rows
    }

    /// Pixels of truth class `truth` predicted as `predicted`; 0 beyond the matrix.
    pub fn count(&self, truth: usize, predicted: usize) -> u64 {
        self.rows.get(truth).and_then(|row| row.get(predicted)).copied().unwrap_or(0)
    }

    /// Pixels counted, without the ignored.
    pub fn total(&self) -> u64 {
        self.rows.iter().flatten().sum()
    }

    /// Pixels left out because their truth was the ignored label.
    pub fn ignored(&self) -> u64 {
        self.ignored
    }

    /// Pixels of each truth class.
    pub fn truth_totals(&self) -> Vec<u64> {
        self.rows.iter().map(|row| row.iter().sum()).collect()
    }

    /// Pixels of each predicted class.
    pub fn predicted_totals(&self) -> Vec<u64> {
        (0..self.predicted_classes()).map(|p| self.rows.iter().map(|row| row[p]).sum()).collect()
    }
}

/// Start of the row that counts each truth label: its own, then one for labels out of range, then one for the ignored.
fn offsets(truth: usize, width: usize, ignore: Option<u8>) -> [u32; 256] {
    std::array::from_fn(|label| {
        let row = if ignore.is_some_and(|ignore| usize::from(ignore) == label) {
            truth + 1
        } else {
            label.min(truth)
        };
        (row * width) as u32
    })
}

/// A matrix as read from a file, before it is trusted.
#[derive(Deserialize)]
struct Stored {
    rows: Vec<Vec<u64>>,
    ignored: u64,
}

impl TryFrom<Stored> for ConfusionMatrix {
    type Error = MetricsError;

    fn try_from(stored: Stored) -> Result<Self, MetricsError> {
        Ok(Self { ignored: stored.ignored, ..Self::from_rows(stored.rows)? })
    }
}
