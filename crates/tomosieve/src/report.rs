//! `report.md`: the run on one page, for people.

use std::fmt::Write as _;

use crate::classes::{Found, instead};
use crate::config::Config;
use crate::denoised::{Denoised, Peak};
use crate::ledger::Stage;
use crate::provenance::Provenance;
use crate::run_dir::RunDir;
use crate::settling::Check;
use crate::stages::correct::{Outcome, Scores};
use crate::stages::train::Learning;
use crate::summary::Summary;
use crate::{Error, Result};

/// Writes the report of a finished run.
///
/// # Errors
/// When the metrics are missing or the report cannot be written.
pub fn write(run: &RunDir, config: &Config, provenance: &Provenance) -> Result<()> {
    let summary: Summary = run
        .read_json(&run.metrics())?
        .ok_or_else(|| Error::file(run.metrics(), "missing; run `tomosieve predict` first"))?;
    let path = run.report();
    let text = compose(run, config, provenance, &summary).map_err(|e| Error::file(&path, e))?;
    run.write(&path, text.as_bytes())
}

/// Of a class with less than this share of its pseudo labels hardly anything is left.
const HARDLY: f64 = 0.2;

/// A share in words.
fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

/// The report's text.
fn compose(
    run: &RunDir,
    config: &Config,
    provenance: &Provenance,
    summary: &Summary,
) -> std::result::Result<String, std::fmt::Error> {
    let mut out = String::new();
    let input = &provenance.input;
    let [z, y, x] = input.shape;
    writeln!(out, "# Segmentation of {}\n", input.path.file_name().unwrap_or_default().to_string_lossy())?;
    if let Some(asked) = provenance.asked {
        writeln!(out, "> **{}**.\n", instead(asked, config.input.classes))?;
    }
    if let Some(outcome) = &provenance.correction
        && let Some(alarm) = &outcome.alarm
    {
        let shipped = match outcome.steps {
            0 => "the network of stage 2 made this result".to_owned(),
            steps => format!("the teacher after {steps} steps made this result"),
        };
        writeln!(out, "> **Self-correction {}**: {alarm}; {shipped}.\n", alarm.meaning())?;
    }
    if let Some(warning) = provenance.correction.as_ref().and_then(|outcome| outcome.warning(config)) {
        writeln!(out, "> **Look twice**: {warning}.\n")?;
    }
    writeln!(
        out,
        "{z} × {y} × {x} voxels ({}, {}) in {} classes; {} of the voxels changed class between pseudo labels \
         and result; mean confidence {}.\n",
        input.format,
        input.voxel_type,
        summary.classes.len(),
        percent(summary.changed),
        percent(summary.confidence)
    )?;
    if let Ok(Some(found)) = run.read_json::<Found>(&run.classes())
        && found.classes == config.input.classes
    {
        writeln!(out, "The number of classes was found: {found}.\n")?;
    }
    if let Some(shading) = &summary.shading {
        writeln!(out, "Shading: {shading}. All below is of what was left.\n")?;
    }
    if let Ok(Some(learning)) = Learning::read(run) {
        learned(&mut out, &learning)?;
    }
    if let Some(denoised) = run.read_json::<Denoised>(&run.denoised()).ok().flatten() {
        without_noise(&mut out, &denoised.peaks(), config.input.classes)?;
    }
    if let Some(outcome) = &provenance.correction {
        let Scores { pseudo_labels, train, correct } = outcome.scores;
        let network = match outcome.steps {
            0 => "of stage 2".to_owned(),
            steps => format!("after {steps} steps of stage 3"),
        };
        writeln!(
            out,
            "How well the maps fit the image, without labels: {pseudo_labels:.3} for the pseudo labels, {train:.3} after \
             stage 2, {correct:.3} for the result, which is the network {network}. Boundaries count where the grey values \
             of the neighbouring slices change across them, and against it where they do not; what comes of that is \
             divided by how much these values vary within the classes.\n",
        )?;
        starts(&mut out, outcome)?;
    }
    if summary.non_finite > 0 {
        writeln!(
            out,
            "{} voxels were NaN or infinite and were treated as background.\n",
            summary.non_finite
        )?;
    }
    classes(&mut out, summary)?;
    against_the_truth(&mut out, summary)?;
    pictures(&mut out, run)?;
    writeln!(out, "## How it was made\n")?;
    writeln!(out, "- {}, method of {}", provenance.program, provenance.method)?;
    writeln!(out, "- input `{}`, fingerprint `{}`", input.path.display(), &input.fingerprint[..16])?;
    writeln!(out, "- command `{}`", provenance.command.join(" "))?;
    writeln!(
        out,
        "- clustering {}, network {} {:?}, loss {}, {} slices, seed {}, device {}",
        config.cluster.method,
        config.network.name,
        config.network.levels(),
        config.loss.name,
        config.input.slices,
        config.seed,
        config.device
    )?;
    for stage in Stage::ALL.map(Stage::name) {
        let Some(seconds) = provenance.seconds.get(stage) else { continue };
        writeln!(out, "- {stage}: {seconds:.1} s")?;
    }
    writeln!(
        out,
        "\nAll settings are in `config.toml`; `tomosieve segment` with them and this volume gives the same bytes."
    )?;
    Ok(out)
}

/// The classes: their grey values, their shares before and after, and how sure the network is of them.
fn classes(out: &mut String, summary: &Summary) -> std::fmt::Result {
    writeln!(out, "| class | mean grey value | pseudo labels | result | confidence |")?;
    writeln!(out, "|--:|--:|--:|--:|--:|")?;
    for c in &summary.classes {
        let (before, after, sure) =
            (percent(c.pseudo_label_fraction), percent(c.fraction), percent(c.confidence));
        writeln!(out, "| {} | {:.4} | {before} | {after} | {sure} |", c.class, c.mean_grey_value)?;
    }
    writeln!(out, "\nShares are of all voxels; classes ascend in mean grey value.\n")?;
    for c in summary.classes.iter().filter(|c| c.fraction < HARDLY * c.pseudo_label_fraction) {
        let others = summary.flow.get(c.class).into_iter().flatten().enumerate();
        let most = others.filter(|(other, _)| *other != c.class).max_by_key(|(_, voxels)| **voxels);
        let taken = most.map_or(String::new(), |(other, _)| format!("; most of it went to class {other}"));
        writeln!(
            out,
            "**Of class {} hardly anything is left: {} of the voxels, where it had {}{taken}.** If it was no phase of its own, \
             one class less would do; if it was, it is lost. Look for it in the pseudo labels.\n",
            c.class,
            percent(c.fraction),
            percent(c.pseudo_label_fraction)
        )?;
    }
    Ok(())
}

/// Slices and charts.
fn pictures(out: &mut String, run: &RunDir) -> std::fmt::Result {
    writeln!(out, "## Pictures\n\nSlice, pseudo labels, result, confidence (black 0, white 1).\n")?;
    let entries = std::fs::read_dir(run.previews()).into_iter().flatten().flatten();
    let mut pictures: Vec<String> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "png"))
        .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
        .filter(|name| name.starts_with("slice_"))
        .collect();
    pictures.sort();
    for picture in pictures {
        writeln!(out, "![{picture}](previews/{picture})\n")?;
    }
    if run.learning_picture().is_file() {
        writeln!(
            out,
            "What stage 2 found of the labels of each class while it learned, in the colours of the classes; a line stands \
             where its full learning rate was over.\n"
        )?;
        writeln!(out, "![learning.png](previews/learning.png)\n")?;
    }
    if run.denoised_picture().is_file() {
        writeln!(
            out,
            "How many voxels have which grey value, as scanned (grey) and without noise (blue; rims are left out), and its peaks.\n"
        )?;
        writeln!(out, "![denoised.png](previews/denoised.png)\n")?;
    }
    if run.flow_picture().is_file() {
        writeln!(out, "What became of each pseudo label.\n\n![flow.png](previews/flow.png)\n")?;
    }
    if run.reliability_picture().is_file() {
        writeln!(out, "How often the result is right where it is so sure.\n")?;
        writeln!(out, "![reliability.png](previews/reliability.png)\n")?;
    }
    Ok(())
}

/// When stage 2 ended, and why.
fn learned(out: &mut String, learning: &Learning) -> std::fmt::Result {
    let Learning { steps, most, full, checks, weights } = learning;
    let Some(Check { found: last, .. }) = checks.last() else { return Ok(()) };
    let recalls = last.recalls().map(|recall| recall.map_or("–".to_owned(), percent)).collect::<Vec<_>>();
    let found =
        format!("in the end the network found {} of the labels of its classes again", recalls.join(", "));
    match full {
        0 => writeln!(out, "Stage 2 took {steps} steps; {found}.\n"),
        _ if steps == most => writeln!(
            out,
            "Stage 2 took all of its {most} steps, and might have gone on to learn (`train.steps`); {found}.\n"
        ),
        _ => writeln!(
            out,
            "Stage 2 had settled after {full} of at most {most} steps and took {steps}; {found}.\n"
        ),
    }?;
    for (class, weight) in weights.iter().flatten().enumerate().filter(|(_, weight)| **weight != 1.0) {
        writeln!(
            out,
            "Of class {class} hardly anything was found at first. It is rare, and from then on weighed {weight:.1} times as much as the most frequent one (`train.rare`).\n"
        )?;
    }
    for class in last.hardly_found() {
        writeln!(
            out,
            "**Of class {class} less than a third was found in the end: the result may have lost it. Look for it in the pseudo labels.**\n"
        )?;
    }
    Ok(())
}

/// The peaks of the grey values without noise, and what they say of the number of classes.
fn without_noise(out: &mut String, peaks: &[Peak], classes: usize) -> std::fmt::Result {
    let values = peaks.iter().map(Peak::at).collect::<Vec<_>>().join(", ");
    let plural = if peaks.len() == 1 { "" } else { "s" };
    // A rare phase has none beside a frequent one, and a rim that is left may have one.
    let advice = if peaks.len() + 1 < classes {
        format!(" That is fewer than {classes} classes; some of these may be shades of one phase.")
    } else if peaks.len() > classes + 1 {
        format!(" That is more than {classes} classes; some of these may hold several phases.")
    } else {
        String::new()
    };
    writeln!(
        out,
        "Without their noise, as stage 2 knows them, grey values have {} peak{plural}: at {values}.{advice}\n",
        peaks.len()
    )
}

/// How the starts ended, if there was more than one.
fn starts(out: &mut String, outcome: &Outcome) -> std::fmt::Result {
    if outcome.starts.len() < 2 {
        return Ok(());
    }
    let (count, chosen) = (outcome.starts.len(), outcome.start + 1);
    writeln!(
        out,
        "Stages 2 and 3 were gone through {count} times; the result is that of start {chosen}: {}the one that fits \
         the image best.\n",
        if outcome.alarm.is_none() { "of the starts that the guard did not end, " } else { "" }
    )?;
    writeln!(out, "| start | fit after stage 2 | after stage 3 | ended by the guard |")?;
    writeln!(out, "|--:|--:|--:|---|")?;
    for (index, attempt) in outcome.starts.iter().enumerate() {
        let mark = if index == outcome.start { "**" } else { "" };
        let ended =
            attempt.alarm.map_or(String::new(), |alarm| format!("{alarm}; back to step {}", attempt.steps));
        let (start, train, correct) = (index + 1, attempt.train, attempt.correct);
        writeln!(out, "| {mark}{start}{mark} | {train:.3} | {mark}{correct:.3}{mark} | {ended} |")?;
    }
    writeln!(out)
}

/// The scores against a truth, if there was one.
fn against_the_truth(out: &mut String, summary: &Summary) -> std::fmt::Result {
    if let Some(stages) = summary.evaluation.as_ref().and_then(|e| e["stages"].as_object()) {
        writeln!(out, "## Against the truth\n\nWithout the background class.\n")?;
        writeln!(out, "| stage | accuracy | mIoU | IoU by truth class |\n|---|--:|--:|---|")?;
        for (name, key) in [("pseudo labels", "pseudo_labels"), ("stage 2", "train"), ("result", "correct")] {
            let Some(scores) = stages.get(key) else { continue };
            let number = |value: &serde_json::Value| value.as_f64().map_or("–".to_owned(), percent);
            let iou =
                scores["iou"].as_array().map(|iou| iou.iter().map(number).collect::<Vec<_>>().join(", "));
            let (accuracy, miou) = (number(&scores["accuracy"]), number(&scores["miou"]));
            writeln!(out, "| {name} | {accuracy} | {miou} | {} |", iou.unwrap_or_default())?;
        }
        writeln!(out)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settling::Found;
    use crate::summary::ClassSummary;

    #[test]
    fn it_says_which_class_is_gone_and_where_to() {
        let class = |class, pseudo_label_fraction, fraction| ClassSummary {
            class,
            mean_grey_value: 0.0,
            pseudo_label_fraction,
            fraction,
            confidence: 0.5,
        };
        let summary = Summary {
            model: "correct".to_owned(),
            voxels: 1000,
            non_finite: 0,
            shading: None,
            classes: vec![class(0, 0.3, 0.598), class(1, 0.3, 0.002), class(2, 0.4, 0.4)],
            changed: 0.3,
            confidence: 0.9,
            flow: vec![vec![300, 0, 0], vec![296, 2, 2], vec![2, 0, 398]],
            evaluation: None,
        };
        let mut out = String::new();
        classes(&mut out, &summary).unwrap();
        let said = "**Of class 1 hardly anything is left: 0.20 % of the voxels, where it had 30.00 %; most of it went to class 0.**";
        assert!(out.contains(said), "{out}");
        assert_eq!(out.matches("hardly anything").count(), 1, "{out}");
    }

    #[test]
    fn it_says_why_stage_2_ended() {
        let said = |steps, full| {
            let mut out = String::new();
            let check = |steps, same| Check { steps, found: Found { same, of: vec![1000, 500, 0] } };
            let checks = vec![check(100, vec![500, 100, 0]), check(steps, vec![876, 250, 0])];
            learned(&mut out, &Learning { steps, most: 4500, full, checks, weights: None }).unwrap();
            out.trim_end().to_owned()
        };
        let found = "in the end the network found 87.60 %, 50.00 %, – of the labels of its classes again.";
        assert_eq!(
            said(1500, 1000),
            format!("Stage 2 had settled after 1000 of at most 4500 steps and took 1500; {found}")
        );
        assert_eq!(
            said(4500, 3000),
            format!(
                "Stage 2 took all of its 4500 steps, and might have gone on to learn (`train.steps`); {found}"
            )
        );
        assert_eq!(said(4500, 0), format!("Stage 2 took 4500 steps; {found}"));
        let mut rare = String::new();
        let checks = vec![Check { steps: 100, found: Found { same: vec![900, 3], of: vec![1000, 10] } }];
        let weights = Some(vec![1.0, 10.0]);
        learned(&mut rare, &Learning { steps: 100, most: 100, full: 0, checks, weights }).unwrap();
        assert!(rare.contains("Of class 1 hardly anything was found at first."), "{rare}");
        assert!(rare.contains("weighed 10.0 times as much"), "{rare}");
        assert!(rare.contains("**Of class 1 less than a third was found in the end"), "{rare}");
        let mut nothing = String::new();
        learned(&mut nothing, &Learning { steps: 1, most: 1, full: 0, checks: Vec::new(), weights: None })
            .unwrap();
        assert_eq!(nothing, "");
    }

    #[test]
    fn it_says_how_many_peaks_there_are() {
        let peaks: Vec<Peak> =
            [0.1, 0.5, 0.7].map(|value| Peak { bin: 0, value, share: 0.3, valley: None }).to_vec();
        let said = |peaks: &[Peak], classes| {
            let mut out = String::new();
            without_noise(&mut out, peaks, classes).unwrap();
            out.trim_end().to_owned()
        };
        let three = "Without their noise, as stage 2 knows them, grey values have 3 peaks: at 0.1000, 0.5000, 0.7000.";
        assert_eq!(said(&peaks, 2), three);
        assert_eq!(said(&peaks, 4), three);
        assert!(said(&peaks, 5).ends_with("fewer than 5 classes; some of these may be shades of one phase."));
        let five = [&peaks[..], &peaks[..2]].concat();
        assert!(said(&five, 3).ends_with("more than 3 classes; some of these may hold several phases."));
        assert!(said(&peaks[..1], 2).contains("1 peak: at 0.1000."));
    }
}
