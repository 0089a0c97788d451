//! A model folder as a whole: configuration, tokenizer, chat template, weights.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{env, fs};

use bestof_files::{Sha256Hasher, StagedFolder, expect_folder, recover_folder, write_file};
use serde_json::Value;

use crate::error::CheckpointError;
use crate::generation_config::GenerationConfig;
use crate::gguf::OpenedGguf;
use crate::json;
#[cfg(feature = "text")]
use crate::text::{ChatTemplate, Tokenizer};
use crate::weights::{Weights, is_gguf};

/// The files that tokenization and chat rendering depend on.
const TOKENIZER_FILES: [&str; 11] = [
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "merges.txt",
    "special_tokens_map.json",
    "spiece.model",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "vocab.json",
    "vocab.txt",
];
/// The name of a GGUF file that makes a folder a model.
const GGUF: &str = "model.gguf";
/// What folders of GGUF files are called in the folder for temporary files.
const UNPACKED: &str = "bestof-gguf";
/// The other files of a model, its weights apart.
const CONFIG_FILES: [&str; 2] = ["config.json", "generation_config.json"];

/// A model folder in the Hugging Face layout.
#[derive(Debug, Clone)]
pub struct ModelFolder {
    /// The folder, or the GGUF file.
    pub dir: PathBuf,
    /// What is made of the metadata of a GGUF file, while this lives.
    unpacked: Option<Arc<StagedFolder<'static>>>,
    /// `config.json`, unread.
    pub config: Value,
    /// `generation_config.json`, with the token ids of `config.json` where it names none.
    pub generation: GenerationConfig,
    /// The tokenizer, if the folder has one.
    #[cfg(feature = "text")]
    pub tokenizer: Option<Tokenizer>,
    /// The chat template, if the folder has one.
    #[cfg(feature = "text")]
    pub chat_template: Option<ChatTemplate>,
}

impl ModelFolder {
    /// The folder's configuration, tokenizer and chat template; the weights are opened by
    /// [`ModelFolder::weights`].
    ///
    /// `dir` may be a GGUF file, or a folder with a `model.gguf` and no `config.json`: the files that
    /// a folder has beside its weights are made in a temporary folder then, and the weights are read
    /// where they are.
    ///
    /// # Errors
    /// No `config.json`, or a file that does not parse.
    pub fn open(dir: &Path) -> Result<Self, CheckpointError> {
        if let Some(file) = Self::gguf_at(dir) {
            return Self::unpack(&file);
        }
        expect_folder(dir).map_err(CheckpointError::io("open", dir))?;
        recover_folder(dir)?;
        let path = dir.join("config.json");
        if !path.is_file() {
            let dir = dir.to_path_buf();
            return Err(if dir.join("adapter_config.json").is_file() {
                CheckpointError::AdapterFolder { dir }
            } else {
                CheckpointError::NoConfig { dir }
            });
        }
        let config = json::read(&path)?;
        if !config.is_object() {
            return Err(json::bad_field(&path, "the file", &config, "an object"));
        }
        #[cfg(feature = "text")]
        let tokenizer = match Tokenizer::from_dir(dir) {
            Err(CheckpointError::NoTokenizer { sentencepiece: false, .. }) => None,
            other => Some(other?),
        };
        Ok(Self {
            dir: dir.to_path_buf(),
            unpacked: None,
            config,
            generation: GenerationConfig::from_dir(dir)?,
            #[cfg(feature = "text")]
            tokenizer,
            #[cfg(feature = "text")]
            chat_template: ChatTemplate::from_dir(dir)?,
        })
    }

    /// A GGUF file as a folder.
    fn unpack(file: &Path) -> Result<Self, CheckpointError> {
        let opened = OpenedGguf::open(file)?;
        // Never committed, so that it is gone with the last who reads it, and at the latest with the next that is made.
        let unpacked = StagedFolder::replace(&env::temp_dir().join(UNPACKED))?;
        opened.write_companions(unpacked.path(), opened.dtype())?;
        let folder = Self::open(unpacked.path())?;
        Ok(Self { dir: file.to_path_buf(), unpacked: Some(Arc::new(unpacked)), ..folder })
    }

    /// The folder that holds configuration, tokenizer and chat template; another one than
    /// [`ModelFolder::dir`] for a GGUF file.
    pub fn files(&self) -> &Path {
        self.unpacked.as_ref().map_or(&self.dir, |unpacked| unpacked.path())
    }

    /// What the model is called: the name of the folder, or of the GGUF file without its ending; `None`
    /// where the path names neither.
    pub fn name(&self) -> Option<String> {
        let path = std::path::absolute(&self.dir).unwrap_or_else(|_| self.dir.clone());
        let name = if path.is_file() { path.file_stem() } else { path.file_name() };
        name?.to_str().map(str::to_owned)
    }

    /// The GGUF file that [`ModelFolder::open`] reads at this path, if it reads one: the path itself, or
    /// the `model.gguf` in a folder without `config.json`.
    pub fn gguf_at(dir: &Path) -> Option<PathBuf> {
        if is_gguf(dir) {
            return Some(dir.to_path_buf());
        }
        let within = dir.join(GGUF);
        (!dir.join("config.json").exists() && is_gguf(&within)).then_some(within)
    }

    /// `config.json` as it is stored, whatever became of [`ModelFolder::config`] since.
    ///
    /// # Errors
    /// The file cannot be read or does not parse.
    pub fn stored_config(&self) -> Result<Value, CheckpointError> {
        json::read(&self.files().join("config.json"))
    }

    /// The weights, headers only.
    ///
    /// # Errors
    /// As [`Weights::open`].
    pub fn weights(&self) -> Result<Weights, CheckpointError> {
        Weights::open(&self.dir)
    }

    /// The folder's tokenizer.
    ///
    /// # Errors
    /// [`CheckpointError::NoTokenizer`] if it has none.
    #[cfg(feature = "text")]
    pub fn tokenizer(&self) -> Result<&Tokenizer, CheckpointError> {
        self.tokenizer.as_ref().ok_or_else(|| CheckpointError::NoTokenizer {
            dir: self.dir.clone(),
            sentencepiece: false,
        })
    }

    /// `model_type` of the configuration, such as `llama`.
    pub fn model_type(&self) -> Option<&str> {
        self.config["model_type"].as_str()
    }

    /// Copies everything but the weights into `out`, which is created, and returns the copies.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub fn copy_companions(&self, out: &Path) -> Result<Vec<PathBuf>, CheckpointError> {
        fs::create_dir_all(out).map_err(CheckpointError::io("create", out))?;
        let mut copies = Vec::new();
        for name in CONFIG_FILES.iter().chain(&TOKENIZER_FILES) {
            let path = self.files().join(name);
            if path.is_file() {
                let contents = fs::read(&path).map_err(CheckpointError::io("read", &path))?;
                let copy = out.join(name);
                write_file(&copy, &contents)?;
                copies.push(copy);
            }
        }
        Ok(copies)
    }

    /// SHA-256 over names and contents of configuration, tokenizer files and weights, as hex.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn files_hash(&self) -> Result<String, CheckpointError> {
        let mut hash = Sha256Hasher::new();
        self.hash_files(CONFIG_FILES.iter().chain(&TOKENIZER_FILES), &mut hash)?;
        hash.update(self.weights()?.content_hash()?);
        Ok(hash.hex())
    }

    /// SHA-256 over names and contents of the tokenizer's files, chat template included, as hex.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn tokenizer_hash(&self) -> Result<String, CheckpointError> {
        let mut hash = Sha256Hasher::new();
        self.hash_files(TOKENIZER_FILES.iter(), &mut hash)?;
        Ok(hash.hex())
    }

    fn hash_files<'a>(
        &self,
        names: impl Iterator<Item = &'a &'a str>,
        hash: &mut Sha256Hasher,
    ) -> Result<(), CheckpointError> {
        for name in names {
            let path = self.files().join(name);
            if path.is_file() {
                let mut contents = Sha256Hasher::new();
                contents.update_from_file(&path)?;
                hash.update(name);
                hash.update([0]);
                hash.update(contents.bytes());
            }
        }
        Ok(())
    }
}
