//! Completions of many prompts at once, judged.

use bestof_models::{CausalLm, FinishReason, Request, SamplingConfig};

use bestof_tasks::extract::{answer_text, final_number};
use serde::{Deserialize, Serialize};

use super::judge::{Job, JudgeSettings, Judgement, judge_all};
use super::problem::Problem;
use super::shaping::RewardShaping;
use super::stop::{StopTexts, first_stop};
use crate::error::TrainError;
use crate::preference::Decode;

/// One completion of a prompt.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Rollout {
    /// Its tokens, with the one that ended it.
    pub ids: Vec<u32>,
    /// Its text up to the first stop text, special tokens left out.
    pub text: String,
    /// Its final answer: what a marker declares; else, where numbers are compared, the last
    /// number; else the whole text.
    pub answer: String,
    /// Log-probability of each token under the policy: the model at the rollout's temperature,
    /// without cuts.
    pub logprobs: Vec<f32>,
    /// Log-probability of each token under the distribution it was drawn from, with temperature
    /// and cuts.
    pub sampling_logprobs: Vec<f32>,
    /// Why it ended.
    pub finish: FinishReason,
    /// What it was found to be worth.
    pub judgement: Judgement,
}

impl Rollout {
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
}

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
    /// What the model says.
    pub fn sample<M: CausalLm>(
        &self,
        model: &M,
        problems: &[(usize, &Problem, u64)],
        samples: usize,
    ) -> Result<Vec<Group>, TrainError> {
        let requests: Vec<Request> = problems
            .iter()
            .map(|(_, problem, seed)| Request {
                prompt: problem.prompt_ids.clone(),
                samples,
                seed: *seed,
            })
            .collect();
        let mut stops = StopTexts::new(&self.stops);
        let generations = model
            .generate(&requests, &self.sampling, &mut |token| stops.after(token, &self.decode))?;
        let texts: Vec<String> = generations.iter().map(|g| self.text_of(&g.ids)).collect();
        let jobs: Vec<Job<'_>> = generations
            .iter()
            .zip(&texts)
            .map(|(generation, text)| Job {
                verifiers: &problems[generation.request].1.verifiers,
                completion: text,
            })
            .collect();
        let judgements = judge_all(&jobs, &self.judging);
        let mut groups: Vec<Group> = problems
            .iter()
            .map(|(row, _, _)| Group { row: *row, rollouts: Vec::with_capacity(samples) })
            .collect();
        for ((generation, text), judgement) in generations.into_iter().zip(texts).zip(judgements) {
            let mut rollout = Rollout {
                ids: generation.ids,
                answer: answer_of(&text, self.numeric_answers),
                text,
                logprobs: generation.tempered_logprobs,
                sampling_logprobs: generation.sampling_logprobs,
                finish: generation.finish,
                judgement,
            };
            rollout.judgement.reward = self.shaping.shaped(
                rollout.judgement.reward,
                rollout.ids.len(),
                self.sampling.max_new_tokens,
                rollout.is_truncated(),
            );
            groups[generation.request].rollouts.push(rollout);
        }
        Ok(groups)
    }

    fn text_of(&self, ids: &[u32]) -> String {
        let mut text = (self.decode)(ids);
        if let Some(at) = first_stop(&text, &self.stops) {
            text.truncate(at);
        }
        text
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
