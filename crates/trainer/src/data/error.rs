//! What stops a file from becoming training data.

use std::path::PathBuf;

use bestof_checkpoints::CheckpointError;
use bestof_tasks::rows::RowsError;

use super::DataReport;

/// Why training data could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The file cannot be read, or holds lines that are no rows.
    #[error("{0}")]
    Rows(Box<RowsError>),
    /// The tokenizer failed on a text.
    #[error("{}:{line}: {source}", file.display())]
    Tokenizer {
        /// The file.
        file: PathBuf,
        /// Line of the row, from 1.
        line: usize,
        /// What the tokenizer says.
        source: Box<CheckpointError>,
    },
    /// The tokenizer could not be examined.
    #[error("the tokenizer cannot encode a probe: {0}")]
    Probe(#[source] Box<CheckpointError>),
    /// A conversation, and a model without a template to render it.
    #[error(
        "{}:{line} holds chat messages, but the model has no chat template; \
         give the rows as plain text, or put a chat_template.jinja into the model's folder",
        file.display()
    )]
    NoChatTemplate {
        /// The file.
        file: PathBuf,
        /// Line of the row, from 1.
        line: usize,
    },
    /// End-of-text tokens were asked for, and the tokenizer names none.
    #[error(
        "the tokenizer names no end-of-text token to append to completions; set eos_token in \
         tokenizer_config.json, or switch the appending off"
    )]
    NoEndOfText,
    /// Every row was dropped.
    #[error("{}: none of the rows can be used\n{report}", file.display())]
    NothingLeft {
        /// The file.
        file: PathBuf,
        /// Why each row was dropped.
        report: Box<DataReport>,
    },
    /// A saved position belongs to other data.
    #[error(
        "the saved position belongs to data with {saved_rows} rows, seed {saved_seed}; this run has {rows} rows, \
         seed {seed}: resume with the same data and seed, or start anew"
    )]
    OtherData {
        /// Rows when the position was saved.
        saved_rows: usize,
        /// Seed when the position was saved.
        saved_seed: u64,
        /// Rows now.
        rows: usize,
        /// Seed now.
        seed: u64,
    },
    /// A saved position lies outside its data.
    #[error(
        "the saved position {position} lies beyond the {rows} rows of an epoch; the file is damaged"
    )]
    BadPosition {
        /// The position.
        position: usize,
        /// Rows of the data.
        rows: usize,
    },
}

impl DataError {
    pub(super) fn probe(source: CheckpointError) -> Self {
        Self::Probe(Box::new(source))
    }
}

impl From<RowsError> for DataError {
    fn from(error: RowsError) -> Self {
        Self::Rows(Box::new(error))
    }
}
