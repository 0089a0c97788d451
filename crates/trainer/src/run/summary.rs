//! What a finished run reports: `train_results.json`.

use serde::{Deserialize, Serialize};

use crate::state::Best;

/// Where the time of a run went, in seconds of this process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Spent {
    /// What steps need before their passes: completions and their rewards in policy-gradient runs.
    pub rollouts: f64,
    /// Forward and backward passes.
    pub passes: f64,
    /// The optimiser's updates, with the norm of the gradients and, of several ranks, their exchange.
    pub updates: f64,
    /// Evaluations.
    pub evaluations: f64,
    /// Checkpoints.
    pub checkpoints: f64,
}

/// The numbers of a finished run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainSummary {
    /// Optimiser steps of the run.
    pub global_step: u64,
    /// Passes over the data, with fraction.
    pub epoch: f64,
    /// Tokens trained on, prompts included.
    pub num_tokens: u64,
    /// The last training metrics that were written.
    pub train: Vec<(String, f64)>,
    /// The last evaluation, if there was one.
    pub eval: Vec<(String, f64)>,
    /// The best evaluation, if there was one.
    pub best: Option<Best>,
    /// Seconds this process spent in the loop.
    pub train_runtime: f64,
    /// Where they went; the rest is rows, metrics and what came before the first step.
    pub spent: Spent,
    /// The step that this process began after: `global_step`, if the run had nothing left to do.
    pub resumed_at: u64,
    /// Checkpoints that were found damaged when the run was resumed, and why.
    pub damaged_checkpoints: Vec<String>,
}

impl TrainSummary {
    /// The summary as one flat JSON object, names as `transformers` writes them.
    pub fn to_json(&self) -> serde_json::Value {
        let mut object = serde_json::Map::new();
        object.insert("global_step".into(), self.global_step.into());
        object.insert("epoch".into(), self.epoch.into());
        object.insert("num_tokens".into(), self.num_tokens.into());
        object.insert("train_runtime".into(), self.train_runtime.into());
        object.insert("seconds".into(), serde_json::json!(self.spent));
        for (name, value) in &self.train {
            object.entry(format!("train_{name}")).or_insert_with(|| (*value).into());
        }
        for (name, value) in &self.eval {
            object.insert(format!("eval_{name}"), (*value).into());
        }
        if let Some(best) = &self.best {
            object.insert("best_metric".into(), best.value.into());
            object.insert("best_metric_name".into(), best.metric.clone().into());
            object.insert("best_step".into(), best.step.into());
        }
        if !self.damaged_checkpoints.is_empty() {
            object.insert("damaged_checkpoints".into(), self.damaged_checkpoints.clone().into());
        }
        serde_json::Value::Object(object)
    }
}
