//! A model folder written again: in another number format, in other shards.

use std::path::Path;

use bestof_files::StagedFolder;
use serde_json::Value;

use crate::conversion::{ConvertOptions, Converted, Progress, count};
use crate::error::CheckpointError;
use crate::folder::ModelFolder;
use crate::json;
use crate::stored::{StoredType, TensorInfo};
use crate::weights::Weights;
use crate::writer::WeightsWriter;

impl ModelFolder {
    /// The configuration of the same model with its weights stored in another type.
    ///
    /// # Errors
    /// `UnwritableType` for a type that weights are not written in.
    pub fn config_stored_as(&self, dtype: StoredType) -> Result<Value, CheckpointError> {
        let name = dtype.torch_name().ok_or(CheckpointError::UnwritableType { found: dtype })?;
        let mut config = self.config.clone();
        // In the spelling that the folder uses; transformers 5 says `dtype`, older ones `torch_dtype`.
        for field in ["dtype", "torch_dtype"] {
            let alone = field == "dtype" && config["torch_dtype"].is_null();
            if alone || !config[field].is_null() {
                config[field] = name.into();
            }
        }
        Ok(config)
    }

    /// Writes the whole folder to `out`, floats in the type of `options`; other tensors, such as
    /// position numbers, stay as they are. One tensor at a time is in memory.
    ///
    /// The folder appears whole at the end or not at all.
    ///
    /// # Errors
    /// `out` exists and is not an empty folder, `options.dtype` is not a type for weights, or a file
    /// cannot be read or written.
    pub fn rewrite(
        &self,
        out: &Path,
        options: &ConvertOptions,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Converted, CheckpointError> {
        let config = self.config_stored_as(options.dtype)?;
        let weights = self.weights()?;
        let staged = StagedFolder::new(out)?;
        self.copy_companions(staged.path())?;
        json::write(&staged.path().join("config.json"), &config)?;
        copy_weights(&weights, staged.path(), options, progress)?;
        staged.commit()?;
        let mut source_types = Vec::new();
        for info in weights.infos() {
            count(&mut source_types, info.dtype.to_string());
        }
        Ok(Converted {
            dir: out.to_path_buf(),
            model_type: self.model_type().unwrap_or_default().to_owned(),
            parameters: values(weights.infos()),
            tensors: weights.infos().len(),
            source_types,
            warnings: Vec::new(),
        })
    }
}

fn copy_weights(
    weights: &Weights,
    dir: &Path,
    options: &ConvertOptions,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<(), CheckpointError> {
    let target = |info: &TensorInfo| TensorInfo {
        dtype: if info.dtype.is_float() { options.dtype } else { info.dtype },
        ..info.clone()
    };
    let infos: Vec<TensorInfo> = weights.infos().iter().map(target).collect();
    let (mut values_done, values_total) = (0, values(&infos));
    let mut writer = WeightsWriter::create(dir, infos, options.max_shard_bytes)?;
    for info in weights.infos() {
        if info.dtype.is_float() {
            writer.push(&info.name, &weights.read_f32(&info.name, &info.shape)?)?;
        } else {
            writer.push_bytes(&info.name, &weights.read_bytes(&info.name)?)?;
        }
        values_done += info.len() as u64;
        progress(Progress { tensor: &info.name, values_done, values_total });
    }
    writer.finish()?;
    Ok(())
}

fn values(infos: &[TensorInfo]) -> u64 {
    infos.iter().map(|info| info.len() as u64).sum()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn halves_and_shards_keep_names_and_values() {
        let dir = tempfile::tempdir().unwrap();
        let from = dir.path().join("from");
        fs::create_dir(&from).unwrap();
        fs::write(from.join("config.json"), r#"{"model_type":"llama","dtype":"float32"}"#).unwrap();
        let info = |name: &str| TensorInfo {
            name: name.to_owned(),
            dtype: StoredType::F32,
            shape: vec![2, 3],
        };
        let mut writer = WeightsWriter::create(&from, vec![info("a"), info("b")], None).unwrap();
        writer.push("a", &[0.5, 1.0, -2.0, 3.0, 0.25, 8.0]).unwrap();
        writer.push("b", &[1.0; 6]).unwrap();
        writer.finish().unwrap();

        let folder = ModelFolder::open(&from).unwrap();
        let out = dir.path().join("to");
        let options = ConvertOptions { dtype: StoredType::BF16, max_shard_bytes: Some(12) };
        let mut heard = 0;
        let done = folder.rewrite(&out, &options, &mut |p| heard = p.values_done).unwrap();
        assert_eq!((done.tensors, done.parameters, heard), (2, 12, 12));
        assert!(out.join("model.safetensors.index.json").is_file());
        let again = ModelFolder::open(&out).unwrap();
        assert_eq!(again.config["dtype"], "bfloat16");
        let weights = again.weights().unwrap();
        let a = weights.read_f32("a", &[2, 3]).unwrap();
        assert_eq!(a, [0.5, 1.0, -2.0, 3.0, 0.25, 8.0]);
        assert!(folder.rewrite(&out, &options, &mut |_| ()).is_err(), "never over an old folder");
    }
}
