//! What a finished run leaves: the trained model in the Hugging Face layout, results, the report.

use std::path::{Path, PathBuf};

use bestof_checkpoints::{ModelFolder, StoredType};
use bestof_models::Decoder;

use crate::error::TrainError;
use crate::file_layer::{Disk, write_whole};
use crate::run::TrainSummary;

/// Name of the trained model in a run's folder.
pub const FINAL: &str = "final";
/// Name of the trained adapter in a run's folder.
pub const ADAPTER: &str = "adapter";
/// Name of the results in a run's folder.
pub const RESULTS_FILE: &str = "train_results.json";

/// Largest weight file that is written; bigger models are sharded.
const MAX_SHARD_BYTES: u64 = 5_000_000_000;

/// Writes `final/`, a model folder that stock loaders open: weights with adapters merged in, and the
/// companions of `base` (configuration, tokenizer, chat template). With adapters, `adapter/` holds them in
/// PEFT's layout too, unless the configuration of `base` was changed since it was read: an adapter alone
/// would be put on the configuration in the folder.
///
/// `dtype` is `auto` (that of the base's embeddings), `float32`, `float16` or `bfloat16`. The folder is
/// written beside and renamed, so that a model called `final` is whole. Returns its path.
///
/// # Errors
/// What the disk says.
pub fn export(
    model: &Decoder,
    base: &ModelFolder,
    run_dir: &Path,
    dtype: &str,
) -> Result<PathBuf, TrainError> {
    let stored = stored_type(base, dtype)?;
    let (original, config) = (ModelFolder::open(&base.dir)?.config, base.config_stored_as(stored)?);
    let changed = original != base.config;
    let finished = replace_folder::<TrainError>(&run_dir.join(FINAL), |dir| {
        base.copy_companions(dir)?;
        if config != original {
            ModelFolder::reconfigure(dir, &config)?;
        }
        model.save(dir, stored, Some(MAX_SHARD_BYTES))?;
        Ok(())
    })?;
    if model.lora().is_some() && !changed {
        replace_folder::<TrainError>(&run_dir.join(ADAPTER), |dir| {
            let base = base.dir.display().to_string();
            Ok(model.save_adapter(dir, &base, StoredType::F32)?)
        })?;
    }
    Ok(finished)
}

fn stored_type(base: &ModelFolder, dtype: &str) -> Result<StoredType, TrainError> {
    Ok(match dtype {
        "float32" => StoredType::F32,
        "float16" => StoredType::F16,
        "bfloat16" => StoredType::BF16,
        _ => {
            let weights = base.weights()?;
            let embeddings =
                weights.infos().iter().find(|info| info.name.ends_with("embed_tokens.weight"));
            embeddings.or(weights.infos().first()).map_or(StoredType::F32, |info| info.dtype)
        }
    })
}

/// Fills a folder beside `path` and gives it that name, replacing an older one.
///
/// # Errors
/// What `fill` or the disk says.
pub fn replace_folder<E: From<TrainError>>(
    path: &Path,
    fill: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<PathBuf, E> {
    let partial = path.with_extension("partial");
    for leftover in [&partial] {
        if leftover.exists() {
            std::fs::remove_dir_all(leftover).map_err(TrainError::io("cannot remove", leftover))?;
        }
    }
    std::fs::create_dir_all(&partial).map_err(TrainError::io("cannot make", &partial))?;
    fill(&partial)?;
    if path.exists() {
        std::fs::remove_dir_all(path).map_err(TrainError::io("cannot remove", path))?;
    }
    std::fs::rename(&partial, path).map_err(TrainError::io("cannot rename", &partial))?;
    Ok(path.to_owned())
}

/// Writes `train_results.json`.
///
/// # Errors
/// What the disk says.
pub fn write_results(summary: &TrainSummary, run_dir: &Path) -> Result<(), TrainError> {
    let path = run_dir.join(RESULTS_FILE);
    let text = format!("{:#}\n", summary.to_json());
    write_whole(&Disk, &path, text.as_bytes()).map_err(TrainError::io("cannot write", &path))
}
