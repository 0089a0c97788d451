//! Errors of encoders.

use bestof_checkpoints::CheckpointError;

use crate::error::ModelError;

/// An error of an encoder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncoderError {
    /// The configuration is invalid, or tensors are missing or of another shape.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Reading or writing a checkpoint failed.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The batch has no row, or a row has no unmasked token.
    #[error("row {row} of the batch has no token; leave it out or give it at least one")]
    EmptyRow {
        /// The row, 0 for a batch without rows.
        row: usize,
    },
    /// A list that must match the tokens has another length.
    #[error("row {row} of the batch: {found} {what} for {expected} tokens; give one per token")]
    Ragged {
        /// The row.
        row: usize,
        /// The contents of the list, plural.
        what: &'static str,
        /// The length found.
        found: usize,
        /// The number of tokens.
        expected: usize,
    },
    /// Rows are longer than the table of position embeddings.
    #[error(
        "{found} tokens in a row, but the model has positions for {max} \
         (max_position_embeddings); cut the text to {max} tokens"
    )]
    TooLong {
        /// Tokens per row.
        found: usize,
        /// Position embeddings of the model.
        max: usize,
    },
    /// A token id is outside the vocabulary.
    #[error(
        "token {token} at row {row}, position {position} is outside the vocabulary of {vocab_size}; \
         use the tokenizer of this model"
    )]
    TokenOutOfRange {
        /// The token id.
        token: u32,
        /// The row of the batch.
        row: usize,
        /// The position in the row.
        position: usize,
        /// The number of tokens in the vocabulary.
        vocab_size: usize,
    },
    /// A token type is outside the table of token types.
    #[error(
        "token type {found} at row {row}, position {position}: the model has {type_vocab_size} types, \
         counted from 0"
    )]
    TypeOutOfRange {
        /// The token type.
        found: u32,
        /// The row of the batch.
        row: usize,
        /// The position in the row.
        position: usize,
        /// The number of token types.
        type_vocab_size: usize,
    },
    /// A head needs the pooler, which the checkpoint does not have.
    #[error("the model has no pooler; add one with `Encoder::with_pooler` and train it")]
    NoPooler,
}
