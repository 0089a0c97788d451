//! What can go wrong between a run and its completions server.

use thiserror::Error;

/// Why a completions server gave no completions.
#[derive(Debug, Error)]
#[error("the completions server {server}: {problem}")]
pub struct ServerError {
    /// The address asked.
    pub server: String,
    /// Which of the requests, from 0.
    pub request: usize,
    /// What went wrong.
    pub problem: ServerProblem,
}

/// What went wrong with a request.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServerProblem {
    /// It was not reached, did not answer in time, or broke off, at every attempt.
    #[error(
        "{attempts} attempts brought no answer, the last one: {reason}; see that it runs at `rollout.server`, or raise \
         `rollout.server_timeout` and `rollout.server_retries`"
    )]
    Unreachable {
        /// Attempts made.
        attempts: u32,
        /// What the last one met.
        reason: String,
    },
    /// It answered with a status that is no success.
    #[error("it answered {status} after {attempts} attempts: {words}")]
    Status {
        /// The HTTP status.
        status: u16,
        /// Attempts made.
        attempts: u32,
        /// What it said.
        words: String,
    },
    /// Its answer lacks something, or cannot be what was asked for.
    #[error("its answer cannot be used: `{field}` is {found}, expected {expected}")]
    Answer {
        /// Where in the answer.
        field: String,
        /// What is there.
        found: String,
        /// What should be there.
        expected: String,
    },
    /// The request cannot be sent at all.
    #[error("the request cannot be sent: {reason}")]
    Request {
        /// Why not.
        reason: String,
    },
}
