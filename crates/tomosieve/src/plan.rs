//! What a run will take, before it starts: memory, disk and time; and the settings fitted to the volume.
//!
//! Every share of memory that a stage gives itself is decided here, so that the parts add up to what
//! `max_memory` allows.

use std::path::Path;

use serde::Serialize;
use tomosieve_nn::kernel_ops::FrozenFilters;
use tomosieve_volume::{Shape, VolumeReader, slab_depth};

use crate::config::{Config, ShadingConfig};
use crate::inference::Sweep;
use crate::input::Input;
use crate::ledger::{Ledger, Stage, Standing};
use crate::parts::Parts;
use crate::pool;
use crate::run_dir::RunDir;
use crate::shading::{self, Shading, Unshaded};
use crate::stages::steps;
use crate::{Error, Result};

mod resident;
mod training;
mod trial;

use training::Training;
pub use training::TrainingLanes;
use trial::{Piece, Trial};

/// What the program itself takes: code, thread stacks, allocator.
const BASE: u64 = 44 << 20;
/// What the allocator keeps of a lane on which windows come and go, and of a thread that reads, or unpacks chunks.
const LANE: u64 = 13 << 20;
const READING: u64 = 2 << 20;
const UNPACKING: u64 = 4 << 20;
/// Slabs beyond this gain nothing.
const LARGEST_SLAB: u64 = 256 << 20;
/// Depth of the OME-Zarr writer's chunks: it holds that many slices.
const ZARR_DEPTH: u64 = 64;

/// What a run will do and take.
#[derive(Debug, Clone, Serialize)]
pub struct Plan {
    /// The volume as it was understood.
    pub volume: String,
    /// How that was inferred.
    pub inferred: Vec<String>,
    /// Settings that were fitted to the volume.
    pub fitted: Vec<String>,
    /// The stages, in order.
    pub stages: Vec<StagePlan>,
    /// Trainable parameters of the network.
    pub parameters: usize,
    /// Largest memory of any stage that is planned for, bytes.
    pub memory: u64,
    /// Most memory allowed, bytes.
    pub memory_limit: u64,
    /// Bytes to be written, uncompressed.
    pub disk: u64,
    /// Bytes free where they go, with what the run has written already and goes on from.
    pub disk_free: u64,
}

/// One stage of a plan.
#[derive(Debug, Clone, Serialize)]
pub struct StagePlan {
    /// The stage.
    pub stage: Stage,
    /// `done`, `to do`, or what has changed.
    pub standing: String,
    /// What it does, in words.
    pub work: String,
    /// Peak memory, bytes.
    pub memory: u64,
    /// Expected wall time, seconds, from a short trial on this machine.
    pub seconds: f64,
}

/// The settings fitted to a volume, and a sentence on each that had to be changed.
pub fn fit(mut config: Config, shape: Shape) -> (Config, Vec<String>) {
    let mut notes = Vec::new();
    if config.input.slices > shape.z {
        let fitted = shape.z - (shape.z + 1) % 2; // the largest odd number up to it
        notes.push(format!(
            "input.slices {} → {fitted}: the volume has {} slice{}",
            config.input.slices,
            shape.z,
            if shape.z == 1 { "" } else { "s" }
        ));
        config.input.slices = fitted;
    }
    let smallest = shape.y.min(shape.x);
    for (name, crop) in [("train", &mut config.train.crop), ("correct", &mut config.correct.crop)] {
        if *crop > smallest {
            notes.push(format!("{name}.crop {crop} → {smallest}: slices are {}×{}", shape.y, shape.x));
            *crop = smallest;
        }
    }
    if config.input.slices == 1 && config.starts > 1 {
        notes.push(format!(
            "starts {} → 1: with one slice at a time no neighbouring slices tell which start is best",
            config.starts
        ));
        config.starts = 1;
    }
    if config.segment.tile == 0 {
        config.segment.tile = config.correct.crop;
    }
    (config, notes)
}

/// Checks that a volume is large enough for any network.
///
/// # Errors
/// [`Error::Input`] below 16×16.
pub fn check_size(shape: Shape) -> Result<()> {
    if shape.y >= 16 && shape.x >= 16 {
        return Ok(());
    }
    Err(Error::Input(format!(
        "slices are {}×{} voxels; expected at least 16×16 (if the axes are in another order, tell with --shape)",
        shape.y, shape.x
    )))
}

/// The most bytes a run may use: the setting, or half of the machine's memory.
///
/// # Errors
/// [`Error::Config`] when the setting is no size.
pub fn memory_limit(config: &Config) -> Result<u64> {
    if let Some(limit) = config.memory_limit()? {
        return Ok(limit);
    }
    let mut system = sysinfo::System::new().map_err(|e| {
        Error::Config(format!("cannot tell how much memory this machine has ({e}); give --max-memory"))
    })?;
    system.refresh_memory();
    let total = system.cgroup_limits().map_or(system.total_memory(), |limits| limits.total_memory);
    Ok((total / 2).max(1 << 30))
}

/// Voxels that the pool of crops may hold.
pub fn pool_voxels(config: &Config, memory: u64) -> usize {
    let share = memory / 3 / pool::BYTES_PER_VOXEL as u64;
    (config.train.pool as u64 * 1_000_000).min(share) as usize
}

/// Bytes that reading takes beside the values themselves, and that the allocator keeps of it.
fn reading(reader: &dyn VolumeReader) -> u64 {
    let threads = rayon::current_num_threads();
    let kept = if reader.slices_at_once() > 1 { UNPACKING } else { READING };
    reader.read_overhead(threads) as u64 + threads as u64 * kept
}

/// Bytes that stage 1 has of a slice: its voxels in the slab at hand and in the next, and their labels.
fn streamed(reader: &dyn VolumeReader) -> usize {
    reader.shape().slice_voxels() * (2 * reader.info().voxel_type.native().bytes() + 1)
}

/// Slices that stage 1 streams at once.
pub fn stream_depth(reader: &dyn VolumeReader, memory: u64) -> usize {
    let most = (memory / 4).min(LARGEST_SLAB) / (streamed(reader) as u64).max(1);
    slab_depth(reader, (most as usize).clamp(1, reader.shape().z))
}

/// Peak bytes of stage 1: a third of the program, since it has no network, its slabs or what it takes to look for
/// shading, and what reading takes. Where shading is looked for, it may be found.
fn streaming(reader: &dyn VolumeReader, config: &Config, memory: u64) -> u64 {
    let slabs = |reader: &dyn VolumeReader| (stream_depth(reader, memory) * streamed(reader)) as u64;
    let looks = config.input.shading == ShadingConfig::Auto;
    let most = if looks {
        let any = Shading::none();
        slabs(reader).max(slabs(&Unshaded::new(reader, &any))).max(shading::memory(reader.shape()))
    } else {
        slabs(reader)
    };
    BASE / 3 + most + reading(reader)
}

/// How many batches of windows a sweep has in work at a time: one a thread of the
/// CPU, if memory allows.
pub fn sweep_lanes(sweep: &Sweep, config: &Config, shape: Shape, memory: u64) -> usize {
    if config.device != "cpu" {
        return 1;
    }
    let most = rayon::current_num_threads().min(sweep.windows(shape).unwrap_or(1));
    let takes = |lanes| {
        let sweep = Sweep { lanes, ..sweep.clone() };
        let slices = (sweep.slices_at_once(shape) - 1) * 4 * sweep.classes * shape.slice_voxels();
        window_memory(&sweep, config, shape) + slices as u64
    };
    (2..=most).rev().find(|&lanes| takes(lanes) <= memory / 4).unwrap_or(1)
}

/// Middle slices per slab of a sweep.
///
/// # Errors
/// [`Error::Resources`] when not even one slice and its neighbours fit.
pub fn sweep_depth(sweep: &Sweep, config: &Config, reader: &dyn VolumeReader, memory: u64) -> Result<usize> {
    let shape = reader.shape();
    let fixed = sweep_fixed(sweep, config, shape) + reading(reader);
    let slice = (shape.slice_voxels() * Sweep::BYTES_PER_VOXEL) as u64;
    let halo = 2 * (sweep.slices / 2) as u64;
    let most = LARGEST_SLAB.max((halo + 1) * slice);
    match tomosieve_volume::depth_for(memory.min(fixed + most), slice, fixed, sweep.slices / 2) {
        Ok(depth) => Ok(depth.min(shape.z)),
        Err(_) => Err(Error::Resources(format!(
            "segmenting slices of {}×{} needs {}, max_memory allows {}; raise --max-memory or lower segment.tile",
            shape.y,
            shape.x,
            bytes(fixed + (halo + 1) * slice),
            bytes(memory)
        ))),
    }
}

/// Bytes of a sweep beside its slab: the program, the network with its windows, and what becomes of a slice.
fn sweep_fixed(sweep: &Sweep, config: &Config, shape: Shape) -> u64 {
    BASE + window_memory(sweep, config, shape) + slices_memory(sweep, shape)
}

/// Bytes of what becomes of a slice: windows, blended probabilities, a part of the result.
fn slices_memory(sweep: &Sweep, shape: Shape) -> u64 {
    (sweep.fixed_bytes(shape) + Parts::bytes(shape)) as u64
}

/// Bytes that windows take while they go through the network, its transformed filters among them.
fn window_memory(sweep: &Sweep, config: &Config, shape: Shape) -> u64 {
    sweep.lanes as u64 * LANE
        + config.network.level_bytes(sweep.pixels_at_once(shape)) * 6
        + FrozenFilters::bytes(sweep.parameters) as u64
}

/// Peak bytes while the result is written: a slice in several forms, and the chunks of OME-Zarr.
fn writing_memory(config: &Config, shape: Shape) -> u64 {
    let zarr = if config.output.ome_zarr { 1 + u64::from(config.output.confidence) } else { 0 };
    let chunks = zarr * shape.slice_voxels() as u64 * ZARR_DEPTH.min(shape.z as u64) * 5 / 4;
    BASE + chunks + (12 * shape.slice_voxels() + Parts::bytes(shape)) as u64
}

/// Bytes in words.
pub fn bytes(count: u64) -> String {
    bytesize::ByteSize(count).display().iec().to_string()
}

impl Plan {
    /// Plans the stages in `tried` (with none, all of them) of a run; `target` is the run folder, which need not exist.
    /// Their networks are tried out for time and memory; others are said to take no time, and memory by rule of thumb.
    ///
    /// # Errors
    /// [`Error::Resources`] when memory or disk will not do, or when the trial of the network fails.
    pub fn new(
        config: &Config,
        fitted: Vec<String>,
        input: &Input,
        target: &Path,
        tried: &[Stage],
    ) -> Result<Self> {
        let shape = input.shape();
        let limit = memory_limit(config)?;
        let ledger = match RunDir::open(target) {
            Ok(run) => Ledger::read(&run)?,
            Err(_) => Ledger::default(),
        };
        let mut sweep = Sweep::new(config, crate::scale::Scale { low: 0.0, high: 1.0 });
        sweep.lanes = sweep_lanes(&sweep, config, shape, limit);
        let (train, correct) = (&config.train, &config.correct);
        let lanes = [(train.crop, train.batch), (correct.crop, correct.batch)]
            .map(|(crop, batch)| TrainingLanes::plan(config, shape, crop, batch, limit));
        let [of_train, of_correct] = [(train.crop, train.batch, 1), (correct.crop, correct.batch, 2)]
            .map(|(crop, batch, views)| Training { config, shape, limit, crop, batch, views });
        // What cannot fit is not tried.
        let reader = input.reader.as_ref();
        sweep_depth(&sweep, config, reader, limit)?;
        let fits = |stage: &Stage| match stage {
            Stage::Train => of_train.estimate(lanes[0]) <= limit,
            Stage::Correct => of_correct.estimate(lanes[1]) <= limit,
            Stage::Cluster | Stage::Predict => true,
        };
        let fitting: Vec<Stage> = tried.iter().copied().filter(fits).collect();
        let trial = Trial::run(config, input, &sweep, lanes, &fitting)?;
        sweep.parameters = trial.parameters;
        let weights = |starts: usize, copies: usize| (starts * copies * trial.parameters * 4) as u64;
        // What the trial told, if there was one; in it were as many students as learn side by side.
        let training = |of: Training<'_>, lanes: TrainingLanes, piece: Option<Piece>| {
            let tried = |piece: Piece| (of.data() + piece.settled()).saturating_sub(weights(lanes.starts, 3));
            weights(config.starts, of.copies()) + piece.map_or_else(|| of.estimate(lanes), tried)
        };
        let train_steps = steps(train.steps, train.epochs, shape.z, train.batch);
        let correct_steps = steps(correct.steps, correct.epochs, shape.z, correct.batch);
        let starts = if config.starts == 1 { String::new() } else { format!("{} × ", config.starts) };
        let depth = sweep_depth(&sweep, config, reader, limit)?;
        let halo = 2 * (sweep.slices / 2);
        let slice = (shape.slice_voxels() * Sweep::BYTES_PER_VOXEL) as u64;
        let seconds = |piece: Option<Piece>| piece.map_or(0.0, |piece| piece.seconds);
        let looking =
            trial.window.map_or_else(|| BASE + window_memory(&sweep, config, shape), Piece::settled);
        let works = [
            (
                Stage::Cluster,
                format!("{} into {} classes", config.cluster.method, config.input.classes),
                streaming(reader, config, limit),
                3.0 * shape.z as f64 * trial.read,
            ),
            (
                Stage::Train,
                format!(
                    "{} · {starts}{}{train_steps} steps of {} crops {}²",
                    config.network.name,
                    if train.settled > 0.0 { "at most " } else { "" },
                    train.batch,
                    train.crop
                ),
                training(of_train, lanes[0], trial.train),
                train_steps as f64 * seconds(trial.train),
            ),
            (
                Stage::Correct,
                format!("{starts}{correct_steps} steps of {} crops {}²", correct.batch, correct.crop),
                training(of_correct, lanes[1], trial.correct),
                correct_steps as f64 * seconds(trial.correct),
            ),
            (
                Stage::Predict,
                format!("{} slices of {}×{}, {depth} at a time", shape.z, shape.y, shape.x),
                (looking
                    + slices_memory(&sweep, shape)
                    + reading(reader)
                    + (depth + halo).min(shape.z) as u64 * slice)
                    .max(writing_memory(config, shape)),
                sweep.windows(shape)? as f64 * seconds(trial.window),
            ),
        ];
        let stages: Vec<StagePlan> = works
            .into_iter()
            .map(|(stage, work, memory, seconds)| {
                let standing = match ledger.standing(stage, config, input) {
                    Standing::Done => "done".to_owned(),
                    Standing::Missing => "to do".to_owned(),
                    Standing::Changed(what) => format!("to redo: {}", what.join("; ")),
                };
                let seconds = if standing == "done" { 0.0 } else { seconds };
                StagePlan { stage, standing, work, memory, seconds }
            })
            .collect();
        let counted = stages.iter().filter(|of| tried.is_empty() || tried.contains(&of.stage));
        let info = input.reader.info();
        Ok(Self {
            volume: format!("{} · {} · {} · {}", input.path.display(), info.format, shape, info.voxel_type),
            inferred: info.notes.clone(),
            fitted,
            memory: counted.map(|stage| stage.memory).max().unwrap_or(0),
            memory_limit: limit,
            disk: RunDir::expected_bytes(shape, config.output.ome_zarr, config.output.confidence),
            disk_free: free_space(target).saturating_add(RunDir::beside(target).kept_bytes()),
            parameters: trial.parameters,
            stages,
        })
    }

    /// Fails when memory or disk will not do.
    ///
    /// # Errors
    /// [`Error::Resources`], with what is needed, what there is and what to do.
    pub fn check(&self) -> Result<()> {
        if self.memory > self.memory_limit {
            return Err(Error::Resources(format!(
                "the run needs {} of memory, max_memory allows {}; raise --max-memory, or lower train.batch, \
                 train.crop or segment.tile",
                bytes(self.memory),
                bytes(self.memory_limit)
            )));
        }
        if self.disk > self.disk_free && self.stages.iter().any(|stage| stage.standing != "done") {
            return Err(Error::Resources(format!(
                "the run writes up to {}, the disk has {} free; choose another folder or make room",
                bytes(self.disk),
                bytes(self.disk_free)
            )));
        }
        Ok(())
    }
}

/// Bytes free on the disk that holds `path` or the nearest folder above it that exists.
pub fn free_space(path: &Path) -> u64 {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let existing = path.ancestors().find(|ancestor| ancestor.exists());
    existing.and_then(|folder| fs4::available_space(folder).ok()).unwrap_or(u64::MAX)
}
