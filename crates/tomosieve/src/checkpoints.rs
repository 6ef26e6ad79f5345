//! Checkpoints of a stage: everything it needs to go on as if it had never stopped.
//!
//! Random numbers need no saving: every step draws its own from the seed (see [`crate::batches`]).

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ledger::Stage;
use crate::run_dir::RunDir;
use crate::{Error, Result};

/// Where the starts of a stage were when it was saved.
#[derive(Debug)]
pub struct Checkpoint<S> {
    /// Steps before it.
    pub step: usize,
    /// The folder and the state of each start.
    pub starts: Vec<(PathBuf, S)>,
}

/// What a checkpoint belongs to, and the state of each start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Mark<S> {
    stage: Stage,
    key: String,
    step: usize,
    state: Vec<S>,
}

/// Writes a checkpoint of `stage` after `step` steps, with the state of each start: `fill` puts the files of a start into the
/// folder it is given. The one before stays until the new one is whole.
///
/// # Errors
/// [`Error::RunFile`] when it cannot be written.
pub fn save<S: Serialize + Clone>(
    run: &RunDir,
    stage: Stage,
    key: &str,
    step: usize,
    states: &[S],
    fill: impl Fn(usize, &Path) -> Result<()>,
) -> Result<()> {
    let root = run.checkpoint();
    let wanted = root.join(format!("{}-{step}", stage.name()));
    let temporary = root.join("next.partial");
    let failed = |e: std::io::Error| Error::file(&wanted, format!("cannot be written: {e}"));
    remove(&temporary).map_err(failed)?;
    for start in 0..states.len() {
        let folder = of_start(&temporary, start);
        std::fs::create_dir_all(&folder).map_err(failed)?;
        fill(start, &folder)?;
    }
    let mark = Mark { stage, key: key.to_owned(), step, state: states.to_vec() };
    run.write_json(&mark_in(&temporary), &mark)?;
    remove(&wanted).and_then(|()| std::fs::rename(&temporary, &wanted)).map_err(failed)?;
    for other in folders(&root).into_iter().filter(|folder| *folder != wanted) {
        remove(&other).map_err(failed)?;
    }
    Ok(())
}

/// The newest whole checkpoint of so many starts of `stage`, made with these settings.
///
/// # Errors
/// [`Error::RunFile`] when it is there but damaged.
pub fn find<S: DeserializeOwned>(
    run: &RunDir,
    stage: Stage,
    key: &str,
    starts: usize,
) -> Result<Option<Checkpoint<S>>> {
    let mut newest: Option<(PathBuf, Mark<Value>)> = None;
    for folder in folders(&run.checkpoint()) {
        let prefix = format!("{}-", stage.name());
        if !folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&prefix)) {
            continue;
        }
        let Some(mark) = run.read_json::<Mark<Value>>(&mark_in(&folder))? else { continue };
        let before = newest.as_ref().map(|(_, newest)| newest.step);
        if mark.stage == stage && mark.key == key && before < Some(mark.step) {
            newest = Some((folder, mark));
        }
    }
    newest.map(|(folder, mark)| mark.of_starts(&folder, starts)).transpose()
}

impl Mark<Value> {
    /// The checkpoint in `folder` that it belongs to, if it is one of so many starts.
    fn of_starts<S: DeserializeOwned>(self, folder: &Path, starts: usize) -> Result<Checkpoint<S>> {
        let damaged = |what: String| {
            Error::file(folder, format!("damaged ({what}); delete it to begin the stage anew"))
        };
        if self.state.len() != starts {
            return Err(damaged(format!("{} starts, expected {starts}", self.state.len())));
        }
        let state = |(start, state)| {
            let state = serde_json::from_value(state).map_err(|e| damaged(e.to_string()))?;
            Ok((of_start(folder, start), state))
        };
        let starts = self.state.into_iter().enumerate().map(state).collect::<Result<_>>()?;
        Ok(Checkpoint { step: self.step, starts })
    }
}

/// Keeps the checkpoint at the end of stage 2 beyond its stage.
///
/// # Errors
/// [`Error::RunFile`] when it cannot be copied.
pub fn keep(run: &RunDir) -> Result<()> {
    let kept = run.trained();
    let temporary = kept.with_extension("partial");
    let copy = || {
        remove(&temporary)?;
        for folder in folders(&run.checkpoint()) {
            copy_all(&folder, &temporary.join(folder.file_name().unwrap_or_default()))?;
        }
        remove(&kept)?;
        std::fs::rename(&temporary, &kept)
    };
    copy().map_err(|e| Error::file(&kept, format!("cannot be written: {e}")))
}

/// After how many steps of stage 2 the state was that a run has kept; `None` if it has not.
///
/// # Errors
/// [`Error::RunFile`] when it is there but damaged.
pub fn kept_steps(run: &RunDir) -> Result<Option<usize>> {
    Ok(kept(run)?.map(|(_, mark)| mark.step))
}

/// Where a run has kept the state at the end of stage 2, and what is known of it.
fn kept(run: &RunDir) -> Result<Option<(PathBuf, Mark<Value>)>> {
    let Some(folder) = folders(&run.trained()).pop() else { return Ok(None) };
    let mark = run.read_json(&mark_in(&folder))?;
    Ok(mark.map(|mark| (folder, mark)))
}

/// Copies the state at the end of stage 2 that `from` has kept into `to`, as a checkpoint of settings with
/// this `key`.
///
/// # Errors
/// [`Error::RunFile`] when it cannot be read or written.
pub fn lend(from: &RunDir, to: &RunDir, key: &str) -> Result<()> {
    let Some((folder, mark)) = kept(from)? else { return Ok(()) };
    save(to, Stage::Train, key, mark.step, &mark.state, |start, target| {
        let folder = of_start(&folder, start);
        copy_all(&folder, target).map_err(|e| Error::file(&folder, format!("cannot be copied: {e}")))
    })
}

/// The folder for the parts of a result made with settings of this `key`; parts of another are removed.
///
/// # Errors
/// [`Error::RunFile`] when they cannot be.
pub fn parts(run: &RunDir, key: &str) -> Result<PathBuf> {
    let wanted = run.checkpoint().join(format!("{}-{key}", Stage::Predict.name()));
    for other in folders(&run.checkpoint()).into_iter().filter(|folder| *folder != wanted) {
        remove(&other).map_err(|e| Error::file(&other, format!("cannot be removed: {e}")))?;
    }
    Ok(wanted)
}

/// Removes all checkpoints of a run.
///
/// # Errors
/// [`Error::RunFile`] when they cannot be removed.
pub fn clear(run: &RunDir) -> Result<()> {
    let root = run.checkpoint();
    remove(&root).map_err(|e| Error::file(&root, format!("cannot be removed: {e}")))
}

/// The folder of one start in a checkpoint.
fn of_start(checkpoint: &Path, start: usize) -> PathBuf {
    checkpoint.join(start.to_string())
}

/// The file that says what a checkpoint belongs to.
fn mark_in(folder: &Path) -> PathBuf {
    folder.join("mark.json")
}

/// The folders below `root`.
fn folders(root: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

/// Copies a folder with all it holds into another, which is made if it is not there.
fn copy_all(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let path = entry?.path();
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy_all(&path, &target)?;
        } else {
            std::fs::copy(&path, target)?;
        }
    }
    Ok(())
}

/// Removes a folder, if it is there.
fn remove(folder: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}
