//! A model folder written again: in another number format, in one file or in shards.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::gguf::{ConvertOptions, Converted, Progress};
use crate::{CheckpointError, ModelFolder, StagedDir, StoredType, TensorInfo, WeightsWriter};

impl ModelFolder {
    /// Writes the model into the new folder `out`, its weights rounded to `options.dtype`; the
    /// companions come along and `config.json` names the new format.
    ///
    /// The folder appears whole at the end or not at all, and one tensor is in memory at a time.
    ///
    /// # Errors
    /// Weights that cannot be read, a type that cannot be written, or `out` exists and is not an
    /// empty folder.
    pub fn rewrite(
        &self,
        out: &Path,
        options: &ConvertOptions,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Converted, CheckpointError> {
        let Some(dtype_name) = options.dtype.torch_name() else {
            return Err(CheckpointError::UnwritableType { found: options.dtype });
        };
        let weights = self.weights()?;
        let staged = StagedDir::new(out)?;
        self.copy_companions(staged.path())?;
        name_type(staged.path(), dtype_name)?;
        let infos: Vec<TensorInfo> = weights
            .infos()
            .iter()
            .map(|info| TensorInfo { dtype: options.dtype, ..info.clone() })
            .collect();
        let values_total: u64 = infos.iter().map(|info| info.len() as u64).sum();
        let mut writer =
            WeightsWriter::create(staged.path(), infos.clone(), options.max_shard_bytes)?;
        // The writer may have its own order, by shards.
        let order: Vec<TensorInfo> = writer.infos().to_vec();
        let mut values_done = 0;
        for info in &order {
            let values = weights.read_f32(&info.name, &info.shape)?;
            writer.push(&info.name, &values)?;
            values_done += values.len() as u64;
            progress(Progress { tensor: &info.name, values_done, values_total });
        }
        writer.finish()?;
        staged.commit()?;
        Ok(Converted {
            dir: out.to_path_buf(),
            model_type: self.model_type().unwrap_or_default().to_owned(),
            parameters: values_total,
            tensors: order.len(),
            source_types: count_types(weights.infos()),
        })
    }
}

/// Makes `config.json` say how the weights are stored, under the spelling it already uses.
fn name_type(dir: &Path, name: &str) -> Result<(), CheckpointError> {
    let path = dir.join("config.json");
    let text = fs::read(&path).map_err(CheckpointError::io("read", &path))?;
    let Ok(Value::Object(mut config)) = serde_json::from_slice(&text) else { return Ok(()) };
    let key = if config.contains_key("dtype") { "dtype" } else { "torch_dtype" };
    config.insert(key.to_owned(), name.into());
    let text = format!("{:#}\n", Value::Object(config));
    fs::write(&path, text).map_err(CheckpointError::io("write", &path))
}

fn count_types(infos: &[TensorInfo]) -> Vec<(String, usize)> {
    let mut counts: Vec<(StoredType, usize)> = Vec::new();
    for info in infos {
        match counts.iter_mut().find(|(dtype, _)| *dtype == info.dtype) {
            Some((_, count)) => *count += 1,
            None => counts.push((info.dtype, 1)),
        }
    }
    counts.into_iter().map(|(dtype, count)| (dtype.to_string(), count)).collect()
}

#[cfg(test)]
mod tests {
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
