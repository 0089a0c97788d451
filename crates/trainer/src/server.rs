//! Completions from a server elsewhere, by the completions interface of `OpenAI` with token ids and
//! log-probabilities.
//!
//! `POST /v1/completions` takes a prompt as token ids; vLLM and `SGLang` answer with `token_ids` and
//! `logprobs.token_logprobs`, llama.cpp with `logprobs.content`, a list of `{"id", "prob"}`. All of them are read.

mod answer;
mod client;
mod error;
mod settings;

pub(crate) use client::Bounds;
pub use client::CompletionServer;
pub use error::{ServerError, ServerProblem};
pub use settings::ServerSettings;
