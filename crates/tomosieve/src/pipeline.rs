//! The stages in order, each skipped where its result is already there.

use std::path::Path;
use std::time::Instant;

use tomosieve_nn::kernels;
use tomosieve_volume::OpenOptions;

use crate::config::Config;
use crate::input::Input;
use crate::ledger::{Ledger, Stage, Standing};
use crate::progress::Progress;
use crate::provenance::Provenance;
use crate::run_dir::RunDir;
use crate::stages::{Context, cluster, correct, predict, train};
use crate::{Error, Result, checkpoints, classes, plan, report};

/// A whole run in one call: the settings are fitted to the volume, all stages run, results made with
/// other settings are replaced.
///
/// # Errors
/// What [`Job::run`] says, or when the run folder cannot be made.
pub fn segment(
    config: Config,
    input: &Input,
    options: &OpenOptions,
    output: &Path,
    progress: &dyn Progress,
) -> Result<RunDir> {
    let (config, _) = plan::fit(config, input.shape());
    let run = RunDir::create(output)?;
    let config = classes::settle(config, input, &run, progress)?;
    let command = std::env::args().collect();
    Job { config: &config, input, options, run: &run, progress, command, force: true }.run(&Stage::ALL)?;
    Ok(run)
}

/// What to run.
pub struct Job<'a> {
    /// The settings, fitted to the volume (see [`plan::fit`]), with a number of classes (see [`classes::settle`]).
    pub config: &'a Config,
    /// The volume.
    pub input: &'a Input,
    /// How it was opened.
    pub options: &'a OpenOptions,
    /// The run folder.
    pub run: &'a RunDir,
    /// Who watches.
    pub progress: &'a dyn Progress,
    /// The command line, for the record.
    pub command: Vec<String>,
    /// Whether results made with other settings may be replaced.
    pub force: bool,
}

impl Job<'_> {
    /// Runs `stages`, in order; a stage whose result is there is skipped, unless it is the only one
    /// asked for and `force` is given. Between stages 2 and 3 classes that are no phases may [go](classes::merge).
    ///
    /// # Errors
    /// [`Error::Exists`] when a result made with other settings is in the way and `force` is not given;
    /// whatever a stage says; [`Error::Stopped`] at the next safe point after a stop was asked for.
    pub fn run(&self, stages: &[Stage]) -> Result<()> {
        let Self { config, input, run, progress, .. } = *self;
        config.check()?;
        if config.input.classes == 0 {
            return Err(Error::Config(
                "input.classes is 0, and no number was found; expected 2 to 255".into(),
            ));
        }
        plan::check_size(input.shape())?;
        let mut ledger = Ledger::read(run)?;
        if !self.force {
            self.refuse_to_overwrite(&ledger, stages)?;
        }
        let context = Context { config, input, run, progress, memory: plan::memory_limit(config)? };
        run.write(&run.config(), config.to_toml()?.as_bytes())?;
        let mut provenance = Provenance::new(self.command.clone(), config, input, self.options);
        let earlier = Provenance::read(run).ok();
        // Whether what the run folder tells of its volume still holds: it may have been moved.
        let mut told = earlier.as_ref().is_some_and(|earlier| earlier.input == provenance.input);
        provenance.correction = earlier.and_then(|earlier| earlier.correction);
        provenance.asked = classes::asked(config, input, run)?;
        for &stage in stages {
            if ledger.standing(stage, config, input) == Standing::Done && !(self.force && stages.len() == 1) {
                progress.note(&format!("{}: already done", stage.name()));
                continue;
            }
            if stage == Stage::Correct
                && stages.contains(&Stage::Train)
                && let Some(fewer) = classes::merge(config, input, run, &mut ledger, progress)?
            {
                return Job { config: &fewer, command: self.command.clone(), ..*self }.run(stages);
            }
            ledger.require_before(stage, config, input)?;
            ledger.forget(run, stage)?;
            if stage <= Stage::Correct {
                provenance.correction = None;
            }
            provenance.write(run, &ledger)?;
            kernels::release(); // what the stage before had in memory is not in this one's plan
            run.remove(&run.report())?; // it will no longer be true
            told = false;
            let started = Instant::now();
            match stage {
                Stage::Cluster => drop(cluster::run(&context)?),
                Stage::Train => train::run(&context)?,
                Stage::Correct => provenance.correction = Some(correct::run(&context)?),
                Stage::Predict => predict::run(&context)?,
            }
            // Before the stage counts as done: after that nobody writes it again.
            provenance.write(run, &ledger)?;
            ledger.finish(run, stage, config, input, started.elapsed().as_secs_f64())?;
            checkpoints::clear(run)?;
            provenance.write(run, &ledger)?;
        }
        if ledger.standing(Stage::Predict, config, input) == Standing::Done {
            // An earlier run may have ended just before.
            checkpoints::clear(run)?;
            // One that is whole keeps the record of how it was made.
            if !told || !run.report().is_file() {
                provenance.write(run, &ledger)?;
                report::write(run, config, &provenance)?;
            }
        }
        Ok(())
    }

    /// Fails when a stage to be run would replace a result made with other settings.
    fn refuse_to_overwrite(&self, ledger: &Ledger, stages: &[Stage]) -> Result<()> {
        for &stage in stages {
            if let Standing::Changed(what) = ledger.standing(stage, self.config, self.input) {
                let later = Stage::ALL.iter().filter(|later| **later >= stage).map(|later| later.name());
                return Err(Error::Exists(format!(
                    "`{}` holds a result made with other settings ({}); --force redoes {}, another -o keeps it",
                    self.run.root().display(),
                    what.join("; "),
                    later.collect::<Vec<_>>().join(", ")
                )));
            }
        }
        Ok(())
    }
}
