//! Settings in layers: defaults ← preset ← file ← single settings. Layers merge as TOML tables, so only names that
//! exist may be set, and a value is checked once, when all layers are there. A recipe in a layer comes before the rest
//! of that layer.

use std::path::Path;

use toml::{Table, Value};

use super::{Config, DEFAULT, PRESETS, RECIPES};
use crate::{Error, Result};

/// The layers a configuration is made of, each later one winning.
#[derive(Debug, Clone)]
pub struct Layers(Table);

impl Layers {
    /// The defaults.
    ///
    /// # Errors
    /// Never in a build whose tests passed; the default file is part of it.
    pub fn defaults() -> Result<Self> {
        Ok(Self(parse("the default configuration", DEFAULT)?))
    }

    /// On top of these, the preset called `name`.
    ///
    /// # Errors
    /// [`Error::Config`] when there is no such preset.
    pub fn preset(self, name: &str) -> Result<Self> {
        self.merged(named("preset", name, PRESETS)?)
    }

    /// On top of these, the settings of a TOML file.
    ///
    /// # Errors
    /// [`Error::Config`] when the file cannot be read or parsed, naming the line.
    pub fn file(self, path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|e| {
            Error::Config(format!("`{}`: cannot read the configuration: {e}", path.display()))
        })?;
        self.merged(parse(&path.display().to_string(), &text)?)
    }

    /// On top of these, one setting such as `correct.threshold=0.7`. A value that is no TOML is a string.
    ///
    /// # Errors
    /// [`Error::Config`] without a `=`, or when a section is given a value.
    pub fn set(self, assignment: &str) -> Result<Self> {
        self.settings([assigned(assignment)?])
    }

    /// On top of these, settings that are given together, as by [`set`](Self::set): a recipe among them comes before
    /// the others.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub fn set_all(self, assignments: impl IntoIterator<Item = String>) -> Result<Self> {
        let settings: Result<Vec<_>> = assignments.into_iter().map(|text| assigned(&text)).collect();
        self.settings(settings?)
    }

    /// On top of these, settings by their dotted names; a recipe among them comes before the others.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub fn settings(self, settings: impl IntoIterator<Item = (String, Value)>) -> Result<Self> {
        let (recipe, others): (Vec<_>, Vec<_>) = settings.into_iter().partition(|(name, _)| name == "recipe");
        recipe.into_iter().chain(others).try_fold(self, |layers, (name, value)| layers.setting(&name, value))
    }

    fn setting(self, name: &str, value: Value) -> Result<Self> {
        let nested = name
            .rsplit('.')
            .fold(value, |inner, name| Value::Table(Table::from_iter([(name.to_owned(), inner)])));
        match nested {
            Value::Table(table) => self.merged(table),
            _ => Ok(self),
        }
    }

    /// The settings of a finished configuration.
    ///
    /// # Errors
    /// [`Error::Config`] if a value has no TOML form.
    pub fn of(config: &Config) -> Result<Self> {
        Ok(Self(parse("the configuration", &config.to_toml()?)?))
    }

    /// The value of the setting with this dotted name, such as `train.steps`.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let (section, setting) = name.split_once('.').map_or((None, name), |(s, n)| (Some(s), n));
        let table = section.map_or(Some(&self.0), |section| self.0.get(section)?.as_table());
        table?.get(setting)
    }

    /// On top of these, a table of settings; a recipe among them comes before the others.
    ///
    /// # Errors
    /// [`Error::Config`] when one of them does not exist.
    pub fn merged(mut self, over: Table) -> Result<Self> {
        if let Some(Value::String(name)) = over.get("recipe") {
            self = self.recipe(name)?;
        }
        merge(&mut self.0, over, "")?;
        Ok(self)
    }

    /// On top of these, the recipe called `name`, in the place of any other; nothing changes if it is the present one.
    fn recipe(mut self, name: &str) -> Result<Self> {
        let recipe = named("recipe", name, RECIPES)?;
        if self.get("recipe").and_then(Value::as_str) == Some(name) {
            return Ok(self);
        }
        let defaults = parse("the default configuration", DEFAULT)?;
        for (other, text) in RECIPES {
            merge(&mut self.0, restricted(&defaults, &parse(other, text)?), "")?;
        }
        merge(&mut self.0, recipe, "")?;
        Ok(self)
    }

    /// The configuration these layers amount to.
    ///
    /// # Errors
    /// [`Error::Config`] for a setting of the wrong type or outside its range, naming it.
    pub fn build(self) -> Result<Config> {
        let config: Config = self
            .0
            .try_into()
            .map_err(|e: toml::de::Error| Error::Config(e.to_string().trim().replace('\n', " ")))?;
        config.check()?;
        Ok(config)
    }
}

/// The settings of the file called `name` on a roster.
fn named(kind: &str, name: &str, files: &[(&str, &str)]) -> Result<Table> {
    let Some((_, text)) = files.iter().find(|(known, _)| *known == name) else {
        let known: Vec<&str> = files.iter().map(|(name, _)| *name).collect();
        return Err(Error::unknown(kind, name, &known));
    };
    parse(name, text)
}

/// The name and the value of an assignment such as `correct.threshold=0.7`. A value that is no TOML is a string.
fn assigned(assignment: &str) -> Result<(String, Value)> {
    let (name, value) = assignment.split_once('=').ok_or_else(|| {
        Error::Config(format!("`{assignment}` is no setting; expected KEY=VALUE, such as train.steps=600"))
    })?;
    let value = format!("v = {}", value.trim())
        .parse::<Table>()
        .ok()
        .and_then(|mut table| table.remove("v"))
        .unwrap_or_else(|| Value::String(value.trim().to_owned()));
    Ok((name.trim().to_owned(), value))
}

/// Those settings of `all` that `names` has, too.
fn restricted(all: &Table, names: &Table) -> Table {
    let both = names.iter().filter_map(|(name, value)| {
        let own = all.get(name)?;
        Some(match (own, value) {
            (Value::Table(own), Value::Table(names)) => (name.clone(), Value::Table(restricted(own, names))),
            _ => (name.clone(), own.clone()),
        })
    });
    both.collect()
}

/// Parses TOML, naming where it comes from.
pub(crate) fn parse(what: &str, text: &str) -> Result<Table> {
    text.parse().map_err(|e: toml::de::Error| {
        let line = e.span().map_or(0, |span| text[..span.start].lines().count().max(1));
        Error::Config(format!("{what}, line {line}: {}", e.message()))
    })
}

/// Puts the values of `over` in the place of those of `base`; only names that exist may be set.
fn merge(base: &mut Table, over: Table, path: &str) -> Result<()> {
    for (name, value) in over {
        let full = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match (base.get_mut(&name), value) {
            (Some(Value::Table(inner)), Value::Table(table)) => merge(inner, table, &full)?,
            (Some(Value::Table(_)), _) => {
                return Err(Error::Config(format!("`{full}` is a section; set one of its settings")));
            }
            (Some(Value::Float(slot)), Value::Integer(whole)) => *slot = whole as f64,
            (Some(slot), value) => *slot = value,
            (None, _) => {
                let known: Vec<&str> = base.keys().map(String::as_str).collect();
                let place = if path.is_empty() { "here".to_owned() } else { format!("in [{path}]") };
                return Err(Error::Config(format!(
                    "unknown setting `{full}`; known {place}: {}",
                    known.join(", ")
                )));
            }
        }
    }
    Ok(())
}
