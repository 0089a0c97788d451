//! GGUF to a Hugging Face folder, a few rows of a tensor at a time.

use std::collections::HashMap;
use std::path::Path;

use bestof_files::StagedFolder;
use serde_json::{Map, Value};

use super::architecture::{Change, Family, Sizes, TensorRule};
use super::config::{ConfigSource, generation_config};
use super::error::GgufError;
use super::file::{GgufFile, TensorEntry};
use super::rope::StoredFactors;
use super::tokenizer::{tokenizer_config, tokenizer_file};
use super::vocabulary::Vocabulary;
use crate::conversion::{ConvertOptions, Converted, Progress, count};
use crate::error::CheckpointError;
use crate::json;
use crate::weights::TensorInfo;
use crate::writer::WeightsWriter;

/// Number of values decoded at a time.
const CHUNK_VALUES: usize = 1 << 20;

/// Converts a GGUF file to a model folder in the Hugging Face layout: configuration, weights,
/// tokenizer, chat template and generation settings.
///
/// Of a split file any part may be given, with all others beside it.
///
/// The folder appears whole at the end or not at all. Weights are decoded to `f32` and rounded to
/// `options.dtype`; at most a few rows of one tensor are in memory.
///
/// # Errors
/// The file is damaged or truncated, its architecture, tokenizer or a tensor type is not known,
/// metadata or a tensor is missing, the file has a tensor that the architecture does not, or
/// `out` exists and is not an empty folder.
pub fn convert(
    input: &Path,
    out: &Path,
    options: &ConvertOptions,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Converted, CheckpointError> {
    let mut file = GgufFile::open_joined(input)?;
    if options.dtype.torch_name().is_none() {
        return Err(CheckpointError::UnwritableType { found: options.dtype });
    }
    let bad = |source| bad_file(input, source);
    let (family, architecture) = Family::of(&file.metadata).map_err(bad)?;
    let sizes = Sizes::read(&file, architecture).map_err(bad)?;
    let plan = plan(&file, family, architecture, sizes).map_err(bad)?;
    let factors = stored_factors(&mut file)?;
    let staged = StagedFolder::new(out)?;
    let (model_type, warnings) = {
        let vocabulary = Vocabulary::read(&file.metadata).map_err(bad)?;
        check_fits(&vocabulary, sizes).map_err(bad)?;
        let source = ConfigSource {
            file: &file,
            family,
            architecture,
            sizes,
            factors,
            vocabulary: &vocabulary,
            dtype: options.dtype,
        };
        (write_config_and_tokenizer(&source, staged.path(), input)?, vocabulary.warnings)
    };
    let parameters = write_weights(&mut file, &plan, sizes, staged.path(), options, progress)?;
    staged.commit()?;
    Ok(Converted {
        dir: out.to_path_buf(),
        model_type,
        parameters,
        tensors: plan.len(),
        source_types: count_types(&file),
        warnings,
    })
}

fn bad_file(path: &Path, source: GgufError) -> CheckpointError {
    CheckpointError::Gguf { path: path.to_path_buf(), source: Box::new(source) }
}

/// A tensor of the file, its new name, and the change to its values.
struct PlannedTensor {
    entry: TensorEntry,
    name: String,
    change: Change,
}

/// Every tensor of the file with its new name, in the order of the file; checks that none is missing,
/// unknown or of the wrong shape.
fn plan(
    file: &GgufFile,
    family: Family,
    architecture: &str,
    sizes: Sizes,
) -> Result<Vec<PlannedTensor>, GgufError> {
    if file.tensors.len() / family.layer_rules(&|name| file.has(name)).len() < sizes.layers {
        let missing = first_missing(file, family, sizes);
        return Err(GgufError::MissingTensor { tensor: missing });
    }
    let mut expected: HashMap<String, (String, TensorRule)> = HashMap::new();
    for rule in family.outer_rules(&|name| file.has(name)) {
        expected.insert(rule.gguf.to_owned(), (rule.hf.to_owned(), rule));
    }
    for rule in family.layer_rules(&|name| file.has(name)) {
        for layer in 0..sizes.layers {
            let name = format!("model.layers.{layer}.{}", rule.hf);
            expected.insert(format!("blk.{layer}.{}", rule.gguf), (name, rule));
        }
    }
    let mut planned = Vec::with_capacity(expected.len());
    for entry in &file.tensors {
        let Some((name, rule)) = expected.remove(&entry.name) else {
            if is_rope_factors(&entry.name) {
                continue;
            }
            let architecture = architecture.to_owned();
            return Err(GgufError::ExtraTensor { tensor: entry.name.clone(), architecture });
        };
        let shape: Vec<usize> = rule.shape.iter().map(|size| sizes.of(*size)).collect();
        if entry.shape != shape {
            let (tensor, found) = (entry.name.clone(), entry.shape.clone());
            return Err(GgufError::WrongShape { tensor, found, expected: shape });
        }
        planned.push(PlannedTensor { entry: entry.clone(), name, change: rule.change });
    }
    match expected.into_keys().min() {
        Some(tensor) => Err(GgufError::MissingTensor { tensor }),
        None => Ok(planned),
    }
}

/// A missing tensor, found without building names for more layers than the file can hold.
fn first_missing(file: &GgufFile, family: Family, sizes: Sizes) -> String {
    (0..sizes.layers)
        .flat_map(|layer| {
            family
                .layer_rules(&|name| file.has(name))
                .into_iter()
                .map(move |rule| format!("blk.{layer}.{}", rule.gguf))
        })
        .find(|name| file.tensor(name).is_none())
        .unwrap_or_default()
}

fn is_rope_factors(name: &str) -> bool {
    matches!(name, "rope_freqs.weight" | "rope_factors_short.weight" | "rope_factors_long.weight")
}

fn stored_factors(file: &mut GgufFile) -> Result<StoredFactors, CheckpointError> {
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

fn check_fits(vocabulary: &Vocabulary, sizes: Sizes) -> Result<(), GgufError> {
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
fn write_config_and_tokenizer(
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

fn write_weights(
    file: &mut GgufFile,
    plan: &[PlannedTensor],
    sizes: Sizes,
    dir: &Path,
    options: &ConvertOptions,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<u64, CheckpointError> {
    let infos: Vec<TensorInfo> = plan
        .iter()
        .map(|tensor| TensorInfo {
            name: tensor.name.clone(),
            dtype: options.dtype,
            shape: tensor.entry.shape.clone(),
        })
        .collect();
    let values_total = infos.iter().map(|info| info.len() as u64).sum();
    let mut values_done = 0;
    let mut writer = WeightsWriter::create(dir, infos, options.max_shard_bytes)?;
    let (mut bytes, mut values, mut unpaired) = (Vec::new(), Vec::new(), Vec::new());
    for tensor in plan {
        let entry = &tensor.entry;
        // A vector is one row, and its entries are the rows of the heads.
        let head_rows = if entry.shape.len() == 1 { 1 } else { sizes.head_dim };
        let rows = match tensor.change {
            Change::Unpair => head_rows,
            _ => (CHUNK_VALUES / entry.row_values()).max(1),
        };
        for first in (0..entry.rows()).step_by(rows) {
            let rows = rows.min(entry.rows() - first);
            file.read_rows(entry, first, rows, &mut bytes, &mut values)?;
            match tensor.change {
                Change::Nothing => {}
                Change::MinusOne => values.iter_mut().for_each(|value| *value -= 1.0),
                Change::Unpair => {
                    let width = if entry.shape.len() == 1 { 1 } else { entry.row_values() };
                    unpair(&values, width, sizes.head_dim, &mut unpaired);
                    std::mem::swap(&mut values, &mut unpaired);
                }
            }
            writer.push(&tensor.name, &values)?;
            values_done += values.len() as u64;
        }
        progress(Progress { tensor: &tensor.name, values_done, values_total });
    }
    writer.finish()?;
    Ok(values_total)
}

/// Reorders rows of heads: rotated pairs are neighbours in GGUF and half a head apart in the Hugging
/// Face layout.
///
/// ```text
/// new row h·D + p·D/2 + j  =  old row h·D + 2j + p      p in {0, 1}, j < D/2
/// ```
fn unpair(rows: &[f32], width: usize, head_dim: usize, out: &mut Vec<f32>) {
    out.clear();
    for head in rows.chunks_exact(width * head_dim) {
        for member in 0..2 {
            for pair in 0..head_dim / 2 {
                let row = 2 * pair + member;
                out.extend_from_slice(&head[row * width..(row + 1) * width]);
            }
        }
    }
}

fn count_types(file: &GgufFile) -> Vec<(String, usize)> {
    let mut counts = Vec::new();
    for tensor in &file.tensors {
        count(&mut counts, tensor.ggml_type.name().to_owned());
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_become_halves() {
        // Two heads of dimension 4, rows of width 2; the old order of a head is 0 2 1 3.
        let old: Vec<f32> =
            [0, 2, 1, 3, 4, 6, 5, 7].iter().flat_map(|&r| [r as f32, r as f32 + 0.5]).collect();
        let new: Vec<f32> = (0..8).flat_map(|r| [r as f32, r as f32 + 0.5]).collect();
        let mut out = vec![9.0];
        unpair(&old, 2, 4, &mut out);
        assert_eq!(out, new);
    }
}
