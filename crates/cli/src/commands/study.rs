//! `tomosieve study`: one of the paper's studies, or one of the user's own.

use std::path::{Path, PathBuf};

use serde_json::json;
use tomosieve::input::Input;
use tomosieve::ledger::Stage;
use tomosieve::progress::Progress;
use tomosieve::run_dir::RunDir;
use tomosieve::stages::evaluate::Truth;
use tomosieve::study::{self, Case, Source, Subject};
use tomosieve::{Error, Result, plan};

use super::{print, threads};
use crate::args::{self, Global, Study};
use crate::progress::Screen;

/// Expands the study, then shows or runs it.
pub(super) fn run(args: &Study, global: &Global, screen: &Screen) -> Result<()> {
    let study = study::Study::find(&args.name, args.axes.as_deref())?;
    let base = args.settings.resolve_study(&study, global.threads)?;
    study.variants(&base)?; // what is wrong with a setting is said before any volume is read
    threads(base.threads)?;
    let subjects = subjects(args)?;
    let cases = study::cases(&study, &base, &subjects, &args.output)?;
    let several = subjects.len() > 1;
    if args.manner.dry_run {
        let sources = study::prospect(&cases, &args.output)?;
        return show(&cases, &sources, several, &args.output, global.json);
    }
    let results = study::run(&study, &cases, &args.output, screen, args.manner.force)?;
    if global.json {
        return print(&json!(results).to_string());
    }
    print(results.markdown().trim_end())?;
    let table = args.output.join(format!("{}.md", study.name));
    screen.note(&format!("done; look at {} and the figure beside it", table.display()));
    Ok(())
}

/// Opens the volumes and their truths.
fn subjects(args: &Study) -> Result<Vec<Subject>> {
    let (inputs, truths) = (&args.inputs, &args.truth);
    if !truths.is_empty() && truths.len() != inputs.len() {
        return Err(Error::Config(format!(
            "{} volumes, but {} times --truth; expected one for each volume, - where there is none",
            inputs.len(),
            truths.len()
        )));
    }
    inputs
        .iter()
        .chain(truths.iter().filter(|path| *path != Path::new("-")))
        .try_for_each(|p| args::must_exist(p))?;
    let options = args.raw.options();
    let mut subjects = Vec::with_capacity(inputs.len());
    for (i, (path, name)) in inputs.iter().zip(names(inputs)).enumerate() {
        let input = Input::open(path, &options)?;
        plan::check_size(input.shape())?;
        let truth = match truths.get(i).filter(|path| *path != Path::new("-")) {
            Some(truth) => Some(Truth::new(RunDir::open_labels(truth)?, args.special.special())?),
            None => None,
        };
        subjects.push(Subject { name, input, options: options.clone(), truth });
    }
    Ok(subjects)
}

/// What the volumes are called: the last part of their paths that tells them apart.
fn names(paths: &[PathBuf]) -> Vec<String> {
    let part = |path: &PathBuf, back: usize| {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
        let place = path.ancestors().nth(back).unwrap_or(&path).to_owned();
        let name = if place.is_dir() { place.file_name() } else { place.file_stem() };
        name.unwrap_or_default().to_string_lossy().into_owned()
    };
    let different = |names: &[String]| (1..names.len()).all(|i| !names[..i].contains(&names[i]));
    (0..4)
        .map(|back| paths.iter().map(|path| part(path, back)).collect::<Vec<_>>())
        .find(|names| different(names))
        .unwrap_or_else(|| (1..=paths.len()).map(|i| format!("volume {i}")).collect())
}

/// Prints the cases and where their results will come from.
fn show(cases: &[Case<'_>], sources: &[Source], several: bool, output: &Path, json: bool) -> Result<()> {
    let name = |folder: &Path| {
        let case = cases.iter().find(|case| case.folder == folder);
        case.map_or_else(
            || folder.strip_prefix(output).unwrap_or(folder).display().to_string(),
            |case| case.name(several),
        )
    };
    if json {
        let list: Vec<_> = cases
            .iter()
            .zip(sources)
            .map(|(case, source)| {
                let (name, settings) = (case.name(several), &case.variant.settings);
                json!({ "name": name, "run": case.folder, "settings": settings, "source": source })
            })
            .collect();
        return print(&json!(list).to_string());
    }
    let widest = cases.iter().map(|case| case.name(several).len()).max().unwrap_or(0);
    for (case, source) in cases.iter().zip(sources) {
        let mut words = Vec::new();
        if let Some(stage) = source.own {
            words.push(format!("{} done", up_to(None, stage)));
        }
        if let Some((stage, from)) = &source.taken {
            words.push(format!("{} from {}", up_to(source.own, *stage), name(from)));
        }
        let there = source.taken.as_ref().map(|(stage, _)| *stage).max(source.own);
        let left: Vec<String> = Stage::ALL
            .into_iter()
            .filter(|stage| Some(*stage) > there)
            .map(|stage| match (&source.longer, stage) {
                (Some(from), Stage::Train) => format!("train from the end of {}", name(from)),
                _ => stage.name().to_owned(),
            })
            .collect();
        if !left.is_empty() {
            words.push(format!("to do: {}", left.join(", ")));
        }
        print(&format!("{:widest$}  {}", case.name(several), words.join(" · ")))?;
    }
    Ok(())
}

/// The stages after `after` up to `stage`, in words.
fn up_to(after: Option<Stage>, stage: Stage) -> String {
    let stages = Stage::ALL.into_iter().filter(|s| Some(*s) > after && *s <= stage);
    stages.map(Stage::name).collect::<Vec<_>>().join(", ")
}
