//! What several starts are worth: of a study whose runs differ in their seed alone.

use std::collections::BTreeMap;

use tomosieve::Result;

use crate::guard::{self, spearman};

/// Prints the table of the studies in these JSON files.
pub(crate) fn table(paths: &[&str]) -> Result<()> {
    // Of each volume the runs' scores, and their mIoU in points above the pseudo labels'.
    let mut volumes: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
    for row in guard::rows(paths)? {
        let run = guard::run(&row)?;
        volumes.entry(row.volume).or_default().push((run.correct, run.gain));
    }
    println!(
        "| volume | starts | rank correlation of score and mIoU | gain of a single one: worst, mean, best | of the \
         one with the highest, of 4 | of all |"
    );
    println!("|---|--:|--:|---|--:|--:|");
    for (name, mut runs) in volumes {
        runs.sort_by(|a, b| b.0.total_cmp(&a.0));
        let (scores, gains): (Vec<f64>, Vec<f64>) = runs.iter().copied().unzip();
        let (worst, best) =
            gains.iter().fold((f64::MAX, f64::MIN), |(low, high), &g| (low.min(g), high.max(g)));
        println!(
            "| {name} | {} | {:.2} | {worst:+.1}, {:+.1}, {best:+.1} | {:+.1} | {:+.1} |",
            gains.len(),
            spearman(&scores, &gains),
            first_of(&gains, 1),
            first_of(&gains, 4),
            gains[0]
        );
    }
    Ok(())
}

/// Mean over all choices of `n` of the values of the one that comes first.
fn first_of(values: &[f64], n: usize) -> f64 {
    let n = n.min(values.len());
    // The i-th comes first when the other n - 1 are among those after it.
    let mut chance = n as f64 / values.len() as f64;
    let mut sum = 0.0;
    for (i, value) in values.iter().enumerate() {
        sum += chance * value;
        let after = (values.len() - 1 - i) as f64;
        chance *= if after > 0.0 { (after - (n as f64 - 1.0)) / after } else { 0.0 };
    }
    sum
}
