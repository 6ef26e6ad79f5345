//! The whole method on a small phantom: it learns, it repeats itself to the byte, it goes on where it
//! was stopped, and it does not overwrite what it should not.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tempfile::TempDir;
use tomosieve::config::Layers;
use tomosieve::input::Input;
use tomosieve::ledger::Stage;
use tomosieve::phantom::{Acquisition, PhantomSpec, Sample};
use tomosieve::pipeline::Job;
use tomosieve::progress::{Progress, Silent};
use tomosieve::provenance::Provenance;
use tomosieve::run_dir::RunDir;
use tomosieve::stages::evaluate::{self, Evaluation, Special, Truth};
use tomosieve::stages::train::Learning;
use tomosieve::stages::{Context, cluster, correct, predict, train};
use tomosieve::{Config, Error, classes, phantom_files, pipeline, plan};
use tomosieve_volume::{Memory, OpenOptions, OutputKind, OutputMeta, Region, Shape, VoxelType, Voxels};

/// A folder with a small sand phantom in it: noisy, so that there is something to correct.
fn phantom() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let spec = PhantomSpec { shape: [16, 64, 64], ..PhantomSpec::new(Sample::Sand, 1) };
    phantom_files::write(spec, folder.path(), false, &Silent).unwrap();
    folder
}

/// A tiny network and few steps.
fn config(settings: &[&str]) -> Config {
    let base = [
        "starts=2",
        "input.classes=3",
        "input.merge=false",
        "input.slices=3",
        "network.widths=[8,16]",
        "network.dropout=0.05",
        "train.steps=60",
        "train.batch=4",
        "train.crop=32",
        "correct.steps=20",
        "correct.batch=4",
        "correct.crop=32",
        "correct.momentum=0.9",
        "correct.learning_rate=1e-3",
        "correct.checks=4",
        "views.strength=1.0",
        "segment.tile=48",
        "segment.overlap=0.33",
    ];
    base.iter()
        .chain(settings)
        .fold(Layers::defaults().unwrap(), |layers, assignment| layers.set(assignment).unwrap())
        .build()
        .unwrap()
}

fn run(
    phantom: &Path,
    output: &Path,
    config: &Config,
    progress: &dyn Progress,
    force: bool,
) -> tomosieve::Result<()> {
    let options = OpenOptions::default();
    let input = Input::open(&phantom.join("volume"), &options).unwrap();
    let (config, _) = plan::fit(config.clone(), input.shape());
    let run = RunDir::create(output).unwrap();
    let command = vec!["test".to_owned()];
    Job { config: &config, input: &input, options: &options, run: &run, progress, command, force }
        .run(&Stage::ALL)
}

fn scores(phantom: &Path, output: &Path, config: &Config) -> Evaluation {
    let input = Input::open(&phantom.join("volume"), &OpenOptions::default()).unwrap();
    let run = RunDir::open(output).unwrap();
    let truth = RunDir::open_labels(&phantom.join("truth")).unwrap();
    let truth = Truth::new(truth, Special { background: 0, ignore: 255 }).unwrap();
    let context = Context { config, input: &input, run: &run, progress: &Silent, memory: 1 << 30 };
    evaluate::run(&context, &truth).unwrap()
}

/// Every result file of a run and its bytes; those that hold times or the place are left out.
fn results(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(root).unwrap().to_owned(), std::fs::read(&path).unwrap());
            }
        }
    }
    for timed in ["provenance.json", "stages.json", "report.md"] {
        assert!(found.remove(Path::new(timed)).is_some(), "{timed} is missing");
    }
    found
}

/// The weights in a run's model; its header names stage and settings.
fn weights(run: &Path, file: &str) -> Vec<u8> {
    let bytes = std::fs::read(run.join(file)).unwrap();
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    bytes[8 + header..].to_vec()
}

/// Fails unless both runs hold the same files of the same bytes.
fn same(one: &BTreeMap<PathBuf, Vec<u8>>, two: &BTreeMap<PathBuf, Vec<u8>>) {
    assert_eq!(one.keys().collect::<Vec<_>>(), two.keys().collect::<Vec<_>>());
    for (name, bytes) in one {
        assert!(bytes == &two[name], "{} differs", name.display());
    }
}

/// Asks for a stop after so many steps of progress.
struct StopAfter(AtomicUsize);

impl Progress for StopAfter {
    fn begin(&self, _: &str, _: u64, _: u64, _: &str) {}
    fn advance(&self, _: u64, _: &str) {
        let left = self.0.load(Ordering::Relaxed);
        self.0.store(left.saturating_sub(1), Ordering::Relaxed);
    }
    fn end(&self) {}
    fn note(&self, _: &str) {}
    fn stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }
}

fn with_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
}

#[test]
fn the_method_learns_and_beats_its_pseudo_labels() {
    let phantom = phantom();
    let output = phantom.path().join("run");
    // Checks of 25 steps of small crops tell less apart than those of a real run.
    let settled = "train.settled=0.02";
    let config =
        config(&["starts=1", "train.steps=900", settled, "correct.steps=60", "correct.momentum=0.95"]);
    run(phantom.path(), &output, &config, &Silent, false).unwrap();
    let losses: Vec<f64> = std::fs::read_to_string(output.join("log.jsonl"))
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter(|entry| entry["stage"] == "train")
        .map(|entry| entry["loss"].as_f64().unwrap())
        .collect();
    let learning = Learning::read(&RunDir::open(&output).unwrap()).unwrap().unwrap();
    assert_eq!(losses.len(), learning.steps);
    assert!(learning.full < learning.steps && learning.steps < 900, "it never settled: {learning:?}");
    let recall = |check: usize| learning.checks[check].found.recall();
    assert!(recall(learning.checks.len() - 1) > recall(0) + 0.1, "{learning:?}");
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    // The noise of labels whose slice is hidden cannot be learned; what is left of the loss is that.
    assert!(
        mean(&losses[losses.len() - 20..]) < 0.7 * mean(&losses[..5]),
        "the loss hardly fell: {losses:?}"
    );
    let stages = scores(phantom.path(), &output, &config).stages;
    let miou = |stage: &str| stages[stage].miou;
    assert!(
        miou("correct") > miou("pseudo_labels") + 0.1,
        "pseudo labels {:.3}, stage 2 {:.3}, stage 3 {:.3}",
        miou("pseudo_labels"),
        miou("train"),
        miou("correct")
    );
}

#[test]
fn labels_that_are_given_are_learned_instead_of_pseudo_labels() {
    let phantom = phantom();
    let settings =
        ["starts=1", "train.steps=600", "train.blind=0", "train.partial_volume=false", "correct.steps=0"];
    let config = config(&settings);
    let output = phantom.path().join("run");
    let input = Input::open(&phantom.path().join("volume"), &OpenOptions::default()).unwrap();
    let (config, _) = plan::fit(config, input.shape());
    let run = RunDir::create(&output).unwrap();
    let context = Context { config: &config, input: &input, run: &run, progress: &Silent, memory: 1 << 30 };
    cluster::run(&context).unwrap();
    let truth = RunDir::open_labels(&phantom.path().join("truth")).unwrap();
    train::supervised(&context, truth.as_ref()).unwrap();
    correct::run(&context).unwrap();
    predict::run(&context).unwrap();
    let taught = Truth::new(truth, Special { background: 0, ignore: 255 }).unwrap();
    let [made, learned] = [run.pseudo_labels(), run.segmentation()]
        .map(|path| taught.score(RunDir::open_labels(&path).unwrap().as_ref()).unwrap());
    // The classes have the truth's numbers, where clustering numbers them by grey value.
    assert_eq!((made.mapping, learned.mapping), (vec![0, 2, 1], vec![0, 1, 2]));
    assert!(learned.miou > made.miou + 0.1, "pseudo labels {:.3}, result {:.3}", made.miou, learned.miou);
    let other = Memory::new(Shape::new(1, 64, 64), vec![0.0; 4096]).unwrap();
    let said = train::supervised(&context, &other).unwrap_err().to_string();
    assert!(said.contains("they must be of one shape"), "{said}");
}

#[test]
fn shading_is_taken_out_before_anything_else_if_it_is_clear() {
    let folder = tempfile::tempdir().unwrap();
    let shape = [24, 128, 128];
    let clustered = |sample: Sample, classes: usize, shading: &str| {
        let place = folder.path().join(sample.info().name);
        let spec = PhantomSpec { shape, acquisition: Acquisition::Noise, ..PhantomSpec::new(sample, 1) };
        phantom_files::write(spec, &place, true, &Silent).unwrap();
        let input = Input::open(&place.join("volume"), &OpenOptions::default()).unwrap();
        let settings = [format!("input.classes={classes}"), format!("input.shading={shading}")];
        let config = config(&[&settings[0], &settings[1]]);
        let run = RunDir::create(&place.join(shading)).unwrap();
        let context =
            Context { config: &config, input: &input, run: &run, progress: &Silent, memory: 1 << 30 };
        let found = cluster::run(&context).unwrap();
        let truth = RunDir::open_labels(&place.join("truth")).unwrap();
        let truth = Truth::new(truth, Special { background: 0, ignore: 255 }).unwrap();
        let labels = RunDir::open_labels(&run.pseudo_labels()).unwrap();
        let counted: f64 = found.fractions.iter().sum();
        assert!((counted - 1.0).abs() < 1e-9, "shares add up to {counted}");
        (found, truth.score(labels.as_ref()).unwrap().miou)
    };
    let (with, without) =
        (clustered(Sample::Intergrowth, 4, "auto"), clustered(Sample::Intergrowth, 4, "off"));
    assert!(with.0.shading.is_some() && without.0.shading.is_none());
    assert!(with.1 > without.1 + 0.05, "mIoU {:.3}, without shading {:.3}", without.1, with.1);
    // Where nothing drifts, nothing changes.
    assert_eq!(clustered(Sample::Sand, 3, "auto"), clustered(Sample::Sand, 3, "off"));
}

/// A volume of three grey values in bands of 21 pixels, under noise.
fn bands(path: &Path) {
    let shape = Shape::new(16, 64, 64);
    let noise = |i: usize| ((i as u32).wrapping_mul(2_654_435_761) >> 16) as f32 / 65536.0 - 0.5;
    let voxels: Vec<f32> = (0..shape.voxels()).map(|i| (i % 64 / 22) as f32 + 0.4 * noise(i)).collect();
    let mut writer =
        tomosieve_volume::create(OutputKind::Npy, path, shape, VoxelType::F32, &OutputMeta::default())
            .unwrap();
    writer.write(Voxels::F32(&voxels)).unwrap();
    writer.finish().unwrap();
}

/// Stops as soon as something is said that contains these words.
struct StopAt(&'static str, AtomicBool);

impl Progress for StopAt {
    fn begin(&self, _: &str, _: u64, _: u64, _: &str) {}
    fn advance(&self, _: u64, _: &str) {}
    fn end(&self) {}
    fn note(&self, text: &str) {
        self.1.fetch_or(text.contains(self.0), Ordering::Relaxed);
    }
    fn stopped(&self) -> bool {
        self.1.load(Ordering::Relaxed)
    }
}

#[test]
fn classes_that_are_no_phases_go() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bands.npy");
    bands(&path);
    let options = OpenOptions::default();
    let input = Input::open(&path, &options).unwrap();
    let asked = |classes: &str, merge: &str| {
        config(&[classes, merge, "starts=1", "train.steps=1200", "train.settled=0", "correct.steps=8"])
    };
    let segment = |config: &Config, name: &str, progress: &dyn Progress| {
        pipeline::segment(config.clone(), &input, &options, &folder.path().join(name), progress)
    };
    let six = asked("input.classes=6", "input.merge=true");
    let done = segment(&six, "six", &Silent).unwrap();
    let classes =
        |run: &RunDir| run.read_json::<cluster::Stage1>(&run.clusters()).unwrap().unwrap().clusters.classes();
    let learned = classes(&done);
    assert!((3..=4).contains(&learned), "{learned}: none is lost, but a rim may be left over");
    let report = std::fs::read_to_string(done.report()).unwrap();
    let first = report.lines().nth(2).unwrap();
    assert!(first.starts_with(&format!("> **{learned} classes instead of 6: ")), "{first}");

    // The result is that of a run which was asked for no more, and of one that was stopped in between.
    let fewer = asked(&format!("input.classes={learned}"), "input.merge=false");
    let plain = segment(&fewer, "fewer", &Silent).unwrap();
    assert!(weights(done.root(), "model.safetensors") == weights(plain.root(), "model.safetensors"));
    let stop = StopAt("learning anew", AtomicBool::new(false));
    assert!(matches!(segment(&six, "stopped", &stop), Err(Error::Stopped { .. })));
    let resumed = segment(&six, "stopped", &Silent).unwrap();
    same(&results(resumed.root()), &results(done.root()));
    // Another time nothing is left to do.
    let trained = std::fs::metadata(done.model()).unwrap().modified().unwrap();
    segment(&six, "six", &Silent).unwrap();
    assert_eq!(std::fs::metadata(done.model()).unwrap().modified().unwrap(), trained);

    let kept = segment(&asked("input.classes=6", "input.merge=false"), "kept", &Silent).unwrap();
    assert_eq!(classes(&kept), 6);
}

#[test]
fn the_number_of_classes_is_found_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bands.npy");
    bands(&path);
    let input = Input::open(&path, &OpenOptions::default()).unwrap();
    let (config, _) = plan::fit(
        config(&[
            "input.classes=0",
            "train.steps=300",
            "train.settled=0",
            "correct.steps=48",
            "correct.learning_rate=2e-4",
        ]),
        input.shape(),
    );
    let run = RunDir::create(&folder.path().join("run")).unwrap();
    let settled = classes::settle(config.clone(), &input, &run, &Silent).unwrap();
    let found: classes::Found = run.read_json(&run.classes()).unwrap().unwrap();
    // None is lost; a rim may be left over.
    assert!((3..=4).contains(&settled.input.classes), "{found}");
    assert!(!run.trial().exists());
    // Another time nothing is trained: a reader of whom nothing can be read would fail.
    std::fs::remove_file(&path).unwrap();
    assert_eq!(classes::settle(config, &input, &run, &Silent).unwrap(), settled);
}

#[test]
fn self_correction_is_left_out_where_it_could_only_do_harm() {
    let phantom = phantom();
    for (name, setting, reason) in [
        ("settled", "correct.guard_confirmed=0.1", "confirm"),
        ("single", "input.slices=1", "input.slices = 1"),
    ] {
        let output = phantom.path().join(name);
        run(phantom.path(), &output, &config(&["starts=1", "train.steps=20", setting]), &Silent, false)
            .unwrap();
        assert!(weights(&output, "model.safetensors") == weights(&output, "student.safetensors"), "{name}");
        let report = std::fs::read_to_string(output.join("report.md")).unwrap();
        let first = report.lines().nth(2).unwrap();
        assert!(first.starts_with("> **Self-correction was left out**") && first.contains(reason), "{first}");
    }
}

#[test]
fn the_start_that_fits_best_ships() {
    let phantom = phantom();
    let output = phantom.path().join("run");
    let of = |starts: &str| config(&[starts, "correct.guard=false"]);
    let config = of("starts=3");
    run(phantom.path(), &output, &config, &Silent, false).unwrap();
    let run = RunDir::open(&output).unwrap();
    let outcome = Provenance::read(&run).unwrap().correction.unwrap();
    assert_eq!(outcome.starts.len(), 3);
    let scores: Vec<f64> = outcome.starts.iter().map(|start| start.correct).collect();
    assert!(scores[0] != scores[1] && scores[1] != scores[2], "{scores:?}");
    let unstopped = outcome.starts.iter().filter(|start| start.alarm.is_none());
    let most = unstopped.map(|start| start.correct).fold(f64::NEG_INFINITY, f64::max);
    assert_eq!((outcome.scores.correct, scores[outcome.start]), (most, most));
    assert!((0..3).all(|start| run.student(start).is_file()) && !run.student(3).exists());
    // Fewer starts leave nothing of the others behind.
    let fewer = of("starts=2");
    self::run(phantom.path(), &output, &fewer, &Silent, true).unwrap();
    assert!(run.student(1).is_file() && !run.student(2).exists());
    // Alone, the first start is the same as among others.
    let alone = phantom.path().join("alone");
    self::run(phantom.path(), &alone, &of("starts=1"), &Silent, false).unwrap();
    let outcome = Provenance::read(&RunDir::open(&alone).unwrap()).unwrap().correction.unwrap();
    assert_eq!(outcome.scores.correct, scores[0]);
    let student = |run: &Path| weights(run, "student.safetensors");
    assert!(student(&alone) == student(&output), "stage 2 differs");
}

#[test]
fn a_worse_fit_restores_the_best_network() {
    let phantom = phantom();
    let output = phantom.path().join("run");
    // A learning rate that wrecks the student, and a teacher that follows it at once.
    let wreck = ["train.steps=100", "correct.learning_rate=0.3", "correct.momentum=0.1"];
    run(phantom.path(), &output, &config(&wreck), &Silent, false).unwrap();
    let record: serde_json::Value =
        serde_json::from_slice(&std::fs::read(output.join("provenance.json")).unwrap()).unwrap();
    assert!(!record["correction"]["alarm"].is_null(), "{record}");
    assert!(record["correction"]["steps"].as_u64().unwrap() < 20, "{record}");
    let stages = scores(phantom.path(), &output, &config(&wreck)).stages;
    assert!(stages["correct"].miou > stages["train"].miou - 0.05);
}

#[test]
fn a_result_that_fits_less_well_than_the_pseudo_labels_says_so_first() {
    let phantom = phantom();
    let wrecked = |name: &str, setting: &str| {
        let output = phantom.path().join(name);
        let wreck =
            ["starts=1", "train.steps=100", "correct.learning_rate=0.3", "correct.guard=false", setting];
        run(phantom.path(), &output, &config(&wreck), &Silent, false).unwrap();
        let correction = Provenance::read(&RunDir::open(&output).unwrap()).unwrap().correction.unwrap();
        let report = std::fs::read_to_string(output.join("report.md")).unwrap();
        (correction.scores, report.lines().nth(2).unwrap().to_owned())
    };
    let (scores, first) = wrecked("wrecked", "correct.momentum=0.1");
    assert!(scores.correct < 0.9 * scores.pseudo_labels, "{scores:?}");
    assert!(first.starts_with("> **Look twice**: the result fits the image"), "{first}");
    let (scores, first) = wrecked("held", "correct.steps=0");
    assert!(scores.correct > scores.pseudo_labels, "{scores:?}");
    assert!(!first.contains("Look twice"), "{first}");
}

#[test]
fn the_same_seed_gives_the_same_bytes_whatever_the_threads() {
    let phantom = phantom();
    let config = config(&[]);
    let (one, two) = (phantom.path().join("one"), phantom.path().join("two"));
    with_threads(1, || run(phantom.path(), &one, &config, &Silent, false).unwrap());
    with_threads(2, || run(phantom.path(), &two, &config, &Silent, false).unwrap());
    same(&results(&one), &results(&two));
}

#[test]
fn a_stopped_run_goes_on_to_the_same_bytes() {
    let phantom = phantom();
    let config = config(&[]);
    let (straight, stopped) = (phantom.path().join("straight"), phantom.path().join("stopped"));
    run(phantom.path(), &straight, &config, &Silent, false).unwrap();
    // Every 37 steps of progress: in the middle of stages 1, 2, 3 and of the sweep.
    assert!(run_in_stretches(phantom.path(), &stopped, &config, 37) >= 2);
    same(&results(&straight), &results(&stopped));
}

/// Runs with a stop after every so many steps of progress; how many stops there were.
fn run_in_stretches(phantom: &Path, output: &Path, config: &Config, steps: usize) -> usize {
    for stops in 0..50 {
        match run(phantom, output, config, &StopAfter(AtomicUsize::new(steps)), false) {
            Ok(()) => return stops,
            Err(Error::Stopped { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
    panic!("never done")
}

#[test]
fn starts_settle_each_by_itself() {
    let phantom = phantom();
    let config = config(&["starts=3", "train.steps=300", "train.settled=0.1", "correct.steps=2"]);
    let (straight, stopped) = (phantom.path().join("straight"), phantom.path().join("stopped"));
    run(phantom.path(), &straight, &config, &Silent, false).unwrap();
    let learning: Vec<Learning> =
        serde_json::from_slice(&std::fs::read(straight.join("learning.json")).unwrap()).unwrap();
    let steps: Vec<usize> = learning.iter().map(|start| start.steps).collect();
    assert!(steps.iter().any(|steps| *steps != learning[0].steps), "{steps:?}");
    let log = std::fs::read_to_string(straight.join("log.jsonl")).unwrap();
    let entries = log.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let trained: Vec<serde_json::Value> = entries.filter(|entry| entry["stage"] == "train").collect();
    for (start, steps) in steps.iter().enumerate() {
        assert_eq!(trained.iter().filter(|entry| entry["start"] == start).count(), *steps);
    }
    // Stops fall between the ends of the starts, too.
    assert!(run_in_stretches(phantom.path(), &stopped, &config, 60) >= 4);
    same(&results(&straight), &results(&stopped));
}

#[test]
fn a_finished_stage_is_kept_and_a_changed_setting_is_named() {
    let phantom = phantom();
    let output = phantom.path().join("run");
    let first = config(&["train.steps=5", "correct.steps=4"]);
    run(phantom.path(), &output, &first, &Silent, false).unwrap();
    let written = |file: &str| std::fs::metadata(output.join(file)).unwrap().modified().unwrap();
    let files = ["student.safetensors", "model.safetensors", "metrics.json", "provenance.json", "report.md"];
    let before = files.map(written);
    let student = before[0];

    run(phantom.path(), &output, &first, &Silent, false).unwrap();
    assert_eq!(files.map(written), before, "a file was written although there was nothing to do");

    let changed = config(&["train.steps=5", "correct.steps=4", "correct.threshold=0.7"]);
    let refused = run(phantom.path(), &output, &changed, &Silent, false).unwrap_err();
    let message = refused.to_string();
    assert!(matches!(refused, Error::Exists(_)), "{message}");
    assert!(message.contains("correct.threshold 0.8 → 0.7"), "{message}");
    assert!(message.contains("--force redoes correct, predict"), "{message}");

    run(phantom.path(), &output, &changed, &Silent, true).unwrap();
    let kept = std::fs::metadata(output.join("student.safetensors")).unwrap().modified().unwrap();
    assert_eq!(student, kept, "stage 2 was redone though nothing it depends on changed");
}

#[test]
fn all_outputs_are_there_and_agree() {
    let phantom = phantom();
    let output = phantom.path().join("run");
    run(phantom.path(), &output, &config(&["train.steps=5", "correct.steps=4"]), &Silent, false).unwrap();
    let read = |name: &str| {
        let volume = RunDir::open_labels(&output.join(name)).unwrap();
        let mut voxels = vec![0.0; volume.shape().voxels()];
        volume.read(&Region::whole(volume.shape()), &mut voxels).unwrap();
        voxels
    };
    assert_eq!(read("segmentation"), read("segmentation.ome.zarr/0"));
    assert_eq!(read("confidence"), read("confidence.ome.zarr/0"));
    assert!(read("pseudo_labels").iter().all(|&label| label < 3.0));
    let metrics: serde_json::Value =
        serde_json::from_slice(&std::fs::read(output.join("metrics.json")).unwrap()).unwrap();
    let shares: f64 =
        metrics["classes"].as_array().unwrap().iter().map(|c| c["fraction"].as_f64().unwrap()).sum();
    assert!((shares - 1.0).abs() < 1e-9);
    assert_eq!(std::fs::read_dir(output.join("previews")).unwrap().count(), 6); // three slices, the learning, grey values, the flow
    assert!(!output.join("checkpoint").exists());
}

#[test]
fn a_sparse_truth_is_compared_where_it_is() {
    let phantom = phantom();
    let output = phantom.path().join("run");
    let config = config(&["train.steps=5", "correct.steps=4"]);
    run(phantom.path(), &output, &config, &Silent, false).unwrap();
    let whole = RunDir::open_labels(&phantom.path().join("truth")).unwrap();
    let shape = whole.shape();
    let mut voxels = vec![0.0; shape.voxels()];
    whole.read(&Region::whole(shape), &mut voxels).unwrap();
    let labelled = [3, 4, 11];
    for (z, slice) in voxels.chunks_exact_mut(shape.slice_voxels()).enumerate() {
        if !labelled.contains(&z) {
            slice.fill(255.0);
        }
    }
    let sparse = Memory::new(shape, voxels).unwrap();
    let truth = Truth::new(Box::new(sparse), Special { background: 0, ignore: 255 }).unwrap();
    let input = Input::open(&phantom.path().join("volume"), &OpenOptions::default()).unwrap();
    let folder = RunDir::open(&output).unwrap();
    let context =
        Context { config: &config, input: &input, run: &folder, progress: &Silent, memory: 1 << 30 };
    let evaluation = evaluate::run(&context, &truth).unwrap();
    for stage in ["pseudo_labels", "train", "correct"] {
        let counted: u64 = evaluation.stages[stage].support.iter().sum();
        assert_eq!(counted, (labelled.len() * shape.slice_voxels()) as u64, "{stage}");
    }
    let curve = evaluation.reliability.unwrap();
    let counted: u64 = curve.bins.iter().map(|bin| bin.count).sum();
    assert_eq!(counted, (labelled.len() * shape.slice_voxels()) as u64);
    assert!((0.0..=1.0).contains(&curve.ece.unwrap()));
}
