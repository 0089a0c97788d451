//! The settings of a run: the shared sections of a configuration, and `[sentiment]`.

use std::fmt::Display;
use std::path::Path;

use bestof_trainer::config::{
    ConfigError, RunConfig, RunKind, UnknownKey, read_table, unknown_keys_of,
};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::error::NeuralError;
use crate::model::{Architecture, Labels, ModelKind};

/// The encoder that BERT models start from when none is named.
const DEFAULT_ENCODER: &str = "models/minilm-l6-v2";
/// Settings that are of no use without evaluations on the way, and how often these are unless said.
const WATCHED: [&str; 2] = ["early_stopping_patience", "load_best_model_at_end"];
const EVAL_STEPS: i64 = 50;
/// Stands for the model folder of models that start from random weights.
const NO_ENCODER: &str = "none";

/// How BERT's tokens become one vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// The pooler's output on the first token, as in the paper's figure.
    #[default]
    Pooler,
    /// The mean of all tokens, as sentence-transformers train it.
    Mean,
}

/// How the losses of several tasks become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weighting {
    /// `sum_t exp(-u_t) L_t / 2 + u_t / 2` with learned log-variances `u_t`, 0 at the start
    /// (Kendall, Gal & Cipolla 2018, arXiv:1705.07115, equation 7, with `u = log sigma^2`).
    #[default]
    Learned,
    /// `star_weight` for the labels and the rest for the sentiment score.
    Fixed,
}

/// What a row counts in the loss of the labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClassWeights {
    /// Each row 1.
    #[default]
    None,
    /// `rows / (classes * rows of the class)` over the training rows, whose mean over them is 1.
    Balanced,
}

/// `[sentiment]`: the model and its tasks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SentimentSection {
    /// Which model. Default `bert-mt-joint`.
    pub kind: ModelKind,
    /// Which labels: `stars`, `binary` or `both`. Default `stars`.
    pub labels: Labels,
    /// Longest text: word pieces with their two marks (BERT) or words (CNN). Default 128.
    pub max_length: usize,
    /// HAN: sentences read of a review. Default 20.
    pub max_sentences: usize,
    /// HAN: words read of a sentence. Default 50.
    pub max_words: usize,
    /// CNN and HAN: words known, the most frequent of the training rows. Default 20000.
    pub vocabulary: usize,
    /// CNN and HAN: training rows that a known word is in, at least. Default 2.
    pub min_rows: u64,
    /// BERT: `pooler` or `mean`. Default `pooler`.
    pub pooling: Pooling,
    /// CNN and HAN: width of a word's vector. Default 100.
    pub word_width: usize,
    /// CNN: number of filters. Default 256.
    pub filters: usize,
    /// CNN: words under a filter. Default 3.
    pub filter_width: usize,
    /// HAN: width of each direction's hidden state. Default 50.
    pub hidden_width: usize,
    /// Width of the meta encoder. Default 512.
    pub meta_width: usize,
    /// Width of the joint layer, and of the CNN's dense layer. Default 256.
    pub joint_width: usize,
    /// Share of values dropped before each head, after the meta encoder and in CNN and HAN; what is
    /// dropped inside BERT is in its own configuration. Default 0.1.
    pub dropout: f64,
    /// `learned` or `fixed`, for models of several tasks. Default `learned`.
    pub weighting: Weighting,
    /// Weight of the labels' loss when it is fixed, in `[0, 1]`; the score's is the rest.
    /// Default 0.9.
    pub star_weight: f64,
    /// `none` or `balanced`. Default `none`.
    pub class_weights: ClassWeights,
    /// What `train.learning_rate` is multiplied by for everything but BERT: it starts from random
    /// weights. Default 10 with BERT, otherwise 1.
    pub head_learning_rate_factor: f64,
}

impl Default for SentimentSection {
    fn default() -> Self {
        Self {
            kind: ModelKind::BertMtJoint,
            labels: Labels::default(),
            max_length: 128,
            max_sentences: 20,
            max_words: 50,
            vocabulary: 20_000,
            min_rows: 2,
            pooling: Pooling::default(),
            word_width: 100,
            filters: 256,
            filter_width: 3,
            hidden_width: 50,
            meta_width: 512,
            joint_width: 256,
            dropout: 0.1,
            weighting: Weighting::default(),
            star_weight: 0.9,
            class_weights: ClassWeights::default(),
            head_learning_rate_factor: 10.0,
        }
    }
}

impl SentimentSection {
    /// Checks every range.
    ///
    /// # Errors
    /// [`NeuralError::Setting`] for the first value outside its range.
    pub fn validate(&self) -> Result<(), NeuralError> {
        self.architecture()?;
        let sizes = [
            ("max_sentences", self.max_sentences),
            ("max_words", self.max_words),
            ("vocabulary", self.vocabulary),
            ("word_width", self.word_width),
            ("filters", self.filters),
            ("filter_width", self.filter_width),
            ("hidden_width", self.hidden_width),
            ("meta_width", self.meta_width),
            ("joint_width", self.joint_width),
        ];
        for (key, size) in sizes {
            need((1..=MAX_SIZE).contains(&size), key, &size, "a number from 1 to 10000000")?;
        }
        let length = self.max_length;
        need((3..=MAX_SIZE).contains(&length), "max_length", &length, "at least 3")?;
        let share = "a share in [0, 1)";
        need((0.0..1.0).contains(&self.dropout), "dropout", &self.dropout, share)?;
        let weight = self.star_weight;
        need((0.0..=1.0).contains(&weight), "star_weight", &weight, "a weight in [0, 1]")?;
        let factor = self.head_learning_rate_factor;
        let fits = factor.is_finite() && factor >= 0.0;
        need(fits, "head_learning_rate_factor", &factor, "a finite number, at least 0")
    }

    fn architecture(&self) -> Result<Architecture, NeuralError> {
        self.kind.architecture().ok_or_else(|| NeuralError::Setting {
            key: "kind",
            found: self.kind.to_string(),
            expected: "bert, cnn or han, alone or with -mt, -joint or -mt-joint",
        })
    }
}

/// More than any model has; a file that asks for more would only ask for memory.
const MAX_SIZE: usize = 10_000_000;

fn need(
    holds: bool,
    key: &'static str,
    found: &dyn Display,
    expected: &'static str,
) -> Result<(), NeuralError> {
    if holds {
        Ok(())
    } else {
        Err(NeuralError::Setting { key, found: found.to_string(), expected })
    }
}

/// What a caller says besides the configuration's text; it wins over the text.
#[derive(Debug, Clone, Copy, Default)]
pub struct NeuralRequest<'a> {
    /// Which model.
    pub kind: Option<ModelKind>,
    /// The folder of prepared data.
    pub data: Option<&'a Path>,
    /// The run folder.
    pub output: Option<&'a Path>,
    /// The folder of the encoder that BERT models start from.
    pub encoder: Option<&'a Path>,
}

/// The settings of a run of a neural model.
///
/// ```
/// use std::path::Path;
/// use bestof_sentiment::neural::{NeuralConfig, NeuralRequest};
///
/// let text = "[sentiment]\nkind = 'cnn-mt'\n[train]\nnum_train_epochs = 2.0\n";
/// let request = NeuralRequest {
///     data: Some(Path::new("prepared")), output: Some(Path::new("runs/cnn")), ..Default::default()
/// };
/// let config = NeuralConfig::from_toml(text, &["sentiment.filters=64".to_owned()], request)?;
/// assert_eq!((config.sentiment.filters, config.run.train.num_train_epochs), (64, 2.0));
///
/// let wrong = NeuralConfig::from_toml(text, &["sentiment.filtres=64".to_owned()], request);
/// assert!(wrong.unwrap_err().to_string().contains("did you mean `sentiment.filters`"));
/// # Ok::<(), bestof_sentiment::neural::NeuralError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct NeuralConfig {
    /// The sections shared with all runs.
    pub run: RunConfig,
    /// `[sentiment]`.
    pub sentiment: SentimentSection,
}

impl NeuralConfig {
    /// The configuration of a TOML text, which may be empty, with overrides (`section.key=value`).
    ///
    /// Where the text says nothing: batches of 32 rows; for BERT the encoder in
    /// `models/minilm-l6-v2`, three epochs with a highest learning rate of 5e-5 after a tenth of
    /// warm-up; for CNN and HAN five epochs at 1e-3. A run that stops early, or goes back to its best
    /// weights, looks at the validation rows every 50 steps.
    ///
    /// # Errors
    /// [`NeuralError::Config`] or [`NeuralError::Setting`].
    pub fn from_toml(
        text: &str,
        overrides: &[String],
        request: NeuralRequest<'_>,
    ) -> Result<Self, NeuralError> {
        let mut table = read_table(text, overrides)?;
        let mut section = match table.remove("sentiment") {
            None => Table::new(),
            Some(Value::Table(section)) => section,
            Some(other) => {
                let (found, expected) = (other.to_string(), "a section, `[sentiment]`");
                return Err(NeuralError::Setting { key: "", found, expected });
            }
        };
        let unknown = unknown_keys_of::<SentimentSection>("sentiment", &section);
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
        sentiment.validate()?;
        fill(&mut table, sentiment.architecture()?, request)?;
        let recorded = Table::try_from(&sentiment).map_err(|source| NeuralError::Setting {
            key: "",
            found: source.to_string(),
            expected: "values that TOML can hold",
        })?;
        table.insert("sentiment".into(), recorded.into());
        let run = RunConfig::from_table(table)?;
        run.validate_kind(RunKind::Sentiment)?;
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
    ) -> Result<Self, NeuralError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        Self::from_toml(&text, overrides, request)
    }
}

/// Adds what was not said.
fn fill(
    table: &mut Table,
    architecture: Architecture,
    request: NeuralRequest<'_>,
) -> Result<(), NeuralError> {
    let path = |path: &Path| Value::String(path.display().to_string());
    if let Some(data) = request.data {
        section(table, "data").insert("train".into(), path(data));
    }
    if let Some(output) = request.output {
        section(table, "output").insert("dir".into(), path(output));
    }
    if let Some(encoder) = request.encoder {
        section(table, "model").insert("path".into(), path(encoder));
    }
    refuse_foreign(table, architecture)?;
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
    section(table, "model").entry("path").or_insert(encoder.into());
    for (key, value) in train {
        section(table, "train").entry(*key).or_insert_with(|| value.clone());
    }
    let train = section(table, "train");
    train.entry("per_device_eval_batch_size").or_insert(Value::Integer(32));
    if WATCHED.iter().any(|key| train.contains_key(*key)) {
        train.entry("eval_steps").or_insert(Value::Integer(EVAL_STEPS));
    }
    Ok(())
}

/// Keys of language models would be ignored here, so they are refused.
fn refuse_foreign(table: &Table, architecture: Architecture) -> Result<(), NeuralError> {
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

fn section<'t>(table: &'t mut Table, name: &str) -> &'t mut Table {
    let entry = table.entry(name).or_insert_with(|| Value::Table(Table::new()));
    if !entry.is_table() {
        *entry = Value::Table(Table::new());
    }
    match entry {
        Value::Table(table) => table,
        _ => unreachable!("it was made a table"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<NeuralConfig, NeuralError> {
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
        let recorded = config.run.sentiment.as_ref().unwrap();
        assert_eq!(recorded["kind"].as_str(), Some("bert-mt-joint"));
        // What is written down is what a resumed run is compared with.
        let again = RunConfig::from_toml(&config.run.to_toml(), &[]).unwrap();
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
            ("sentiment = 3", "sentiment"),
        ] {
            let message = read(text).unwrap_err().to_string();
            assert!(message.contains(key), "{text}: {message}");
        }
    }
}
