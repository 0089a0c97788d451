//! Which completions are written down.

use bestof_models::CausalLm;
use bestof_report::Sample;
use burn::module::Module;
use serde::{Deserialize, Serialize};

use super::judge::Judgement;
use super::parts::{Batch, ReinforceRun};
use super::problem::Problem;
use super::rollout::{Group, Rollout};

/// Failed verifications of a step that are written to `samples.jsonl` beside the regular samples.
const LOGGED_FAILURES: usize = 16;

/// A completion that may be written down.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Candidate {
    /// Its number among those of its prompt, and the prompt's place.
    place: (usize, usize),
    is_failure: bool,
    /// The row of `samples.jsonl`, which says what it has.
    row: String,
}

/// A completion as a row of `samples.jsonl`.
pub fn sample_of(
    step: u64,
    problem: &Problem,
    row: &str,
    number: usize,
    rollout: &Rollout,
) -> Sample {
    let Judgement { reward, parts, outcome, reason, .. } = &rollout.judgement;
    Sample::new(step, problem.prompt.as_str(), rollout.text.as_str())
        .with("row", row)
        .with("sample", number)
        .with("answer", problem.answer.as_str())
        .with("reward", *reward)
        .with("reward_parts", parts.clone())
        .with("outcome", serde_json::to_value(outcome).unwrap_or_default())
        .with("reason", reason.as_str())
        .with("finish", rollout.finish.as_str())
}

/// The samples to keep: the first completion of every prompt, then the second, as many as are logged, and
/// failed verifications beyond.
pub(super) fn kept(candidates: Vec<Candidate>, logged: usize) -> Vec<Sample> {
    let rows = chosen(candidates, logged).into_iter().map(|candidate| candidate.row);
    rows.filter_map(|row| serde_json::from_str(&row).ok()).collect()
}

fn chosen(mut candidates: Vec<Candidate>, logged: usize) -> Vec<Candidate> {
    candidates.sort_by_key(|candidate| candidate.place);
    let (mut regular, mut failed) = (0, 0);
    candidates.retain(|candidate| {
        if regular < logged {
            regular += 1;
            return true;
        }
        failed += usize::from(candidate.is_failure);
        candidate.is_failure && failed <= LOGGED_FAILURES
    });
    candidates
}

impl<M: CausalLm + Module> ReinforceRun<M> {
    /// Those of this rank's completions of a step that any choice among all ranks' can keep.
    pub(super) fn step_samples(&self, batch: &Batch) -> Vec<Candidate> {
        let rows = &self.parts.train;
        let of_groups = batch.groups.iter().map(|(slot, weighted)| {
            let weights = Some(weighted.first_weights.as_slice());
            (*slot, &weighted.group, weights)
        });
        let sample = |group: &Group, at: usize| {
            let (problem, name) = (&rows.items[group.row], &rows.names[group.row]);
            sample_of(batch.step + 1, problem, name, at, &group.rollouts[at]).with("set", "train")
        };
        self.candidates(of_groups.collect(), sample)
    }

    /// The completions of an evaluation, which all ranks have.
    pub(super) fn evaluation_samples(&self, step: u64, groups: &[Group]) -> Vec<Candidate> {
        let rows = &self.parts.eval;
        let sample = |group: &Group, at: usize| {
            let (problem, name) = (&rows.items[group.row], &rows.names[group.row]);
            sample_of(step, problem, name, at, &group.rollouts[at]).with("set", "eval")
        };
        let of_groups = groups.iter().enumerate().map(|(place, group)| (place, group, None));
        self.candidates(of_groups.collect(), sample)
    }

    fn candidates(
        &self,
        groups: Vec<(usize, &Group, Option<&[f64]>)>,
        sample: impl Fn(&Group, usize) -> Sample,
    ) -> Vec<Candidate> {
        let of_group = |(place, group, weights): (usize, &Group, Option<&[f64]>)| {
            let of_rollout = |(at, rollout): (usize, &Rollout)| {
                let mut sample = sample(group, at);
                if let Some(weights) = weights {
                    sample = sample.with("weight", weights[at]);
                }
                Candidate {
                    place: (at, place),
                    is_failure: rollout.judgement.outcome.is_failure(),
                    row: serde_json::to_string(&sample).unwrap_or_default(),
                }
            };
            group.rollouts.iter().enumerate().map(of_rollout).collect::<Vec<_>>()
        };
        let all = groups.into_iter().flat_map(of_group).collect();
        chosen(all, self.parts.logged_samples)
    }
}
