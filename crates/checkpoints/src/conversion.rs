//! What the conversions share: how to write, how far they are, what they wrote.

use std::path::PathBuf;

use crate::stored::StoredType;

/// How to write the converted model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvertOptions {
    /// Type of the written weights: `F32`, `F16` or `BF16`.
    pub dtype: StoredType,
    /// Largest file of weights; `None` for a single file.
    pub max_shard_bytes: Option<u64>,
}

impl Default for ConvertOptions {
    fn default() -> Self {
        Self { dtype: StoredType::F32, max_shard_bytes: None }
    }
}

/// How far a conversion has come.
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

/// What a conversion wrote.
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
    /// For each type in the source, how many tensors have it.
    pub source_types: Vec<(String, usize)>,
}

/// Adds one to the count of a name.
pub(crate) fn count(counts: &mut Vec<(String, usize)>, name: String) {
    match counts.iter_mut().find(|(known, _)| *known == name) {
        Some((_, count)) => *count += 1,
        None => counts.push((name, 1)),
    }
}
