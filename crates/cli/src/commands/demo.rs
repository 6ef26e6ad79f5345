//! `tomosieve demo`: a real volume and a phantom, from nothing to a result one can look at.

use std::path::Path;

use tomosieve::config::Layers;
use tomosieve::input::Input;
use tomosieve::phantom::{PhantomSpec, Sample};
use tomosieve::progress::Progress;
use tomosieve::run_dir::RunDir;
use tomosieve::stages::evaluate::Special;
use tomosieve::{Error, Result, phantom_files, pipeline};
use tomosieve_volume::OpenOptions;

use super::{evaluate_labels, print, show_evaluation, threads};
use crate::args::{Demo, Global};
use crate::progress::Screen;

/// A crop of real micro-CT; `examples/bone/README.md` says whose.
const BONE: &[u8] = include_bytes!("../../../../examples/bone/bone.tif");

/// Segments both and says where to look.
pub(super) fn run(args: &Demo, global: &Global, screen: &Screen) -> Result<()> {
    threads(global.threads.unwrap_or(0))?;
    let folder = &args.output;
    std::fs::create_dir_all(folder)
        .map_err(|e| Error::RunFile { path: folder.clone(), reason: format!("cannot be made: {e}") })?;

    screen.note("1/2 trabecular bone, a real micro-CT volume, in 2 classes");
    let bone = folder.join("bone.tif");
    std::fs::write(&bone, BONE)
        .map_err(|e| Error::RunFile { path: bone.clone(), reason: format!("cannot be written: {e}") })?;
    let bone_run = segment(&bone, &folder.join("bone"), 2, screen)?;

    screen.note("2/2 intergrowth, a synthetic volume with a known truth, in 4 classes");
    let phantom = folder.join("intergrowth");
    if !phantom.join("phantom.json").exists() {
        phantom_files::write(PhantomSpec::new(Sample::Intergrowth, 0), &phantom, true, screen)?;
    }
    let run = segment(&phantom.join("volume"), &phantom.join("run"), 4, screen)?;
    let truth = phantom.join("truth");
    let special = Special { background: 0, ignore: 255 };
    let evaluation = evaluate_labels(run.root(), &truth, special, screen)?;
    show_evaluation(&evaluation, global.json)?;
    if global.json {
        return Ok(());
    }
    print(&format!("look at  {} and {}", bone_run.report().display(), run.report().display()))?;
    print(&format!("pictures {} and {}", bone_run.previews().display(), run.previews().display()))
}

/// A whole run with the quick preset.
fn segment(volume: &Path, output: &Path, classes: usize, screen: &Screen) -> Result<RunDir> {
    let options = OpenOptions::default();
    let input = Input::open(volume, &options)?;
    let config = Layers::defaults()?.preset("quick")?.set(&format!("input.classes={classes}"))?.build()?;
    pipeline::segment(config, &input, &options, output, screen)
}
