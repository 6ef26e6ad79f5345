//! The most that self-correction could reach: the same network, trained on the truth instead of pseudo labels.

use std::path::Path;

use tomosieve::Result;
use tomosieve::config::Layers;
use tomosieve::input::Input;
use tomosieve::metrics::Scores;
use tomosieve::plan;
use tomosieve::progress::Silent;
use tomosieve::run_dir::RunDir;
use tomosieve::stages::evaluate::Truth;
use tomosieve::stages::{Context, cluster, correct, predict, train};
use tomosieve_volume::OpenOptions;

use crate::{Place, SEEDS, SPECIAL};

/// What stage 2 is not to do where labels are true: hide slices, redistribute rims, hand on to stage 3.
const SETTINGS: [&str; 4] = ["starts=1", "train.blind=0", "train.partial_volume=false", "correct.steps=0"];

/// Scores of the volume as the network sees it that stage 2 of `preset` trains on the volume's own truth.
pub(crate) fn scores(place: &Place<'_>, output: &Path, preset: &str, settings: &[String]) -> Result<Scores> {
    let input = Input::open(place.volume, &OpenOptions::default())?;
    let mut layers = Layers::defaults()?.preset(preset)?.set(&format!("seed={}", SEEDS[0]))?;
    for setting in settings.iter().map(String::as_str).chain(SETTINGS) {
        layers = layers.set(setting)?;
    }
    let (config, _) = plan::fit(layers.build()?, input.shape());
    let run = RunDir::create(output)?;
    if !run.segmentation().exists() {
        let memory = plan::memory_limit(&config)?;
        let context = Context { config: &config, input: &input, run: &run, progress: &Silent, memory };
        cluster::run(&context)?;
        train::supervised(&context, RunDir::open_labels(place.truth)?.as_ref())?;
        correct::run(&context)?;
        predict::run(&context)?;
    }
    let truth = Truth::new(RunDir::open_labels(place.truth)?, SPECIAL)?;
    truth.score(RunDir::open_labels(&run.segmentation())?.as_ref())
}
