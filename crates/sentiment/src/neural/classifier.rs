//! A trained model in a folder: saved, opened, asked.

use std::fs;
use std::path::Path;

use bestof_checkpoints::{ModelFolder, StoredType, Weights};
use bestof_models::encoder::{self, Encoder, EncoderConfig, Loader};
use bestof_models::open_device;
use serde::{Deserialize, Serialize};

use super::batch::Batch;
use super::encoded::{EncodedReview, by_length};
use super::encoder::TextEncoder;
use super::init::Init;
use super::integrated_gradients::integrated_gradients;
use super::model::NeuralModel;
use super::settings::SentimentSection;
use super::shape::ModelShape;
use super::task::Task;
use super::tokenizer::ReviewTokenizer;
use super::vocabulary::Vocabulary;
use crate::attribution::{Attribution, AttributionTarget};
use crate::dataset::Example;
use crate::error::SentimentError;
use crate::features::{FEATURES_FILE, FeatureSpec};
use crate::json_file::{read_json, write_json};
use crate::model::{Architecture, ModelCard, Predictor};
use crate::predictions::{Predictions, STARS};

/// Name of the file with a neural model's settings.
pub(super) const SETTINGS_FILE: &str = "neural.json";
/// Name of the file with the vocabulary of CNN and HAN, a JSON array of words.
pub(super) const VOCABULARY_FILE: &str = "vocabulary.json";
/// Most rows and tokens of a forward pass.
const MAX_ROWS: usize = 64;
const MAX_TOKENS: usize = 4096;

/// Contents of [`SETTINGS_FILE`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    meta_features: usize,
    settings: SentimentSection,
}

/// A neural model with its tokenizer and the description of its features.
#[derive(Debug)]
pub struct NeuralClassifier {
    model: NeuralModel,
    tokenizer: ReviewTokenizer,
    card: ModelCard,
    features: FeatureSpec,
}

impl NeuralClassifier {
    pub(super) fn new(
        model: NeuralModel,
        tokenizer: ReviewTokenizer,
        card: ModelCard,
        features: FeatureSpec,
    ) -> Self {
        Self { model, tokenizer, card, features }
    }

    /// Opens a folder that [`NeuralClassifier::save`] has written, on a device by its name, as `cpu`
    /// or `cuda:0`.
    ///
    /// # Errors
    /// A file that is missing, damaged, or that does not belong to the others.
    pub fn open(dir: &Path, device: &str) -> Result<Self, SentimentError> {
        let device = open_device(device)?;
        let card = ModelCard::load(dir)?;
        let path = dir.join(SETTINGS_FILE);
        let Description { meta_features, settings } = read_json(&path)?;
        let mismatch = |reason: String| SentimentError::BadFile { path: path.clone(), reason };
        let architecture = settings.validate()?;
        if settings.kind != card.kind {
            return Err(mismatch(format!(
                "it describes a {}, but the folder holds a {}",
                settings.kind, card.kind
            )));
        }
        let features = FeatureSpec::load(dir)?;
        if settings.kind.is_joint() && features.width() != meta_features {
            return Err(mismatch(format!(
                "the model takes {meta_features} meta features, but {FEATURES_FILE} has {}",
                features.width()
            )));
        }
        let weights = Weights::open(dir)?;
        let mut loader = Loader::reading(&weights, &device);
        let (init, loader) = (Init::Stored, &mut loader);
        let tokenizer = match architecture {
            Architecture::Bert => ReviewTokenizer::pieces(dir, &settings)?,
            Architecture::Cnn | Architecture::Han => {
                ReviewTokenizer::words(read_json(&dir.join(VOCABULARY_FILE))?, &settings)
            }
        };
        let words = tokenizer.vocabulary().map_or(0, Vocabulary::len);
        let encoder = match architecture {
            Architecture::Bert => {
                let config = EncoderConfig::from_hf(&ModelFolder::open(dir)?.config)?;
                let encoder = Encoder::load(loader, &config)?;
                TextEncoder::pretrained(encoder, loader, init, &settings)?
            }
            Architecture::Cnn => (TextEncoder::cnn(loader, init, words, &settings)?, None),
            Architecture::Han => (TextEncoder::han(loader, init, words, &settings)?, None),
        };
        let shape = ModelShape { settings, meta_features, words };
        let model = NeuralModel::load(loader, init, shape, encoder)?;
        Ok(Self { model, tokenizer, card, features })
    }

    /// Writes `model.safetensors` and the files beside it into `dir`, which is created: `config.json`
    /// and tokenizer of a pretrained encoder from `source`, or the vocabulary; the features; settings and card.
    ///
    /// # Errors
    /// A file that cannot be read or written.
    pub(super) fn save(
        &self,
        dir: &Path,
        source: Option<&ModelFolder>,
    ) -> Result<(), SentimentError> {
        fs::create_dir_all(dir).map_err(SentimentError::io("create", dir))?;
        if let Some(source) = source {
            source.copy_companions(dir)?;
        }
        encoder::save(&self.model, &self.model.config_json(), dir, StoredType::F32)?;
        if let Some(words) = self.tokenizer.vocabulary() {
            write_json(&dir.join(VOCABULARY_FILE), words)?;
        }
        self.features.save(dir)?;
        let shape = self.model.shape();
        let settings = shape.settings.clone();
        let meta_features = shape.meta_features;
        write_json(&dir.join(SETTINGS_FILE), &Description { meta_features, settings })?;
        self.card.save(dir)
    }

    #[cfg(test)]
    pub(super) fn settings(&self) -> &SentimentSection {
        &self.model.shape().settings
    }
}

impl Predictor for NeuralClassifier {
    fn card(&self) -> &ModelCard {
        &self.card
    }

    fn features(&self) -> &FeatureSpec {
        &self.features
    }

    /// Texts of similar length go through the model together, and nothing is computed for padding:
    /// callers that stream should pass some hundred rows at a time.
    fn predict(&self, examples: &[Example]) -> Result<Predictions, SentimentError> {
        let shape = self.model.shape();
        let device = self.model.device();
        let rows = examples
            .iter()
            .map(|example| EncodedReview::inputs(example, &self.tokenizer, shape))
            .collect::<Result<Vec<_>, _>>()?;
        let all: Vec<usize> = (0..rows.len()).collect();
        let mut predictions = zeros(shape, rows.len());
        for part in by_length(&all, |row| rows[row].tokens(), MAX_ROWS, MAX_TOKENS) {
            let batch = Batch::new(part.iter().map(|&row| &rows[row]), shape, &device);
            let found = self.model.forward(&batch, None)?.into_predictions();
            scatter(&mut predictions.stars, found.stars, &part);
            scatter(&mut predictions.positive, found.positive, &part);
            scatter(&mut predictions.sentiment, found.sentiment, &part);
        }
        Ok(predictions)
    }

    fn explain(
        &self,
        example: &Example,
        target: AttributionTarget,
        points: usize,
    ) -> Result<Option<Attribution>, SentimentError> {
        integrated_gradients(&self.model, &self.tokenizer, example, target, points).map(Some)
    }
}

/// Zeros for every answer of the model to `rows` rows.
fn zeros(shape: &ModelShape, rows: usize) -> Predictions {
    let tasks = shape.tasks();
    Predictions {
        stars: tasks.contains(&Task::Stars).then(|| vec![[0.0; STARS]; rows]),
        positive: Some(vec![0.0; rows]),
        sentiment: tasks.contains(&Task::Sentiment).then(|| vec![0.0; rows]),
    }
}

/// Writes the values of a batch to the indices of its rows.
fn scatter<T>(into: &mut Option<Vec<T>>, values: Option<Vec<T>>, rows: &[usize]) {
    if let (Some(into), Some(values)) = (into, values) {
        for (value, &row) in values.into_iter().zip(rows) {
            into[row] = value;
        }
    }
}
