//! `log.jsonl`: one line per training step, for plots and for machines. No times are in it, so that the
//! same run writes the same bytes.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};

use serde::Serialize;

use crate::ledger::Stage;
use crate::run_dir::RunDir;
use crate::{Error, Result};

/// One training step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Entry {
    /// The stage.
    pub stage: Stage,
    /// The start, counted from 0.
    pub start: usize,
    /// Steps done, this one included.
    pub step: usize,
    /// The loss (Eq. 6 or 9).
    pub loss: f64,
    /// The learning rate.
    pub learning_rate: f64,
    /// Share of pixels that count.
    pub confident: f64,
    /// Share of those in which the student agrees with its labels (the teacher's, in stage 3).
    pub agreement: f64,
    /// Mean confidence of the teacher; stage 3 only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// Share of each class in the labels.
    pub fractions: Vec<f64>,
}

/// The log of a run, open for appending.
pub struct Journal {
    file: BufWriter<File>,
    path: std::path::PathBuf,
}

impl Journal {
    /// Opens the log so that `stage` can go on after `step` steps: later lines of it, and those of later
    /// stages, are dropped.
    ///
    /// # Errors
    /// [`Error::RunFile`] when it cannot be read or written.
    pub fn open(run: &RunDir, stage: Stage, step: usize) -> Result<Self> {
        let path = run.log();
        let mut kept = Vec::new();
        if path.is_file() {
            let file = File::open(&path).map_err(|e| Error::file(&path, e))?;
            for line in BufReader::new(file).lines().map_while(std::result::Result::ok) {
                let Ok(value) = serde_json::from_str::<serde_json::Value>(&line) else { break };
                let of: Option<Stage> = serde_json::from_value(value["stage"].clone()).ok();
                let at = value["step"].as_u64().unwrap_or(0) as usize;
                if of.is_some_and(|of| of < stage || (of == stage && step > 0 && at <= step)) {
                    kept.extend_from_slice(line.as_bytes());
                    kept.push(b'\n');
                }
            }
        }
        run.write(&path, &kept)?;
        let file = File::options().append(true).open(&path).map_err(|e| Error::file(&path, e))?;
        Ok(Self { file: BufWriter::new(file), path })
    }

    /// Appends a line.
    ///
    /// # Errors
    /// [`Error::RunFile`] when it cannot be written.
    pub fn add<T: Serialize>(&mut self, entry: &T) -> Result<()> {
        let line = serde_json::to_string(entry).map_err(|e| Error::file(&self.path, e))?;
        writeln!(self.file, "{line}").map_err(|e| Error::file(&self.path, e))
    }

    /// Makes sure that what was added is in the file.
    ///
    /// # Errors
    /// [`Error::RunFile`] when it cannot be written.
    pub fn flush(&mut self) -> Result<()> {
        self.file.flush().map_err(|e| Error::file(&self.path, e))
    }
}
