//! Studies: expansion, what is shared, going on after a stop, and the words of the table.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;
use tomosieve::config::Layers;
use tomosieve::input::Input;
use tomosieve::ledger::Stage;
use tomosieve::phantom::{PhantomSpec, Sample};
use tomosieve::progress::{Progress, Silent};
use tomosieve::run_dir::RunDir;
use tomosieve::stages::evaluate::{Special, Truth};
use tomosieve::study::{self, Paper, Results, Row, STUDIES, Study, Subject};
use tomosieve::{Config, Error, phantom_files};
use tomosieve_volume::OpenOptions;

/// The networks of Sec. IV-E and the losses of Sec. IV-F.
const ALL: (usize, usize) = (12, 6);

/// A tiny network and few steps.
fn base(settings: &[&str]) -> Config {
    let tiny = [
        "starts=1",
        "input.classes=3",
        "input.slices=3",
        "network.widths=[4,8]",
        "train.steps=6",
        "train.batch=2",
        "train.crop=16",
        "correct.steps=4",
        "correct.batch=2",
        "correct.crop=16",
        "correct.guard=false",
    ];
    tiny.iter()
        .chain(settings)
        .fold(Layers::defaults().unwrap(), |layers, assignment| layers.set(assignment).unwrap())
        .build()
        .unwrap()
}

/// A study of the user's own.
fn own(folder: &Path, axes: &str) -> Study {
    let file = folder.join("axes.toml");
    std::fs::write(&file, axes).unwrap();
    Study::find("own", Some(&file)).unwrap()
}

/// A small phantom with its truth.
fn subject(folder: &Path, name: &str, seed: u64) -> Subject {
    let place = folder.join(name);
    let spec = PhantomSpec { shape: [8, 32, 32], ..PhantomSpec::new(Sample::Sand, seed) };
    phantom_files::write(spec, &place, false, &Silent).unwrap();
    let options = OpenOptions::default();
    let truth = RunDir::open_labels(&place.join("truth")).unwrap();
    Subject {
        name: name.to_owned(),
        input: Input::open(&place.join("volume"), &options).unwrap(),
        options,
        truth: Some(Truth::new(truth, Special { background: 0, ignore: 255 }).unwrap()),
    }
}

/// Notes what is begun, and with how much of it done; may ask for a stop after so many steps of progress.
struct Watch {
    begun: Mutex<Vec<(String, u64)>>,
    left: AtomicUsize,
}

impl Watch {
    fn new(stop_after: usize) -> Self {
        Self { begun: Mutex::new(Vec::new()), left: AtomicUsize::new(stop_after) }
    }

    /// How many steps were already done each time that `stage` began.
    fn begun(&self, stage: &str) -> Vec<u64> {
        let begun = self.begun.lock().unwrap();
        begun.iter().filter(|(name, _)| name == stage).map(|(_, done)| *done).collect()
    }
}

impl Progress for Watch {
    fn begin(&self, stage: &str, _: u64, done: u64, _: &str) {
        self.begun.lock().unwrap().push((stage.to_owned(), done));
    }
    fn advance(&self, _: u64, _: &str) {
        let left = self.left.load(Ordering::Relaxed);
        self.left.store(left.saturating_sub(1), Ordering::Relaxed);
    }
    fn end(&self) {}
    fn note(&self, _: &str) {}
    fn stopped(&self) -> bool {
        self.left.load(Ordering::Relaxed) == 0
    }
}

fn names(study: &Study, base: &Config) -> Vec<String> {
    study.variants(base).unwrap().into_iter().map(|variant| variant.name).collect()
}

#[test]
fn every_value_of_every_study_is_a_valid_configuration() {
    for (name, _) in STUDIES {
        let study = Study::find(name, None).unwrap();
        assert!(!study.question.is_empty() && study.paper_source.contains("Sec. IV-"), "{name}");
        let base = Layers::defaults().unwrap().merged(study.settings.clone()).unwrap().build();
        match base.and_then(|base| study.variants(&base)) {
            Ok(variants) => {
                let known =
                    |paper: &&String| *name != "samples" && variants.iter().all(|v| v.name != **paper);
                let odd: Vec<&String> = study.paper.keys().filter(known).collect();
                assert!(odd.is_empty(), "{name}: the paper's {odd:?} are no variants");
            }
            // A network or loss may still be missing, but only while its roster is short of the paper's.
            Err(error) => {
                let message = error.to_string();
                let (networks, losses) =
                    (tomosieve_nn::networks::NAMES.len(), tomosieve_nn::losses::names().len());
                let of_networks = ["unknown network", "network.widths is []"];
                let pending = (of_networks.iter().any(|m| message.contains(m)) && networks < ALL.0)
                    || (message.contains("unknown loss") && losses < ALL.1);
                assert!(pending, "{name}: {message}");
            }
        }
    }
}

#[test]
fn variants_are_every_combination() {
    let folder = tempfile::tempdir().unwrap();
    let base = base(&[]);
    let axes = "[axes]\nloss.name = ['cross-entropy', 'label-smoothing']\ninput.slices = [1, 3]\n";
    let study = own(folder.path(), axes);
    let expected = ["slices=1,cross-entropy", "slices=1,label-smoothing", "slices=3,cross-entropy"];
    assert_eq!(names(&study, &base)[..3], expected);
    let variants = study.variants(&base).unwrap();
    assert_eq!((variants.len(), variants[3].config.input.slices), (4, 3));
    assert_eq!(variants[1].config.loss.name, "label-smoothing");
    assert_eq!(variants[1].config.train, base.train);

    // K, K + 1 and 10: what is the same is run once.
    let classes = Study::find("classes", None).unwrap();
    assert_eq!(names(&classes, &base), ["classes=3", "classes=4", "classes=10"]);
    let nine = Config { input: tomosieve::config::InputConfig { classes: 9, ..base.input.clone() }, ..base };
    assert_eq!(names(&classes, &nine), ["classes=9", "classes=10"]);

    let two = own(
        folder.path(),
        "[[variant]]\nname = 'a'\nsettings = { seed = 1, train.steps = 2 }\n\
         [[variant]]\nname = 'b'\nsettings = {}\n[axes]\nnetwork.widths = [[4, 8], [8, 16]]",
    );
    assert_eq!(names(&two, &nine), ["a,widths=4-8", "a,widths=8-16", "b,widths=4-8", "b,widths=8-16"]);
}

#[test]
fn what_cannot_be_used_is_named() {
    let unknown = Study::find("netwroks", None).unwrap_err().to_string();
    assert!(unknown.starts_with("unknown study `netwroks`; did you mean `networks`? known: "), "{unknown}");
    let folder = tempfile::tempdir().unwrap();
    let refused = |axes: &str| own(folder.path(), axes).variants(&base(&[])).unwrap_err().to_string();
    assert!(
        refused("[axes]\ntrain.stepz = [3]").contains("variant `stepz=3`: unknown setting `train.stepz`")
    );
    assert!(refused("[axes]\ntrain.steps = 3").contains("is no axis; expected a list"));
    assert!(refused("[axes]\nnetwork.name = ['ynet']").contains("variant `ynet`: unknown network"));
    let empty = folder.path().join("empty.toml");
    std::fs::write(&empty, "").unwrap();
    assert!(Study::find("own", Some(&empty)).unwrap_err().to_string().contains("no axes"));
    std::fs::write(&empty, "[axis]\nseed = [1]").unwrap();
    let misspelt = Study::find("own", Some(&empty)).unwrap_err().to_string();
    assert!(misspelt.contains("empty.toml") && misspelt.contains("axes"), "{misspelt}");
}

#[test]
fn what_variants_have_in_common_is_made_once() {
    let folder = tempfile::tempdir().unwrap();
    let subjects = [subject(folder.path(), "sand", 1)];
    let study = own(
        folder.path(),
        "[axes]\ncorrect.threshold = [0.6, 0.7]\nloss.name = ['cross-entropy', 'label-smoothing']",
    );
    let output = folder.path().join("studies");
    let cases = study::cases(&study, &base(&[]), &subjects, &output).unwrap();
    let sources = study::prospect(&cases, &output).unwrap();
    let taken: Vec<Option<Stage>> =
        sources.iter().map(|source| source.taken.as_ref().map(|(stage, _)| *stage)).collect();
    // Stage 1 is one for all, stage 2 depends on the loss, stage 3 on both.
    assert_eq!(taken, [None, Some(Stage::Cluster), Some(Stage::Train), Some(Stage::Train)]);
    assert_eq!(sources[3].taken.as_ref().unwrap().1, cases[1].folder);

    let watch = Watch::new(usize::MAX);
    let results = study::run(&study, &cases, &output, &watch, false).unwrap();
    let times = |stage: &str| watch.begun(stage).len();
    assert_eq!((times("labelling"), times("train"), times("correct"), times("predict")), (1, 2, 4, 4));
    assert_eq!(results.rows.len(), 4);
    let read = |case: usize, file: &str| std::fs::read(cases[case].folder.join(file)).unwrap();
    assert!(read(0, "student.safetensors") == read(2, "student.safetensors"));
    assert!(read(0, "student.safetensors") != read(1, "student.safetensors"));
    assert!(read(0, "model.safetensors") != read(2, "model.safetensors"));

    // What was taken over is what the run would have made itself.
    let alone = folder.path().join("alone");
    let config = cases[3].variant.config.clone();
    let (input, options) = (&subjects[0].input, &subjects[0].options);
    tomosieve::pipeline::segment(config, input, options, &alone, &Silent).unwrap();
    for file in ["model.safetensors", "log.jsonl"] {
        assert!(std::fs::read(alone.join(file)).unwrap() == read(3, file), "{file} differs");
    }

    // Another study in the same folder finds these results, and a finished study is not run again.
    let again = study::prospect(&cases, &output).unwrap();
    assert!(again.iter().all(|source| source.own == Some(Stage::Predict)), "{again:?}");
    let other = Study { name: "other".into(), ..study.clone() };
    let others = study::cases(&other, &base(&[]), &subjects, &output).unwrap();
    let watch = Watch::new(usize::MAX);
    let twin = study::run(&other, &others, &output, &watch, false).unwrap();
    assert!(watch.begun("train").is_empty() && watch.begun("correct").is_empty());
    assert_eq!(twin.rows[2].evaluation, results.rows[2].evaluation);
    for name in ["own.md", "own.csv", "own.json", "own.png", "other.md"] {
        assert!(output.join(name).is_file(), "{name}");
    }
}

#[test]
fn a_longer_training_goes_on_where_the_shorter_ended() {
    let folder = tempfile::tempdir().unwrap();
    let subjects = [subject(folder.path(), "sand", 1)];
    let study = own(
        folder.path(),
        "settings = { train.schedule = 'constant', train.settled = 0.0, train.keep = true }\n[axes]\ntrain.steps = [4, 7, 10]",
    );
    let base = base(&["train.schedule=constant", "train.settled=0", "train.keep=true"]);
    let output = folder.path().join("studies");
    let cases = study::cases(&study, &base, &subjects, &output).unwrap();
    let sources = study::prospect(&cases, &output).unwrap();
    assert_eq!(sources[2].longer.as_ref(), Some(&cases[1].folder));
    let watch = Watch::new(usize::MAX);
    study::run(&study, &cases, &output, &watch, false).unwrap();
    assert_eq!(watch.begun("train"), [0, 4, 7]);

    let alone = folder.path().join("alone");
    let config = cases[2].variant.config.clone();
    let (input, options) = (&subjects[0].input, &subjects[0].options);
    tomosieve::pipeline::segment(config, input, options, &alone, &Silent).unwrap();
    for file in ["student.safetensors", "model.safetensors", "log.jsonl"] {
        let read = |run: &Path| std::fs::read(run.join(file)).unwrap();
        assert!(read(&alone) == read(&cases[2].folder), "{file} differs");
    }
}

#[test]
fn a_stopped_study_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let subjects = [subject(folder.path(), "sand", 1), subject(folder.path(), "more", 2)];
    let study = own(folder.path(), "[axes]\ncorrect.momentum = [0.9, 0.99]");
    let run = |output: &Path, watch: &Watch| {
        let cases = study::cases(&study, &base(&[]), &subjects, output).unwrap();
        study::run(&study, &cases, output, watch, false)
    };
    let straight = run(&folder.path().join("straight"), &Watch::new(usize::MAX)).unwrap();
    let mut stops = 0;
    let stopped = loop {
        // In the middle of all stages; finished cases take some of it, being compared with their truth anew.
        match run(&folder.path().join("stopped"), &Watch::new(40)) {
            Ok(results) => break results,
            Err(Error::Stopped { .. }) => stops += 1,
            Err(other) => panic!("{other}"),
        }
        assert!(stops < 60, "never done");
    };
    assert!(stops >= 3, "stopped only {stops} times");
    assert_eq!(straight.rows[0].name, "sand, momentum=0.9");
    for (one, two) in straight.rows.iter().zip(&stopped.rows) {
        assert_eq!((&one.name, &one.evaluation, one.changed), (&two.name, &two.evaluation, two.changed));
    }
}

#[test]
fn a_changed_setting_is_not_overwritten_unasked() {
    let folder = tempfile::tempdir().unwrap();
    let subjects = [subject(folder.path(), "sand", 1)];
    let study = Study::find("samples", None).unwrap();
    let output = folder.path().join("studies");
    let run = |settings: &[&str], force: bool| {
        let cases = study::cases(&study, &base(settings), &subjects, &output).unwrap();
        study::run(&study, &cases, &output, &Silent, force)
    };
    let first = run(&[], false).unwrap();
    assert_eq!((first.rows.len(), first.rows[0].name.as_str()), (1, "sand"));
    let refused = run(&["train.steps=7"], false).unwrap_err().to_string();
    assert!(refused.contains("train.steps 6 → 7"), "{refused}");
    run(&["train.steps=7"], true).unwrap();
}

#[test]
fn one_stage_training_sees_strong_views_and_has_no_stage_3() {
    let folder: TempDir = tempfile::tempdir().unwrap();
    let subjects = [subject(folder.path(), "sand", 1)];
    let study = Study { settings: toml::Table::new(), ..Study::find("two-stage", None).unwrap() };
    let output = folder.path().join("studies");
    let cases = study::cases(&study, &base(&[]), &subjects, &output).unwrap();
    let results = study::run(&study, &cases, &output, &Silent, false).unwrap();
    let scores = |row: usize, stage: &str| results.rows[row].score(stage).unwrap();
    assert_eq!(scores(0, "train"), scores(0, "correct"));
    assert_ne!(scores(0, "train"), scores(1, "train"));
    let log = std::fs::read_to_string(cases[0].folder.join("log.jsonl")).unwrap();
    assert_eq!(log.lines().count(), 6);
}

/// A row as a study would find it.
fn row(name: &str, correct: f64, paper: Option<Paper>) -> Row {
    let stage = |accuracy: f64| serde_json::json!({ "accuracy": accuracy, "miou": accuracy - 0.2 });
    let stages = serde_json::json!({
        "pseudo_labels": stage(0.6), "train": stage(0.625), "correct": stage(correct),
    });
    Row {
        name: name.to_owned(),
        volume: "sand".into(),
        variant: name.to_owned(),
        settings: [("network.name".to_owned(), serde_json::json!(name))].into(),
        run: format!("runs/sand/networks/{name}").into(),
        parameters: 2_012_345,
        evaluation: serde_json::json!({ "stages": stages, "confidence": { "train": 0.91, "correct": 0.95 } }),
        confidence: 0.956,
        changed: 0.123,
        fractions: vec![0.5, 0.4995, 0.0005],
        guard: (correct < 0.5).then(|| "class 2 fell to 0.1 of its share".to_owned()),
        seconds: [("cluster", 0.5), ("train", 61.0), ("correct", 31.2), ("predict", 2.0)]
            .map(|(stage, seconds)| (stage.to_owned(), seconds))
            .into(),
        paper,
    }
}

#[test]
fn the_table_in_words_and_in_numbers() {
    let paper = Paper { train: Some([66.89, 46.08]), correct: Some([f64::NAN, 40.3]), ..Paper::default() };
    let results = Results {
        study: "networks".into(),
        question: "Which networks collapse?".into(),
        paper_source: "Sec. IV-E, Table I".into(),
        rows: vec![row("unet", 0.45, Some(paper)), row("resunet, \"wide\"", 0.7, None)],
    };
    insta::assert_snapshot!("markdown", results.markdown());
    insta::assert_snapshot!("csv", results.csv());
    // Without a truth the columns of scores are left out.
    let rows = results.rows.into_iter().map(|row| Row { evaluation: serde_json::Value::Null, ..row });
    let bare = Results {
        rows: rows.map(|row| Row { paper: None, ..row }).collect(),
        ..Results::new(&Study::default())
    };
    let head = bare.markdown().lines().find(|line| line.starts_with("|  |")).unwrap().to_owned();
    assert!(!head.contains("stage 3 |") && head.contains("confidence"), "{head}");
}
