//! Why long-context cases cannot be made at all.

use super::ruler::RulerTask;
use super::{RetrievalTask, Skips};
use crate::rows::RowsError;

/// A setting or a data file no cases can be made from. What is wrong with single documents is a
/// [`Skip`](super::Skip) instead.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LongContextError {
    /// A setting outside its range.
    #[error("{setting} is {found}, expected {expected}")]
    Setting {
        /// The setting.
        setting: &'static str,
        /// Its value.
        found: String,
        /// What it may be.
        expected: String,
    },
    /// A length too short for the question and the answer.
    #[error(
        "{task} in {length} tokens: the shortest prompt has {needed}; request more, or reserve \
         fewer"
    )]
    TooShort {
        /// The task.
        task: RetrievalTask,
        /// Tokens the prompt may have.
        length: usize,
        /// Tokens of the shortest prompt.
        needed: usize,
    },
    /// A length too short for one of RULER's tasks.
    #[error(
        "{task} in {length} tokens: the shortest prompt with its answer has {needed}; ask for more"
    )]
    RulerTooShort {
        /// The task.
        task: RulerTask,
        /// Tokens of prompt and answer.
        length: usize,
        /// Tokens of the shortest prompt with its answer.
        needed: usize,
    },
    /// Data from which no case could be made.
    #[error("no case of {task} could be made from the data:\n{skips}")]
    NoCases {
        /// The task.
        task: RetrievalTask,
        /// Why each document was skipped.
        skips: Skips,
    },
    /// Rows that cannot be read.
    #[error(transparent)]
    Rows(#[from] RowsError),
}
