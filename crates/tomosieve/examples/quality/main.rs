//! The quality table: pseudo labels, stage 2 and stage 3 against the truth, for phantoms and labelled sets.
//!
//! ```text
//! cargo run --release --example quality -- phantoms OUTPUT [PRESET [KEY=VALUE...]]
//! cargo run --release --example quality -- classes OUTPUT
//! cargo run --release --example quality -- real FOLDER OUTPUT [PRESET]
//! cargo run --release --example quality -- guard STUDY.json...
//! cargo run --release --example quality -- starts STUDY.json...
//! ```
//!
//! `FOLDER` holds one folder a set, each with `images/` and `labels/`; which sets, with how many classes
//! and slices, stands in `docs/quality/sets.toml`. Finished runs in `OUTPUT` are not repeated.

#![allow(clippy::print_stdout)] // the table is its output

mod guard;
mod starts;
mod traits;

use std::path::{Path, PathBuf};

use serde::Deserialize;
use tomosieve::config::Layers;
use tomosieve::input::Input;
use tomosieve::metrics::Scores;
use tomosieve::phantom::{PhantomSpec, Sample};
use tomosieve::progress::Silent;
use tomosieve::provenance::Provenance;
use tomosieve::run_dir::RunDir;
use tomosieve::stages::correct::Outcome;
use tomosieve::stages::evaluate::{self, Evaluation, Special, Truth};
use tomosieve::{Error, Result, classes, phantom_files, pipeline, plan};
use tomosieve_volume::OpenOptions;
use traits::Trait;

/// Training seeds of every row.
const SEEDS: [u64; 3] = [0, 1, 2];

/// Phantoms: sample, and phantom seeds that were in view when the default settings were chosen or, after
/// them, that were not.
const PHANTOMS: [(Sample, &[u64]); 4] = [
    (Sample::Intergrowth, &[0, 1, 2, 3, 4, 5, 7]),
    (Sample::Sand, &[0, 1, 2]),
    (Sample::Ceramic, &[0, 1, 2]),
    (Sample::Intergrowth, &[6, 8, 9]),
];

/// A labelled set and how it is segmented.
#[derive(Debug, Deserialize)]
struct Set {
    name: String,
    classes: usize,
    slices: usize,
}

#[derive(Debug, Deserialize)]
struct Sets {
    set: Vec<Set>,
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words[..] {
        ["phantoms", output] => phantoms(Path::new(output), "quick", &[]),
        ["phantoms", output, preset, ref settings @ ..] => phantoms(Path::new(output), preset, settings),
        ["classes", output] => class_counts(Path::new(output)),
        ["real", folder, output] => real(Path::new(folder), Path::new(output), "quick"),
        ["real", folder, output, preset] => real(Path::new(folder), Path::new(output), preset),
        ["guard", ref studies @ ..] if !studies.is_empty() => guard::table(studies),
        ["starts", ref studies @ ..] if !studies.is_empty() => starts::table(studies),
        _ => Err(Error::Config(
            "usage: quality phantoms OUTPUT [PRESET [KEY=VALUE...]] | quality classes OUTPUT | quality real FOLDER OUTPUT [PRESET] | quality guard STUDY.json... | quality starts STUDY.json..."
                .into(),
        )),
    }
}

/// The table of the phantoms, with settings of the preset changed.
fn phantoms(output: &Path, preset: &str, settings: &[&str]) -> Result<()> {
    head();
    let changed: Vec<String> = settings.iter().map(|&setting| setting.to_owned()).collect();
    for (name, spec, folder) in phantom_folders(output, usize::MAX)? {
        let asked = Trait::of(spec)?;
        let runs = output.join([&["runs"], settings].concat().join("-"));
        rows(&name, &folder.join("volume"), &folder.join("truth"), &runs, preset, &changed, asked.as_ref())?;
    }
    Ok(())
}

/// So many phantoms of each row: their names, what they are, and their folders, which are made if they are not there.
fn phantom_folders(output: &Path, most: usize) -> Result<Vec<(String, PhantomSpec, PathBuf)>> {
    let seeds =
        |(sample, seeds): (Sample, &'static [u64])| seeds.iter().take(most).map(move |seed| (sample, *seed));
    let folder = |(sample, seed)| {
        let name = format!("{sample}-{seed}");
        let (spec, folder) = (PhantomSpec::new(sample, seed), output.join(&name));
        if !folder.join("phantom.json").exists() {
            phantom_files::write(spec, &folder, true, &Silent)?;
        }
        Ok((name, spec, folder))
    };
    PHANTOMS.into_iter().flat_map(seeds).map(folder).collect()
}

/// How many classes are found in two phantoms of each row.
fn class_counts(output: &Path) -> Result<()> {
    println!("| volume | classes | found | why |\n|---|--:|--:|---|");
    for (name, spec, folder) in phantom_folders(output, 2)? {
        let input = Input::open(&folder.join("volume"), &OpenOptions::default())?;
        let (config, _) = plan::fit(Layers::defaults()?.preset("quick")?.build()?, input.shape());
        let run = RunDir::create(&output.join("runs-classes").join(&name))?;
        let found = classes::find(&config, &input, &run, &Silent)?;
        println!("| {name} | {} | {} | {found} |", spec.sample.info().classes.len(), found.classes);
    }
    Ok(())
}

/// The table of the labelled sets.
fn real(folder: &Path, output: &Path, preset: &str) -> Result<()> {
    let list = include_str!("../../../../docs/quality/sets.toml");
    let sets: Sets = toml::from_str(list).map_err(|e| Error::Config(e.to_string()))?;
    head();
    for set in sets.set {
        let settings = [format!("input.classes={}", set.classes), format!("input.slices={}", set.slices)];
        let place = folder.join(&set.name);
        rows(&set.name, &place.join("images"), &place.join("labels"), output, preset, &settings, None)?;
    }
    Ok(())
}

fn head() {
    println!("| volume | seed | stage | accuracy | mIoU | IoU by truth class | trait |");
    println!("|---|--:|---|--:|--:|---|--:|");
}

/// The rows of one volume: each training seed, then the median gain.
fn rows(
    name: &str,
    volume: &Path,
    truth: &Path,
    output: &Path,
    preset: &str,
    settings: &[String],
    asked: Option<&Trait>,
) -> Result<()> {
    let mut gains = Vec::new();
    for seed in SEEDS {
        let run = output.join(format!("{name}-{preset}-{seed}"));
        let (evaluation, folder, note) = segment(volume, truth, &run, preset, seed, settings)?;
        for (stage, key) in [("pseudo labels", "pseudo_labels"), ("stage 2", "train"), ("stage 3", "correct")]
        {
            if seed != SEEDS[0] && key == "pseudo_labels" {
                continue; // the same for every training seed
            }
            let note = if key == "correct" { note.as_str() } else { "" };
            let scores = &evaluation.stages[key];
            let labels = match key {
                "pseudo_labels" => Some(folder.pseudo_labels()),
                "correct" => Some(folder.segmentation()),
                _ => None, // its map is not kept
            };
            let measured = match (asked, labels) {
                (Some(asked), Some(labels)) => format!("{:.1}", asked.measure(&labels, scores)?),
                _ => String::new(),
            };
            row(name, seed, &format!("{stage}{note}"), scores, &measured);
        }
        let (before, after) = (&evaluation.stages["pseudo_labels"], &evaluation.stages["correct"]);
        gains.push((after.accuracy - before.accuracy, after.miou - before.miou));
    }
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        100.0 * values[values.len() / 2]
    };
    let accuracy = median(gains.iter().map(|gain| gain.0).collect());
    let miou = median(gains.iter().map(|gain| gain.1).collect());
    println!("| **{name}** | median | **gain, points** | **{accuracy:+.1}** | **{miou:+.1}** | | |");
    Ok(())
}

fn row(name: &str, seed: u64, stage: &str, scores: &Scores, measured: &str) {
    let iou: Vec<String> = scores.iou.iter().map(|v| format!("{:.1}", 100.0 * v)).collect();
    let (accuracy, miou) = (100.0 * scores.accuracy, 100.0 * scores.miou);
    println!("| {name} | {seed} | {stage} | {accuracy:.1} | {miou:.1} | {} | {measured} |", iou.join(", "));
}

/// Segments a volume and scores every stage; the note tells where the guard stepped in.
fn segment(
    volume: &Path,
    truth: &Path,
    output: &Path,
    preset: &str,
    seed: u64,
    settings: &[String],
) -> Result<(Evaluation, RunDir, String)> {
    let options = OpenOptions::default();
    let input = Input::open(volume, &options)?;
    let mut layers = Layers::defaults()?.preset(preset)?.set(&format!("seed={seed}"))?;
    for setting in settings {
        layers = layers.set(setting)?;
    }
    let run = pipeline::segment(layers.build()?, &input, &options, output, &Silent)?;
    let truth = Truth::new(RunDir::open_labels(truth)?, Special { background: 0, ignore: 255 })?;
    let evaluation = evaluate::record(&run, &truth, &Silent)?;
    let outcome = Provenance::read(&run)?.correction;
    let note = match outcome {
        Some(Outcome { alarm: Some(_), steps, .. }) => format!(" (guard: {steps} steps)"),
        Some(Outcome { start, starts, .. }) if starts.len() > 1 => {
            format!(" (start {} of {})", start + 1, starts.len())
        }
        _ => String::new(),
    };
    Ok((evaluation, run, note))
}
