//! How rows become token ids, and why one may not.

use bestof_checkpoints::CheckpointError;
use bestof_tasks::rows::RowProblem;
use serde::{Deserialize, Serialize};

use super::DropReason;

/// What to do with a row that is longer than the maximum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Truncation {
    /// Leave the row out.
    #[default]
    Drop,
    /// Cut the end of the completions, their end-of-text token included.
    KeepStart,
    /// Cut the beginning of the prompt, after the tokens that begin every text.
    KeepEnd,
}

/// How rows become token ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncodeOptions {
    /// Append the tokenizer's end-of-text token to completions that are plain text.
    pub append_end_of_text: bool,
    /// The longest sequence of prompt and completion, in tokens.
    pub max_length: Option<usize>,
    /// What to do with longer ones.
    pub truncation: Truncation,
    /// Number of embeddings of the model; ids from there on are refused.
    pub vocab_size: Option<usize>,
    /// Of conversations in `messages`, learn what the assistant says and nothing else; other rows
    /// are bad ones then.
    pub assistant_only: bool,
    /// Keep pairs whose answers are the same tokens; there is no preference to learn from them.
    pub keep_identical: bool,
}

impl EncodeOptions {
    /// For training: completions end in the end-of-text token; no bound on the length.
    pub fn training() -> Self {
        Self {
            append_end_of_text: true,
            max_length: None,
            truncation: Truncation::Drop,
            vocab_size: None,
            assistant_only: false,
            keep_identical: false,
        }
    }

    /// For scoring: the completions as they are given, equal ones too.
    pub fn scoring() -> Self {
        Self { append_end_of_text: false, keep_identical: true, ..Self::training() }
    }
}

/// Why one row was not encoded.
#[derive(Debug)]
#[non_exhaustive]
pub enum Refusal {
    /// The row is well formed, and of no use for training.
    Dropped(DropReason),
    /// The row cannot be what it says it is.
    Bad(RowProblem),
    /// A conversation, and no template to render it.
    NoChatTemplate,
    /// The tokenizer failed.
    Tokenizer(CheckpointError),
}

impl Refusal {
    /// The reason, for a message.
    pub fn in_words(&self) -> String {
        match self {
            Self::Dropped(reason) => reason.to_string(),
            Self::Bad(problem) => problem.to_string(),
            Self::NoChatTemplate => "the model has no chat template".to_owned(),
            Self::Tokenizer(error) => error.to_string(),
        }
    }
}

impl From<DropReason> for Refusal {
    fn from(reason: DropReason) -> Self {
        Self::Dropped(reason)
    }
}
