//! Variants on volumes: what will be done, and doing it.

use std::path::{Path, PathBuf};

use burn::module::Module;
use serde_json::Value;
use tomosieve_volume::OpenOptions;

use super::share::{self, Known, Source};
use super::table::{Results, Row};
use super::{Study, Variant};
use crate::config::Config;
use crate::input::Input;
use crate::ledger::{Ledger, Stage};
use crate::pipeline::Job;
use crate::progress::Progress;
use crate::provenance::Provenance;
use crate::run_dir::RunDir;
use crate::stages::evaluate::{self, Truth};
use crate::summary::Summary;
use crate::{Error, Result, model, plan};

/// A volume under study.
pub struct Subject {
    /// What it is called in tables and folders.
    pub name: String,
    /// The volume.
    pub input: Input,
    /// How it was opened.
    pub options: OpenOptions,
    /// What results are compared with.
    pub truth: Option<Truth>,
}

/// One variant on one volume.
pub struct Case<'a> {
    /// The volume.
    pub subject: &'a Subject,
    /// The variant, its settings fitted to the volume.
    pub variant: Variant,
    /// Its run folder.
    pub folder: PathBuf,
}

impl Case<'_> {
    /// What it is called: the variant, after the volume where there are several or no variants.
    pub fn name(&self, several: bool) -> String {
        match (several, self.variant.name.as_str()) {
            (_, "") => self.subject.name.clone(),
            (false, variant) => variant.to_owned(),
            (true, variant) => format!("{}, {variant}", self.subject.name),
        }
    }
}

/// All cases of a study, in the order in which they run; their run folders are `runs/VOLUME/STUDY/VARIANT`
/// below `folder`.
///
/// # Errors
/// [`Error::Config`] when a variant's settings cannot be used or two cases would share a folder.
pub fn cases<'a>(
    study: &Study,
    base: &Config,
    subjects: &'a [Subject],
    folder: &Path,
) -> Result<Vec<Case<'a>>> {
    let mut cases: Vec<Case<'a>> = Vec::new();
    for subject in subjects {
        for mut variant in study.variants(base)? {
            variant.config = plan::fit(variant.config, subject.input.shape()).0;
            variant.config.input.merge = false; // what is compared has the classes that it says
            let mut place = runs(folder).join(path_name(&subject.name)).join(path_name(&study.name));
            if !variant.name.is_empty() {
                place = place.join(path_name(&variant.name));
            }
            if cases.iter().any(|case| case.folder == place) {
                return Err(Error::Config(format!(
                    "two cases of the study would be in `{}`; give volumes and variants different names",
                    place.display()
                )));
            }
            cases.push(Case { subject, variant, folder: place });
        }
    }
    Ok(cases)
}

/// Where each case's results will come from.
///
/// # Errors
/// [`Error::RunFile`] when a run folder that is there is damaged.
pub fn prospect(cases: &[Case<'_>], folder: &Path) -> Result<Vec<Source>> {
    let mut known = known(folder)?;
    let mut sources = Vec::with_capacity(cases.len());
    for case in cases {
        let (config, input) = (&case.variant.config, &case.subject.input);
        sources.push(share::find(&case.folder, config, input, &known));
        known.retain(|run| run.root != case.folder);
        known.push(Known::finished(&case.folder, config, input));
    }
    Ok(sources)
}

/// Runs all cases, each of which goes on where it was stopped; after each, the study's table and figure are
/// written anew to `folder`.
///
/// # Errors
/// What the pipeline says; [`Error::Exists`] when a result made with other settings is in the way and `force`
/// is not given; [`Error::Stopped`] after a stop was asked for.
pub fn run(
    study: &Study,
    cases: &[Case<'_>],
    folder: &Path,
    progress: &dyn Progress,
    force: bool,
) -> Result<Results> {
    let place = RunDir::create(folder)?;
    let several = cases.iter().any(|case| case.subject.name != cases[0].subject.name);
    let mut results = Results::new(study);
    for (i, case) in cases.iter().enumerate() {
        let name = case.name(several);
        let (config, input) = (&case.variant.config, &case.subject.input);
        progress.note(&format!("{} {}/{}: {name}", study.name, i + 1, cases.len()));
        let run = RunDir::create(&case.folder)?;
        let source = share::find(&case.folder, config, input, &known(folder)?);
        if force || !Ledger::read(&run)?.is_changed(config, input) {
            share::take_over(&run, config, input, &source)?;
        }
        let job = Job {
            config,
            input,
            options: &case.subject.options,
            run: &run,
            progress,
            command: std::env::args().collect(),
            force,
        };
        job.run(&Stage::ALL)?;
        if let Some(truth) = &case.subject.truth {
            evaluate::record(&run, truth, progress)?;
        }
        results.rows.push(row(study, case, name, &run)?);
        results.write(&place)?;
    }
    Ok(results)
}

/// What came of a case.
fn row(study: &Study, case: &Case<'_>, name: String, run: &RunDir) -> Result<Row> {
    let (variant, subject) = (&case.variant, &case.subject);
    let summary: Summary = run
        .read_json(&run.metrics())?
        .ok_or_else(|| Error::file(run.metrics(), "missing; delete the run folder to make it anew"))?;
    let provenance = Provenance::read(run)?;
    let device = tomosieve_nn::device::by_name(&variant.config.device)?;
    let settings = variant.settings.iter();
    Ok(Row {
        name,
        volume: subject.name.clone(),
        variant: variant.name.clone(),
        settings: settings.map(|(name, value)| (name.clone(), serde_json::json!(value))).collect(),
        run: case.folder.clone(),
        parameters: model::load(&run.model(), &device)?.predictor.network.num_params(),
        evaluation: summary.evaluation.filter(|_| subject.truth.is_some()).unwrap_or(Value::Null),
        confidence: summary.confidence,
        changed: summary.changed,
        fractions: summary.classes.iter().map(|class| class.fraction).collect(),
        guard: provenance.correction.and_then(|outcome| outcome.alarm).map(|alarm| alarm.to_string()),
        seconds: provenance.seconds,
        paper: study.paper.get(&variant.name).or_else(|| study.paper.get(&subject.name)).copied(),
    })
}

/// Where the run folders of all studies are.
fn runs(folder: &Path) -> PathBuf {
    folder.join("runs")
}

/// All run folders of all studies.
fn known(folder: &Path) -> Result<Vec<Known>> {
    let mut found = Vec::new();
    let mut folders = vec![runs(folder)];
    while let Some(folder) = folders.pop() {
        if RunDir::open(&folder).is_ok() {
            found.push(Known::read(&folder)?);
            continue;
        }
        let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        folders.extend(entries.map(|entry| entry.path()).filter(|path| path.is_dir()));
    }
    found.sort_by(|a, b| a.root.cmp(&b.root));
    Ok(found)
}

/// A name as a part of a path.
fn path_name(name: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "+-=.,_".contains(c);
    name.chars().map(|c| if plain(c) { c } else { '_' }).collect()
}
