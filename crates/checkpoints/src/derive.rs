//! Copying a model folder with the same weights and another `config.json`.

use std::fs;
use std::path::{Path, PathBuf};

use bestof_files::StagedFolder;
use serde_json::Value;

use crate::error::CheckpointError;
use crate::folder::ModelFolder;
use crate::json;
use crate::layout::INDEX;
use crate::weights::is_gguf;

/// The file with the tokenizer's `model_max_length`.
const TOKENIZER_CONFIG: &str = "tokenizer_config.json";

impl ModelFolder {
    /// Creates the folder `out` with this model's weights, tokenizer and templates, and with another
    /// configuration. Weight files become hard links where the file system has them, copies elsewhere.
    ///
    /// The folder appears whole at the end or not at all.
    ///
    /// # Errors
    /// `out` exists and is not an empty folder, or a file cannot be read or written.
    pub fn derive(&self, out: &Path, config: &Value) -> Result<PathBuf, CheckpointError> {
        if is_gguf(&self.dir) {
            return Err(CheckpointError::GgufFile { path: self.dir.clone() });
        }
        let weights = self.weights()?;
        let staged = StagedFolder::new(out)?;
        self.copy_companions(staged.path())?;
        Self::reconfigure(staged.path(), config)?;
        let index = self.dir.join(INDEX);
        let sharded = weights.files().len() > 1 && index.is_file();
        for file in weights.files().iter().map(PathBuf::as_path).chain(sharded.then_some(&*index)) {
            let name = file.file_name().unwrap_or_default();
            let copy = staged.path().join(name);
            let linked = fs::canonicalize(file).and_then(|file| fs::hard_link(file, &copy));
            if linked.is_err() {
                fs::copy(file, &copy).map_err(CheckpointError::io("copy", file))?;
            }
        }
        staged.commit()?;
        Ok(out.to_path_buf())
    }

    /// Writes another configuration into a folder. A `model_max_length` of the tokenizer below the
    /// configuration's `max_position_embeddings` is raised to it.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub fn reconfigure(dir: &Path, config: &Value) -> Result<(), CheckpointError> {
        json::write(&dir.join("config.json"), config)?;
        let path = dir.join(TOKENIZER_CONFIG);
        if !path.is_file() {
            return Ok(());
        }
        let mut tokenizer = json::read(&path)?;
        let length = config["max_position_embeddings"].as_u64();
        let known = tokenizer["model_max_length"].as_u64();
        if let (Some(length), Some(known)) = (length, known)
            && known < length
        {
            tokenizer["model_max_length"] = length.into();
            json::write(&path, &tokenizer)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::stored::{StoredType, TensorInfo};
    use crate::writer::WeightsWriter;

    #[test]
    fn the_weights_are_the_same_and_the_configuration_is_not() {
        let dir = tempfile::tempdir().unwrap();
        for shard in [None, Some(12)] {
            let from = dir.path().join(format!("from-{}", shard.is_some()));
            fs::create_dir(&from).unwrap();
            fs::write(from.join("config.json"), r#"{"model_type":"llama"}"#).unwrap();
            fs::write(from.join(TOKENIZER_CONFIG), r#"{"model_max_length":64}"#).unwrap();
            let info = |name: &str| TensorInfo {
                name: name.to_owned(),
                dtype: StoredType::F32,
                shape: vec![3],
            };
            let mut writer =
                WeightsWriter::create(&from, vec![info("a"), info("b")], shard).unwrap();
            writer.push("a", &[0.5, 1.0, -2.0]).unwrap();
            writer.push("b", &[1.0; 3]).unwrap();
            writer.finish().unwrap();

            let folder = ModelFolder::open(&from).unwrap();
            let out = dir.path().join(format!("to-{}", shard.is_some()));
            let config = json!({"model_type": "llama", "max_position_embeddings": 256});
            folder.derive(&out, &config).unwrap();
            let derived = ModelFolder::open(&out).unwrap();
            assert_eq!(derived.config, config);
            let hash = |folder: &ModelFolder| folder.weights().unwrap().content_hash().unwrap();
            assert_eq!(hash(&derived), hash(&folder));
            let tokenizer = fs::read_to_string(out.join(TOKENIZER_CONFIG)).unwrap();
            assert!(tokenizer.contains("256"), "{tokenizer}");
            let again = folder.derive(&out, &config).unwrap_err().to_string();
            assert!(again.contains(&out.display().to_string()), "{again}");
        }
    }
}
