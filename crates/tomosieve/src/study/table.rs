//! A study's results: one row a case, as Markdown for people, CSV for spreadsheets and JSON for programs,
//! with a figure, beside the paper's own numbers.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;
use serde_json::Value;

use super::{Paper, Study, figure};
use crate::run_dir::RunDir;
use crate::{Result, drawing};

/// What came of one case.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// What it is called.
    pub name: String,
    /// Its volume.
    pub volume: String,
    /// Its variant.
    pub variant: String,
    /// The settings in which the variant differs.
    pub settings: BTreeMap<String, Value>,
    /// Its run folder.
    pub run: PathBuf,
    /// Trainable parameters of its network.
    pub parameters: usize,
    /// Scores against the truth, by stage; null without a truth.
    pub evaluation: Value,
    /// Mean confidence of the result, 0 to 1.
    pub confidence: f64,
    /// Share of the voxels whose class differs from their pseudo label.
    pub changed: f64,
    /// Share of each class in the result.
    pub fractions: Vec<f64>,
    /// Why the guard ended stage 3, if it did.
    pub guard: Option<String>,
    /// Wall time of each stage, seconds.
    pub seconds: BTreeMap<String, f64>,
    /// The paper's numbers.
    pub paper: Option<Paper>,
}

impl Row {
    /// Accuracy and mIoU of a stage against the truth, without background, per cent.
    pub fn score(&self, stage: &str) -> Option<[f64; 2]> {
        let scores = &self.evaluation["stages"][stage];
        Some([100.0 * scores["accuracy"].as_f64()?, 100.0 * scores["miou"].as_f64()?])
    }

    /// Mean confidence of the network of stage 2 on the labelled slices, per cent.
    fn trained_confidence(&self) -> Option<f64> {
        Some(100.0 * self.evaluation["confidence"]["train"].as_f64()?)
    }

    /// Wall time of a stage.
    fn took(&self, stage: &str) -> Option<f64> {
        self.seconds.get(stage).copied()
    }

    /// Classes that more than a thousandth of the voxels are in.
    fn classes_left(&self) -> usize {
        self.fractions.iter().filter(|fraction| **fraction > 1e-3).count()
    }
}

/// All rows of a study so far.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Results {
    /// The study's name.
    pub study: String,
    /// What it asks.
    pub question: String,
    /// Where the paper has it.
    pub paper_source: String,
    /// One row a case.
    pub rows: Vec<Row>,
}

/// A column: its head and what a row has in it; a column with nothing in any row is left out.
type Column = (&'static str, fn(&Row) -> Option<String>);

/// The columns of the Markdown table after the name.
const COLUMNS: &[Column] = &[
    ("parameters", |row| Some(format!("{:.2} M", row.parameters as f64 / 1e6))),
    ("pseudo labels", |row| row.score("pseudo_labels").map(pair)),
    ("stage 2", |row| row.score("train").map(pair)),
    ("paper, stage 2", |row| row.paper?.train.map(pair)),
    ("stage 3", |row| row.score("correct").map(pair)),
    ("paper, stage 3", |row| row.paper?.correct.map(pair)),
    ("confidence, stage 2", |row| row.trained_confidence().map(|share| format!("{share:.1}"))),
    ("paper, confidence", |row| row.paper?.confidence.map(|share| format!("{share:.0}"))),
    ("confidence", |row| Some(format!("{:.1}", 100.0 * row.confidence))),
    ("changed", |row| Some(format!("{:.1}", 100.0 * row.changed))),
    ("classes", |row| Some(format!("{} of {}", row.classes_left(), row.fractions.len()))),
    ("stage 1, s", |row| row.took("cluster").map(|s| format!("{s:.1}"))),
    ("paper, stage 1, s", |row| row.paper?.cluster_seconds.map(|s| format!("{s:.1}"))),
    ("stage 2, s", |row| row.took("train").map(|s| format!("{s:.0}"))),
    ("stage 3, s", |row| row.took("correct").map(|s| format!("{s:.0}"))),
    ("guard", |row| row.guard.clone()),
];

/// What stands below the Markdown table.
const LEGEND: &str = "\
Scores are accuracy / mIoU in per cent, without background. Confidence is the mean over all voxels, changed the
share of voxels whose class is not their pseudo label, both in per cent; classes counts those with more than
0.1 % of the voxels. Times of stages that a run took over from another are those of the run that made them. The
paper's numbers are for its own magnesium sample, of which 15 slices were labelled by hand; it is not public, so
they show what was found there, not what must come out here.
";

/// The columns of the CSV table; scores and shares in per cent.
const CSV_HEAD: &str = "volume,variant,parameters,pseudo_labels_accuracy,pseudo_labels_miou,train_accuracy,\
    train_miou,correct_accuracy,correct_miou,paper_train_accuracy,paper_train_miou,paper_correct_accuracy,\
    paper_correct_miou,confidence,changed,cluster_seconds,train_seconds,correct_seconds,predict_seconds,guard";

/// Accuracy and mIoU in one cell.
fn pair([accuracy, miou]: [f64; 2]) -> String {
    let number = |v: f64| if v.is_finite() { format!("{v:.2}") } else { "–".to_owned() };
    format!("{} / {}", number(accuracy), number(miou))
}

impl Results {
    /// No rows yet.
    pub fn new(study: &Study) -> Self {
        Self {
            study: study.name.clone(),
            question: study.question.clone(),
            paper_source: study.paper_source.clone(),
            rows: Vec::new(),
        }
    }

    /// The table as Markdown.
    pub fn markdown(&self) -> String {
        let columns: Vec<&Column> =
            COLUMNS.iter().filter(|(_, cell)| self.rows.iter().any(|row| cell(row).is_some())).collect();
        let line = |cells: Vec<String>| format!("| {} |", cells.join(" | "));
        let heads = columns.iter().map(|(head, _)| (*head).to_owned());
        let rules = columns.iter().map(|_| "--:".to_owned());
        let mut lines = vec![format!("# {}", self.study), String::new()];
        for text in [&self.question, &self.paper_source].into_iter().filter(|text| !text.is_empty()) {
            lines.extend([text.clone(), String::new()]);
        }
        lines.extend([format!("![{0}]({0}.png)", self.study), String::new()]);
        lines.push(line(std::iter::once(String::new()).chain(heads).collect()));
        lines.push(line(std::iter::once("---".to_owned()).chain(rules).collect()));
        for row in &self.rows {
            let cells = columns.iter().map(|(_, cell)| cell(row).unwrap_or_default());
            lines.push(line(std::iter::once(row.name.clone()).chain(cells).collect()));
        }
        lines.join("\n") + "\n\n" + LEGEND
    }

    /// The table as CSV: one number a column, empty where there is none.
    pub fn csv(&self) -> String {
        let stages = ["pseudo_labels", "train", "correct"];
        let mut lines = vec![CSV_HEAD.to_owned()];
        for row in &self.rows {
            let paper = row.paper.unwrap_or_default();
            let scores = stages.map(|stage| row.score(stage)).into_iter().chain([paper.train, paper.correct]);
            let mut cells = vec![quoted(&row.volume), quoted(&row.variant), row.parameters.to_string()];
            cells.extend(scores.flat_map(|score| {
                let [accuracy, miou] = score.unwrap_or([f64::NAN; 2]);
                [number(accuracy), number(miou)]
            }));
            cells.extend([number(100.0 * row.confidence), number(100.0 * row.changed)]);
            let seconds = ["cluster", "train", "correct", "predict"].map(|stage| row.took(stage));
            cells.extend(seconds.map(|seconds| number(seconds.unwrap_or(f64::NAN))));
            cells.push(quoted(row.guard.as_deref().unwrap_or_default()));
            lines.push(cells.join(","));
        }
        lines.join("\n") + "\n"
    }

    /// Writes `STUDY.md`, `STUDY.csv`, `STUDY.json` and `STUDY.png` into a folder.
    ///
    /// # Errors
    /// [`crate::Error::RunFile`] when one cannot be written.
    pub fn write(&self, folder: &RunDir) -> Result<()> {
        let path = |extension: &str| folder.root().join(format!("{}.{extension}", self.study));
        folder.write(&path("md"), self.markdown().as_bytes())?;
        folder.write(&path("csv"), self.csv().as_bytes())?;
        folder.write_json(&path("json"), self)?;
        drawing::save(folder, &figure::draw(self), &path("png"))
    }
}

/// A number of a CSV cell.
fn number(value: f64) -> String {
    if value.is_finite() { format!("{value:.4}") } else { String::new() }
}

/// A text as a CSV cell (RFC 4180).
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
