//! The commands, each a few library calls.

use std::io::Write;
use std::ops::RangeInclusive;
use std::path::Path;

use serde_json::json;
use tomosieve::config::{DEFAULT, PRESETS, RECIPES};
use tomosieve::input::Input;
use tomosieve::ledger::Stage;
use tomosieve::phantom::{self, PhantomSpec, Sample};
use tomosieve::pipeline::Job;
use tomosieve::plan::{self, Plan};
use tomosieve::progress::Progress;
use tomosieve::provenance::Provenance;
use tomosieve::run_dir::RunDir;
use tomosieve::stages::evaluate::{Evaluation, Special, Truth};
use tomosieve::stages::explain::Question;
use tomosieve::stages::{Context, cluster, evaluate, explain};
use tomosieve::summary::Summary;
use tomosieve::{Config, Error, Result, augment, classes, phantom_files};
use tomosieve_volume::OpenOptions;

use crate::args::{self, Acquisition, Cli, Command, Global, Manner};
use crate::progress::{Screen, duration};

mod convert;
mod demo;
mod inspect;
mod study;

/// Carries out a command.
pub(crate) fn run(cli: &Cli, screen: &Screen) -> Result<()> {
    let global = &cli.global;
    match &cli.command {
        Command::Segment(run) => segment(run, &Stage::ALL, global, screen),
        Command::Cluster(args) => match &args.scan_k {
            Some(classes) => scan(&args.run, classes.clone(), global, screen),
            None => segment(&args.run, &[Stage::Cluster], global, screen),
        },
        Command::Train(resume) => one_stage(resume, Stage::Train, global, screen),
        Command::Correct(resume) => one_stage(resume, Stage::Correct, global, screen),
        Command::Predict(resume) => one_stage(resume, Stage::Predict, global, screen),
        Command::Evaluate(args) => {
            threads(global.threads.unwrap_or(0))?;
            let evaluation = evaluate_labels(&args.labels, &args.truth, args.special.special(), screen)?;
            show_evaluation(&evaluation, global.json)?;
            args.fail_under.map_or(Ok(()), |least| require_miou(&args.labels, &evaluation, least))
        }
        Command::Explain(args) => explain(args, global, screen),
        Command::Study(args) => study::run(args, global, screen),
        Command::Inspect(args) => {
            threads(global.threads.unwrap_or(0))?;
            inspect::run(args, global.json, screen)
        }
        Command::Convert(args) => {
            threads(global.threads.unwrap_or(0))?;
            convert::run(args, global.json, screen)
        }
        Command::Phantom(args) => {
            threads(global.threads.unwrap_or(0))?;
            let spec = phantom_spec(args)?;
            phantom_files::write(spec, &args.output, args.force, screen)?;
            screen.note(&format!("{}: volume/, truth/ and phantom.json", args.output.display()));
            Ok(())
        }
        Command::Init(args) => init(args, screen),
        Command::List => list(global.json),
        Command::Demo(args) => demo::run(args, global, screen),
    }
}

/// Starts the pool of threads that everything shares.
fn threads(count: usize) -> Result<()> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(count)
        .build_global()
        .map_err(|e| Error::Config(format!("cannot start {count} threads: {e}")))
}

/// `segment` and `cluster`: from a volume into a run folder.
fn segment(args: &args::Run, stages: &[Stage], global: &Global, screen: &Screen) -> Result<()> {
    let config = args.settings.resolve(None, global.threads)?;
    threads(config.threads)?;
    args::must_exist(&args.input)?;
    let options = args.raw.options();
    let input = Input::open(&args.input, &options)?;
    go(config, &input, &options, &args.output, stages, &args.manner, global, screen)
}

/// `cluster --scan-k`: curves over the number of classes, and what they suggest.
fn scan(args: &args::Run, classes: RangeInclusive<usize>, global: &Global, screen: &Screen) -> Result<()> {
    let config = args.settings.resolve(None, global.threads)?;
    threads(config.threads)?;
    args::must_exist(&args.input)?;
    let input = Input::open(&args.input, &args.raw.options())?;
    let run = RunDir::create(&args.output)?;
    let memory = plan::memory_limit(&config)?;
    let context = Context { config: &config, input: &input, run: &run, progress: screen, memory };
    let scan = cluster::scan(&context, classes)?;
    if global.json {
        return print(&json!(scan).to_string());
    }
    print(&format!("{:>3}{:>14}{:>12}{:>12}{:>16}", "K", "inertia", "explained", "silhouette", "BIC"))?;
    for c in &scan.candidates {
        print(&format!(
            "{:>3}{:>14.4e}{:>10.2} %{:>12.4}{:>16.6e}",
            c.classes,
            c.inertia,
            100.0 * c.explained,
            c.silhouette,
            c.bic
        ))?;
    }
    print(&scan.reason)?;
    screen.note(&format!("look at {}", run.scan_picture().display()));
    Ok(())
}

/// `train`, `correct` and `predict`: on with a run folder.
fn one_stage(args: &args::Resume, stage: Stage, global: &Global, screen: &Screen) -> Result<()> {
    let run = RunDir::open(&args.run)?;
    let config = args.settings.resolve(Some(&run.config()), global.threads)?;
    threads(config.threads)?;
    let (input, options) = Provenance::read(&run)?.input.open()?;
    go(config, &input, &options, &args.run, &[stage], &args.manner, global, screen)
}

/// Plans, then runs.
#[allow(clippy::too_many_arguments)]
fn go(
    config: Config,
    input: &Input,
    options: &OpenOptions,
    output: &Path,
    stages: &[Stage],
    manner: &Manner,
    global: &Global,
    screen: &Screen,
) -> Result<()> {
    plan::check_size(input.shape())?;
    let (mut config, mut fitted) = plan::fit(config, input.shape());
    if config.input.classes == 0 {
        if manner.dry_run {
            let most = classes::MOST;
            config.input.classes = most;
            fitted.push(format!("input.classes 0 → {most}: what the search for their number begins with"));
        } else {
            Plan::new(&classes::trial(&config), Vec::new(), input, output, &[])?.check()?;
            RunDir::create(output)?;
        }
    }
    if (config.input.classes == 0 || stages.len() > 1) && !manner.dry_run {
        config = classes::settle(config, input, &RunDir::beside(output), screen)?;
    }
    let tried = if manner.dry_run { &Stage::ALL } else { stages };
    let plan = Plan::new(&config, fitted, input, output, tried)?;
    if manner.dry_run {
        show_plan(&plan, global.json)?;
        return plan.check();
    }
    plan.check()?;
    plan.fitted.iter().for_each(|note| screen.note(note));
    let left: f64 = plan.stages.iter().filter(|s| stages.contains(&s.stage)).map(|stage| stage.seconds).sum();
    screen.note(&format!("{}; up to about {}", plan.volume, duration(left)));
    let run = RunDir::create(output)?;
    let command = std::env::args().collect();
    Job { config: &config, input, options, run: &run, progress: screen, command, force: manner.force }
        .run(stages)?;
    if global.json {
        let summary: Option<Summary> = run.read_json(&run.metrics())?;
        return print(&json!({ "run": output, "metrics": summary }).to_string());
    }
    if stages.contains(&Stage::Predict) {
        screen.note(&format!(
            "done; look at {} and {}",
            run.report().display(),
            run.segmentation().display()
        ));
    }
    Ok(())
}

/// Fails when the result's mIoU is below this.
fn require_miou(labels: &Path, evaluation: &Evaluation, least: f64) -> Result<()> {
    let labels = labels.display();
    let Some(scores) = ["labels", "correct"].iter().find_map(|stage| evaluation.stages.get(stage)) else {
        return Err(Error::Input(format!(
            "`{labels}`: no result that --fail-under could judge; run `tomosieve predict {labels}` first"
        )));
    };
    if scores.miou >= least {
        return Ok(());
    }
    let miou = scores.miou;
    Err(Error::Quality(format!(
        "`{labels}`: the mIoU of the result is {miou:.4}, --fail-under asks for {least}"
    )))
}

/// Compares a run or a label volume with a truth; the scores of a run are kept in it.
fn evaluate_labels(labels: &Path, truth: &Path, special: Special, screen: &Screen) -> Result<Evaluation> {
    args::must_exist(labels)?;
    args::must_exist(truth)?;
    let truth = Truth::new(RunDir::open_labels(truth)?, special)?;
    let Ok(run) = RunDir::open(labels) else {
        let scores = truth.score(RunDir::open_labels(labels)?.as_ref())?;
        return Ok(Evaluation { stages: [("labels", scores)].into(), ..Evaluation::default() });
    };
    evaluate::record(&run, &truth, screen)
}

/// Prints scores: JSON, or a table.
fn show_evaluation(evaluation: &Evaluation, json: bool) -> Result<()> {
    if json {
        let text = serde_json::to_string(evaluation).map_err(|e| Error::Input(e.to_string()))?;
        return print(&text);
    }
    print(&format!("{:<15}{:>10}{:>8}   IoU by truth class", "", "accuracy", "mIoU"))?;
    for name in ["labels", "pseudo_labels", "train", "correct"] {
        let Some(scores) = evaluation.stages.get(name) else { continue };
        let iou: Vec<String> = scores.iou.iter().map(|v| format!("{:5.1}", 100.0 * v)).collect();
        let (accuracy, miou) = (100.0 * scores.accuracy, 100.0 * scores.miou);
        print(&format!("{name:<15}{accuracy:>10.2}{miou:>8.2}   {}", iou.join(" ")))?;
    }
    Ok(())
}

/// Heat maps of a slice of a run.
fn explain(args: &args::Explain, global: &Global, screen: &Screen) -> Result<()> {
    threads(global.threads.unwrap_or(0))?;
    let question = Question { slice: args.slice, class: args.class, layer: args.layer.clone() };
    let explanation = explain::run(&RunDir::open(&args.run)?, &question, screen)?;
    if global.json {
        return print(&json!(explanation).to_string());
    }
    print(&format!("picture {}", explanation.picture.display()))?;
    for (stage, of) in &explanation.stages {
        print(&format!("{stage:<7} {}", of.maps.display()))?;
    }
    Ok(())
}

/// Prints a plan: JSON, or words.
fn show_plan(plan: &Plan, json: bool) -> Result<()> {
    if json {
        let text = serde_json::to_string(plan).map_err(|e| Error::Config(e.to_string()))?;
        return print(&text);
    }
    print(&plan.volume)?;
    for note in plan.inferred.iter().chain(&plan.fitted) {
        print(&format!("  {note}"))?;
    }
    print(&format!("  network of {} parameters", plan.parameters))?;
    for stage in &plan.stages {
        print(&format!(
            "{:<8} {}: {} · {} · {}",
            stage.stage.name(),
            stage.standing,
            stage.work,
            plan::bytes(stage.memory),
            duration(stage.seconds)
        ))?;
    }
    print(&format!("memory   {} of {} allowed", plan::bytes(plan.memory), plan::bytes(plan.memory_limit)))?;
    print(&format!("disk     up to {} of {} free", plan::bytes(plan.disk), plan::bytes(plan.disk_free)))?;
    let total: f64 = plan.stages.iter().map(|stage| stage.seconds).sum();
    print(&format!("time     up to about {}", duration(total)))
}

/// The phantom a command line asks for.
fn phantom_spec(args: &args::Phantom) -> Result<PhantomSpec> {
    let sample: Sample = args.name.parse()?;
    Ok(PhantomSpec {
        sample,
        shape: args.shape.into(),
        seed: args.seed,
        acquisition: match args.acquisition {
            Acquisition::Ct => phantom::Acquisition::Ct,
            Acquisition::Noise => phantom::Acquisition::Noise,
        },
        noise: args.noise,
    })
}

/// Writes the commented default configuration.
fn init(args: &args::Init, screen: &Screen) -> Result<()> {
    if args.file == Path::new("-") {
        return print(DEFAULT.trim_end());
    }
    let mut open = std::fs::OpenOptions::new();
    let open = if args.force {
        open.write(true).create(true).truncate(true)
    } else {
        open.write(true).create_new(true)
    };
    let failed = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Error::Exists(format!("`{}` exists; --force replaces it", args.file.display()))
        }
        _ => Error::RunFile { path: args.file.clone(), reason: format!("cannot be written: {e}") },
    };
    open.open(&args.file).and_then(|mut file| file.write_all(DEFAULT.as_bytes())).map_err(failed)?;
    screen.note(&format!("{}: every setting with its default", args.file.display()));
    Ok(())
}

/// Lists everything that can be named.
fn list(json: bool) -> Result<()> {
    let names = |files: &[(&'static str, &str)]| files.iter().map(|(name, _)| *name).collect::<Vec<_>>();
    let formats: Vec<&str> = tomosieve_volume::formats::names().iter().map(|f| f.name).collect();
    let samples: Vec<&str> = Sample::ALL.iter().map(|sample| sample.info().name).collect();
    let rosters = [
        ("clusterings", tomosieve_cluster::methods::names()),
        ("networks", tomosieve_nn::networks::NAMES.to_vec()),
        ("losses", tomosieve_nn::losses::names()),
        ("views", augment::names()),
        ("presets", names(PRESETS)),
        ("recipes", names(RECIPES)),
        ("studies", tomosieve::study::names()),
        ("formats", formats),
        ("devices", tomosieve_nn::device::built()),
        ("phantoms", samples),
    ];
    if json {
        let object: serde_json::Map<String, serde_json::Value> =
            rosters.iter().map(|(kind, names)| ((*kind).to_owned(), json!(names))).collect();
        return print(&serde_json::Value::Object(object).to_string());
    }
    rosters.iter().try_for_each(|(kind, names)| print(&format!("{kind:<12} {}", names.join(", "))))
}

/// Writes a line to stdout.
fn print(line: &str) -> Result<()> {
    writeln!(std::io::stdout().lock(), "{line}")
        .map_err(|e| Error::RunFile { path: "standard output".into(), reason: e.to_string() })
}
