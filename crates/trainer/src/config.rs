//! The settings of a run: read from TOML, overridden by `key.path=value`, checked, written back as resolved.
//!
//! Names are those of TRL and `transformers` wherever they have one. A key nobody knows is an error that
//! names the nearest known one; nothing is ignored silently.

mod build;
mod error;
mod extend;
mod fields;
mod format;
mod kind;
mod lora;
mod loss;
mod overrides;
mod policy;
mod problems;
mod read;
mod run_config;
mod sections;
mod validate;

use std::path::Path;

pub use error::{ConfigError, UnknownKey, ValueProblem};
pub use extend::ExtendSection;
pub use fields::unknown_keys_of;
pub use format::OutputFormat;
pub use kind::RunKind;
pub use lora::LoraSection;
pub use policy::{
    External, ObjectiveSection, RewardPart, RewardSection, RolloutSection, VerifierName,
};
pub use read::read_table;
pub use run_config::RunConfig;
pub use sections::{
    DataFiles, DataSection, DisplacementSection, LossSection, ModelSection, OutputSection,
    TrainSection,
};

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
