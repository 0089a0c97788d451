//! The settings of a run: read from TOML, overridden by `key.path=value`, checked, written back as resolved.
//!
//! Names are those of TRL and `transformers` wherever they have one. A key nobody knows is an error that
//! names the nearest known one; nothing is ignored silently.

mod extend;
mod fields;
mod loss;
mod overrides;
mod policy;
mod sections;
mod validate;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use extend::ExtendSection;
pub use fields::unknown_keys_of;
pub use policy::{External, ObjectiveSection, RewardSection, RolloutSection, VerifierName};
pub use sections::{
    DataSection, DisplacementSection, LoraSection, LossSection, ModelSection, OutputSection,
    SchedulerType, TrainSection,
};
pub use validate::RunKind;

/// A configuration's text as a table, with overrides (`section.key=value`) applied: for callers that add
/// what their users need not write.
///
/// # Errors
/// [`ConfigError::Syntax`] or [`ConfigError::Override`].
pub fn read_table(text: &str, overrides: &[String]) -> Result<toml::Table, ConfigError> {
    let mut table: toml::Table =
        text.parse().map_err(|source| ConfigError::Syntax { source: Box::new(source) })?;
    for text in overrides {
        overrides::apply(&mut table, text)?;
    }
    Ok(table)
}

/// Everything a run needs to know, one field a section of the TOML file.
///
/// ```
/// use bestof_trainer::config::RunConfig;
///
/// let text = r#"
/// [model]
/// path = "models/smollm2"
/// [data]
/// train = "pairs.jsonl"
/// [output]
/// dir = "runs/first"
/// "#;
/// let config = RunConfig::from_toml(text, &["train.learning_rate=1e-5".to_owned()])?;
/// assert_eq!(config.train.learning_rate, 1e-5);
///
/// let wrong = RunConfig::from_toml(text, &["train.learning_rat=1e-5".to_owned()]);
/// assert!(wrong.unwrap_err().to_string().contains("did you mean `train.learning_rate`"));
/// # Ok::<(), bestof_trainer::config::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunConfig {
    /// Which model, on which device.
    pub model: ModelSection,
    /// Which rows, and how they become tokens.
    pub data: DataSection,
    /// Where the run folder is.
    pub output: OutputSection,
    /// Optimiser, schedule, and how often things happen.
    #[serde(default)]
    pub train: TrainSection,
    /// Low-rank adapters; absent means that every weight is trained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lora: Option<LoraSection>,
    /// Which preference loss; only preference runs have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<LossSection>,
    /// When falling chosen answers are reported; only preference runs have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub displacement: Option<DisplacementSection>,
    /// How completions are sampled; only policy-gradient runs have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutSection>,
    /// Who judges them; only policy-gradient runs have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reward: Option<RewardSection>,
    /// What is optimised; only policy-gradient runs have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objective: Option<ObjectiveSection>,
    /// The sections that another crate's runs read, by name. They are recorded, and a resumed run must
    /// have the same.
    #[serde(flatten)]
    pub foreign: BTreeMap<String, toml::Table>,
    /// Which basis, and how far; only extension runs have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extend: Option<ExtendSection>,
}

/// What can be wrong with a configuration.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file could not be read.
    #[error("cannot read the configuration {}: {source}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The text is not TOML.
    #[error("the configuration is not valid TOML: {source}")]
    Syntax {
        /// Position and reason.
        source: Box<toml::de::Error>,
    },
    /// An override has no `=`.
    #[error("`--set {found}`: expected `section.key=value`, as in `train.learning_rate=1e-5`")]
    Override {
        /// The text given.
        found: String,
    },
    /// Keys that no section knows.
    #[error("unknown configuration keys: {}", .unknown.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    UnknownKeys {
        /// All of them, sorted.
        unknown: Vec<UnknownKey>,
    },
    /// A value has the wrong type, or a required key is missing.
    #[error("the configuration does not fit: {source}")]
    Shape {
        /// Key and reason.
        source: Box<toml::de::Error>,
    },
    /// Values outside their range.
    #[error("bad configuration values: {}", .problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Values {
        /// All of them.
        problems: Vec<ValueProblem>,
    },
    /// A resumed run was given other settings than the ones it started with.
    #[error(
        "this run was started with other settings: {}; give the old ones back, or choose another `output.dir`",
        .differences.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    )]
    ChangedOnResume {
        /// Every key whose value differs.
        differences: Vec<Difference>,
    },
}

/// A key that no section knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownKey {
    /// Dotted path as found.
    pub found: String,
    /// The nearest known key, if one is near enough.
    pub nearest: Option<String>,
}

impl std::fmt::Display for UnknownKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.nearest {
            Some(nearest) => write!(f, "`{}` (did you mean `{nearest}`?)", self.found),
            None => write!(f, "`{}`", self.found),
        }
    }
}

/// A value outside its range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueProblem {
    /// Dotted path of the key.
    pub key: &'static str,
    /// The value given.
    pub found: String,
    /// What is allowed.
    pub expected: &'static str,
}

impl std::fmt::Display for ValueProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` is {}, expected {}", self.key, self.found, self.expected)
    }
}

/// A key whose value differs between two configurations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Dotted path of the key.
    pub key: String,
    /// The value the run was started with; `absent` if it had none.
    pub before: String,
    /// The value given now; `absent` if there is none.
    pub now: String,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` was {} and is now {}", self.key, self.before, self.now)
    }
}

/// A text as a TOML string, quotes included, for configurations that are put together.
///
/// ```
/// use bestof_trainer::config::toml_text;
///
/// let text = format!("path = {}", toml_text("a \"b\""));
/// assert_eq!(text.parse::<toml::Table>()?["path"].as_str(), Some("a \"b\""));
/// # Ok::<(), toml::de::Error>(())
/// ```
pub fn toml_text(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// A path as a TOML string; see [`toml_text`].
pub fn toml_path(path: &Path) -> String {
    toml_text(&path.display().to_string())
}

impl RunConfig {
    /// The configuration of a TOML file, with overrides applied before it is checked.
    ///
    /// # Errors
    /// Every variant of [`ConfigError`] but [`ConfigError::ChangedOnResume`].
    pub fn from_file(path: &Path, overrides: &[String]) -> Result<Self, ConfigError> {
        Self::from_toml(&read(path)?, overrides)
    }

    /// The configuration of a TOML text, with overrides (`section.key=value`) applied before it is checked.
    ///
    /// # Errors
    /// [`ConfigError::Syntax`], [`ConfigError::Override`], [`ConfigError::UnknownKeys`],
    /// [`ConfigError::Shape`] or [`ConfigError::Values`].
    pub fn from_toml(text: &str, overrides: &[String]) -> Result<Self, ConfigError> {
        Self::with_foreign(read_table(text, overrides)?, |_| false)
    }

    /// The configuration in a table, which may have the foreign sections that `kind` reads.
    ///
    /// # Errors
    /// [`ConfigError::UnknownKeys`], [`ConfigError::Shape`] or [`ConfigError::Values`].
    pub fn from_table(table: toml::Table, kind: RunKind) -> Result<Self, ConfigError> {
        Self::with_foreign(table, |name| kind.reads(name))
    }

    /// The configuration that an earlier run recorded in `path`, with the foreign sections of `self`.
    pub(crate) fn read_recorded(&self, path: &Path) -> Result<Self, ConfigError> {
        let table = read_table(&read(path)?, &[])?;
        Self::with_foreign(table, |name| self.foreign.contains_key(name))
    }

    fn with_foreign(
        table: toml::Table,
        is_foreign: impl Fn(&str) -> bool,
    ) -> Result<Self, ConfigError> {
        let unknown = fields::unknown_keys(&table, is_foreign);
        if !unknown.is_empty() {
            return Err(ConfigError::UnknownKeys { unknown });
        }
        let config: Self = toml::Value::Table(table)
            .try_into()
            .map_err(|source| ConfigError::Shape { source: Box::new(source) })?;
        config.validate()?;
        Ok(config)
    }

    /// The resolved configuration as TOML, every default written out.
    ///
    /// # Panics
    /// Never for a configuration that [`RunConfig::validate`] accepts: all its values have a TOML form.
    pub fn to_toml(&self) -> String {
        toml::to_string_pretty(self).expect("paths, numbers and strings have a TOML form")
    }

    /// Checks that a resumed run has the settings it was started with.
    ///
    /// The folder itself (`output.dir`) may have moved; everything else decides what the numbers are.
    ///
    /// # Errors
    /// [`ConfigError::ChangedOnResume`] naming every key that differs.
    pub fn check_resume(&self, started_with: &Self) -> Result<(), ConfigError> {
        let mut before = flatten(started_with);
        let mut now = flatten(self);
        before.remove("output.dir");
        now.remove("output.dir");
        let absent = || "absent".to_owned();
        let mut differences: Vec<Difference> = before
            .iter()
            .filter(|(key, value)| now.get(*key) != Some(*value))
            .map(|(key, value)| Difference {
                key: key.clone(),
                before: value.clone(),
                now: now.get(key).cloned().unwrap_or_else(absent),
            })
            .collect();
        differences.extend(now.iter().filter(|(key, _)| !before.contains_key(*key)).map(
            |(key, value)| Difference { key: key.clone(), before: absent(), now: value.clone() },
        ));
        if differences.is_empty() {
            Ok(())
        } else {
            Err(ConfigError::ChangedOnResume { differences })
        }
    }
}

fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })
}

/// Dotted key to value text, for comparisons.
fn flatten(config: &RunConfig) -> BTreeMap<String, String> {
    let mut flat = BTreeMap::new();
    if let Ok(toml::Value::Table(table)) = toml::Value::try_from(config) {
        flatten_into(&table, "", &mut flat);
    }
    flat
}

fn flatten_into(table: &toml::Table, prefix: &str, flat: &mut BTreeMap<String, String>) {
    for (key, value) in table {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match value {
            toml::Value::Table(inner) => flatten_into(inner, &path, flat),
            other => {
                flat.insert(path, other.to_string());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALLEST: &str = r#"
[model]
path = "models/tiny"
[data]
train = "rows.jsonl"
[output]
dir = "runs/a"
"#;

    fn read(overrides: &[&str]) -> Result<RunConfig, ConfigError> {
        let overrides: Vec<String> = overrides.iter().map(|s| (*s).to_owned()).collect();
        RunConfig::from_toml(SMALLEST, &overrides)
    }

    #[test]
    fn the_resolved_text_reads_back_equal() {
        let config = read(&[
            "lora.r=4",
            "loss.name=dpop",
            "displacement.threshold=0.5",
            "train.save_total_limit=2",
            "train.learning_rate=3.0000000000000004e-5",
        ])
        .unwrap();
        let again = RunConfig::from_toml(&config.to_toml(), &[]).unwrap();
        assert_eq!(config, again);
    }

    #[test]
    fn all_unknown_keys_are_named_with_the_nearest_known() {
        let error = read(&["train.lerning_rate=1", "modl.path=x", "lora.rr=3"]).unwrap_err();
        let ConfigError::UnknownKeys { unknown } = error else { panic!("{error}") };
        let pairs: Vec<_> =
            unknown.iter().map(|u| (u.found.as_str(), u.nearest.as_deref())).collect();
        assert_eq!(
            pairs,
            [
                ("lora.rr", Some("lora.r")),
                ("modl", Some("model")),
                ("train.lerning_rate", Some("train.learning_rate"))
            ]
        );
    }

    #[test]
    fn a_wrong_type_names_its_key() {
        let text = read(&["train.learning_rate=fast"]).unwrap_err().to_string();
        assert!(text.contains("learning_rate") && text.contains("fast"), "{text}");
    }

    #[test]
    fn a_missing_key_is_named() {
        let text = RunConfig::from_toml("[model]\npath='m'\n[output]\ndir='d'\n", &[])
            .unwrap_err()
            .to_string();
        assert!(text.contains("data"), "{text}");
    }

    #[test]
    fn resume_names_every_changed_key_but_the_folder() {
        let before = read(&["lora.r=4", "train.seed=1"]).unwrap();
        let now = read(&["train.seed=2", "output.dir=elsewhere", "loss.name=dpop"]).unwrap();
        let ConfigError::ChangedOnResume { differences } = now.check_resume(&before).unwrap_err()
        else {
            panic!()
        };
        let keys: Vec<_> = differences.iter().map(|d| d.key.as_str()).collect();
        assert!(keys.contains(&"train.seed") && keys.contains(&"lora.r"));
        assert!(keys.contains(&"loss.name"));
        assert!(!keys.contains(&"output.dir"));
        assert!(read(&["output.dir=elsewhere"]).unwrap().check_resume(&read(&[]).unwrap()).is_ok());
    }
}
