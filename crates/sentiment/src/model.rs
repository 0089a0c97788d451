//! A saved model of any kind: what its folder says, and what it answers.

mod kind;

use std::path::Path;

use bestof_files::{recover_folder, write_file};
use bestof_trainer::export::FINAL;
use serde::{Deserialize, Serialize};

use crate::classical::ClassicalModel;
use crate::dataset::Example;
use crate::error::SentimentError;
use crate::features::FeatureSpec;
use crate::neural::{Attribution, AttributionTarget, Classifier};
use crate::predictions::Predictions;

pub use kind::{Architecture, Labels, ModelKind};

/// Name of the file that says what a model folder holds.
pub const MODEL_FILE: &str = "sentiment.json";

/// Version of the file's form.
const VERSION: u32 = 1;

/// What a model folder says of itself. Files of the kind's own stand beside it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelCard {
    /// Version of this form.
    pub version: u32,
    /// The kind.
    pub kind: ModelKind,
    /// What it sees: `meta`, `text` or `joint`.
    pub inputs: String,
    /// Rows it was fitted on.
    pub trained_on: u64,
    /// Rows of the training part; more than `trained_on` when a limit sampled them.
    pub available: u64,
    /// Seed of the fit.
    pub seed: u64,
    /// Training rows of each restaurant, by its number in the prepared folder.
    pub restaurants: Vec<u64>,
}

impl ModelCard {
    /// A card of the present version.
    pub fn new(kind: ModelKind, inputs: impl Into<String>, seed: u64) -> Self {
        let inputs = inputs.into();
        Self {
            version: VERSION,
            kind,
            inputs,
            trained_on: 0,
            available: 0,
            seed,
            restaurants: Vec::new(),
        }
    }

    /// Reads [`MODEL_FILE`] of `folder`.
    pub fn load(folder: &Path) -> Result<Self, SentimentError> {
        let path = folder.join(MODEL_FILE);
        if !path.is_file() {
            return Err(SentimentError::NotAModel { path: folder.to_owned() });
        }
        let text = std::fs::read_to_string(&path).map_err(SentimentError::io("read", &path))?;
        let card: Self = serde_json::from_str(&text)
            .map_err(|source| SentimentError::BadJson { path: path.clone(), source })?;
        if card.version != VERSION {
            return Err(SentimentError::Version { path, found: card.version, expected: VERSION });
        }
        Ok(card)
    }

    /// Writes [`MODEL_FILE`] into `folder`.
    pub fn save(&self, folder: &Path) -> Result<(), SentimentError> {
        let path = folder.join(MODEL_FILE);
        let text = serde_json::to_string_pretty(self)
            .map_err(|source| SentimentError::BadJson { path: path.clone(), source })?;
        Ok(write_file(&path, (text + "\n").as_bytes())?)
    }
}

/// What every saved model can do.
pub trait Predictor {
    /// What the folder says of it.
    fn card(&self) -> &ModelCard;

    /// What its meta inputs are.
    fn features(&self) -> &FeatureSpec;

    /// The answers to `examples`, of which text and meta features are read.
    ///
    /// # Errors
    /// Rows that are not of the model's features.
    fn predict(&self, examples: &[Example]) -> Result<Predictions, SentimentError>;

    /// What each word of `example` adds to an answer, integrated over `points` places; `None` from
    /// kinds that have no gradients.
    ///
    /// # Errors
    /// An answer that the model does not give, or features that are not the model's.
    fn explain(
        &self,
        _example: &Example,
        _target: AttributionTarget,
        _points: usize,
    ) -> Result<Option<Attribution>, SentimentError> {
        Ok(None)
    }
}

/// Opens a model folder of any kind, or the run folder of a neural one, whose model is in `final`.
/// The device is that of neural models, as `cpu` or `cuda:0`.
///
/// # Errors
/// [`SentimentError::NotAModel`], or what is wrong with a file or the device.
pub fn open(folder: &Path, device: &str) -> Result<Box<dyn Predictor>, SentimentError> {
    let trained = folder.join(FINAL);
    recover_folder(&trained)?;
    let of_run = !folder.join(MODEL_FILE).is_file() && trained.join(MODEL_FILE).is_file();
    let folder = if of_run { &trained } else { folder };
    Ok(if ModelCard::load(folder)?.kind.is_classical() {
        Box::new(ClassicalModel::load(folder)?)
    } else {
        Box::new(Classifier::open(folder, device)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_that_are_no_models_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = ModelCard::load(folder.path()).unwrap_err().to_string();
        assert!(error.contains("sentiment.json"), "{error}");
        let card = ModelCard::new(ModelKind::Bert, "text", 1);
        card.save(folder.path()).unwrap();
        assert_eq!(ModelCard::load(folder.path()).unwrap(), card);
        // The rest of the folder is missing.
        let error = open(folder.path(), "cpu").err().unwrap().to_string();
        assert!(error.contains("neural.json"), "{error}");
    }
}
