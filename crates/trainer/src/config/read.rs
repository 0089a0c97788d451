//! From a TOML text with overrides to a checked configuration.

use std::path::Path;

use super::error::ConfigError;
use super::fields::unknown_keys;
use super::kind::RunKind;
use super::overrides;
use super::run_config::RunConfig;

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

impl RunConfig {
    /// The configuration of a TOML file, with overrides applied before it is checked.
    ///
    /// # Errors
    /// Every variant of [`ConfigError`].
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

    pub(super) fn with_foreign(
        table: toml::Table,
        is_foreign: impl Fn(&str) -> bool,
    ) -> Result<Self, ConfigError> {
        let unknown = unknown_keys(&table, is_foreign);
        if !unknown.is_empty() {
            return Err(ConfigError::UnknownKeys { unknown });
        }
        let config: Self = toml::Value::Table(table)
            .try_into()
            .map_err(|source| ConfigError::Shape { source: Box::new(source) })?;
        config.validate()?;
        Ok(config)
    }
}

fn read(path: &Path) -> Result<String, ConfigError> {
    bestof_files::read_text(path)
        .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })
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
}
