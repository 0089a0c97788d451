//! What a folder has beside its weights, from the metadata of a file: configuration, tokenizer, chat
//! template.

use std::path::Path;

use serde_json::{Map, Value};

use super::architecture::Sizes;
use super::config::{ConfigSource, generation_config};
use super::error::GgufError;
use super::file::GgufFile;
use super::rope::StoredFactors;
use super::tokenizer::{tokenizer_config, tokenizer_file};
use super::vocabulary::Vocabulary;
use crate::error::CheckpointError;
use crate::json;

pub(super) fn bad_file(path: &Path, source: GgufError) -> CheckpointError {
    CheckpointError::Gguf { path: path.to_path_buf(), source: Box::new(source) }
}

pub(super) fn stored_factors(file: &mut GgufFile) -> Result<StoredFactors, CheckpointError> {
    let mut read = |name: &str| -> Result<Option<Vec<f32>>, CheckpointError> {
        let Some(entry) = file.tensor(name).cloned() else { return Ok(None) };
        let mut values = Vec::new();
        file.read_rows(&entry, 0, entry.rows(), &mut Vec::new(), &mut values)?;
        Ok(Some(values))
    };
    Ok(StoredFactors {
        all: read("rope_freqs.weight")?,
        short: read("rope_factors_short.weight")?,
        long: read("rope_factors_long.weight")?,
    })
}

pub(super) fn check_fits(vocabulary: &Vocabulary, sizes: Sizes) -> Result<(), GgufError> {
    if vocabulary.tokens.len() <= sizes.vocabulary {
        return Ok(());
    }
    Err(super::metadata::bad_value(
        "tokenizer.ggml.tokens",
        format!("a list of {}", vocabulary.tokens.len()),
        &format!("at most the {} rows of token_embd.weight", sizes.vocabulary),
    ))
}

/// Writes everything but the weights; returns the model type.
pub(super) fn write_config_and_tokenizer(
    source: &ConfigSource<'_>,
    dir: &Path,
    input: &Path,
) -> Result<String, CheckpointError> {
    let bad = |source| bad_file(input, source);
    let vocabulary = source.vocabulary;
    let config = source.config().map_err(bad)?;
    let context = source.context_length().map_err(bad)?;
    let merges = source.file.metadata.texts("tokenizer.ggml.merges").map_err(bad)?;
    let tokenizer = tokenizer_file(vocabulary, merges).map_err(bad)?;
    let tokenizer_config = tokenizer_config(vocabulary, context);
    json::write(&dir.join("config.json"), &config)?;
    json::write(&dir.join("generation_config.json"), &generation_config(vocabulary))?;
    json::write(&dir.join("tokenizer.json"), &tokenizer)?;
    json::write(&dir.join("tokenizer_config.json"), &tokenizer_config)?;
    json::write(&dir.join("special_tokens_map.json"), &special_tokens_map(&tokenizer_config))?;
    Ok(config["model_type"].as_str().unwrap_or_default().to_owned())
}

fn special_tokens_map(tokenizer_config: &Value) -> Value {
    let named = ["bos_token", "eos_token", "pad_token", "unk_token"];
    let there = named.iter().filter(|name| tokenizer_config[**name].is_string());
    there
        .map(|name| ((*name).to_owned(), tokenizer_config[*name].clone()))
        .collect::<Map<_, _>>()
        .into()
}
