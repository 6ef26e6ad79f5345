//! `provenance.json`: who made a result, from what, with what, and how long it took.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tomosieve_volume::{OpenOptions, Shape, VoxelType};

use crate::config::Config;
use crate::input::Input;
use crate::ledger::Ledger;
use crate::run_dir::RunDir;
use crate::stages::correct::Outcome;
use crate::{Error, Result};

/// The record of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// The program and its version.
    pub program: String,
    /// The paper whose method it implements.
    pub method: String,
    /// The command line, as typed.
    pub command: Vec<String>,
    /// The volume.
    pub input: InputRecord,
    /// The seed.
    pub seed: u64,
    /// The device.
    pub device: String,
    /// Operating system and processor architecture.
    pub platform: String,
    /// Wall time of each stage, seconds.
    pub seconds: BTreeMap<String, f64>,
    /// Classes that were asked for, where fewer were learned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<usize>,
    /// How stage 3 ended.
    #[serde(default)]
    pub correction: Option<Outcome>,
}

/// The volume of a run, so that it can be opened again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InputRecord {
    /// Where it was.
    pub path: PathBuf,
    /// Its format.
    pub format: String,
    /// `[z, y, x]`
    pub shape: [usize; 3],
    /// Its voxel type.
    pub voxel_type: String,
    /// Byte order of a raw volume, if it was told.
    pub big_endian: Option<bool>,
    /// Bytes before the first voxel of a raw volume.
    pub offset: u64,
    /// What it is known by.
    pub fingerprint: String,
}

impl Provenance {
    /// The record of a run on `input`.
    pub fn new(command: Vec<String>, config: &Config, input: &Input, options: &OpenOptions) -> Self {
        let info = input.reader.info();
        Self {
            program: concat!("tomosieve ", env!("CARGO_PKG_VERSION")).to_owned(),
            method: "arXiv 2603.00372".to_owned(),
            command,
            input: InputRecord {
                path: input.path.clone(),
                format: info.format.to_owned(),
                shape: info.shape.into(),
                voxel_type: info.voxel_type.to_string(),
                big_endian: options.big_endian,
                offset: options.offset,
                fingerprint: input.fingerprint.clone(),
            },
            seed: config.seed,
            device: config.device.clone(),
            platform: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            seconds: BTreeMap::new(),
            asked: None,
            correction: None,
        }
    }

    /// The record of an existing run.
    ///
    /// # Errors
    /// [`Error::RunFile`] when it is missing or damaged.
    pub fn read(run: &RunDir) -> Result<Self> {
        let path = run.provenance();
        run.read_json(&path)?.ok_or_else(|| Error::file(path, "missing; the run folder is not whole"))
    }

    /// The start whose network of stage 2 is behind the result of a run; the first as long as there is no result.
    ///
    /// # Errors
    /// [`Error::RunFile`] when the record is damaged.
    pub fn start(run: &RunDir) -> Result<usize> {
        let record: Option<Self> = run.read_json(&run.provenance())?;
        Ok(record.and_then(|record| record.correction).map_or(0, |outcome| outcome.start))
    }

    /// Writes the record with the times so far.
    ///
    /// # Errors
    /// [`Error::RunFile`] when it cannot be written.
    pub fn write(&mut self, run: &RunDir, ledger: &Ledger) -> Result<()> {
        self.seconds = ledger.seconds().into_iter().map(|(name, s)| (name.to_owned(), s)).collect();
        run.write_json(&run.provenance(), self)
    }
}

impl InputRecord {
    /// Opens the volume again.
    ///
    /// # Errors
    /// [`Error::Input`] when it is no longer the same, or what the reader says.
    pub fn open(&self) -> Result<(Input, OpenOptions)> {
        let raw = self.format == "raw";
        let options = OpenOptions {
            shape: raw.then(|| Shape::from(self.shape)),
            voxel_type: if raw { VoxelType::from_name(&self.voxel_type) } else { None },
            big_endian: self.big_endian,
            offset: self.offset,
            scratch: None,
        };
        let input = Input::open(&self.path, &options)?;
        if input.fingerprint == self.fingerprint {
            return Ok((input, options));
        }
        Err(Error::Input(format!(
            "`{}`: the volume is no longer the one this run was made from",
            self.path.display()
        )))
    }
}
