//! What a finished run leaves: the trained model in the Hugging Face layout, results, the report.

use std::path::{Path, PathBuf};

use bestof_checkpoints::gguf::{self, ExportOptions, GgmlType};
use bestof_checkpoints::{ModelFolder, StoredType};
use bestof_files::{StagedFolder, write_file};
use bestof_models::{Decoder, Dtype, Quantization};
use serde_json::Value;

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
/// has besides of a multimodal model, and the companions of `base` (configuration, tokenizer, chat template). With adapters, `adapter/` holds them in
/// PEFT's layout too, unless the configuration of `base` was changed since it was read: an adapter alone
/// would be put on the configuration in the folder. Adapters that cannot be merged, for they have biases and
/// the model's layers none, are written apart only, and the path returned is theirs.
///
/// `dtype` is `auto` (that of the base's embeddings, `bfloat16` for those in blocks), `float32`,
/// `float16`, `bfloat16`, or `q8_0` or `q4_0` for a folder that holds a `model.gguf`. The folder is
/// written beside and exchanged with an older one, so that a model called `final` is whole at every
/// instant. Returns its path.
///
/// # Errors
/// What the disk says, or a model that a GGUF file cannot express.
pub fn export(
    model: &Decoder,
    base: &ModelFolder,
    run_dir: &Path,
    dtype: &str,
) -> Result<PathBuf, TrainError> {
    let changed = ModelFolder::open(&base.dir)?.config != base.config;
    if let Err(reason) = model.check_mergeable() {
        tracing::warn!(%reason, "{FINAL}/ is not written, {ADAPTER}/ is");
        return export_adapter(model, base, run_dir);
    }
    let finished = run_dir.join(FINAL);
    let folder = StagedFolder::replace(&finished)?;
    match dtype.parse::<Quantization>() {
        Ok(blocks) => write_gguf(model, base, folder.path(), blocks)?,
        Err(_) => write_model(model, base, folder.path(), stored_type(base, dtype)?)?,
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
    if config != ModelFolder::open(&base.dir)?.config {
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
    let whole = StagedFolder::replace(&dir.join("f32"))?;
    write_model(model, base, whole.path(), StoredType::F32)?;
    let ggml_type = match blocks {
        Quantization::Q8_0 => GgmlType::Q8_0,
        Quantization::Q4_0 => GgmlType::Q4_0,
    };
    let options = ExportOptions { ggml_type };
    let folder = ModelFolder::open(whole.path())?;
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
    model.save_adapter(folder.path(), &base.dir.display().to_string(), StoredType::F32)?;
    folder.commit()?;
    Ok(dir)
}

/// Says that the vocabulary projection is a matrix of its own, wherever a loader may look for it.
fn untie(config: &mut Value) {
    if let Some(text) = config.get_mut("text_config").filter(|text| text.is_object()) {
        text["tie_word_embeddings"] = false.into();
    }
    config["tie_word_embeddings"] = false.into();
}

fn stored_type(base: &ModelFolder, dtype: &str) -> Result<StoredType, TrainError> {
    Ok(match dtype.parse() {
        Ok(Dtype::F32) => StoredType::F32,
        Ok(Dtype::F16) => StoredType::F16,
        Ok(Dtype::BF16) => StoredType::BF16,
        Err(_) => {
            let weights = base.weights()?;
            let embeddings =
                weights.infos().iter().find(|info| info.name.ends_with("embed_tokens.weight"));
            match embeddings.or(weights.infos().first()).map(|info| info.dtype) {
                Some(StoredType::Blocks(_)) => StoredType::BF16,
                Some(dtype) => dtype,
                None => StoredType::F32,
            }
        }
    })
}

/// Writes `train_results.json`.
///
/// # Errors
/// What the disk says.
pub fn write_results(summary: &TrainSummary, run_dir: &Path) -> Result<(), TrainError> {
    let path = run_dir.join(RESULTS_FILE);
    let text = format!("{:#}\n", summary.to_json());
    Ok(write_file(&path, text.as_bytes())?)
}
