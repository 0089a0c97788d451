//! Does a checkpoint give the numbers that the reference implementation gave?
//!
//! A parity folder is a model folder with an `expected.safetensors` beside the weights. It holds
//! `input_ids` (`[batch, seq]`), perhaps `attention_mask` and `token_type_ids`, and any of the
//! outputs in [`KNOWN_OUTPUTS`].
//!
//! ```
//! use std::path::Path;
//! use bestof_models::{open_device, parity::run_parity};
//!
//! let dir = Path::new("tests/fixtures/parity/bert-encoder");
//! let report = run_parity(dir, &open_device("cpu")?)?;
//! assert!(report.ok && report.max_abs_diff["last_hidden_state"] < 1e-4);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod decoder;
mod encoder;
mod expected;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bestof_checkpoints::{CheckpointError, ModelFolder};
use burn::tensor::Device;
use serde::Serialize;

use crate::bert::BertError;
use crate::error::ModelError;
use crate::family::known_model_types;
use expected::Expected;

/// The largest difference that still counts as the same.
pub const THRESHOLD: f64 = 1e-3;

/// What an `expected.safetensors` may ask for.
///
/// - `logits`: `[batch, seq, vocab]`; of a classifier `[batch, labels]`
/// - `token_logprobs`: `[batch, seq - 1]`, of each next token
/// - `greedy`: `[1, n]`, the likeliest continuation of the first 8 tokens of the first row, with or
///   without these tokens before it
/// - `last_hidden_state`: `[batch, seq, hidden]`
/// - `pooler_output`: `[batch, hidden]`
pub const KNOWN_OUTPUTS: [&str; 5] =
    ["greedy", "last_hidden_state", "logits", "pooler_output", "token_logprobs"];

/// How far a checkpoint's outputs lie from those expected.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ParityReport {
    /// The folder.
    pub dir: PathBuf,
    /// The largest absolute difference by output; for `greedy` the number of tokens that differ.
    /// Infinite where an output is not a number.
    pub max_abs_diff: BTreeMap<String, f64>,
    /// Whether all are at most [`THRESHOLD`].
    pub ok: bool,
}

/// Why a checkpoint could not be compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParityError {
    /// The model folder, or the expected numbers, cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The decoder cannot be made or run.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The encoder cannot be made or run.
    #[error(transparent)]
    Bert(#[from] BertError),
    /// There is nothing to compare with.
    #[error("{} has no expected.safetensors; write one with the reference implementation", dir.display())]
    NoExpected {
        /// The folder.
        dir: PathBuf,
    },
    /// `expected.safetensors` holds no output.
    #[error("{} holds no output to compare; known are {}", path.display(), KNOWN_OUTPUTS.join(", "))]
    NothingExpected {
        /// The file.
        path: PathBuf,
    },
    /// `expected.safetensors` holds what no model has.
    #[error("{} holds `{key}`; known are input_ids, attention_mask, token_type_ids, {}", path.display(), KNOWN_OUTPUTS.join(", "))]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The tensor's name.
        key: String,
    },
    /// The model has no such output or input.
    #[error("`{key}` is expected, which a {model} does not have")]
    NotComputed {
        /// The tensor's name.
        key: String,
        /// The model type, or its class.
        model: String,
    },
    /// A tensor has another shape than the model's inputs and sizes make.
    #[error("expected.safetensors: `{key}` has shape {found:?}, the model gives {expected:?}")]
    Shape {
        /// The tensor's name.
        key: String,
        /// Its shape.
        found: Vec<usize>,
        /// The shape it should have.
        expected: Vec<usize>,
    },
    /// An input has a value that is no token, no type, or no mask.
    #[error("expected.safetensors: `{key}` holds {found}, expected {expected}")]
    BadInput {
        /// The tensor's name.
        key: &'static str,
        /// The value.
        found: i64,
        /// What it should be.
        expected: &'static str,
    },
    /// A decoder's row starts with padding.
    #[error(
        "expected.safetensors: row {row} is padded before or between its tokens; pad on the right"
    )]
    NotRightPadded {
        /// The row.
        row: usize,
    },
    /// The class of the model has no head that is built here.
    #[error(
        "config.json: architecture `{found}` gives no logits here; known are BertForSequenceClassification, BertForMaskedLM"
    )]
    UnknownHead {
        /// The first of `architectures`.
        found: String,
    },
}

/// Runs the checkpoint in `dir` on the inputs in `expected.safetensors` and compares.
///
/// Positions where `attention_mask` is 0 are not compared.
///
/// # Errors
/// [`ParityError`]: files that are missing, a model that is not known, expectations that it cannot
/// meet.
pub fn run_parity(dir: &Path, device: &Device) -> Result<ParityReport, ParityError> {
    let folder = ModelFolder::open(dir)?;
    let expected = Expected::open(dir)?;
    let device = device.clone().without_autodiff();
    let model_type = folder.model_type().unwrap_or_default();
    let max_abs_diff = if model_type == "bert" {
        encoder::compare(&folder, &expected, &device)?
    } else if known_model_types().contains(&model_type) {
        decoder::compare(&folder, &expected, &device)?
    } else {
        let (found, mut known) = (model_type.to_owned(), known_model_types());
        known.push("bert");
        return Err(ModelError::UnknownModelType { found, known }.into());
    };
    let ok = max_abs_diff.values().all(|difference| *difference <= THRESHOLD);
    Ok(ParityReport { dir: dir.to_path_buf(), max_abs_diff, ok })
}
