//! Which stages of a run are done, and from what: so that a finished stage is not redone, and a changed
//! setting is noticed and named.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::config::{Config, Schedule, TrainConfig};
use crate::input::{Input, hex};
use crate::run_dir::RunDir;
use crate::{Error, Result};

/// The stages that leave results in the run folder, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Stage 1: pseudo labels.
    Cluster,
    /// Stage 2: learning from them.
    Train,
    /// Stage 3: self-correction.
    Correct,
    /// The whole volume through the network.
    Predict,
}

impl Stage {
    /// All stages, in order.
    pub const ALL: [Self; 4] = [Self::Cluster, Self::Train, Self::Correct, Self::Predict];

    /// Its command on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::Train => "train",
            Self::Correct => "correct",
            Self::Predict => "predict",
        }
    }

    /// The stage before it.
    pub fn before(self) -> Option<Self> {
        Self::ALL.into_iter().take_while(|stage| *stage < self).last()
    }

    /// The settings (beside those of the stages before it) its result depends on.
    fn settings(self, config: &Config, input: &Input) -> Value {
        match self {
            Self::Cluster => json!({
                "volume": input.fingerprint,
                "input.classes": config.input.classes,
                "input.percentiles": config.input.percentiles,
                "input.shading": config.input.shading,
                "cluster": config.cluster,
            }),
            Self::Train => {
                let mut settings = json!({
                    "seed": config.seed,
                    "starts": config.starts,
                    "device": config.device,
                    "max_memory": config.max_memory, // bounds the pool that crops come from
                    "pool.side": crate::pool::side(config.train.crop.max(config.correct.crop)),
                    "input.slices": config.input.slices,
                    "network": config.network,
                    "loss": config.loss,
                    "train": TrainConfig { keep: false, ..config.train.clone() },
                    "views.weak": config.views.weak,
                });
                if config.train.strong > 0.0 {
                    settings["views"] = json!(config.views);
                }
                settings
            }
            Self::Correct => json!({ "correct": config.correct, "views": config.views }),
            Self::Predict => json!({ "segment": config.segment, "output": config.output }),
        }
    }
}

/// What a finished stage was made from, and how long it took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Done {
    settings: BTreeMap<String, Value>,
    seconds: f64,
}

/// The record of finished stages.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    done: BTreeMap<Stage, Done>,
}

/// What is to be done about a stage.
#[derive(Debug, Clone, PartialEq)]
pub enum Standing {
    /// Its result is there and is what these settings give.
    Done,
    /// There is no result yet.
    Missing,
    /// There is one, made with other settings: these have changed.
    Changed(Vec<String>),
}

impl Ledger {
    /// The ledger of a run; empty for a new one.
    ///
    /// # Errors
    /// [`Error::RunFile`] when it is damaged.
    pub fn read(run: &RunDir) -> Result<Self> {
        Ok(run.read_json(&run.stages())?.unwrap_or_default())
    }

    /// How `stage` stands under `config`.
    pub fn standing(&self, stage: Stage, config: &Config, input: &Input) -> Standing {
        let Some(done) = self.done.get(&stage) else { return Standing::Missing };
        let wanted = settings_up_to(stage, config, input);
        let names = wanted.keys().chain(done.settings.keys()).collect::<std::collections::BTreeSet<_>>();
        let changed: Vec<String> = names
            .into_iter()
            .filter(|name| wanted.get(*name) != done.settings.get(*name))
            .map(|name| {
                let show = |value: Option<&Value>| value.map_or("nothing".to_owned(), Value::to_string);
                match name.as_str() {
                    "volume" => "the volume itself".to_owned(),
                    _ => format!("{name} {} → {}", show(done.settings.get(name)), show(wanted.get(name))),
                }
            })
            .collect();
        if changed.is_empty() { Standing::Done } else { Standing::Changed(changed) }
    }

    /// Records that `stage` is done; what came after it is no longer valid.
    ///
    /// # Errors
    /// [`Error::RunFile`] when the record cannot be written.
    pub fn finish(
        &mut self,
        run: &RunDir,
        stage: Stage,
        config: &Config,
        input: &Input,
        seconds: f64,
    ) -> Result<()> {
        self.done.retain(|other, _| *other < stage);
        self.done.insert(stage, Done { settings: settings_up_to(stage, config, input), seconds });
        self.write(run)
    }

    /// Forgets `stage` and all after it.
    ///
    /// # Errors
    /// [`Error::RunFile`] when the record cannot be written.
    pub fn forget(&mut self, run: &RunDir, stage: Stage) -> Result<()> {
        let before = self.done.len();
        self.done.retain(|other, _| *other < stage);
        if self.done.len() == before { Ok(()) } else { self.write(run) }
    }

    /// Fails unless the stage before `stage` is done under `config`.
    ///
    /// # Errors
    /// [`Error::Exists`] or [`Error::Input`], naming the command to run first.
    pub fn require_before(&self, stage: Stage, config: &Config, input: &Input) -> Result<()> {
        let Some(before) = stage.before() else { return Ok(()) };
        match self.standing(before, config, input) {
            Standing::Done => Ok(()),
            Standing::Missing => Err(Error::Input(format!(
                "{} needs the result of {}, which is not in the run folder; run `tomosieve {}` first",
                stage.name(),
                before.name(),
                before.name()
            ))),
            Standing::Changed(what) => Err(Error::Exists(format!(
                "the result of {} was made with other settings ({}); rerun `tomosieve {} --force` first",
                before.name(),
                what.join("; "),
                before.name()
            ))),
        }
    }

    /// The record of a run that is done with these settings.
    pub fn finished(config: &Config, input: &Input) -> Self {
        let done = |stage| Done { settings: settings_up_to(stage, config, input), seconds: 0.0 };
        Self { done: Stage::ALL.into_iter().map(|stage| (stage, done(stage))).collect() }
    }

    /// This record without the stages after `stage`.
    #[must_use]
    pub fn up_to(mut self, stage: Stage) -> Self {
        self.done.retain(|done, _| *done <= stage);
        self
    }

    /// Makes this the record of `run`.
    ///
    /// # Errors
    /// [`Error::RunFile`] when it cannot be written.
    pub fn write(&self, run: &RunDir) -> Result<()> {
        run.write_json(&run.stages(), self)
    }

    /// Whether any stage was done with other settings.
    pub fn is_changed(&self, config: &Config, input: &Input) -> bool {
        Stage::ALL
            .into_iter()
            .any(|stage| matches!(self.standing(stage, config, input), Standing::Changed(_)))
    }

    /// Whether the recorded stage 2 is the beginning or the end of what `config`'s is: all
    /// settings are the same but for how long it trains, which must not change how it trains.
    pub fn passes_through(&self, config: &Config, input: &Input) -> bool {
        let Some(done) = self.done.get(&Stage::Train) else { return false };
        let length = ["train.steps", "train.epochs"];
        let but_length = |settings: &BTreeMap<String, Value>| {
            let mut settings = settings.clone();
            settings.retain(|name, _| !length.contains(&name.as_str()));
            settings
        };
        config.train.schedule == Schedule::Constant
            && config.train.settled == 0.0
            && but_length(&done.settings) == but_length(&settings_up_to(Stage::Train, config, input))
    }

    /// Wall time of each finished stage, seconds.
    pub fn seconds(&self) -> BTreeMap<&'static str, f64> {
        self.done.iter().map(|(stage, done)| (stage.name(), done.seconds)).collect()
    }

    /// A hash of all settings `stage` depends on: by this a checkpoint is known to fit.
    pub fn key(stage: Stage, config: &Config, input: &Input) -> String {
        let settings = serde_json::to_vec(&settings_up_to(stage, config, input)).unwrap_or_default();
        hex(&Sha256::digest(settings)[..8])
    }
}

/// Every setting that `stage` and the stages before it depend on, flat: `train.steps` and so on.
fn settings_up_to(stage: Stage, config: &Config, input: &Input) -> BTreeMap<String, Value> {
    let mut flat = BTreeMap::new();
    for earlier in Stage::ALL.into_iter().filter(|s| *s <= stage) {
        flatten("", earlier.settings(config, input), &mut flat);
    }
    flat
}

/// Turns nested objects into dotted names.
fn flatten(path: &str, value: Value, into: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(entries) => {
            for (name, value) in entries {
                let path = if path.is_empty() { name } else { format!("{path}.{name}") };
                flatten(&path, value, into);
            }
        }
        other => {
            into.insert(path.to_owned(), other);
        }
    }
}
