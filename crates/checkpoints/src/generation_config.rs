//! Sampling settings of a model, and the tokens that end its answers.

use std::path::Path;

use serde_json::Value;

use crate::error::CheckpointError;
use crate::json::{self, Fields};

/// `generation_config.json`, with the token ids of `config.json` where it names none.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct GenerationConfig {
    /// Every token that ends an answer; a single number in the file is a list of one here.
    pub eos_token_ids: Vec<u32>,
    /// The token that begins a sequence.
    pub bos_token_id: Option<u32>,
    /// The padding token.
    pub pad_token_id: Option<u32>,
    /// Whether to sample instead of taking the likeliest token.
    pub do_sample: Option<bool>,
    /// Softmax temperature.
    pub temperature: Option<f64>,
    /// Number of likeliest tokens to sample from.
    pub top_k: Option<usize>,
    /// Probability mass of likeliest tokens to sample from.
    pub top_p: Option<f64>,
    /// Least probability, relative to the likeliest token's, to sample from.
    pub min_p: Option<f64>,
    /// Factor that makes tokens already used less likely.
    pub repetition_penalty: Option<f64>,
    /// Most tokens to generate.
    pub max_new_tokens: Option<usize>,
}

impl GenerationConfig {
    /// The generation settings of a model folder; empty if it has none.
    ///
    /// # Errors
    /// A file is not JSON, or a field has a value of the wrong type.
    pub fn from_dir(dir: &Path) -> Result<Self, CheckpointError> {
        let (path, fallback_path) = (dir.join("generation_config.json"), dir.join("config.json"));
        let (value, fallback) = (json::read_if_there(&path)?, json::read_if_there(&fallback_path)?);
        let file = Fields { path: &path, value: &value };
        let config = Fields { path: &fallback_path, value: &fallback };
        let id = |field| match file.id(field)? {
            Some(id) => Ok(Some(id)),
            None => config.id(field),
        };
        let mut eos_token_ids = eos(&file)?;
        if eos_token_ids.is_empty() {
            eos_token_ids = eos(&config)?;
        }
        Ok(Self {
            eos_token_ids,
            bos_token_id: id("bos_token_id")?,
            pad_token_id: id("pad_token_id")?,
            do_sample: file.flag("do_sample")?,
            temperature: file.number("temperature")?,
            top_k: file.count("top_k")?,
            top_p: file.number("top_p")?,
            min_p: file.number("min_p")?,
            repetition_penalty: file.number("repetition_penalty")?,
            max_new_tokens: file.count("max_new_tokens")?,
        })
    }
}

fn eos(file: &Fields<'_>) -> Result<Vec<u32>, CheckpointError> {
    let one = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
    let read = |value: &Value| match value.as_array() {
        Some(list) => list.iter().map(one).collect(),
        None => one(value).map(|id| vec![id]),
    };
    Ok(file.get("eos_token_id", "a token id or a list of them", read)?.unwrap_or_default())
}
