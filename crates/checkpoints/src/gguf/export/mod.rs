//! A Hugging Face folder as a GGUF file that llama.cpp loads.

mod config;
mod refuse;
mod rope;
mod scores;
mod tensors;
mod text_half;
mod vocabulary;

use bestof_blocks::{BlockError, GgmlType};
use std::path::{Path, PathBuf};

use bestof_files::StagedFile;

use super::entries::Entries;
use super::error::GgufError;
use crate::conversion::Progress;
use crate::error::CheckpointError;
use crate::folder::ModelFolder;
use crate::weights::Weights;
use config::ModelConfig;
use refuse::bad_folder;
use tensors::Tensors;
use text_half::TextHalf;

/// How to write a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportOptions {
    /// Type of the matrices: `F32`, `F16`, `BF16`, `Q8_0` or `Q4_0`. Vectors stay `F32`. Matrices whose
    /// rows are no whole number of blocks become `F16`, and with `Q4_0` the output matrix (the
    /// embeddings, where there is none) becomes `Q8_0`, as it decides most about the error.
    pub ggml_type: GgmlType,
    /// `general.name`. Default: [`ModelFolder::name`].
    pub name: Option<String>,
}

impl ExportOptions {
    /// Matrices of this type, and the name of the folder.
    pub fn new(ggml_type: GgmlType) -> Self {
        Self { ggml_type, name: None }
    }

    /// With another name of the model.
    #[must_use]
    pub fn with_name(self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self }
    }
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exported {
    /// The file.
    pub path: PathBuf,
    /// `general.architecture`.
    pub architecture: &'static str,
    /// Number of parameters.
    pub parameters: u64,
    /// Number of tensors by their type in the file.
    pub types: Vec<(String, usize)>,
    /// What llama.cpp will do in another way, one sentence each.
    pub warnings: Vec<String>,
}

/// Writes a model folder as one GGUF file, as llama.cpp's `convert_hf_to_gguf.py` does: metadata,
/// tokenizer, chat template, rotary basis and weights of a model of the type `llama`, `mistral`,
/// `qwen2`, `qwen3`, `smollm3`, `phi3`, `gemma2`, `gemma3_text`, or `gemma3` for its text half.
///
/// The file appears whole at the end or not at all, one tensor is in memory at a time, and an existing
/// file is left alone. Keys of `config.json` that this function does not read are not looked at;
/// read the configuration as the model's own before, which refuses unknown ones.
///
/// ```no_run
/// use bestof_checkpoints::ModelFolder;
/// use bestof_checkpoints::gguf::{ExportOptions, GgmlType, export};
///
/// let folder = ModelFolder::open("models/mine".as_ref())?;
/// let options = ExportOptions::new(GgmlType::Q8_0);
/// let done = export(&folder, "mine.Q8_0.gguf".as_ref(), options, &mut |_| ())?;
/// assert_eq!(done.architecture, "llama");
/// # Ok::<(), bestof_checkpoints::CheckpointError>(())
/// ```
///
/// # Errors
/// `out` exists; the model's type, tokenizer or a setting is one that the file cannot express, by
/// its name; a tensor is missing, stray, of the wrong shape or has a value that the type cannot hold;
/// reading or writing fails.
pub fn export(
    folder: &ModelFolder,
    out: &Path,
    options: ExportOptions,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Exported, CheckpointError> {
    prepare(folder, out, options, |header| {
        if let Some(parent) = out.parent() {
            std::fs::create_dir_all(parent).map_err(CheckpointError::io("create", parent))?;
        }
        let Header { architecture, weights, tensors, entries, warnings } = header;
        let mut file = StagedFile::create(out)?;
        tensors.write(weights, &entries, &mut file, progress)?;
        file.persist()?;
        Ok(Exported {
            path: out.to_path_buf(),
            architecture,
            parameters: tensors.parameters(),
            types: tensors.types(),
            warnings,
        })
    })
}

/// Checks what [`export`] would refuse before it reads a value, and writes nothing. The folder may hold
/// its weights in blocks.
///
/// # Errors
/// As [`export`], values and writing apart.
pub fn check(
    folder: &ModelFolder,
    out: &Path,
    options: ExportOptions,
) -> Result<(), CheckpointError> {
    prepare(folder, out, options, |_| Ok(()))
}

/// What stands in a file before the values.
struct Header<'a> {
    architecture: &'static str,
    weights: &'a Weights,
    tensors: Tensors,
    entries: Entries,
    warnings: Vec<String>,
}

fn prepare<T>(
    folder: &ModelFolder,
    out: &Path,
    options: ExportOptions,
    then: impl FnOnce(Header<'_>) -> Result<T, CheckpointError>,
) -> Result<T, CheckpointError> {
    if std::fs::symlink_metadata(out).is_ok() {
        return Err(CheckpointError::OutputExists { path: out.to_path_buf() });
    }
    let bad = |source| bad_folder(folder, source);
    let file_type = file_type(options.ggml_type).map_err(bad)?;
    let weights = folder.weights()?;
    let text_half = TextHalf::of(&weights);
    let model = ModelConfig::read(folder, &text_half)?;
    let rope = model.rope()?;
    let tensors = Tensors::plan(&model, &text_half, &rope, options.ggml_type).map_err(bad)?;

    let mut entries = Entries::default();
    entries.text("general.architecture", model.architecture);
    entries.text("general.type", "model");
    if let Some(name) = options.name.or_else(|| folder.name()) {
        entries.text("general.name", &name);
    }
    entries.u32("general.file_type", file_type);
    if options.ggml_type.block_values() > 1 {
        entries.u32("general.quantization_version", 2);
    }
    model.write(&mut entries)?;
    rope.write(model.architecture, &mut entries);
    let mut warnings = model.warnings()?;
    warnings.extend(text_half.warning());
    warnings.extend(vocabulary::write(folder, model.sizes.vocabulary, &mut entries)?);
    let architecture = model.architecture;
    then(Header { architecture, weights: &weights, tensors, entries, warnings })
}

/// `general.file_type`: the type of most tensors, in llama.cpp's numbers.
fn file_type(ggml_type: GgmlType) -> Result<u32, GgufError> {
    match ggml_type {
        GgmlType::F32 => Ok(0),
        GgmlType::F16 => Ok(1),
        GgmlType::Q4_0 => Ok(2),
        GgmlType::Q8_0 => Ok(7),
        GgmlType::BF16 => Ok(32),
        _ => Err(BlockError::Unwritable { ggml_type }.into()),
    }
}
