//! What a policy-gradient run is made of, and what it keeps between steps.

use std::collections::{BTreeMap, BTreeSet};

use bestof_estimators::{KSchedule, Schedule};
use bestof_losses::PolicyLoss;
use bestof_report::Sample;
use serde::{Deserialize, Serialize};

use super::measure::Failures;
use super::objective::Objective;
use super::problem::Problem;
use super::rollout::{Group, Sampler};
use super::served::ServedWeights;
use crate::error::TrainError;
use crate::model_files::ModelFiles;
use crate::rows::RowSet;
use crate::sft::ForwardSettings;

/// What a policy-gradient run is made of.
#[derive(Debug)]
pub struct ReinforceParts<M> {
    /// The policy, in its state before training.
    pub model: M,
    /// Under which names its trained weights are stored.
    pub files: ModelFiles,
    /// The reference of a KL penalty; `None` takes the policy without its adapters.
    pub reference: Option<M>,
    /// Prompts to train on.
    pub train: RowSet<Problem>,
    /// Prompts to evaluate on; may be empty.
    pub eval: RowSet<Problem>,
    /// How completions go through the model.
    pub settings: ForwardSettings,
    /// How completions are sampled and judged.
    pub sampler: Sampler,
    /// The weights of the sampler's server, where it has one.
    pub served: Option<ServedWeights<M>>,
    /// Completions of each held-out prompt.
    pub eval_samples: usize,
    /// Completions of each step and evaluation that are written down.
    pub logged_samples: usize,
    /// What is optimised.
    pub objective: Objective,
    /// Seed of the completions.
    pub seed: u64,
}

/// A policy-gradient run.
#[derive(Debug)]
pub struct ReinforceRun<M> {
    pub(super) parts: ReinforceParts<M>,
    pub(super) loss: PolicyLoss,
    pub(super) schedule: Schedule,
    pub(super) first_k: usize,
    pub(super) solved: BTreeSet<usize>,
    pub(super) batch: Option<Batch>,
    pub(super) samples: Vec<Sample>,
    pub(super) told_failures: usize,
    /// Age of the server's weights in this step, in steps.
    pub(super) lag: Option<u64>,
    /// Whether the reference is no longer the policy before training.
    pub(super) synced: bool,
    /// Completions of each prompt so far, and how many passed: what a schedule by pass rate reads.
    pub(super) pass_counts: BTreeMap<usize, (u64, u64)>,
}

/// What the completions of a prompt came to, as all ranks know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counts {
    pub(super) slot: usize,
    pub(super) row: usize,
    pub(super) samples: usize,
    pub(super) passed: usize,
    pub(super) tokens: usize,
    pub(super) objective_k: usize,
}

/// The completions of the step that is being made: those of this rank's prompts.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) step: u64,
    /// By the row that the loop gave, in whose place another may have been drawn.
    pub(super) groups: BTreeMap<usize, Weighted>,
    /// Of all ranks, what each prompt's completions came to, by slot.
    pub(super) counts: Vec<Counts>,
    pub(super) failures: Failures,
    /// Prompts that were drawn in the place of others.
    pub(super) redrawn: usize,
    /// Updates in which prompts are seen for the first time: as many as there are mini-batches.
    pub(super) first_visits: usize,
    /// Mean number of tokens of the completions, on all ranks.
    pub(super) mean_length: f64,
    /// Which updates had a gradient here.
    pub(super) moved: Vec<bool>,
}

impl<M> ReinforceRun<M> {
    /// A run of these parts.
    ///
    /// # Errors
    /// An estimator that is not defined for so many samples, or a loss with a value out of range.
    pub fn new(parts: ReinforceParts<M>) -> Result<Self, TrainError> {
        parts.objective.check_group(parts.sampler.samples)?;
        parts.objective.loss.validate()?;
        let schedule = parts.objective.k.clone();
        Ok(Self {
            loss: parts.objective.loss,
            first_k: schedule.k(0),
            schedule,
            solved: BTreeSet::new(),
            batch: None,
            samples: Vec::new(),
            told_failures: 0,
            lag: None,
            synced: false,
            pass_counts: BTreeMap::new(),
            parts,
        })
    }
}

/// The completions of a prompt with their weights, and what later updates need of the first.
#[derive(Debug)]
pub(super) struct Weighted {
    pub(super) group: Group,
    /// The `k` of the estimator.
    pub(super) k: usize,
    /// One per completion, to be summed: those of the first update.
    pub(super) first_weights: Vec<f64>,
    /// Those of the update that is being made, without the completion's own ratio.
    pub(super) weights: Vec<f64>,
    /// Completions without a gradient, whatever their weight.
    masked: Vec<bool>,
    /// Estimate of what is optimised, from this prompt, and its k.
    pub(super) objective: f64,
    pub(super) objective_k: usize,
    /// Of each completion: its tokens under the policy that sampled.
    pub(super) old_logps: Vec<Vec<f64>>,
    /// And under the reference.
    pub(super) reference: Vec<Vec<f64>>,
}

impl Weighted {
    pub(super) fn new(
        group: Group,
        k: usize,
        weights: Vec<f64>,
        (objective_k, objective): (usize, f64),
        mask_truncated: bool,
    ) -> Self {
        let none = vec![Vec::new(); weights.len()];
        let masked: Vec<bool> =
            group.rollouts.iter().map(|rollout| mask_truncated && rollout.is_truncated()).collect();
        let mut weighted = Self {
            group,
            k,
            first_weights: Vec::new(),
            weights: Vec::new(),
            masked,
            objective,
            objective_k,
            old_logps: none.clone(),
            reference: none,
        };
        weighted.set_weights(weights);
        weighted.first_weights.clone_from(&weighted.weights);
        weighted
    }

    /// The weights of an update; those of masked completions are 0.
    pub(super) fn set_weights(&mut self, weights: Vec<f64>) {
        self.weights = weights;
        for (weight, masked) in self.weights.iter_mut().zip(&self.masked) {
            if *masked {
                *weight = 0.0;
            }
        }
    }

    /// Whether any completion has a gradient.
    pub(super) fn has_signal(&self) -> bool {
        self.first_weights.iter().any(|weight| *weight != 0.0)
    }

    /// Whether all completions have one reward.
    pub(super) fn is_constant(&self) -> bool {
        let mut rewards = self.group.rollouts.iter().map(|rollout| rollout.judgement.reward);
        let first = rewards.next();
        rewards.all(|reward| Some(reward) == first)
    }
}
