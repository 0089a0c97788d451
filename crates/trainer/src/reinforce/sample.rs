//! Which completions are written down.

use bestof_models::CausalLm;
use bestof_report::Sample;
use burn::module::Module;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::judge::Judgement;
use super::parts::{Batch, ReinforceRun};
use super::problem::Problem;
use super::rollout::{Group, Rollout};
use crate::error::TrainError;
use crate::rows::RowName;

/// Failed verifications of a step that are written to `samples.jsonl` beside the regular samples.
const LOGGED_FAILURES: usize = 16;

/// A completion that may be written down.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Candidate<T = String> {
    /// Its number among those of its prompt, and the prompt's place.
    place: (usize, usize),
    is_failure: bool,
    /// The row of `samples.jsonl`, as text between ranks, which says what it has; or what it is made of.
    row: T,
}

/// A completion as a row of `samples.jsonl`.
pub fn sample_of(
    step: u64,
    problem: &Problem,
    row: &RowName,
    number: usize,
    rollout: &Rollout,
) -> Sample {
    let Judgement { reward, parts, outcome, reason, .. } = &rollout.judgement;
    Sample::new(step, problem.prompt.as_str(), rollout.text.as_str())
        .with("row", row.to_string())
        .with("sample", number)
        .with("answer", problem.answer.as_str())
        .with("reward", *reward)
        .with("reward_parts", parts.clone())
        .with("outcome", json!(outcome))
        .with("reason", reason.as_str())
        .with("finish", rollout.finish.as_str())
}

/// The samples to keep: the first completion of every prompt, then the second, as many as are logged, and
/// failed verifications beyond.
pub(super) fn kept(candidates: Vec<Candidate>, logged: usize) -> Result<Vec<Sample>, TrainError> {
    let rows = chosen(candidates, logged).into_iter();
    rows.map(|candidate| serde_json::from_str(&candidate.row).map_err(no_row)).collect()
}

fn no_row(error: serde_json::Error) -> TrainError {
    TrainError::Run(Box::new(error))
}

fn chosen<T>(mut candidates: Vec<Candidate<T>>, logged: usize) -> Vec<Candidate<T>> {
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
    pub(super) fn step_samples(&self, batch: &Batch) -> Result<Vec<Candidate>, TrainError> {
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
    pub(super) fn evaluation_samples(
        &self,
        step: u64,
        groups: &[Group],
    ) -> Result<Vec<Candidate>, TrainError> {
        let rows = &self.parts.eval;
        let sample = |group: &Group, at: usize| {
            let (problem, name) = (&rows.items[group.row], &rows.names[group.row]);
            sample_of(step, problem, name, at, &group.rollouts[at]).with("set", "eval")
        };
        let of_groups = groups.iter().enumerate().map(|(place, group)| (place, group, None));
        self.candidates(of_groups.collect(), sample)
    }

    fn candidates<'a>(
        &self,
        groups: Vec<(usize, &'a Group, Option<&'a [f64]>)>,
        sample: impl Fn(&Group, usize) -> Sample,
    ) -> Result<Vec<Candidate>, TrainError> {
        let of_group = |(slot, group, weights): (usize, &'a Group, Option<&'a [f64]>)| {
            let of_rollout = move |(at, rollout): (usize, &Rollout)| Candidate {
                place: (at, slot),
                is_failure: rollout.judgement.outcome.is_failure(),
                row: (group, weights.map(|weights| weights[at])),
            };
            group.rollouts.iter().enumerate().map(of_rollout)
        };
        let all = groups.into_iter().flat_map(of_group).collect();
        let written = |Candidate { place, is_failure, row: (group, weight) }| {
            let mut sample = sample(group, place.0);
            if let Some(weight) = weight {
                sample = sample.with("weight", weight);
            }
            let row = serde_json::to_string(&sample).map_err(no_row)?;
            Ok(Candidate { place, is_failure, row })
        };
        chosen(all, self.parts.logged_samples).into_iter().map(written).collect()
    }
}
