//! The command line as typed, and the configuration it means.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use tomosieve::config::Layers;
use tomosieve::stages::evaluate::Special;
use tomosieve::{Config, Error, Result, study};
use tomosieve_volume::{Shape, VoxelType};

mod convert;
mod raw;

pub(crate) use convert::Convert;
pub(crate) use raw::Raw;

/// Segments synchrotron CT volumes into their material phases: no label, no pre-trained model.
#[derive(Debug, Parser)]
#[command(name = "tomosieve", version, max_term_width = 100)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Settings of every command.
    #[command(flatten)]
    pub global: Global,
}

/// Settings of every command.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Threads to use; 0 = one per core. Results do not depend on it
    #[arg(long, global = true, value_name = "N")]
    pub threads: Option<usize>,
    /// Print machine-readable JSON on stdout
    #[arg(long, global = true)]
    pub json: bool,
    /// Say nothing but errors
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Segment a volume: cluster, train, correct, predict, report
    Segment(Run),
    /// Stage 1 alone: cluster voxel values into pseudo labels
    Cluster(Cluster),
    /// Stage 2 alone: train the network on the pseudo labels
    Train(Resume),
    /// Stage 3 alone: let the network correct itself
    Correct(Resume),
    /// Segment the whole volume with the corrected network
    Predict(Resume),
    /// Compare a run, or any label volume, with a truth
    Evaluate(Evaluate),
    /// Show where the networks of a run find what speaks for each class: Grad-CAM heat maps of a slice
    Explain(Explain),
    /// One of the paper's studies: many runs that differ in one thing, as a table and a figure
    Study(Study),
    /// Tell what a volume is: axes, shape, type, range, and how each was inferred
    Inspect(Inspect),
    /// Copy a volume into another format: TIFF, OME-Zarr, HDF5, NRRD, MHA, NIfTI or .npy
    Convert(Convert),
    /// Make a synthetic CT volume with its exact truth
    Phantom(Phantom),
    /// Write the complete commented configuration
    Init(Init),
    /// List everything that can be named: clusterings, networks, losses, views, presets, recipes, studies,
    /// formats, devices
    List,
    /// Segment the real volume that ships with the repository and a phantom, and say where to look
    Demo(Demo),
}

/// A volume and the run made from it.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// A folder of TIFF slices, TIFF, HDF5, Zarr, NRRD, MHA, NIfTI, MRC, .npy, or a raw file (with --shape)
    pub input: PathBuf,
    /// The run folder
    #[arg(long, short)]
    pub output: PathBuf,
    /// How to read the volume.
    #[command(flatten)]
    pub raw: Raw,
    /// The settings.
    #[command(flatten)]
    pub settings: Settings,
    /// How to go about it.
    #[command(flatten)]
    pub manner: Manner,
}

/// Arguments of `cluster`.
#[derive(Debug, Args)]
pub(crate) struct Cluster {
    /// The volume and the run.
    #[command(flatten)]
    pub run: Run,
    /// Instead of clustering, draw inertia, silhouette and BIC over so many classes, such as 2..12
    #[arg(long, value_name = "FROM..TO", value_parser = classes)]
    pub scan_k: Option<RangeInclusive<usize>>,
}

/// A run folder to go on with.
#[derive(Debug, Args)]
pub(crate) struct Resume {
    /// The run folder
    pub run: PathBuf,
    /// The settings.
    #[command(flatten)]
    pub settings: Settings,
    /// How to go about it.
    #[command(flatten)]
    pub manner: Manner,
}

/// How to go about it.
#[derive(Debug, Args)]
pub(crate) struct Manner {
    /// Redo stages whose results were made with other settings
    #[arg(long)]
    pub force: bool,
    /// Print what would be done, and the memory, disk and time it would take
    #[arg(long)]
    pub dry_run: bool,
}

/// Settings of a run; each is also in the configuration.
#[derive(Debug, Args)]
pub(crate) struct Settings {
    /// K, the number of classes, or `auto` to have it found [default: 4]
    #[arg(long, short = 'k', value_name = "K", value_parser = class_count)]
    pub classes: Option<usize>,
    /// quick (minutes, the default), standard (three times as long) or paper (the paper's own settings)
    #[arg(long, value_name = "NAME")]
    pub preset: Option<String>,
    /// A configuration file; `tomosieve init` writes one to start from
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Seed of every random draw
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Where the network runs: cpu, or a GPU family this build has, such as cuda:0
    #[arg(long, value_name = "NAME")]
    pub device: Option<String>,
    /// Most memory to use, such as 8GiB [default: half of the machine's]
    #[arg(long, value_name = "SIZE")]
    pub max_memory: Option<String>,
    /// Clustering of stage 1
    #[arg(long, value_name = "NAME")]
    pub method: Option<String>,
    /// Network of stages 2 and 3
    #[arg(long, value_name = "NAME")]
    pub network: Option<String>,
    /// Loss of stages 2 and 3
    #[arg(long, value_name = "NAME")]
    pub loss: Option<String>,
    /// Adjacent slices the network sees
    #[arg(long, value_name = "N")]
    pub slices: Option<usize>,
    /// Any other setting, such as correct.threshold=0.7; may be given many times
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

impl Settings {
    /// The configuration that these settings mean on top of `base`: what a run folder already holds, or
    /// the defaults.
    pub(crate) fn resolve(&self, base: Option<&Path>, threads: Option<usize>) -> Result<Config> {
        let layers = Layers::defaults()?;
        self.on(if let Some(base) = base { layers.file(base)? } else { layers }, None, threads)
    }

    /// The configuration that these settings mean for a study; its own settings come right after the preset.
    pub(crate) fn resolve_study(&self, study: &study::Study, threads: Option<usize>) -> Result<Config> {
        self.on(Layers::defaults()?, Some(study), threads)
    }

    /// These settings on top of some layers.
    fn on(&self, mut layers: Layers, study: Option<&study::Study>, threads: Option<usize>) -> Result<Config> {
        if let Some(preset) = &self.preset {
            layers = layers.preset(preset)?;
        }
        if let Some(study) = study {
            layers = layers.merged(study.settings.clone())?;
        }
        if let Some(file) = &self.config {
            layers = layers.file(file)?;
        }
        let numbers = [("input.classes", self.classes), ("input.slices", self.slices), ("threads", threads)];
        let words = [
            ("device", &self.device),
            ("max_memory", &self.max_memory),
            ("cluster.method", &self.method),
            ("network.name", &self.network),
            ("loss.name", &self.loss),
        ];
        let numbers = numbers.iter().filter_map(|(key, n)| n.map(|n| format!("{key}={n}")));
        let words = words.iter().filter_map(|(key, w)| w.as_ref().map(|w| format!("{key}={w:?}")));
        let seed = self.seed.map(|seed| format!("seed={seed}"));
        layers.set_all(numbers.chain(words).chain(seed).chain(self.set.iter().cloned()))?.build()
    }
}

/// Arguments of `evaluate`.
#[derive(Debug, Args)]
pub(crate) struct Evaluate {
    /// A run folder, or a label volume
    pub labels: PathBuf,
    /// The truth: a label volume of the same shape
    pub truth: PathBuf,
    /// Which truth labels are special.
    #[command(flatten)]
    pub special: TruthLabels,
    /// End with exit code 5 when the mIoU of the result is below this, 0 to 1
    #[arg(long, value_name = "MIOU")]
    pub fail_under: Option<f64>,
}

/// Which truth labels are special.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct TruthLabels {
    /// The truth's background class, which the first two scores leave out
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub background: u8,
    /// The truth's label of voxels that do not count
    #[arg(long, value_name = "N", default_value_t = 255)]
    pub ignore: u8,
}

impl TruthLabels {
    /// As the library has it.
    pub(crate) fn special(self) -> Special {
        Special { background: self.background, ignore: self.ignore }
    }
}

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The run folder; heat maps go into its explain/
    pub run: PathBuf,
    /// z of the slice, from 0
    #[arg(long, value_name = "Z")]
    pub slice: usize,
    /// One class alone [default: all]
    #[arg(long, value_name = "C")]
    pub class: Option<usize>,
    /// The activation to ask at, such as encoder.2 [default: the last of the coarsest]
    #[arg(long, value_name = "NAME")]
    pub layer: Option<String>,
}

/// Arguments of `study`.
#[derive(Debug, Args)]
pub(crate) struct Study {
    /// A study of `tomosieve list`, such as networks; or a name of your own with --axes
    pub name: String,
    /// The volume; with several, every variant runs on each
    #[arg(required = true)]
    pub inputs: Vec<PathBuf>,
    /// Folder that gets NAME.md, .csv, .json and .png, and the runs; studies in one folder share results
    #[arg(long, short)]
    pub output: PathBuf,
    /// The truth; once for each volume, in their order, - where there is none
    #[arg(long, value_name = "LABELS")]
    pub truth: Vec<PathBuf>,
    /// Which truth labels are special.
    #[command(flatten)]
    pub special: TruthLabels,
    /// A TOML file whose [axes] take the place of the study's, with lines such as input.slices = [1, 5]
    #[arg(long, value_name = "FILE")]
    pub axes: Option<PathBuf>,
    /// How to read the volumes.
    #[command(flatten)]
    pub raw: Raw,
    /// The settings all variants start from.
    #[command(flatten)]
    pub settings: Settings,
    /// How to go about it.
    #[command(flatten)]
    pub manner: Manner,
}

/// Arguments of `inspect`.
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// The volume
    pub input: PathBuf,
    /// How to read it.
    #[command(flatten)]
    pub raw: Raw,
}

/// Arguments of `phantom`.
#[derive(Debug, Args)]
pub(crate) struct Phantom {
    /// intergrowth, sand or ceramic
    pub name: String,
    /// Folder that gets volume/, truth/ and phantom.json
    #[arg(long, short)]
    pub output: PathBuf,
    /// Voxels
    #[arg(long, value_name = "Z,Y,X", value_parser = shape, default_value = "32,192,192")]
    pub shape: Shape,
    /// Seed of shapes and noise
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Noise relative to the sample's own
    #[arg(long, default_value_t = 1.0)]
    pub noise: f32,
    /// ct = simulated scan and reconstruction; noise = the same noise added directly, for huge volumes
    #[arg(long, value_enum, default_value_t = Acquisition::Ct)]
    pub acquisition: Acquisition,
    /// Replace a phantom that is there
    #[arg(long)]
    pub force: bool,
}

/// How a phantom's image is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Acquisition {
    /// Simulated scan and reconstruction.
    Ct,
    /// Blur and correlated noise.
    Noise,
}

/// Arguments of `init`.
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The file to write, or - for stdout
    #[arg(default_value = "tomosieve.toml")]
    pub file: PathBuf,
    /// Replace a file that is there
    #[arg(long)]
    pub force: bool,
}

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Folder that gets the results
    #[arg(long, short, default_value = "demo")]
    pub output: PathBuf,
}

/// Parses `Z,Y,X`.
fn shape(text: &str) -> std::result::Result<Shape, String> {
    let axes: Vec<usize> = text.split(',').filter_map(|part| part.trim().parse().ok()).collect();
    match axes[..] {
        [z, y, x] if z > 0 && y > 0 && x > 0 && text.split(',').count() == 3 => Ok(Shape::new(z, y, x)),
        _ => Err("expected three positive numbers such as 64,512,512 (slices, rows, columns)".into()),
    }
}

/// A number of classes; 0 for `auto`.
fn class_count(text: &str) -> std::result::Result<usize, String> {
    let number = if text == "auto" { Some(0) } else { text.parse().ok().filter(|count| *count != 0) };
    number.ok_or_else(|| "expected a number of classes such as 4, or `auto`".into())
}

/// Parses `FROM..TO`, both included.
fn classes(text: &str) -> std::result::Result<RangeInclusive<usize>, String> {
    let ends = text.split_once("..").and_then(|(from, to)| {
        Some((from.trim().parse().ok()?, to.trim_start_matches('=').trim().parse().ok()?))
    });
    match ends {
        Some((from, to)) if 2 <= from && from <= to && to <= 255 => Ok(from..=to),
        _ => Err("expected two numbers of classes from 2 to 255, such as 2..12".into()),
    }
}

/// Parses a voxel type.
fn voxel_type(text: &str) -> std::result::Result<VoxelType, String> {
    VoxelType::from_name(text).ok_or_else(|| {
        let known: Vec<&str> = VoxelType::ALL.iter().map(|t| t.name()).collect();
        format!("expected one of {}", known.join(", "))
    })
}

/// An [`Error::Input`] for a path that is not there at all.
pub(crate) fn must_exist(path: &Path) -> Result<()> {
    if tomosieve_volume::exists(path) {
        return Ok(());
    }
    Err(Error::Input(format!("`{}`: no such file or folder", path.display())))
}
