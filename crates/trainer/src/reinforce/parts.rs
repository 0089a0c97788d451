//! What a policy-gradient run is made of, and what it keeps between steps.

use std::collections::{BTreeMap, BTreeSet};

use bestof_estimators::{KSchedule, Schedule};
use bestof_losses::PolicyLoss;
use bestof_report::Sample;

use super::objective::Objective;
use super::problem::Problem;
use super::rollout::{Group, Sampler};
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
}

/// The completions of the step that is being made.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) step: u64,
    pub(super) k: usize,
    pub(super) groups: BTreeMap<usize, Weighted>,
    pub(super) failures: (usize, usize),
    /// Which updates had a gradient.
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
            parts,
        })
    }
}

/// The completions of a prompt with their weights, and what later updates need of the first.
#[derive(Debug)]
pub(super) struct Weighted {
    pub(super) group: Group,
    /// One per completion, to be summed.
    pub(super) weights: Vec<f64>,
    /// Estimate of what is optimised, from this prompt.
    pub(super) objective: f64,
    /// Of each completion, by the first update: its tokens under the policy that sampled.
    pub(super) old_logps: Vec<Vec<f64>>,
    /// And under the reference.
    pub(super) reference: Vec<Vec<f64>>,
}

impl Weighted {
    pub(super) fn new(group: Group, weights: Vec<f64>, objective: f64) -> Self {
        let none = vec![Vec::new(); weights.len()];
        Self { group, weights, objective, old_logps: none.clone(), reference: none }
    }

    pub(super) fn has_signal(&self) -> bool {
        self.weights.iter().any(|weight| *weight != 0.0)
    }
}
