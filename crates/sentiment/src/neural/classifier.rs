//! A trained model in a folder: saved, opened, asked.

use std::fs;
use std::path::Path;

use bestof_checkpoints::{ModelFolder, StoredType, Weights};
use bestof_files::write_file;
use bestof_models::bert::{self, Bert, BertConfig, Loader};
use bestof_models::open_device;
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::attribution::{Attribution, AttributionTarget};
use super::batch::{Inputs, floats};
use super::error::NeuralError;
use super::loss::Task;
use super::model::{NeuralModel, Outputs, Shape, Start};
use super::reader::TextReader;
use super::rows::{Row, by_length};
use super::settings::SentimentSection;
use super::vocabulary::Vocabulary;
use crate::features::FEATURES_FILE;
use crate::model::{Architecture, ModelCard, Predictor};
use crate::predictions::STARS;
use crate::{Example, FeatureSpec, Predictions, SentimentError};

/// Name of the file with a neural model's settings.
pub const SETTINGS_FILE: &str = "neural.json";
/// Name of the list of words that CNN and HAN know.
pub const VOCABULARY_FILE: &str = "vocabulary.json";
/// Longest file read of those above.
const MAX_BYTES: u64 = 1 << 28;
/// Rows and tokens that are answered together.
const BATCH: (usize, usize) = (64, 4096);

/// Contents of [`SETTINGS_FILE`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    meta_features: usize,
    settings: SentimentSection,
}

/// A model with all it needs to read reviews.
#[derive(Debug)]
pub struct Classifier {
    pub(super) model: NeuralModel,
    pub(super) reader: TextReader,
    card: ModelCard,
    features: FeatureSpec,
    pub(super) device: Device,
}

impl Classifier {
    pub(super) fn new(
        model: NeuralModel,
        reader: TextReader,
        card: ModelCard,
        features: FeatureSpec,
        device: Device,
    ) -> Self {
        Self { model, reader, card, features, device }
    }

    /// Opens a folder that [`Classifier::save`] has written, on a device by its name.
    ///
    /// # Errors
    /// A file that is missing, damaged, or of another model than the others.
    pub fn open(dir: &Path, device: &str) -> Result<Self, NeuralError> {
        let device = open_device(device)?;
        let card = ModelCard::load(dir)?;
        let path = dir.join(SETTINGS_FILE);
        let bad = |reason: String| NeuralError::BadFile { path: path.clone(), reason };
        let description: Description =
            serde_json::from_slice(&read(&path)?).map_err(|error| bad(error.to_string()))?;
        let settings = description.settings;
        settings.validate()?;
        if settings.kind != card.kind {
            return Err(bad(format!(
                "it is of a {}, the folder of a {}",
                settings.kind, card.kind
            )));
        }
        let features = FeatureSpec::load(dir)?;
        if settings.kind.is_joint() && features.width() != description.meta_features {
            return Err(bad(format!(
                "the model takes {} meta features, {FEATURES_FILE} has {}",
                description.meta_features,
                features.width()
            )));
        }
        let weights = Weights::open(dir)?;
        let mut loader = Loader::reading(&weights, &device);
        let (reader, bert) = if settings.kind.architecture() == Some(Architecture::Bert) {
            let folder = ModelFolder::open(dir)?;
            let config = BertConfig::from_hf(&folder.config).map_err(NeuralError::Model)?;
            (TextReader::pieces(dir, &settings)?, Some(Bert::load(&mut loader, &config)?))
        } else {
            let path = dir.join(VOCABULARY_FILE);
            let words: Vocabulary = serde_json::from_slice(&read(&path)?)
                .map_err(|error| NeuralError::BadFile { path, reason: error.to_string() })?;
            (TextReader::words(words, &settings), None)
        };
        let words = reader.vocabulary().map_or(0, Vocabulary::len);
        let shape = Shape { settings, meta_features: description.meta_features, words };
        let model = NeuralModel::load(&mut loader, Start::Stored, &shape, bert)?;
        Ok(Self { model, reader, card, features, device })
    }

    /// Writes `model.safetensors` and what belongs to it into `dir`, which is created: the
    /// encoder's `config.json` and tokenizer from `encoder`, or the words; the features; and
    /// which model it is.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub fn save(&self, dir: &Path, encoder: Option<&ModelFolder>) -> Result<(), NeuralError> {
        fs::create_dir_all(dir).map_err(NeuralError::io("make", dir))?;
        if let Some(encoder) = encoder {
            encoder.copy_companions(dir)?;
        }
        bert::save(&self.model, &config_json(&self.model), dir, StoredType::F32)?;
        if let Some(words) = self.reader.vocabulary() {
            write(&dir.join(VOCABULARY_FILE), words)?;
        }
        self.features.save(dir)?;
        let shape = self.model.shape();
        let settings = shape.settings.clone();
        let meta_features = shape.meta_features;
        write(&dir.join(SETTINGS_FILE), &Description { meta_features, settings })?;
        Ok(self.card.save(dir)?)
    }

    /// The settings of the model.
    pub fn settings(&self) -> &SentimentSection {
        &self.model.shape().settings
    }

    /// The model.
    pub fn model(&self) -> &NeuralModel {
        &self.model
    }

    /// Texts go through the model with others of about their length, and nothing is computed for
    /// padding. Callers that stream give some hundred rows at a time.
    fn answer(&self, examples: &[Example]) -> Result<Predictions, NeuralError> {
        let shape = self.model.shape();
        let rows = examples
            .iter()
            .map(|example| Row::inputs(example, &self.reader, shape))
            .collect::<Result<Vec<_>, _>>()?;
        let all: Vec<usize> = (0..rows.len()).collect();
        let mut found = empty(shape, rows.len());
        for part in by_length(&all, |row| rows[row].tokens(), BATCH.0, BATCH.1) {
            let inputs = Inputs::new(part.iter().map(|&row| &rows[row]), shape, &self.device)?;
            let part_found = answers(self.model.forward(&inputs, None)?);
            place(&mut found.stars, part_found.stars, &part);
            place(&mut found.positive, part_found.positive, &part);
            place(&mut found.sentiment, part_found.sentiment, &part);
        }
        Ok(found)
    }
}

impl Predictor for Classifier {
    fn card(&self) -> &ModelCard {
        &self.card
    }

    fn features(&self) -> &FeatureSpec {
        &self.features
    }

    fn predict(&self, examples: &[Example]) -> Result<Predictions, SentimentError> {
        Ok(self.answer(examples)?)
    }

    fn explain(
        &self,
        example: &Example,
        target: AttributionTarget,
        points: usize,
    ) -> Result<Option<Attribution>, SentimentError> {
        Ok(Some(self.attribute(example, target, points)?))
    }
}

/// Places for the answers to `rows` rows in every head.
fn empty(shape: &Shape, rows: usize) -> Predictions {
    let tasks = shape.tasks();
    Predictions {
        stars: tasks.contains(&Task::Stars).then(|| vec![[0.0; STARS]; rows]),
        positive: Some(vec![0.0; rows]),
        sentiment: tasks.contains(&Task::Sentiment).then(|| vec![0.0; rows]),
    }
}

fn place<T>(into: &mut Option<Vec<T>>, found: Option<Vec<T>>, rows: &[usize]) {
    if let (Some(into), Some(found)) = (into, found) {
        for (value, &row) in found.into_iter().zip(rows) {
            into[row] = value;
        }
    }
}

/// What the heads say as probabilities. Without a head for it, a positive review has four or five
/// stars.
pub(super) fn answers(outputs: Outputs) -> Predictions {
    let shares = |logits: Tensor<2>| floats(softmax(logits, 1));
    let stars = outputs.stars.map(|logits| shares(logits).as_chunks::<STARS>().0.to_vec());
    let positive = match outputs.binary {
        Some(logits) => Some(shares(logits).chunks_exact(2).map(|row| row[1]).collect()),
        None => stars.as_ref().map(|rows| rows.iter().map(|row| row[3] + row[4]).collect()),
    };
    Predictions { stars, positive, sentiment: outputs.sentiment.map(floats) }
}

/// The `config.json` of a model: that of its encoder, or a name that no one takes for one.
pub(super) fn config_json(model: &NeuralModel) -> serde_json::Value {
    match model.bert() {
        Some(bert) => bert.config().to_hf("BertModel"),
        None => json!({ "model_type": format!("bestof-{}", model.shape().settings.kind) }),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, NeuralError> {
    let size = fs::metadata(path).map_err(NeuralError::io("read", path))?.len();
    if size > MAX_BYTES {
        let reason = format!("it has {size} bytes, more than any such file");
        return Err(NeuralError::BadFile { path: path.to_owned(), reason });
    }
    fs::read(path).map_err(NeuralError::io("read", path))
}

fn write<T: Serialize>(path: &Path, value: &T) -> Result<(), NeuralError> {
    let text = serde_json::to_vec_pretty(value).map_err(|error| NeuralError::BadFile {
        path: path.to_owned(),
        reason: error.to_string(),
    })?;
    Ok(write_file(path, &text).map_err(SentimentError::from)?)
}
