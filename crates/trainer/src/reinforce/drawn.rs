//! A completion before it is judged.

use std::ops::Range;

use bestof_models::{FinishReason, Generation};
use bestof_tasks::verify::Verification;

/// A completion, or all that follows the prompt of an episode, before it is judged.
#[derive(Debug)]
pub(super) struct Drawn {
    /// Which of the problems it is of.
    pub(super) problem: usize,
    pub(super) ids: Vec<u32>,
    /// What of the ids an environment said.
    pub(super) foreign: Vec<Range<usize>>,
    /// One for each of the other ids.
    pub(super) logprobs: Vec<f32>,
    pub(super) sampling_logprobs: Vec<f32>,
    pub(super) finish: FinishReason,
    /// All of it, for a reader.
    pub(super) text: String,
    /// What is judged: the last turn.
    pub(super) answer_text: String,
    /// Turns of the policy, and what the environment says they are worth.
    pub(super) episode: Option<(usize, Verification)>,
}

impl Drawn {
    /// A completion of one turn.
    pub(super) fn of(generation: Generation, text: String) -> Self {
        Self {
            problem: generation.request,
            ids: generation.ids,
            foreign: Vec::new(),
            logprobs: generation.tempered_logprobs,
            sampling_logprobs: generation.sampling_logprobs,
            finish: generation.finish,
            answer_text: text.clone(),
            text,
            episode: None,
        }
    }
}
