//! The paper's studies (Sec. IV-D to IV-L): what becomes of a result when one thing is changed.
//!
//! A study is data, a file in `studies/`: the settings all its variants share, the axes whose values make the
//! variants, and the paper's own numbers. Its variants are plain configurations, run by the same
//! [`pipeline`](crate::pipeline) as any other; what several of them have in common is made once
//! (by the ledger, in `share.rs`). A new study is a file and a line of [`STUDIES`].

mod figure;
mod run;
mod share;
mod table;
mod variants;

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use toml::Table;

pub use run::{Case, Subject, cases, prospect, run};
pub use share::Source;
pub use table::{Results, Row};
pub use variants::Variant;

use crate::config::{Config, parse};
use crate::{Error, Result};

/// Every study: its name and its file.
pub const STUDIES: &[(&str, &str)] = &[
    ("two-stage", include_str!("../../studies/two-stage.toml")),
    ("networks", include_str!("../../studies/networks.toml")),
    ("losses", include_str!("../../studies/losses.toml")),
    ("slices", include_str!("../../studies/slices.toml")),
    ("clusterings", include_str!("../../studies/clusterings.toml")),
    ("stage2-epochs", include_str!("../../studies/stage2-epochs.toml")),
    ("classes", include_str!("../../studies/classes.toml")),
    ("samples", include_str!("../../studies/samples.toml")),
];

/// The names of all studies.
pub fn names() -> Vec<&'static str> {
    STUDIES.iter().map(|(name, _)| *name).collect()
}

/// A study, as its file has it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Study {
    /// Its name: of the roster, or the user's own.
    #[serde(skip)]
    pub name: String,
    /// What it asks, as a sentence.
    pub question: String,
    /// Where the paper has it: section, table and figure.
    pub paper_source: String,
    /// What all variants share, under the user's own settings.
    pub settings: Table,
    /// Values by setting; the variants are every combination.
    pub axes: Table,
    /// Variants that differ in more than one setting, in place of axes or combined with them.
    pub variant: Vec<Named>,
    /// The paper's numbers by name of a variant.
    pub paper: BTreeMap<String, Paper>,
}

/// A variant with a name of its own.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Named {
    /// Its name.
    pub name: String,
    /// Its settings.
    pub settings: Table,
}

/// What the paper reports for a variant; its sample is not public, so these are no goal but a comparison.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Paper {
    /// Accuracy and mIoU after stage 2, without background, per cent.
    pub train: Option<[f64; 2]>,
    /// Accuracy and mIoU after stage 3, without background, per cent.
    pub correct: Option<[f64; 2]>,
    /// Mean confidence, per cent.
    pub confidence: Option<f64>,
    /// Wall time of stage 1, seconds.
    pub cluster_seconds: Option<f64>,
}

impl Study {
    /// The study called `name`. With `axes`, a file in the form of the studies' own, that file's axes and
    /// variants take the place of the study's, and its settings and numbers are added; the name is then free.
    ///
    /// # Errors
    /// [`Error::Config`] when there is no such study, or the file cannot be read.
    pub fn find(name: &str, axes: Option<&Path>) -> Result<Self> {
        let known = STUDIES.iter().find(|(known, _)| *known == name);
        let mut study = match (known, axes) {
            (Some((_, text)), _) => Self::parse(name, text)?,
            (None, Some(_)) => Self::default(),
            (None, None) => return Err(Error::unknown("study", name, &names())),
        };
        name.clone_into(&mut study.name);
        let Some(path) = axes else { return Ok(study) };
        let own = Self::parse(
            &path.display().to_string(),
            &std::fs::read_to_string(path)
                .map_err(|e| Error::Config(format!("`{}`: cannot read the axes: {e}", path.display())))?,
        )?;
        if own.axes.is_empty() && own.variant.is_empty() {
            let example = "[axes] with lines such as input.slices = [1, 3, 5]";
            return Err(Error::Config(format!("`{}`: no axes; expected {example}", path.display())));
        }
        (study.axes, study.variant) = (own.axes, own.variant);
        study.settings.extend(own.settings);
        study.paper.extend(own.paper);
        if !own.question.is_empty() {
            study.question = own.question;
        }
        Ok(study)
    }

    /// Reads a study's file.
    fn parse(what: &str, text: &str) -> Result<Self> {
        parse(what, text)?.try_into().map_err(|e: toml::de::Error| {
            Error::Config(format!("{what}: {}", e.message().replace('\n', " ")))
        })
    }

    /// Its variants on top of `base`, which the study's settings are already part of.
    ///
    /// # Errors
    /// [`Error::Config`], naming the variant whose settings cannot be used.
    pub fn variants(&self, base: &Config) -> Result<Vec<Variant>> {
        variants::expand(self, base)
    }
}
