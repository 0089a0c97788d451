//! Completions of many prompts at once, judged.

use std::ops::Range;

use bestof_models::{CausalLm, FinishReason, Generation, Request, SamplingConfig};

use bestof_tasks::extract::{answer_text, final_number};
use bestof_tasks::rows::{ChatMessage, TemplateFields};
use bestof_tasks::verify::Verification;
use serde::{Deserialize, Serialize};

use super::drawn::Drawn;
use super::judge::{EpisodeVerdict, Job, JudgeSettings, Judgement, judge_all};
use super::problem::{Dialogue, Problem};
use super::shaping::RewardShaping;
use super::stop::first_stop;
use crate::error::TrainError;
use crate::preference::Decode;
use crate::server::CompletionServer;

/// One completion of a prompt.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Rollout {
    /// Its tokens, with the one that ended it; of an episode all that follow the prompt.
    pub ids: Vec<u32>,
    /// What of the tokens an environment said, and nobody learns.
    pub foreign: Vec<Range<usize>>,
    /// Turns of the policy, where there is an environment.
    pub turns: Option<usize>,
    /// Its text, special tokens left out: of a completion up to the first stop text, of an episode whole.
    pub text: String,
    /// Its final answer: what a marker declares; else, where numbers are compared, the last
    /// number; else the whole text.
    pub answer: String,
    /// Log-probability of each token that was drawn, in their order, under the policy: the model at the rollout's
    /// temperature, without cuts. Of a server they are the [`sampling_logprobs`](Self::sampling_logprobs), cuts
    /// included, for it gives no others.
    pub logprobs: Vec<f32>,
    /// Log-probability of each of them under the distribution it was drawn from, with temperature
    /// and cuts.
    pub sampling_logprobs: Vec<f32>,
    /// Why it ended.
    pub finish: FinishReason,
    /// What it was found to be worth.
    pub judgement: Judgement,
}

impl Rollout {
    /// The number of tokens that the policy said.
    pub fn drawn_tokens(&self) -> usize {
        self.logprobs.len()
    }

    /// Whether the policy said the token at this place of [`ids`](Self::ids).
    pub fn is_drawn(&self, at: usize) -> bool {
        !self.foreign.iter().any(|range| range.contains(&at))
    }

    /// Whether the completion was cut off before it ended.
    pub fn is_truncated(&self) -> bool {
        !matches!(self.finish, FinishReason::Eos | FinishReason::Stop)
    }
}

/// The completions of one prompt.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Group {
    /// The prompt's row.
    pub row: usize,
    /// Its completions.
    pub rollouts: Vec<Rollout>,
}

impl Group {
    /// The rewards, in the order of the completions.
    pub fn rewards(&self) -> Vec<f64> {
        self.rollouts.iter().map(|rollout| rollout.judgement.reward).collect()
    }

    /// How many completions passed.
    pub fn passed(&self) -> usize {
        self.rollouts.iter().filter(|rollout| rollout.judgement.passed).count()
    }
}

/// How completions are sampled and judged.
pub struct Sampler {
    /// How tokens are drawn.
    pub sampling: SamplingConfig,
    /// The server that draws the tokens; `None` for the model itself.
    pub server: Option<CompletionServer>,
    /// Completions of each prompt.
    pub samples: usize,
    /// Texts that end a completion, whichever tokens they come in. They and what follows in their
    /// last token are not part of what is judged.
    pub stops: Vec<String>,
    /// How completions are judged.
    pub judging: JudgeSettings,
    /// What their length does to their rewards.
    pub shaping: RewardShaping,
    /// Whether numbers are compared: the answer of a completion without a marker is its last number.
    pub numeric_answers: bool,
    /// Text of tokens.
    pub decode: Decode,
    /// The most turns of an episode, where problems have an environment.
    pub max_turns: usize,
    /// Messages of an environment in tokens; see [`Encoder::encode_replies`](crate::data::Encoder::encode_replies).
    pub encode_replies: Option<EncodeReplies>,
}

/// The tokens between two turns of the policy: of messages, rendered with what a row gives the chat template, behind a
/// turn with this end token; or why there are none.
pub type EncodeReplies =
    Box<dyn Fn(&TemplateFields, &[ChatMessage], Option<u32>) -> Result<Vec<u32>, String>>;

impl std::fmt::Debug for Sampler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sampler").field("sampling", &self.sampling).finish_non_exhaustive()
    }
}

impl Sampler {
    /// Completions of the problems, each with its row and its seed; all are generated together.
    ///
    /// What is sampled for a problem depends on its prompt, its seed and the model alone.
    ///
    /// # Errors
    /// What the model says, or [`TrainError::Server`].
    pub fn sample<M: CausalLm>(
        &self,
        model: &M,
        problems: &[(usize, &Problem, u64)],
        samples: usize,
    ) -> Result<Vec<Group>, TrainError> {
        let drawn = if problems.iter().any(|(_, problem, _)| problem.dialogue.is_some()) {
            self.play(model, problems, samples)?
        } else {
            self.complete(model, problems, samples)?
        };
        let jobs: Vec<Job<'_>> =
            drawn.iter().map(|one| job(one, problems[one.problem].1)).collect();
        let judgements = judge_all(&jobs, &self.judging);
        let mut groups: Vec<Group> = problems
            .iter()
            .map(|(row, _, _)| Group { row: *row, rollouts: Vec::with_capacity(samples) })
            .collect();
        for (one, judgement) in drawn.into_iter().zip(judgements) {
            let mut rollout = Rollout {
                ids: one.ids,
                foreign: one.foreign,
                turns: one.episode.map(|(turns, _)| turns),
                answer: answer_of(&one.answer_text, self.numeric_answers),
                text: one.text,
                logprobs: one.logprobs,
                sampling_logprobs: one.sampling_logprobs,
                finish: one.finish,
                judgement,
            };
            rollout.judgement.reward = self.shaping.shaped(
                rollout.judgement.reward,
                rollout.drawn_tokens(),
                self.sampling.max_new_tokens,
                rollout.is_truncated(),
            );
            groups[one.problem].rollouts.push(rollout);
        }
        Ok(groups)
    }

    /// Completions of one turn.
    fn complete<M: CausalLm>(
        &self,
        model: &M,
        problems: &[(usize, &Problem, u64)],
        samples: usize,
    ) -> Result<Vec<Drawn>, TrainError> {
        let requests: Vec<Request> = problems
            .iter()
            .map(|(_, problem, seed)| Request {
                prompt: problem.prompt_ids.clone(),
                samples,
                seed: *seed,
            })
            .collect();
        let longest = vec![self.sampling.max_new_tokens; requests.len()];
        let generations = self
            .draw(model, &requests, &longest)
            .map_err(|not_drawn| not_drawn.at_rows(problems.iter().map(|(row, _, _)| *row)))?;
        let drawn = |generation: Generation| {
            let text = self.text_of(&generation.ids);
            Drawn::of(generation, text)
        };
        Ok(generations.into_iter().map(drawn).collect())
    }

    /// Text of a turn's tokens, up to the first stop text.
    pub(super) fn text_of(&self, ids: &[u32]) -> String {
        let mut text = (self.decode)(ids);
        if let Some(at) = first_stop(&text, &self.stops) {
            text.truncate(at);
        }
        text
    }
}

/// Who judges what was drawn of a problem.
fn job<'a>(drawn: &'a Drawn, problem: &'a Problem) -> Job<'a> {
    let episode = problem.dialogue.as_ref().zip(drawn.episode.as_ref());
    let verdict =
        |(dialogue, (_, verification)): (&Dialogue, &'a (usize, Verification))| EpisodeVerdict {
            verification,
            weight: dialogue.weight,
            highest: *dialogue.environment.range().end(),
        };
    Job {
        episode: episode.map(verdict),
        verifiers: &problem.verifiers,
        completion: &drawn.answer_text,
    }
}

fn answer_of(text: &str, numeric: bool) -> String {
    let (part, marker) = answer_text(text);
    match final_number(text) {
        Some(found) if marker.is_none() && numeric => found.value.to_string(),
        _ => part.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_what_is_compared() {
        for (text, numeric, answer) in [
            ("I think 3 + 4 is 7.", true, "7"),
            ("So it is 7", true, "7"),
            ("3 + 4", false, "3 + 4"),
            ("work\n#### 12", false, "12"),
            ("who knows", true, "who knows"),
        ] {
            assert_eq!(answer_of(text, numeric), answer, "{text}");
        }
    }
}
