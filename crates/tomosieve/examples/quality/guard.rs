//! What the guard of stage 3 and the score without labels are worth: of a study in which every run was made with
//! the guard and without it.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;
use tomosieve::guard::falls_short;
use tomosieve::provenance::Provenance;
use tomosieve::run_dir::RunDir;
use tomosieve::stages::correct::Scores;
use tomosieve::{Config, Error, Result};

/// A result is bad when it is so many points of mIoU below its pseudo labels, and one worse than another by as much.
const POINTS: f64 = 0.5;

#[derive(Debug, Deserialize)]
struct Results {
    rows: Vec<Row>,
}

/// A run of a study.
#[derive(Debug, Deserialize)]
pub(crate) struct Row {
    pub(crate) volume: String,
    settings: BTreeMap<String, Value>,
    run: std::path::PathBuf,
    evaluation: Value,
}

/// What a run came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    /// mIoU, per cent, above the pseudo labels'.
    pub(crate) gain: f64,
    /// Score of the result, without labels.
    pub(crate) correct: f64,
    /// Score of the result, as a multiple of the pseudo labels' and of stage 2's.
    relative: [f64; 2],
}

impl Run {
    fn is_bad(self) -> bool {
        self.gain < -POINTS
    }
}

/// Prints the tables of the studies in these JSON files.
pub(crate) fn table(paths: &[&str]) -> Result<()> {
    // Runs without and with the guard that have everything else in common.
    let mut pairs: BTreeMap<String, [Option<Run>; 2]> = BTreeMap::new();
    for mut row in rows(paths)? {
        let guarded = row.settings.remove("correct.guard") == Some(Value::Bool(true));
        let key = format!("{} {:?}", row.volume, row.settings);
        pairs.entry(key).or_default()[usize::from(guarded)] = Some(run(&row)?);
    }
    let pairs: Vec<(&str, [Run; 2])> = pairs
        .iter()
        .filter_map(|(key, [free, guarded])| Some((key.split(' ').next()?, [(*free)?, (*guarded)?])))
        .collect();
    if pairs.is_empty() {
        return Err(Error::Input("no run of these studies was made both with and without guard".into()));
    }
    summary(&pairs);
    warnings(&pairs, Config::defaults()?.correct.guard_score);
    correlation(&pairs);
    Ok(())
}

/// The runs of the studies in these JSON files.
pub(crate) fn rows(paths: &[&str]) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for path in paths {
        let failed = |e: String| Error::Input(format!("`{path}`: {e}; expected the JSON of a study"));
        let text = std::fs::read_to_string(path).map_err(|e| failed(e.to_string()))?;
        let mut found = serde_json::from_str::<Results>(&text).map_err(|e| failed(e.to_string()))?.rows;
        if let (2.., Some(folder)) = (paths.len(), Path::new(path).parent()) {
            // Studies of one volume each may all call it by the same name.
            found.iter_mut().for_each(|row| row.volume = format!("{}/{}", folder.display(), row.volume));
        }
        rows.extend(found);
    }
    Ok(rows)
}

/// What a run came to.
pub(crate) fn run(row: &Row) -> Result<Run> {
    let miou = |stage: &str| 100.0 * row.evaluation["stages"][stage]["miou"].as_f64().unwrap_or(f64::NAN);
    let outcome = Provenance::read(&RunDir::open(&row.run)?)?.correction;
    let (correct, relative) = outcome.map_or((f64::NAN, [f64::NAN; 2]), |outcome| {
        let Scores { pseudo_labels, train, correct } = outcome.scores;
        (correct, [correct / pseudo_labels, correct / train])
    });
    Ok(Run { gain: miou("correct") - miou("pseudo_labels"), correct, relative })
}

/// How the results are without the guard and with it.
fn summary(pairs: &[(&str, [Run; 2])]) {
    println!("| {} runs each | without guard | with guard |\n|---|--:|--:|", pairs.len());
    let line = |what: &str, of: &dyn Fn(&[f64]) -> f64| {
        let [free, guarded] = [0, 1].map(|i| {
            let mut gains: Vec<f64> = pairs.iter().map(|(_, pair)| pair[i].gain).collect();
            gains.sort_by(f64::total_cmp);
            of(&gains)
        });
        println!("| {what} | {free:+.1} | {guarded:+.1} |");
    };
    line("mean gain in mIoU over the pseudo labels, points", &|gains| {
        gains.iter().sum::<f64>() / gains.len() as f64
    });
    line("median", &|gains| gains[gains.len() / 2]);
    line("worst", &|gains| gains[0]);
    let bad = [0, 1].map(|i| pairs.iter().filter(|(_, pair)| pair[i].is_bad()).count());
    println!("| bad: more than {POINTS} points below the pseudo labels | {} | {} |", bad[0], bad[1]);
    let caught = pairs.iter().filter(|(_, [free, guarded])| free.is_bad() && !guarded.is_bad()).count();
    let good = pairs.iter().filter(|(_, [free, _])| !free.is_bad());
    let spoilt = good.clone().filter(|(_, [free, guarded])| guarded.gain < free.gain - POINTS).count();
    let spoilt_badly = good.clone().filter(|(_, [_, guarded])| guarded.is_bad()).count();
    let percent = |part: usize, whole: usize| 100.0 * part as f64 / whole.max(1) as f64;
    println!("\nOf the {} bad runs the guard saves {caught} ({:.0} %).", bad[0], percent(caught, bad[0]));
    println!(
        "Of the {} others it ends {spoilt} ({:.0} %) at more than {POINTS} points below what they would have reached, \
         {spoilt_badly} of them below their pseudo labels.",
        good.clone().count(),
        percent(spoilt, good.count())
    );
}

/// Of which results the report would say that they fit the image less well than their pseudo labels, by more than is forgiven.
fn warnings(pairs: &[(&str, [Run; 2])], forgiven: f64) {
    let runs = || pairs.iter().flat_map(|(_, pair)| pair);
    let of = |bad: bool| runs().filter(move |run| run.is_bad() == bad);
    let warned = |bad| of(bad).filter(|run| falls_short(run.relative[0], 1.0, forgiven)).count();
    println!(
        "\nOf the {} results below their pseudo labels, guard or no guard, the report warns of {}; of the {} others it warns of {}.",
        of(true).count(),
        warned(true),
        of(false).count(),
        warned(false)
    );
}

/// How the score goes with the truth: all runs, then those of each volume.
fn correlation(pairs: &[(&str, [Run; 2])]) {
    let runs: Vec<(&str, Run)> = pairs.iter().flat_map(|(name, pair)| pair.map(|run| (*name, run))).collect();
    println!(
        "\n| rank correlation of the gain in mIoU with | the score / that of the pseudo labels | / that of stage 2 |"
    );
    println!("|---|--:|--:|");
    let line = |what: &str, runs: &[Run]| {
        let gains: Vec<f64> = runs.iter().map(|run| run.gain).collect();
        let [to_pseudo_labels, to_stage2] = [0, 1].map(|i| {
            let scores: Vec<f64> = runs.iter().map(|run| run.relative[i]).collect();
            spearman(&scores, &gains)
        });
        println!("| {what} | {to_pseudo_labels:.2} | {to_stage2:.2} |");
    };
    line(&format!("all {} runs", runs.len()), &runs.iter().map(|(_, run)| *run).collect::<Vec<_>>());
    let mut names: Vec<&str> = runs.iter().map(|(name, _)| *name).collect();
    names.dedup();
    for name in names {
        line(name, &runs.iter().filter(|(of, _)| *of == name).map(|(_, run)| *run).collect::<Vec<_>>());
    }
}

/// Spearman's rank correlation; equal values share their mean rank.
pub(crate) fn spearman(a: &[f64], b: &[f64]) -> f64 {
    let ranks = |values: &[f64]| -> Vec<f64> {
        let rank = |v: &f64| {
            let below = values.iter().filter(|other| *other < v).count();
            let equal = values.iter().filter(|other| *other == v).count();
            below as f64 + (equal as f64 - 1.0) / 2.0
        };
        values.iter().map(rank).collect()
    };
    let (a, b) = (ranks(a), ranks(b));
    let mean = (a.len() as f64 - 1.0) / 2.0;
    let covariance =
        |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| (x - mean) * (y - mean)).sum::<f64>();
    covariance(&a, &b) / (covariance(&a, &a) * covariance(&b, &b)).sqrt()
}
