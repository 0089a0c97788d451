//! What can be wrong with a batch, or with what is asked of an encoder.

use bestof_checkpoints::CheckpointError;

use crate::error::ModelError;

/// An error of the BERT encoder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BertError {
    /// The configuration or the tensors of a checkpoint do not make the model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Reading or writing a checkpoint failed.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The batch has no row, or a row has no token that is to be seen.
    #[error("row {row} of the batch has no token; leave it out or give it at least one")]
    EmptyRow {
        /// The row, 0 for a batch without rows.
        row: usize,
    },
    /// What belongs to the tokens comes in another number than they.
    #[error("row {row} of the batch: {found} {what} for {expected} tokens; give one each")]
    Ragged {
        /// The row.
        row: usize,
        /// What there is too much or too little of.
        what: &'static str,
        /// How many were given.
        found: usize,
        /// How many tokens there are.
        expected: usize,
    },
    /// Rows are longer than the position embeddings reach.
    #[error(
        "{found} tokens in a row, but the model has {max} positions \
         (max_position_embeddings); cut the text to {max} tokens"
    )]
    TooLong {
        /// Tokens in a row.
        found: usize,
        /// Positions of the model.
        max: usize,
    },
    /// A token id lies outside the vocabulary.
    #[error(
        "token {token} at row {row}, position {position} is outside the vocabulary of {vocab_size}; \
         do tokenizer and model belong together?"
    )]
    TokenOutOfRange {
        /// The token id.
        token: u32,
        /// The row of the batch.
        row: usize,
        /// The position in the row.
        position: usize,
        /// The number of known tokens.
        vocab_size: usize,
    },
    /// A token type lies outside the table of token types.
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
    #[error("the model has no pooler; add one with `Bert::with_fresh_pooler` and train it")]
    NoPooler,
}
