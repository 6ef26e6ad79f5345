//! What a run is held against: the most that self-correction could reach, the paper's plain recipe, and pseudo labels
//! with the shading left in.

use std::path::Path;

use tomosieve::Result;
use tomosieve::config::Config;
use tomosieve::input::Input;
use tomosieve::metrics::Scores;
use tomosieve::plan;
use tomosieve::progress::Silent;
use tomosieve::run_dir::RunDir;
use tomosieve::stages::evaluate::Truth;
use tomosieve::stages::{Context, cluster, correct, predict, train};
use tomosieve_volume::OpenOptions;

use crate::{Place, SEEDS, SPECIAL, layers};

/// A volume, a preset, and settings that change it.
pub(crate) struct References<'a> {
    pub(crate) place: &'a Place<'a>,
    pub(crate) preset: &'a str,
    pub(crate) settings: &'a [String],
}

impl References<'_> {
    /// Scores of the volume as the network sees it that stage 2 trains on the volume's own truth.
    pub(crate) fn ceiling(&self, output: &Path) -> Result<Scores> {
        // What stage 2 is not to do where labels are true: hide slices, redistribute rims, weigh classes, hand on to stage 3.
        let changed =
            ["starts=1", "train.blind=0", "train.rare=0", "train.partial_volume=false", "correct.steps=0"];
        let run = self.run(output, &changed, |context| {
            cluster::run(context)?;
            train::supervised(context, RunDir::open_labels(self.place.truth)?.as_ref())?;
            correct::run(context)?;
            predict::run(context)
        })?;
        self.scores(&run.segmentation())
    }

    /// Scores of the volume as the paper's plain recipe segments it.
    pub(crate) fn plain(&self, output: &Path) -> Result<Scores> {
        let run = self.run(output, &["recipe=paper"], |context| {
            cluster::run(context)?;
            train::run(context)?;
            correct::run(context)?;
            predict::run(context)
        })?;
        self.scores(&run.segmentation())
    }

    /// Scores of the pseudo labels with the shading left in.
    pub(crate) fn shaded(&self, output: &Path) -> Result<Scores> {
        let run = self.run(output, &["input.shading=off"], |context| cluster::run(context).map(drop))?;
        self.scores(&run.pseudo_labels())
    }

    /// A run of some stages, which is not repeated.
    fn run(
        &self,
        output: &Path,
        changed: &[&str],
        stages: impl FnOnce(&Context<'_>) -> Result<()>,
    ) -> Result<RunDir> {
        let input = Input::open(self.place.volume, &OpenOptions::default())?;
        let (config, _) = plan::fit(self.config(changed)?, input.shape());
        let run = RunDir::create(output)?;
        let done = output.join("done");
        if !done.exists() {
            let memory = plan::memory_limit(&config)?;
            stages(&Context { config: &config, input: &input, run: &run, progress: &Silent, memory })?;
            run.write(&done, b"")?;
        }
        Ok(run)
    }

    fn config(&self, changed: &[&str]) -> Result<Config> {
        let seed = format!("seed={}", SEEDS[0]);
        let own = self.settings.iter().map(String::as_str);
        let settings: Vec<&str> =
            [seed.as_str()].into_iter().chain(own).chain(changed.iter().copied()).collect();
        layers(self.preset, &settings)?.build()
    }

    fn scores(&self, labels: &Path) -> Result<Scores> {
        let truth = Truth::new(RunDir::open_labels(self.place.truth)?, SPECIAL)?;
        truth.score(RunDir::open_labels(labels)?.as_ref())
    }
}
