//! Options, progress and result of a conversion.

use std::path::PathBuf;

use crate::stored::StoredType;

/// How to write the converted model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvertOptions {
    /// Type of the written weights: `F32`, `F16` or `BF16`.
    pub dtype: StoredType,
    /// Largest weight file, in bytes; `None` for a single file.
    pub max_shard_bytes: Option<u64>,
}

impl Default for ConvertOptions {
    fn default() -> Self {
        Self { dtype: StoredType::F32, max_shard_bytes: None }
    }
}

/// The progress of a conversion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress<'a> {
    /// The tensor just written, by its new name.
    pub tensor: &'a str,
    /// Values written so far.
    pub values_done: u64,
    /// Values of the whole model.
    pub values_total: u64,
}

/// The result of a conversion.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Converted {
    /// The new model folder.
    pub dir: PathBuf,
    /// `model_type` of its configuration, empty if it has none.
    pub model_type: String,
    /// Number of parameters.
    pub parameters: u64,
    /// Number of tensors.
    pub tensors: usize,
    /// Number of tensors by their type in the source.
    pub source_types: Vec<(String, usize)>,
    /// What was left out or guessed, one sentence each.
    pub warnings: Vec<String>,
}

/// Adds one to the count of a name.
pub(crate) fn count(counts: &mut Vec<(String, usize)>, name: String) {
    match counts.iter_mut().find(|(known, _)| *known == name) {
        Some((_, count)) => *count += 1,
        None => counts.push((name, 1)),
    }
}
