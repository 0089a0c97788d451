//! The configuration of a run: the sections of every run, and `[sentiment]`.

use std::path::Path;

use bestof_trainer::config::{
    ConfigError, RunConfig, RunKind, UnknownKey, ValueProblem, read_table, unknown_keys_of,
};
use toml::{Table, Value};

use super::settings::SentimentSection;
use crate::error::SentimentError;
use crate::model::{Architecture, ModelKind};

/// Name of the section that only these runs have.
const SECTION: &str = "sentiment";
/// The kind of run that `sentiment train` is.
const RUN_KIND: RunKind = RunKind::new(&[SECTION]);
/// The encoder that `bert` models start from when none is named.
const DEFAULT_ENCODER: &str = "models/minilm-l6-v2";
/// Settings that need evaluations during the run, and the default interval between these, in steps.
const EVALUATED: [&str; 2] = ["early_stopping_patience", "load_best_model_at_end"];
const EVAL_STEPS: i64 = 50;
/// Stands for the model folder of models that start from random weights.
const NO_ENCODER: &str = "none";

/// Settings from a command line, which take precedence over the configuration's text.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct NeuralRequest<'a> {
    /// Which model.
    pub kind: Option<ModelKind>,
    /// The folder of prepared data.
    pub data: Option<&'a Path>,
    /// The run folder.
    pub output: Option<&'a Path>,
    /// The folder of the pretrained encoder that `bert` models start from.
    pub encoder: Option<&'a Path>,
}

/// The configuration of a run of a neural model.
///
/// ```
/// use std::path::Path;
/// use bestof_sentiment::neural::{NeuralConfig, NeuralRequest};
///
/// let text = "[sentiment]\nkind = 'cnn-mt'\n[train]\nnum_train_epochs = 2.0\n";
/// let mut request = NeuralRequest::default();
/// (request.data, request.output) = (Some(Path::new("prepared")), Some(Path::new("runs/cnn")));
/// let config = NeuralConfig::from_toml(text, &["sentiment.filters=64".to_owned()], request)?;
/// assert_eq!((config.sentiment.filters, config.run.train.num_train_epochs), (64, 2.0));
///
/// let wrong = NeuralConfig::from_toml(text, &["sentiment.filtres=64".to_owned()], request);
/// assert!(wrong.unwrap_err().to_string().contains("did you mean `sentiment.filters`"));
/// # Ok::<(), bestof_sentiment::SentimentError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct NeuralConfig {
    /// The sections of every run.
    pub run: RunConfig,
    /// `[sentiment]`.
    pub sentiment: SentimentSection,
}

impl NeuralConfig {
    /// The text of a configuration as this version writes it; `None` if it is none.
    pub(super) fn completed(text: &str) -> Option<String> {
        let config = Self::from_toml(text, &[], NeuralRequest::default()).ok()?;
        Some(config.run.to_toml())
    }

    /// The configuration of a TOML text, which may be empty, with overrides (`section.key=value`).
    ///
    /// Defaults: batches of 32 rows; for BERT the encoder in `models/minilm-l6-v2` and three epochs at
    /// a learning rate of 5e-5 with a warm-up of a tenth of the steps; for CNN and HAN five epochs at
    /// 1e-3. With early stopping or `train.load_best_model_at_end`, an evaluation every 50 steps.
    ///
    /// # Errors
    /// [`SentimentError::Config`] or [`SentimentError::Setting`].
    pub fn from_toml(
        text: &str,
        overrides: &[String],
        request: NeuralRequest<'_>,
    ) -> Result<Self, SentimentError> {
        let mut table = read_table(text, overrides)?;
        let mut section = match table.remove(SECTION) {
            None => Table::new(),
            Some(Value::Table(section)) => section,
            Some(other) => return Err(bad_value(SECTION, other.to_string(), "a section").into()),
        };
        let unknown = unknown_keys_of::<SentimentSection>(SECTION, &section);
        if !unknown.is_empty() {
            return Err(ConfigError::UnknownKeys { unknown }.into());
        }
        if let Some(kind) = request.kind {
            section.insert("kind".into(), kind.to_string().into());
        }
        let has_factor = section.contains_key("head_learning_rate_factor");
        let mut sentiment: SentimentSection = Value::Table(section)
            .try_into()
            .map_err(|source| ConfigError::Shape { source: Box::new(source) })?;
        if !has_factor && sentiment.architecture()? != Architecture::Bert {
            sentiment.head_learning_rate_factor = 1.0;
        }
        let architecture = sentiment.validate()?;
        fill(&mut table, architecture, request)?;
        let recorded = Table::try_from(&sentiment).map_err(|source| {
            bad_value(SECTION, source.to_string(), "values that TOML can hold")
        })?;
        table.insert(SECTION.into(), recorded.into());
        let run = RunConfig::from_table(table, RUN_KIND)?;
        run.validate_kind(RUN_KIND)?;
        Ok(Self { run, sentiment })
    }

    /// The configuration of a TOML file.
    ///
    /// # Errors
    /// As [`NeuralConfig::from_toml`], and a file that cannot be read.
    pub fn from_file(
        path: &Path,
        overrides: &[String],
        request: NeuralRequest<'_>,
    ) -> Result<Self, SentimentError> {
        let text = bestof_files::read_text(path)
            .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        Self::from_toml(&text, overrides, request)
    }
}

/// Adds the request and the defaults.
fn fill(
    table: &mut Table,
    architecture: Architecture,
    request: NeuralRequest<'_>,
) -> Result<(), SentimentError> {
    let path = |path: &Path| Value::String(path.display().to_string());
    if let Some(data) = request.data {
        section(table, "data")?.insert("train".into(), path(data));
    }
    if let Some(output) = request.output {
        section(table, "output")?.insert("dir".into(), path(output));
    }
    if let Some(encoder) = request.encoder {
        section(table, "model")?.insert("path".into(), path(encoder));
    }
    refuse_unused(table, architecture)?;
    let (encoder, train): (&str, &[(&str, Value)]) = match architecture {
        Architecture::Bert => (
            DEFAULT_ENCODER,
            &[
                ("per_device_train_batch_size", Value::Integer(32)),
                ("warmup_ratio", Value::Float(0.1)),
            ],
        ),
        Architecture::Cnn | Architecture::Han => (
            NO_ENCODER,
            &[
                ("per_device_train_batch_size", Value::Integer(32)),
                ("learning_rate", Value::Float(1e-3)),
                ("num_train_epochs", Value::Float(5.0)),
            ],
        ),
    };
    section(table, "model")?.entry("path").or_insert(encoder.into());
    for (key, value) in train {
        section(table, "train")?.entry(*key).or_insert_with(|| value.clone());
    }
    let train = section(table, "train")?;
    train.entry("per_device_eval_batch_size").or_insert(Value::Integer(32));
    if EVALUATED.iter().any(|key| train.contains_key(*key)) {
        train.entry("eval_steps").or_insert(Value::Integer(EVAL_STEPS));
    }
    Ok(())
}

/// Refuses keys that only runs of language models read.
fn refuse_unused(table: &Table, architecture: Architecture) -> Result<(), SentimentError> {
    let mut unknown = Vec::new();
    let mut refuse = |found: String, nearest: Option<&str>| {
        unknown.push(UnknownKey { found, nearest: nearest.map(str::to_owned) });
    };
    let keys = |name: &str| table.get(name).and_then(Value::as_table);
    for key in keys("data").into_iter().flat_map(Table::keys) {
        match key.as_str() {
            "train" | "shuffle" => {}
            "max_length" => refuse("data.max_length".into(), Some("sentiment.max_length")),
            _ => refuse(format!("data.{key}"), None),
        }
    }
    if keys("train").is_some_and(|train| train.contains_key("gradient_checkpointing")) {
        refuse("train.gradient_checkpointing".into(), None);
    }
    if table.contains_key("lora") {
        refuse("lora".into(), None);
    }
    let named = keys("model").and_then(|model| model.get("path")).and_then(Value::as_str);
    if architecture != Architecture::Bert && named.is_some_and(|path| path != NO_ENCODER) {
        refuse("model.path".into(), None);
    }
    if unknown.is_empty() { Ok(()) } else { Err(ConfigError::UnknownKeys { unknown }.into()) }
}

fn section<'t>(table: &'t mut Table, name: &'static str) -> Result<&'t mut Table, ConfigError> {
    let entry = table.entry(name).or_insert_with(|| Value::Table(Table::new()));
    let found = entry.to_string();
    entry.as_table_mut().ok_or_else(|| bad_value(name, found, "a section"))
}

fn bad_value(key: &'static str, found: String, expected: &'static str) -> ConfigError {
    ConfigError::Values { problems: vec![ValueProblem { key, found, expected }] }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<NeuralConfig, SentimentError> {
        let request = NeuralRequest {
            data: Some(Path::new("p")),
            output: Some(Path::new("o")),
            ..NeuralRequest::default()
        };
        NeuralConfig::from_toml(text, &[], request)
    }

    #[test]
    fn an_empty_text_is_the_papers_joint_model() {
        let config = read("").unwrap();
        assert_eq!(config.sentiment, SentimentSection::default());
        assert_eq!(config.run.model.path, Path::new(DEFAULT_ENCODER));
        assert_eq!(config.run.train.per_device_train_batch_size, 32);
        assert_eq!(config.run.train.learning_rate, 5e-5);
        let recorded = &config.run.foreign[SECTION];
        assert_eq!(recorded["kind"].as_str(), Some("bert-mt-joint"));
        // A resumed run is compared with the recorded configuration.
        let table = read_table(&config.run.to_toml(), &[]).unwrap();
        let again = RunConfig::from_table(table, RUN_KIND).unwrap();
        assert_eq!(again, config.run);
        assert_eq!(config.run.train.eval_steps, 0);
        let watched = read("[train]\nearly_stopping_patience = 2").unwrap();
        assert_eq!(watched.run.train.eval_steps, EVAL_STEPS as u64);
    }

    #[test]
    fn keys_that_would_be_ignored_are_refused() {
        for (text, key) in [
            ("[data]\nmax_length = 5", "sentiment.max_length"),
            ("[data]\nappend_end_of_text = true", "data.append_end_of_text"),
            ("[lora]\nr = 4", "lora"),
            ("[sentiment]\nkind = 'han'\n[model]\npath = 'x'", "model.path"),
            ("[loss]\nname = 'dpo'", "loss"),
            ("[sentiment]\ndropout = 1.0", "dropout"),
            ("[sentiment]\nfilters = 0", "filters"),
            ("[sentiment]\nkind = 'bert-large'", "bert-mt-joint"),
            ("[sentiment]\nkind = 'svm'", "bert, cnn or han"),
            ("[sentiment]\nlabels = 'three'", "labels"),
            ("sentiment = 3", "`sentiment` is 3"),
            ("train = 3", "`train` is 3"),
        ] {
            let message = read(text).unwrap_err().to_string();
            assert!(message.contains(key), "{text}: {message}");
        }
    }
}
