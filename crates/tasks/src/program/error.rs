//! What a program did in place of an answer.

use std::time::Duration;

use thiserror::Error;

/// Why a program gave no reply to a request.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProgramError {
    /// It cannot be started.
    #[error("cannot start {program}: {reason}")]
    CannotStart {
        /// The program.
        program: String,
        /// What the system said.
        reason: String,
    },
    /// It crashed, or ended with a status that says so.
    #[error("the program failed ({status}): {errors}")]
    Failed {
        /// How it ended.
        status: String,
        /// What it wrote to its error output, shortened.
        errors: String,
    },
    /// It ended, or closed its output, without a reply.
    #[error("no reply: the program {how}")]
    NoReply {
        /// What it did instead.
        how: &'static str,
    },
    /// It did not answer in time.
    #[error("the program took longer than {limit:?}")]
    TimedOut {
        /// The limit.
        limit: Duration,
    },
    /// It wrote more than a reply may have.
    #[error("the program wrote more than {limit} bytes")]
    TooMuch {
        /// The limit.
        limit: usize,
    },
    /// Nothing can be said of how it ended.
    #[error("cannot tell how the program ended: {reason}")]
    Unknown {
        /// What the system said.
        reason: String,
    },
}
