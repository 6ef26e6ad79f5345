//! What variants have in common is made once: a run takes over the results of stages that another run has
//! made with the same settings.
//!
//! By the settings in a run's [`Ledger`] a result is known, whatever study or folder it lies in. Files are
//! linked where the disk can (all writers replace files, none changes one in place), copied elsewhere.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::config::Config;
use crate::input::Input;
use crate::ledger::{Ledger, Stage, Standing};
use crate::run_dir::RunDir;
use crate::settling::Settling;
use crate::stages::steps;
use crate::{Error, Result, checkpoints};

/// Where a run's results come from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Source {
    /// The last stage that is done in its own folder.
    pub own: Option<Stage>,
    /// The last stage that it takes over, and the run folder that it takes it from.
    pub taken: Option<(Stage, PathBuf)>,
    /// The run folder in which a shorter training ended, from where stage 2 goes on.
    pub longer: Option<PathBuf>,
}

/// A run folder and what is in it, or will be.
pub(super) struct Known {
    pub(super) root: PathBuf,
    pub(super) ledger: Ledger,
    /// Steps after which the state of stage 2 is kept.
    pub(super) kept: Option<usize>,
}

impl Known {
    /// What is in a run folder now; nothing, for one that is not there.
    pub(super) fn read(root: &Path) -> Result<Self> {
        let run = RunDir::beside(root);
        Ok(Self { root: root.to_owned(), ledger: Ledger::read(&run)?, kept: checkpoints::kept_steps(&run)? })
    }

    /// What will be in a run folder once it is done.
    pub(super) fn finished(root: &Path, config: &Config, input: &Input) -> Self {
        let kept = config.train.keep.then(|| training_steps(config, input));
        Self { root: root.to_owned(), ledger: Ledger::finished(config, input), kept }
    }

    /// The last stage that is done with these settings.
    fn furthest(&self, config: &Config, input: &Input) -> Option<Stage> {
        let done = |stage: &Stage| self.ledger.standing(*stage, config, input) == Standing::Done;
        Stage::ALL.into_iter().take_while(done).last()
    }
}

/// Steps of stage 2.
fn training_steps(config: &Config, input: &Input) -> usize {
    steps(config.train.steps, config.train.epochs, input.shape().z, config.train.batch)
}

/// Finds what the run in the folder `root` can take over from the `known` ones.
pub(super) fn find(root: &Path, config: &Config, input: &Input, known: &[Known]) -> Source {
    let own = known.iter().find(|run| run.root == root).and_then(|run| run.furthest(config, input));
    let mut source = Source { own, ..Source::default() };
    let mut most = own;
    let others = || known.iter().filter(|run| run.root != root);
    for other in others() {
        let stage = other.furthest(config, input);
        if stage > most
            && let Some(stage) = stage
        {
            source.taken = Some((stage, other.root.clone()));
            most = Some(stage);
        }
    }
    if most < Some(Stage::Train) {
        let total = training_steps(config, input);
        source.longer = others()
            .filter(|other| other.kept.is_some_and(|steps| steps < total))
            .filter(|other| other.ledger.passes_through(config, input))
            .max_by_key(|other| other.kept)
            .map(|other| other.root.clone());
    }
    source
}

/// Puts what was found into `run`.
///
/// # Errors
/// [`Error::RunFile`] when a file cannot be linked, copied, read or written.
pub(super) fn take_over(run: &RunDir, config: &Config, input: &Input, source: &Source) -> Result<()> {
    if let Some((stage, other)) = &source.taken {
        let other = RunDir::beside(other);
        run.remove(&run.report())?; // of what was there before
        for of in Stage::ALL.into_iter().filter(|of| of <= stage && Some(*of) > source.own) {
            for (from, to) in
                outputs(&other, of, config.starts).into_iter().zip(outputs(run, of, config.starts))
            {
                link(&from, &to)?;
            }
        }
        Ledger::read(&other)?.up_to(*stage).write(run)?;
    }
    let Some(other) = &source.longer else { return Ok(()) };
    let key = Ledger::key(Stage::Train, config, input);
    if checkpoints::find::<Settling>(run, Stage::Train, &key, config.starts)?.is_none() {
        let other = RunDir::beside(other);
        link(&other.log(), &run.log())?; // the log of the steps already taken
        checkpoints::lend(&other, run, &key)?;
    }
    Ok(())
}

/// The files and folders that a stage of so many starts leaves.
fn outputs(run: &RunDir, stage: Stage, starts: usize) -> Vec<PathBuf> {
    match stage {
        Stage::Cluster => vec![run.clusters(), run.pseudo_labels()],
        Stage::Train => {
            (0..starts).map(|start| run.student(start)).chain([run.learning(), run.log()]).collect()
        }
        Stage::Correct => vec![run.model(), run.log(), run.provenance()],
        Stage::Predict => vec![
            run.segmentation(),
            run.confidence(),
            run.segmentation_zarr(),
            run.confidence_zarr(),
            run.metrics(),
            run.previews(),
        ],
    }
}

/// Puts what is at `from` at `to` as well, in place of what was there: files are linked, or copied where that
/// cannot be. Nothing at `from` is nothing to do.
fn link(from: &Path, to: &Path) -> Result<()> {
    let failed =
        |e: std::io::Error| Error::file(to, format!("cannot be taken over from `{}`: {e}", from.display()));
    let made_way = |removed: std::io::Result<()>| match removed {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(failed(e)),
        _ => Ok(()),
    };
    if from.is_dir() {
        made_way(std::fs::remove_dir_all(to))?;
        std::fs::create_dir_all(to).map_err(failed)?;
        for entry in std::fs::read_dir(from).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            link(&path, &to.join(path.file_name().unwrap_or_default()))?;
        }
    } else if from.is_file() {
        made_way(std::fs::remove_file(to))?;
        std::fs::hard_link(from, to).or_else(|_| std::fs::copy(from, to).map(drop)).map_err(failed)?;
    }
    Ok(())
}
