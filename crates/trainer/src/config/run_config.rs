//! All sections of a run together.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::extend::ExtendSection;
use super::lora::LoraSection;
use super::policy::{ObjectiveSection, RewardSection, RolloutSection};
use super::sections::{
    DataSection, DisplacementSection, LossSection, ModelSection, OutputSection, TrainSection,
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
}
