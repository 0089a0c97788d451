//! All sections of a run together.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::error::{ConfigError, Difference};
use super::extend::ExtendSection;
use super::policy::{ObjectiveSection, RewardSection, RolloutSection};
use super::sections::{
    DataSection, DisplacementSection, LoraSection, LossSection, ModelSection, OutputSection,
    TrainSection,
};

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

impl RunConfig {
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
