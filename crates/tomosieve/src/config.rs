//! What the user may set, read in layers: defaults ← preset ← file ← single settings, with a recipe at the bottom of
//! the layer that names it.
//!
//! The defaults live in one commented file, `default.toml`, which `tomosieve init` prints; there is no
//! second copy of a default in code. Presets are files too.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tomosieve_nn::losses::LossConfig;
use tomosieve_nn::networks::NetworkConfig;

use crate::augment::StrongConfig;
use crate::{Error, Result};

mod layers;

pub use layers::Layers;
pub(crate) use layers::parse;

/// The complete commented default configuration.
pub const DEFAULT: &str = include_str!("default.toml");

/// Every preset: its name and the settings in which it differs from [`DEFAULT`].
pub const PRESETS: &[(&str, &str)] = &[
    ("quick", include_str!("../presets/quick.toml")),
    ("standard", include_str!("../presets/standard.toml")),
    ("paper", include_str!("../presets/paper.toml")),
];

/// Every recipe: its name and the settings that make it. A recipe is a way to go about stages 2 and 3; a preset is how
/// large and how long.
pub const RECIPES: &[(&str, &str)] =
    &[("robust", include_str!("../recipes/robust.toml")), ("paper", include_str!("../recipes/paper.toml"))];

/// All settings of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The recipe its settings started from.
    pub recipe: String,
    /// Seed of every random draw.
    pub seed: u64,
    /// The device's name.
    pub device: String,
    /// Threads; 0 = one per core.
    pub threads: usize,
    /// Most memory to use, such as `8GiB`, or `auto`.
    pub max_memory: String,
    /// Minutes between checkpoints of a training.
    pub checkpoint_minutes: f64,
    /// How often stages 2 and 3 are gone through.
    pub starts: usize,
    /// What is read and how.
    pub input: InputConfig,
    /// Stage 1.
    pub cluster: ClusterConfig,
    /// The network of stages 2 and 3.
    pub network: NetworkConfig,
    /// The loss of stages 2 and 3.
    pub loss: LossConfig,
    /// Stage 2.
    pub train: TrainConfig,
    /// Stage 3.
    pub correct: CorrectConfig,
    /// Weak and strong views.
    pub views: ViewsConfig,
    /// Inference.
    pub segment: SegmentConfig,
    /// What is written.
    pub output: OutputConfig,
}

/// What is read and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputConfig {
    /// K, the number of classes; 0 = to be [found](crate::classes).
    pub classes: usize,
    /// Whether fewer are learned where a volume has fewer phases ([`crate::classes::merge`]).
    pub merge: bool,
    /// c, the adjacent slices of a patch (odd).
    pub slices: usize,
    /// Percentiles of the whole volume that become 0 and 1.
    pub percentiles: [f64; 2],
    /// Whether slow drifts of the grey values are looked for.
    pub shading: ShadingConfig,
}

/// Whether slow drifts of the grey values are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ShadingConfig {
    /// They are, and taken out where that is clearly better ([`crate::shading`]).
    Auto,
    /// Grey values stay as they are.
    Off,
}

/// Stage 1 (Sec. III-B).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterConfig {
    /// A name of the clustering roster.
    pub method: String,
    /// Histogram bins for float volumes.
    pub bins: usize,
}

/// How the learning rate goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// It stays.
    Constant,
    /// It falls to 2 % along half a cosine (Loshchilov & Hutter 2017, arXiv 1608.03983).
    Cosine,
}

impl Schedule {
    /// The learning rate of `step` out of `steps`.
    pub fn rate(self, start: f64, step: usize, steps: usize) -> f64 {
        match self {
            Self::Constant => start,
            Self::Cosine => {
                let phase = std::f64::consts::PI * step as f64 / steps.max(1) as f64;
                start * (0.02 + 0.98 * 0.5 * (1.0 + phase.cos()))
            }
        }
    }
}

/// Stage 2 (Sec. III-C).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Optimiser steps, at most.
    pub steps: usize,
    /// When above 0, replaces `steps`; an epoch draws one crop per slice of the volume.
    pub epochs: usize,
    /// Crops per step.
    pub batch: usize,
    /// Height and width of a crop, pixels.
    pub crop: usize,
    /// Adam's learning rate.
    pub learning_rate: f64,
    /// How the learning rate goes, once it falls.
    pub schedule: Schedule,
    /// Less growth of the recall than this ends the full learning rate ([`crate::settling`]); 0 = nothing does.
    pub settled: f64,
    /// How often in `steps` that is looked at.
    pub checks: usize,
    /// γ: a class that is hardly found weighs its rarity to this power ([`crate::settling`]); 0 = as all others.
    pub rare: f64,
    /// Millions of voxels held in memory to draw crops from, in stage 3 too.
    pub pool: usize,
    /// Share of each batch that is shown under strong views.
    pub strong: f64,
    /// Whether the state at the end is kept, for a longer training to go on from.
    pub keep: bool,
    /// Share of crops whose middle slice is hidden behind its neighbour.
    pub blind: f64,
    /// Whether partial-volume rims go to the classes on their two sides, here and in all that follows.
    pub partial_volume: bool,
}

/// Stage 3 (Sec. III-D).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorrectConfig {
    /// Optimiser steps.
    pub steps: usize,
    /// When above 0, replaces `steps`; an epoch draws one crop per slice of the volume.
    pub epochs: usize,
    /// Crops per step.
    pub batch: usize,
    /// Height and width of a crop, pixels.
    pub crop: usize,
    /// Adam's learning rate.
    pub learning_rate: f64,
    /// How the learning rate goes.
    pub schedule: Schedule,
    /// α of the teacher's moving average (Eq. 10).
    pub momentum: f64,
    /// τ of the confidence mask (Eq. 8).
    pub threshold: f64,
    /// Whether τ follows the teacher's usual confidence in each class.
    pub adaptive: bool,
    /// γ: a class of frequency f weighs f^-γ.
    pub class_weight_power: f64,
    /// How often the teacher is checked.
    pub checks: usize,
    /// Whether a failed check ends the stage and restores the teacher whose map fits best.
    pub guard: bool,
    /// How much of stage 2's score may be lost.
    pub guard_score: f64,
    /// A class may not shrink below this multiple of its share, unless the score rises.
    pub guard_low: f64,
    /// A class may not grow beyond this multiple of its share, unless the score rises.
    pub guard_high: f64,
    /// From which share of confirmed pseudo labels on there is nothing to correct.
    pub guard_confirmed: f64,
}

/// Weak and strong views (Sec. III-D).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ViewsConfig {
    /// Names of the weak views.
    pub weak: Vec<String>,
    /// Names of the strong views.
    pub strong: Vec<String>,
    /// Scale of the strong views' ranges.
    pub strength: f64,
    /// Probability of each strong view.
    pub probability: f64,
    /// CLAHE tile, pixels.
    pub tile: usize,
}

impl ViewsConfig {
    /// The part that the strong views' roster understands.
    pub fn strong_config(&self) -> StrongConfig {
        StrongConfig {
            views: self.strong.clone(),
            strength: self.strength,
            probability: self.probability,
            tile: self.tile,
        }
    }
}

/// Inference over the whole volume.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentConfig {
    /// Height and width of a window, pixels; 0 = the crop of stage 3.
    pub tile: usize,
    /// Overlap of neighbouring windows, as a share of their side.
    pub overlap: f64,
}

/// What is written besides the labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputConfig {
    /// Labels as OME-Zarr too.
    pub ome_zarr: bool,
    /// The teacher's confidence.
    pub confidence: bool,
}

impl Config {
    /// The defaults.
    ///
    /// # Errors
    /// Never in a build whose tests passed.
    pub fn defaults() -> Result<Self> {
        Layers::defaults()?.build()
    }

    /// Checks every range, so that no stage has to.
    ///
    /// # Errors
    /// [`Error::Config`], naming the setting, what was found and what is allowed.
    pub fn check(&self) -> Result<()> {
        let require = |holds: bool, setting: &str, got: &dyn std::fmt::Display, expected: &str| {
            if holds {
                return Ok(());
            }
            Err(Error::Config(format!("{setting} is {got}; expected {expected}")))
        };
        let (i, t, c, v) = (&self.input, &self.train, &self.correct, &self.views);
        let number = i.classes == 0 || (2..=255).contains(&i.classes);
        require(number, "input.classes", &i.classes, "2 to 255, or 0 to have it found")?;
        require(i.slices % 2 == 1 && i.slices <= 99, "input.slices", &i.slices, "an odd number up to 99")?;
        let [lo, hi] = i.percentiles;
        let percentiles = format!("{:?}", i.percentiles);
        require(
            0.0 <= lo && lo < hi && hi <= 100.0,
            "input.percentiles",
            &percentiles,
            "[low, high] with 0 <= low < high <= 100",
        )?;
        require(
            (16..=1 << 24).contains(&self.cluster.bins),
            "cluster.bins",
            &self.cluster.bins,
            "16 to 16777216",
        )?;
        for (name, batch, crop, rate) in
            [("train", t.batch, t.crop, t.learning_rate), ("correct", c.batch, c.crop, c.learning_rate)]
        {
            require((1..=1024).contains(&batch), &format!("{name}.batch"), &batch, "1 to 1024")?;
            require((16..=4096).contains(&crop), &format!("{name}.crop"), &crop, "16 to 4096")?;
            require(rate > 0.0 && rate < 10.0, &format!("{name}.learning_rate"), &rate, "above 0")?;
        }
        require((1..=999).contains(&self.starts), "starts", &self.starts, "1 to 999")?;
        let one = !t.keep || self.starts == 1;
        require(one, "starts", &self.starts, "1 where train.keep is on: only one training can go on")?;
        require(t.steps > 0 || t.epochs > 0, "train.steps", &t.steps, "at least 1")?;
        require((0.0..1.0).contains(&t.settled), "train.settled", &t.settled, "a share from 0 to 1")?;
        require(t.checks >= 8, "train.checks", &t.checks, "at least 8")?;
        require(t.pool >= 1, "train.pool", &t.pool, "at least 1 (million voxels)")?;
        require((0.0..=1.0).contains(&t.strong), "train.strong", &t.strong, "a share from 0 to 1")?;
        require((0.0..1.0).contains(&c.momentum), "correct.momentum", &c.momentum, "a number in [0, 1)")?;
        require(
            (0.0..1.0).contains(&c.threshold),
            "correct.threshold",
            &c.threshold,
            "a probability in [0, 1)",
        )?;
        for (name, power) in [("train.rare", t.rare), ("correct.class_weight_power", c.class_weight_power)] {
            require((0.0..=2.0).contains(&power), name, &power, "0 to 2")?;
        }
        require(c.checks >= 1, "correct.checks", &c.checks, "at least 1")?;
        require(
            (0.0..1.0).contains(&c.guard_low) && c.guard_high > 1.0,
            "correct.guard_low and guard_high",
            &format!("{} and {}", c.guard_low, c.guard_high),
            "a number below 1 and one above 1",
        )?;
        let share = |x: &f64| (0.0..=1.0).contains(x);
        require(share(&t.blind), "train.blind", &t.blind, "a share from 0 to 1")?;
        let (score, confirmed) = (&c.guard_score, &c.guard_confirmed);
        require(share(score), "correct.guard_score", score, "a share from 0 to 1")?;
        require(*confirmed >= 0.0, "correct.guard_confirmed", confirmed, "a share, or above 1 for never")?;
        require((0.0..=20.0).contains(&v.strength), "views.strength", &v.strength, "0 to 20")?;
        require((0.0..=1.0).contains(&v.probability), "views.probability", &v.probability, "0 to 1")?;
        require(v.tile >= 2, "views.tile", &v.tile, "at least 2")?;
        let s = &self.segment;
        require(s.tile == 0 || (16..=8192).contains(&s.tile), "segment.tile", &s.tile, "0, or 16 to 8192")?;
        require((0.0..=0.75).contains(&s.overlap), "segment.overlap", &s.overlap, "0 to 0.75")?;
        let minutes = &self.checkpoint_minutes;
        require((0.0..=10_000.0).contains(minutes), "checkpoint_minutes", minutes, "0 to 10000")?;
        self.memory_limit()?;
        self.network.check()?;
        tomosieve_nn::losses::by_config(&self.loss)?;
        tomosieve_cluster::methods::by_name(&self.cluster.method)?;
        crate::augment::weak(&v.weak)?;
        crate::augment::strong(&v.strong_config())?;
        Ok(())
    }

    /// The most memory to use, in bytes; `None` for `auto`.
    ///
    /// # Errors
    /// [`Error::Config`] when it is no size.
    pub fn memory_limit(&self) -> Result<Option<u64>> {
        if self.max_memory == "auto" {
            return Ok(None);
        }
        match self.max_memory.parse::<bytesize::ByteSize>() {
            Ok(size) if size.as_u64() >= 1 << 26 => Ok(Some(size.as_u64())),
            _ => Err(Error::Config(format!(
                "max_memory is {}; expected a size of at least 64MiB such as 8GiB, or auto",
                self.max_memory
            ))),
        }
    }

    /// Time between checkpoints of a training.
    pub fn checkpoint_every(&self) -> Duration {
        Duration::from_secs_f64(60.0 * self.checkpoint_minutes)
    }

    /// The configuration as TOML, every setting spelled out.
    ///
    /// # Errors
    /// [`Error::Config`] if a value has no TOML form.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(|e| Error::Config(e.to_string()))
    }
}
