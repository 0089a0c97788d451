//! `sentiment.json`: the description of a model folder.

use std::path::Path;

use bestof_files::expect_folder;
use serde::{Deserialize, Serialize};

use super::kind::ModelKind;
use crate::error::SentimentError;
use crate::json_file::{read_json, write_json};

/// Name of the file that describes a model folder.
pub(crate) const MODEL_FILE: &str = "sentiment.json";

/// Version of the file format.
const VERSION: u32 = 1;

/// The description of a model folder; the files of its kind are beside it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelCard {
    /// Version of the file format.
    pub version: u32,
    /// Which model.
    pub kind: ModelKind,
    /// Its inputs: `meta`, `text` or `joint`.
    pub inputs: String,
    /// Rows it was fitted on.
    pub trained_on: u64,
    /// Rows of the training part; more than `trained_on` when they were sampled.
    pub available: u64,
    /// Seed of the fit.
    pub seed: u64,
    /// Training rows of each restaurant, by its index in the prepared folder.
    pub restaurants: Vec<u64>,
}

impl ModelCard {
    /// A card without rows.
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
    pub(crate) fn load(folder: &Path) -> Result<Self, SentimentError> {
        expect_folder(folder).map_err(SentimentError::io("open", folder))?;
        let path = folder.join(MODEL_FILE);
        if !path.is_file() {
            return Err(SentimentError::NotAModel { path: folder.to_owned() });
        }
        let card: Self = read_json(&path)?;
        if card.version != VERSION {
            return Err(SentimentError::Version { path, found: card.version, expected: VERSION });
        }
        Ok(card)
    }

    /// Writes [`MODEL_FILE`] into `folder`.
    pub(crate) fn save(&self, folder: &Path) -> Result<(), SentimentError> {
        write_json(&folder.join(MODEL_FILE), self)
    }
}
