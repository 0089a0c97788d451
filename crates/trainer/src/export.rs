//! What a finished run leaves: the trained model in the Hugging Face layout, results, the report.

use std::path::{Path, PathBuf};

use bestof_checkpoints::gguf::{self, ExportOptions};
use bestof_checkpoints::{ModelFolder, StoredType};
use bestof_files::{StagedFolder, read_text, write_file};
use bestof_models::{Decoder, Quantization};
use serde_json::Value;

use crate::config::OutputFormat;
use crate::error::TrainError;
use crate::run::TrainSummary;

/// Name of the trained model in a run's folder.
pub const FINAL: &str = "final";
/// Name of the trained adapter in a run's folder.
pub const ADAPTER: &str = "adapter";
/// Name of a trained model in blocks, within [`FINAL`].
const GGUF: &str = "model.gguf";
/// Name of the results in a run's folder.
pub const RESULTS_FILE: &str = "train_results.json";

/// Largest weight file that is written; bigger models are sharded.
const MAX_SHARD_BYTES: u64 = 5_000_000_000;

/// Writes `final/`, a model folder that stock loaders open: weights with adapters merged in, what `base`
/// has besides of a multimodal model, and the companions of `base` (configuration, tokenizer, chat
/// template). With adapters, `adapter/` holds them in PEFT's layout too, unless the configuration of
/// `base` was changed since it was read: an adapter alone would be put on the configuration in the folder.
/// Adapters that cannot be merged, for they have biases and the model's layers none, are written apart
/// only, and the path returned is theirs.
///
/// Weights are written in `format`: [`OutputFormat::Auto`] is the type of the base's embeddings, `bfloat16`
/// for those in blocks, and with [`OutputFormat::Blocks`] the folder holds a `model.gguf`. The folder is
/// written beside and exchanged with an older one, so that a model called `final` is whole at every
/// instant. Returns its path.
///
/// # Errors
/// What the disk says, or a model that a GGUF file cannot express.
pub fn export(
    model: &Decoder,
    base: &ModelFolder,
    run_dir: &Path,
    format: OutputFormat,
) -> Result<PathBuf, TrainError> {
    let changed = base.stored_config()? != base.config;
    if let Err(reason) = model.check_mergeable() {
        tracing::warn!(%reason, "{FINAL}/ is not written, {ADAPTER}/ is");
        return export_adapter(model, base, run_dir);
    }
    let finished = run_dir.join(FINAL);
    let folder = StagedFolder::replace(&finished)?;
    match format {
        OutputFormat::Auto => write_model(model, base, folder.path(), stored_type(base)?)?,
        OutputFormat::Floats(dtype) => write_model(model, base, folder.path(), dtype.into())?,
        OutputFormat::Blocks(blocks) => write_gguf(model, base, folder.path(), blocks)?,
    }
    folder.commit()?;
    if model.lora().is_some() && !changed {
        export_adapter(model, base, run_dir)?;
    }
    Ok(finished)
}

/// Writes a model folder into `dir`: weights with adapters merged in, in the type `stored`, and the
/// companions of `base`.
///
/// # Errors
/// What the disk says; biases of adapters where the model has none.
pub fn write_model(
    model: &Decoder,
    base: &ModelFolder,
    dir: &Path,
    stored: StoredType,
) -> Result<(), TrainError> {
    let mut config = base.config_stored_as(stored)?;
    if model.is_untied() {
        untie(&mut config);
    }
    base.copy_companions(dir)?;
    if config != base.stored_config()? {
        ModelFolder::reconfigure(dir, &config)?;
    }
    model.save_with_other_half(dir, stored, Some(MAX_SHARD_BYTES), &base.weights()?)?;
    Ok(())
}

/// Writes `model.gguf` into `dir`; the weights are rounded once, from f32.
fn write_gguf(
    model: &Decoder,
    base: &ModelFolder,
    dir: &Path,
    blocks: Quantization,
) -> Result<(), TrainError> {
    let scratch = StagedFolder::replace(&dir.join("f32"))?;
    write_model(model, base, scratch.path(), StoredType::F32)?;
    // The base's name: that of the scratch folder is another one in every run.
    let name = base.name().unwrap_or_else(|| "model".to_owned());
    let options = ExportOptions::new(blocks.into()).with_name(name);
    let folder = ModelFolder::open(scratch.path())?;
    let done = gguf::export(&folder, &dir.join(GGUF), options, &mut |_| ())?;
    for warning in done.warnings {
        tracing::warn!("{GGUF}: {warning}");
    }
    Ok(())
}

/// Writes `adapter/`; returns its path.
fn export_adapter(
    model: &Decoder,
    base: &ModelFolder,
    run_dir: &Path,
) -> Result<PathBuf, TrainError> {
    let dir = run_dir.join(ADAPTER);
    let folder = StagedFolder::replace(&dir)?;
    write_adapter(model, base, folder.path())?;
    folder.commit()?;
    Ok(dir)
}

/// Writes the adapters of a model whose base is `base` into `dir`.
pub(crate) fn write_adapter(
    model: &Decoder,
    base: &ModelFolder,
    dir: &Path,
) -> Result<(), TrainError> {
    Ok(model.save_adapter(dir, &base.dir.display().to_string(), StoredType::F32)?)
}

/// Says that the vocabulary projection is a matrix of its own, wherever a loader may look for it.
fn untie(config: &mut Value) {
    if let Some(text) = config.get_mut("text_config").filter(|text| text.is_object()) {
        text["tie_word_embeddings"] = false.into();
    }
    config["tie_word_embeddings"] = false.into();
}

/// The type of the base's embeddings.
pub(crate) fn stored_type(base: &ModelFolder) -> Result<StoredType, TrainError> {
    let weights = base.weights()?;
    let embeddings = weights.infos().iter().find(|info| info.name.ends_with("embed_tokens.weight"));
    Ok(match embeddings.or(weights.infos().first()).map(|info| info.dtype) {
        Some(StoredType::Blocks(_)) => StoredType::BF16,
        Some(dtype) => dtype,
        None => StoredType::F32,
    })
}

/// Writes `train_results.json`, unless the run had nothing left to do and its results are there: they say how long
/// the steps took.
///
/// # Errors
/// What the disk says.
pub fn write_results(summary: &TrainSummary, run_dir: &Path) -> Result<(), TrainError> {
    let path = run_dir.join(RESULTS_FILE);
    if summary.resumed_at == summary.global_step && steps_of(&path) == Some(summary.global_step) {
        return Ok(());
    }
    let text = format!("{:#}\n", summary.to_json());
    Ok(write_file(&path, text.as_bytes())?)
}

/// The number of steps in a file of results; `None` if it is absent, or no such file.
fn steps_of(results: &Path) -> Option<u64> {
    let text = read_text(results).ok()?;
    serde_json::from_str::<Value>(&text).ok()?["global_step"].as_u64()
}
