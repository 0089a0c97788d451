//! The progress of a run: what `state.json` of a checkpoint holds besides weights and optimiser.

use serde::{Deserialize, Serialize};

use crate::data::OrderState;
use crate::metric::MetricSums;

/// Version of `state.json`.
pub(crate) const VERSION: u32 = 1;

/// The progress of a run between two optimiser steps.
///
/// Row order, dropout masks and learning rate are functions of seed and step, so the step stands for all of
/// them; what is kept besides is what was counted on the way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunState {
    /// Version of this layout.
    pub version: u32,
    /// Steps done; the next batch is that of this step.
    pub step: u64,
    /// Passes over the data, with fraction.
    pub epoch: f64,
    /// Position in the training rows.
    pub order: OrderState,
    /// Seed of row order and dropout.
    pub seed: u64,
    /// Steps of the whole run, which the schedule depends on.
    pub total_steps: u64,
    /// Steps the optimiser made.
    pub optimizer_step: u64,
    /// Tokens trained on so far.
    pub num_tokens: u64,
    /// Metrics since the last line of `metrics.jsonl`.
    pub pending: MetricSums,
    /// The best evaluation so far.
    pub best: Option<Best>,
    /// Evaluations since then.
    #[serde(default)]
    pub evaluations_since_best: u64,
    /// SHA-256 of the encoded rows.
    pub fingerprint: String,
    /// SHA-256 of the model that training started from, where it is known.
    #[serde(default)]
    pub base: Option<String>,
    /// Whether a reference that follows the policy is in the checkpoint.
    #[serde(default)]
    pub has_reference: bool,
    /// Rows of `metrics.jsonl`.
    #[serde(default)]
    pub metrics_rows: u64,
    /// What the kind of run keeps for itself.
    pub extra: serde_json::Value,
}

/// The best evaluation of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// Which metric.
    pub metric: String,
    /// Its best value.
    pub value: f64,
    /// After how many steps.
    pub step: u64,
}
