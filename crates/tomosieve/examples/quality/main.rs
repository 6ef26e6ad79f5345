//! The quality table: pseudo labels, stage 2 and stage 3 against the truth, for phantoms and labelled sets.
//!
//! ```text
//! cargo run --release --example quality -- phantoms OUTPUT [PRESET [NAME|KEY=VALUE...]]
//! cargo run --release --example quality -- variants OUTPUT [NAME|KEY=VALUE...]
//! cargo run --release --example quality -- classes OUTPUT [NAME|KEY=VALUE...]
//! cargo run --release --example quality -- surplus OUTPUT [NAME|KEY=VALUE...]
//! cargo run --release --example quality -- real FOLDER OUTPUT [PRESET [NAME|KEY=VALUE...]]
//! cargo run --release --example quality -- semi FOLDER OUTPUT [NAME|KEY=VALUE...]
//! cargo run --release --example quality -- guard STUDY.json...
//! cargo run --release --example quality -- starts STUDY.json...
//! ```
//!
//! `FOLDER` holds one folder a set, each with `images/` and `labels/`; which sets, with how many classes
//! and slices, stands in `docs/quality/sets.toml`. Names of volumes, such as `sand-0`, leave out the others. `variants` are
//! phantoms of other noise and size, `surplus` asks for more classes than there are, `semi` makes noisy volumes of clean
//! ones. Finished runs in `OUTPUT` are not repeated.

#![allow(clippy::print_stdout)] // the table is its output

mod guard;
mod references;
mod semi;
mod starts;
mod traits;

use std::path::{Path, PathBuf};

use references::References;
use serde::Deserialize;
use tomosieve::config::Layers;
use tomosieve::input::Input;
use tomosieve::metrics::Scores;
use tomosieve::phantom::{PhantomSpec, Sample};
use tomosieve::progress::Silent;
use tomosieve::provenance::Provenance;
use tomosieve::run_dir::RunDir;
use tomosieve::stages::cluster::Stage1;
use tomosieve::stages::correct::Outcome;
use tomosieve::stages::evaluate::{self, Evaluation, Special, Truth};
use tomosieve::{Error, Result, classes, phantom_files, pipeline, plan};
use tomosieve_nn::kernels::heap::Heap;
use tomosieve_volume::OpenOptions;
use traits::Trait;

/// Training seeds of every row.
const SEEDS: [u64; 3] = [0, 1, 2];

/// Which truth labels are special, in all sets.
const SPECIAL: Special = Special { background: 0, ignore: 255 };

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

#[global_allocator]
static HEAP: Heap = Heap;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words[..] {
        ["phantoms", output] => table(Path::new(output), listed(usize::MAX), "quick", &[]),
        ["phantoms", output, preset, ref more @ ..] => {
            table(Path::new(output), listed(usize::MAX), preset, more)
        }
        ["variants", output, ref more @ ..] => table(Path::new(output), variants(), "quick", more),
        ["classes", output, ref more @ ..] => class_counts(Path::new(output), more),
        ["surplus", output, ref more @ ..] => surplus(Path::new(output), more),
        ["real", folder, output] => real(Path::new(folder), Path::new(output), "quick", &[]),
        ["real", folder, output, preset, ref more @ ..] => {
            real(Path::new(folder), Path::new(output), preset, more)
        }
        ["semi", folder, output, ref more @ ..] => semi::table(Path::new(folder), Path::new(output), more),
        ["guard", ref studies @ ..] if !studies.is_empty() => guard::table(studies),
        ["starts", ref studies @ ..] if !studies.is_empty() => starts::table(studies),
        _ => Err(Error::Config(
            "usage: quality phantoms OUTPUT [PRESET [NAME|KEY=VALUE...]] | variants OUTPUT [NAME|KEY=VALUE...] | classes OUTPUT [NAME|KEY=VALUE...] | surplus OUTPUT [NAME|KEY=VALUE...] | real FOLDER OUTPUT [PRESET [NAME|KEY=VALUE...]] | semi FOLDER OUTPUT [NAME|KEY=VALUE...] | guard STUDY.json... | starts STUDY.json..."
                .into(),
        )),
    }
}

/// What is asked for beside a table: the volumes that are named, all if none is, and settings that change the preset.
struct Asked<'a> {
    names: Vec<&'a str>,
    settings: Vec<&'a str>,
}

impl<'a> Asked<'a> {
    fn new(words: &[&'a str]) -> Self {
        let (settings, names) = words.iter().partition(|word| word.contains('='));
        Self { names, settings }
    }

    /// Whether this volume is.
    fn has(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.contains(&name)
    }

    /// A volume's own settings, and what changes them.
    fn settings(&self, own: &[String]) -> Vec<String> {
        own.iter().cloned().chain(self.settings.iter().map(|&setting| setting.to_owned())).collect()
    }

    /// Where its runs go, beside those of other settings.
    fn runs(&self, output: &Path) -> PathBuf {
        output.join([&["runs"], &self.settings[..]].concat().join("-"))
    }
}

/// So many phantoms of each row of [`PHANTOMS`].
fn listed(most: usize) -> Vec<PhantomSpec> {
    let seeds = |(sample, seeds): (Sample, &'static [u64])| {
        seeds.iter().take(most).map(move |&seed| PhantomSpec::new(sample, seed))
    };
    PHANTOMS.into_iter().flat_map(seeds).collect()
}

/// A phantom of each sample with half as much noise again, and one of another size. Of the default settings the weight of
/// rare classes and the guard's score were chosen with them in view, the others without.
fn variants() -> Vec<PhantomSpec> {
    let variants = |sample| {
        let spec = PhantomSpec::new(sample, 10);
        [PhantomSpec { noise: 1.5, ..spec }, PhantomSpec { shape: [48, 288, 288], ..spec }]
    };
    Sample::ALL.into_iter().flat_map(variants).collect()
}

/// What a phantom is called: its sample and seed, and what else is not as specified.
fn name_of(spec: PhantomSpec) -> String {
    let PhantomSpec { sample, seed, noise, shape: [z, y, x], .. } = spec;
    let plain = PhantomSpec::new(sample, seed);
    let size = if spec.shape == plain.shape { String::new() } else { format!("-{z}x{y}x{x}") };
    let noise =
        if noise.to_bits() == plain.noise.to_bits() { String::new() } else { format!("-noise-{noise}") };
    format!("{sample}-{seed}{size}{noise}")
}

/// The table of some phantoms.
fn table(output: &Path, phantoms: Vec<PhantomSpec>, preset: &str, words: &[&str]) -> Result<()> {
    head();
    let asked = Asked::new(words);
    for spec in phantoms.into_iter().filter(|spec| asked.has(&name_of(*spec))) {
        let folder = phantom(output, spec)?;
        let place =
            Place { name: &name_of(spec), volume: &folder.join("volume"), truth: &folder.join("truth") };
        rows(&place, &asked.runs(output), preset, &asked.settings(&[]), Trait::of(spec)?.as_ref())?;
    }
    Ok(())
}

/// The folder of a phantom, which is made if it is not there.
fn phantom(output: &Path, spec: PhantomSpec) -> Result<PathBuf> {
    let folder = output.join(name_of(spec));
    if !folder.join("phantom.json").exists() {
        phantom_files::write(spec, &folder, true, &Silent)?;
    }
    Ok(folder)
}

/// What becomes of one class too many, and of twice as many and two: mIoU after every found class went to the true class
/// it has most voxels of.
fn surplus(output: &Path, words: &[&str]) -> Result<()> {
    println!(
        "| volume | classes asked for | learned | pseudo labels: accuracy | mIoU | result: accuracy | mIoU |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|");
    let asked = Asked::new(words);
    for spec in listed(2).into_iter().filter(|spec| asked.has(&name_of(*spec))) {
        let folder = phantom(output, spec)?;
        let name = name_of(spec);
        let classes = spec.sample.info().classes.len();
        for classes in [classes, classes + 1, 2 * classes + 2] {
            let settings = asked.settings(&[format!("input.classes={classes}")]);
            let place = asked.runs(&output.join("surplus")).join(format!("{name}-{classes}"));
            let (volume, truth) = (folder.join("volume"), folder.join("truth"));
            let (evaluation, run, _) = segment(&volume, &truth, &place, "quick", SEEDS[0], &settings)?;
            let cells = ["pseudo_labels", "correct"].map(|stage| {
                let scores = &evaluation.stages[stage];
                format!("{:.1} | {:.1}", 100.0 * scores.accuracy, 100.0 * scores.miou)
            });
            let learned = run.read_json::<Stage1>(&run.clusters())?;
            let learned = learned.map_or(0, |stage1| stage1.clusters.classes());
            println!("| {name} | {classes} | {learned} | {} |", cells.join(" | "));
        }
    }
    Ok(())
}

/// How many classes are found in two phantoms of each row.
fn class_counts(output: &Path, words: &[&str]) -> Result<()> {
    println!("| volume | classes | found | why |\n|---|--:|--:|---|");
    let asked = Asked::new(words);
    for spec in listed(2).into_iter().filter(|spec| asked.has(&name_of(*spec))) {
        let (name, folder) = (name_of(spec), phantom(output, spec)?);
        let input = Input::open(&folder.join("volume"), &OpenOptions::default())?;
        let layers = layers("quick", &asked.settings)?;
        let (config, _) = plan::fit(layers.build()?, input.shape());
        let run = RunDir::create(&asked.runs(&output.join("classes")).join(&name))?;
        let found = classes::find(&config, &input, &run, &Silent)?;
        println!("| {name} | {} | {} | {found} |", spec.sample.info().classes.len(), found.classes);
    }
    Ok(())
}

/// The table of the labelled sets.
fn real(folder: &Path, output: &Path, preset: &str, words: &[&str]) -> Result<()> {
    let list = include_str!("../../../../docs/quality/sets.toml");
    let sets: Sets = toml::from_str(list).map_err(|e| Error::Config(e.to_string()))?;
    let asked = Asked::new(words);
    head();
    for set in sets.set.into_iter().filter(|set| asked.has(&set.name)) {
        let own = [format!("input.classes={}", set.classes), format!("input.slices={}", set.slices)];
        let folder = folder.join(&set.name);
        let place = Place { name: &set.name, volume: &folder.join("images"), truth: &folder.join("labels") };
        rows(&place, &asked.runs(output), preset, &asked.settings(&own), None)?;
    }
    Ok(())
}

fn head() {
    println!("| volume | seed | stage | accuracy | mIoU | IoU by truth class | trait |");
    println!("|---|--:|---|--:|--:|---|--:|");
}

/// A labelled volume.
struct Place<'a> {
    name: &'a str,
    volume: &'a Path,
    truth: &'a Path,
}

/// The rows of one volume: each training seed, the paper's plain recipe, the network of stage 2 trained on the truth, then
/// the median gain over the pseudo labels, from which shading is taken out.
fn rows(
    place: &Place<'_>,
    output: &Path,
    preset: &str,
    settings: &[String],
    asked: Option<&Trait>,
) -> Result<()> {
    let &Place { name, volume, truth } = place;
    let references = References { place, preset, settings };
    let mut gains = Vec::new();
    for seed in SEEDS {
        let run = output.join(format!("{name}-{preset}-{seed}"));
        let (evaluation, folder, note) = segment(volume, truth, &run, preset, seed, settings)?;
        let stage1: Option<Stage1> = folder.read_json(&folder.clusters())?;
        if seed == SEEDS[0] && stage1.is_some_and(|stage1| stage1.shading.is_some()) {
            let scores = references.shaded(&output.join(format!("{name}-{preset}-shaded")))?;
            row(name, seed, "pseudo labels, shading left in", &scores, "");
        }
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
    let scores = references.plain(&output.join(format!("{name}-{preset}-paper")))?;
    row(name, SEEDS[0], "the paper's plain recipe", &scores, "");
    let scores = references.ceiling(&output.join(format!("{name}-{preset}-truth")))?;
    row(name, SEEDS[0], "trained on the truth", &scores, "");
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

/// A preset, and settings that change it.
fn layers(preset: &str, settings: &[impl AsRef<str>]) -> Result<Layers> {
    let layers = Layers::defaults()?.preset(preset)?;
    settings.iter().try_fold(layers, |layers, setting| layers.set(setting.as_ref()))
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
    let layers = layers(preset, &[&[format!("seed={seed}")], settings].concat())?;
    let run = pipeline::segment(layers.build()?, &input, &options, output, &Silent)?;
    let truth = Truth::new(RunDir::open_labels(truth)?, SPECIAL)?;
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
