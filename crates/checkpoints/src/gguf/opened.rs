//! A GGUF file as a model: its tensors under their names in a folder, with the blocks as they are.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bestof_blocks::GgmlType;

use super::architecture::{Change, Family, Sizes};
use super::companions::{bad_file, check_fits, stored_factors, write_config_and_tokenizer};
use super::config::ConfigSource;
use super::file::GgufFile;
use super::plan::{PlannedTensor, plan, unpair};
use super::vocabulary::Vocabulary;
use crate::error::CheckpointError;
use crate::stored::{StoredType, TensorInfo};

/// An opened file whose tensors are all known.
#[derive(Debug)]
pub(crate) struct OpenedGguf {
    path: PathBuf,
    /// Reading moves a position in the file.
    file: Mutex<GgufFile>,
    family: Family,
    architecture: &'static str,
    pub(super) sizes: Sizes,
    /// Sorted by name.
    pub(super) tensors: Vec<PlannedTensor>,
}

impl OpenedGguf {
    /// # Errors
    /// As [`super::convert`].
    pub(crate) fn open(path: &Path) -> Result<Self, CheckpointError> {
        let file = GgufFile::open_joined(path)?;
        let bad = |source| bad_file(path, source);
        let (family, architecture) = Family::of(&file.metadata).map_err(bad)?;
        let sizes = Sizes::read(&file, architecture).map_err(bad)?;
        let mut tensors = plan(&file, family, architecture, sizes).map_err(bad)?;
        tensors.sort_by(|a, b| a.name.cmp(&b.name));
        let file = Mutex::new(file);
        Ok(Self { path: path.to_path_buf(), file, family, architecture, sizes, tensors })
    }

    /// The file, or the files of all parts of a split one.
    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        self.file().paths()
    }

    /// The file, to be read by one at a time.
    pub(super) fn file(&self) -> MutexGuard<'_, GgufFile> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what a folder has beside its weights of the type `dtype`: configuration, tokenizer, chat
    /// template. Returns the model type, and what was left out or guessed, one sentence each.
    ///
    /// # Errors
    /// Metadata that make no configuration or no tokenizer, or a file that cannot be written.
    pub(crate) fn write_companions(
        &self,
        dir: &Path,
        dtype: StoredType,
    ) -> Result<(String, Vec<String>), CheckpointError> {
        let bad = |source| bad_file(&self.path, source);
        let mut file = self.file();
        let factors = stored_factors(&mut file)?;
        let vocabulary = Vocabulary::read(&file.metadata).map_err(bad)?;
        check_fits(&vocabulary, self.sizes).map_err(bad)?;
        let source = ConfigSource {
            file: &file,
            family: self.family,
            architecture: self.architecture,
            sizes: self.sizes,
            factors,
            vocabulary: &vocabulary,
            dtype,
        };
        let model_type = write_config_and_tokenizer(&source, dir, &self.path)?;
        Ok((model_type, vocabulary.warnings))
    }

    /// The float type that a folder of this model has: that of its first matrix, bf16 for blocks.
    pub(crate) fn dtype(&self) -> StoredType {
        let matrix = self.tensors.iter().find(|tensor| tensor.entry.shape.len() == 2);
        match matrix.map(|tensor| tensor.entry.ggml_type) {
            Some(GgmlType::F32) | None => StoredType::F32,
            Some(GgmlType::F16) => StoredType::F16,
            Some(_) => StoredType::BF16,
        }
    }

    /// Name, type and shape of every tensor, sorted by name.
    pub(crate) fn infos(&self) -> Vec<TensorInfo> {
        let info = |tensor: &PlannedTensor| TensorInfo {
            name: tensor.name.clone(),
            dtype: match tensor.entry.ggml_type {
                GgmlType::F32 => StoredType::F32,
                GgmlType::F16 => StoredType::F16,
                GgmlType::BF16 => StoredType::BF16,
                blocks => StoredType::Blocks(blocks),
            },
            shape: tensor.entry.shape.clone(),
        };
        self.tensors.iter().map(info).collect()
    }

    /// The values of tensor number `at`.
    pub(crate) fn read_values(&self, at: usize) -> Result<Vec<f32>, CheckpointError> {
        let tensor = &self.tensors[at];
        let PlannedTensor { entry, name, .. } = tensor;
        let mut values = Vec::new();
        self.file().read_rows(entry, 0, entry.rows(), &mut Vec::new(), &mut values)?;
        tensor.apply(self.sizes.head_dim, &mut values, &mut Vec::new());
        match values.iter().position(|value| !value.is_finite()) {
            None => Ok(values),
            Some(index) => Err(CheckpointError::NotFinite {
                path: self.file().path_of(entry),
                tensor: name.clone(),
                index,
                value: values[index],
            }),
        }
    }

    /// The blocks of tensor number `at`, row by row; `None` for plain numbers.
    pub(crate) fn read_blocks(
        &self,
        at: usize,
    ) -> Result<Option<(GgmlType, Vec<u8>)>, CheckpointError> {
        let tensor = &self.tensors[at];
        let PlannedTensor { entry, change, name } = tensor;
        if entry.ggml_type.block_values() == 1 || *change == Change::MinusOne {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        self.file().read_blocks(entry, 0, entry.rows(), &mut bytes)?;
        if let Some(index) = bestof_blocks::first_not_finite(entry.ggml_type, &bytes) {
            let (path, tensor) = (self.file().path_of(entry), name.clone());
            return Err(CheckpointError::NotFinite { path, tensor, index, value: f32::NAN });
        }
        if *change == Change::Unpair {
            let mut unpaired = Vec::with_capacity(bytes.len());
            let row = tensor.head_row(entry.row_bytes());
            unpair(&bytes, row, self.sizes.head_dim, &mut unpaired);
            bytes = unpaired;
        }
        Ok(Some((entry.ggml_type, bytes)))
    }
}
