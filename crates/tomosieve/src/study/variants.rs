//! From axes to configurations.

use toml::{Table, Value};

use super::Study;
use crate::config::{Config, Layers};
use crate::{Error, Result};

/// One configuration of a study.
#[derive(Debug, Clone, PartialEq)]
pub struct Variant {
    /// Its name: its own, and the values it has on the axes. Empty for a study without either.
    pub name: String,
    /// The settings in which it differs, by dotted name.
    pub settings: Vec<(String, Value)>,
    /// All its settings.
    pub config: Config,
}

/// A combination so far: its names, and its settings by dotted name.
type Point = (Vec<String>, Vec<(String, Value)>);

/// Every combination of named variants and axes, in order: the last axis changes fastest.
pub(super) fn expand(study: &Study, base: &Config) -> Result<Vec<Variant>> {
    let base = Layers::of(base)?;
    let mut points: Vec<Point> = vec![(Vec::new(), Vec::new())];
    if !study.variant.is_empty() {
        points = study.variant.iter().map(|v| (vec![v.name.clone()], flat("", &v.settings))).collect();
    }
    for (setting, values) in flat("", &study.axes) {
        let Value::Array(values) = values else {
            let got = format!("`{setting} = {values}` is no axis");
            return Err(Error::Config(format!("{got}; expected a list of values, such as [1, 3, 5]")));
        };
        points = points
            .into_iter()
            .flat_map(|(names, settings)| {
                let (base, setting) = (&base, &setting);
                values.iter().map(move |value| {
                    let value = resolved(base.get(setting), value);
                    let (mut names, mut settings) = (names.clone(), settings.clone());
                    names.push(label(setting, &value));
                    settings.push((setting.clone(), value));
                    (names, settings)
                })
            })
            .collect();
    }
    let mut variants: Vec<Variant> = Vec::with_capacity(points.len());
    for (names, settings) in points {
        let name = names.join(",");
        if variants.iter().any(|known| known.name == name) {
            continue; // K + 1 may be one of the other values
        }
        let layers = base.clone().settings(settings.iter().cloned());
        let config =
            layers.and_then(Layers::build).map_err(|e| Error::Config(format!("variant `{name}`: {e}")))?;
        variants.push(Variant { name, settings, config });
    }
    Ok(variants)
}

/// A value such as `"+1"` is added to the whole number of the base configuration.
fn resolved(base: Option<&Value>, value: &Value) -> Value {
    let more = value.as_str().and_then(|text| text.strip_prefix('+')?.parse::<i64>().ok());
    match (base.and_then(Value::as_integer), more) {
        (Some(base), Some(more)) => Value::Integer(base + more),
        _ => value.clone(),
    }
}

/// How a value is called: a word by itself, anything else with the last part of its setting's name.
fn label(setting: &str, value: &Value) -> String {
    let name = setting.rsplit('.').next().unwrap_or(setting);
    match value {
        Value::String(word) => word.clone(),
        Value::Array(values) => {
            let values: Vec<String> = values.iter().map(|v| v.to_string().replace('"', "")).collect();
            format!("{name}={}", values.join("-"))
        }
        other => format!("{name}={other}"),
    }
}

/// Nested tables as dotted names.
pub(super) fn flat(path: &str, table: &Table) -> Vec<(String, Value)> {
    table
        .iter()
        .flat_map(|(name, value)| {
            let full = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            match value {
                Value::Table(inner) => flat(&full, inner),
                other => vec![(full, other.clone())],
            }
        })
        .collect()
}
