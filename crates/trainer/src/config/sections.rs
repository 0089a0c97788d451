//! The sections of a configuration: every key with its meaning and default.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::data::Truncation;
use crate::run::TrainSettings;
use crate::schedule::SchedulerType;
use crate::sft::ForwardSettings;

/// `[model]`: which model, on which device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSection {
    /// Model folder in the Hugging Face layout, or GGUF file. Required.
    pub path: PathBuf,
    /// Device name, as `cpu` or `cuda:0`. Default `cpu`.
    #[serde(default = "cpu")]
    pub device: String,
    /// Float type of weights and products: `float32`, `bfloat16` or `float16` (`f32`, `bf16`, `f16`). The CPU
    /// computes in `float32`, and a frozen base rests in fewer bits. Default `float32`.
    #[serde(default = "float32")]
    pub dtype: String,
    /// Blocks that a frozen base's matrices are rounded to: `q8_0` or `q4_0`. Blocks of a GGUF file stay what they
    /// are. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantize: Option<String>,
}

fn cpu() -> String {
    "cpu".to_owned()
}

fn float32() -> String {
    "float32".to_owned()
}

/// A file of rows, a folder of them or a pattern, or a list of such.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum DataFiles {
    /// One of them.
    One(PathBuf),
    /// A list.
    Many(Vec<PathBuf>),
}

impl DataFiles {
    /// The entries, in their order.
    pub fn paths(&self) -> &[PathBuf] {
        match self {
            Self::One(path) => std::slice::from_ref(path),
            Self::Many(paths) => paths,
        }
    }
}

impl<P: AsRef<Path>> From<P> for DataFiles {
    fn from(path: P) -> Self {
        Self::One(path.as_ref().to_owned())
    }
}

impl fmt::Display for DataFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let paths: Vec<String> = self.paths().iter().map(|p| p.display().to_string()).collect();
        f.write_str(&paths.join(", "))
    }
}

/// `[data]`: which rows, and how they become tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a key that users switch")]
pub struct DataSection {
    /// Rows to train on: a file, a folder of files or a pattern, or a list of such. Required.
    pub train: DataFiles,
    /// Rows held out for evaluation, given as `train`. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eval: Option<DataFiles>,
    /// Share of each entry of `train` in an epoch, as `[0.8, 0.2]`; only their ratios count. Default: every row
    /// once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<Vec<f64>>,
    /// What columns of the files are read as, as `{ prompt = "frage" }`; `{ label = "" }` leaves `label` out.
    /// Default: by the names in `docs/data.md`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub columns: BTreeMap<String, String>,
    /// Share of the training rows held out when `eval` is absent, in `[0, 1)`. Default 0.
    #[serde(default)]
    pub eval_fraction: f64,
    /// Longest prompt with answer, in tokens. Default 1024.
    #[serde(default = "max_length")]
    pub max_length: usize,
    /// What happens to longer rows: `drop` leaves them out, `keep_end` cuts the prompt at its start,
    /// `keep_start` the completions at their end. Default `drop`.
    #[serde(default)]
    pub truncation_mode: Truncation,
    /// End plain completions with the tokenizer's end-of-text token, so that the model learns to stop. Default true.
    #[serde(default = "yes")]
    pub append_end_of_text: bool,
    /// Of conversations in `messages`, learn what the assistant says alone; only `sft` has it. Default false.
    #[serde(default)]
    pub assistant_only_loss: bool,
    /// Count and list bad rows instead of stopping at them. Default false.
    #[serde(default)]
    pub skip_bad_rows: bool,
    /// A new order every epoch; false keeps the order of the file. Default true.
    #[serde(default = "yes")]
    pub shuffle: bool,
}

fn max_length() -> usize {
    1024
}

fn yes() -> bool {
    true
}

/// `[output]`: where the run folder is and how the final weights are stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputSection {
    /// The run folder, made if absent. Required.
    pub dir: PathBuf,
    /// Number format of `final/`: `auto` keeps that of the model, or `float32`, `float16`, `bfloat16`; `q8_0` and
    /// `q4_0` write `final/model.gguf` in blocks. Default `auto`.
    #[serde(default = "auto")]
    pub dtype: String,
}

fn auto() -> String {
    "auto".to_owned()
}

/// `[train]`: optimiser, schedule, and how often things happen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainSection {
    /// Highest learning rate. Default 5e-5 (that of `transformers` and of the DPOP paper).
    pub learning_rate: f64,
    /// Passes over the training rows. Default 3.
    pub num_train_epochs: f64,
    /// Optimiser steps; -1 lets `num_train_epochs` decide. Default -1.
    pub max_steps: i64,
    /// Rows per micro-batch. Default 8.
    pub per_device_train_batch_size: usize,
    /// Rows per batch of an evaluation. Default 8.
    pub per_device_eval_batch_size: usize,
    /// Micro-batches per optimiser step, on all ranks together.
    pub gradient_accumulation_steps: usize,
    /// Schedule of the learning rate. Default `linear`.
    pub lr_scheduler_type: SchedulerType,
    /// Share of the steps that warm up, used when `warmup_steps` is 0. Default 0.
    pub warmup_ratio: f64,
    /// Steps that warm up. Default 0.
    pub warmup_steps: u64,
    /// Decoupled weight decay, not applied to norms and biases. Default 0.
    pub weight_decay: f64,
    /// Decay of the gradient's mean. Default 0.9.
    pub adam_beta1: f64,
    /// Decay of the gradient's square. Default 0.999.
    pub adam_beta2: f64,
    /// Added to the denominator. Default 1e-8.
    pub adam_epsilon: f64,
    /// Gradients are scaled down to this global norm; 0 leaves them alone. Default 1.
    pub max_grad_norm: f64,
    /// Steps between lines of `metrics.jsonl`. Default 1.
    pub logging_steps: u64,
    /// Steps between evaluations; 0 evaluates at the end only. Default 0.
    pub eval_steps: u64,
    /// Evaluate before the first step too. Default false.
    pub eval_on_start: bool,
    /// Steps between checkpoints; 0 writes one at the end only. Default 100.
    pub save_steps: u64,
    /// How many checkpoints are kept. Default: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub save_total_limit: Option<usize>,
    /// Evaluations in a row that bring no lower loss before the run ends early. Default: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub early_stopping_patience: Option<u64>,
    /// Whether the run ends with the weights of its best evaluation. Default false.
    pub load_best_model_at_end: bool,
    /// Seed of the row order and of dropout. Default 42.
    pub seed: u64,
    /// Float type of trained parameters, their gradients and the optimiser's state; `float32` is the only one.
    /// Default `float32`.
    pub master_dtype: String,
    /// Recompute activations in the backward pass to save memory. Default false.
    pub gradient_checkpointing: bool,
    /// Most tokens in one forward pass; a micro-batch with more is split, with the same result. Default 4096.
    pub max_tokens_per_forward: usize,
}

impl Default for TrainSection {
    /// Those of the engines.
    fn default() -> Self {
        let run = TrainSettings::new("");
        let forward = ForwardSettings::default();
        Self {
            learning_rate: run.schedule.learning_rate,
            num_train_epochs: run.num_train_epochs,
            max_steps: -1,
            per_device_train_batch_size: run.per_device_train_batch_size,
            per_device_eval_batch_size: forward.eval_batch,
            gradient_accumulation_steps: run.gradient_accumulation_steps,
            lr_scheduler_type: run.schedule.kind,
            warmup_ratio: run.schedule.warmup_ratio,
            warmup_steps: run.schedule.warmup_steps,
            weight_decay: run.optimizer.weight_decay,
            adam_beta1: run.optimizer.beta1,
            adam_beta2: run.optimizer.beta2,
            adam_epsilon: run.optimizer.epsilon,
            max_grad_norm: run.max_grad_norm,
            logging_steps: run.logging_steps,
            eval_steps: run.eval_steps,
            eval_on_start: run.eval_on_start,
            save_steps: run.save_steps,
            save_total_limit: run.save_total_limit,
            early_stopping_patience: run.early_stopping_patience,
            load_best_model_at_end: run.load_best_model_at_end,
            seed: run.seed,
            master_dtype: float32(),
            gradient_checkpointing: forward.checkpoint_layers,
            max_tokens_per_forward: forward.max_tokens,
        }
    }
}

/// `[loss]`: which preference loss, with its hyper-parameters; an absent one takes the loss's own default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossSection {
    /// `dpo`, `dpop`, `ipo`, `ipo-avg`, `hinge`, `cdpo`, `robust`, `simpo`, `orpo` or
    /// `kto-pair` on pairs; `kto` on labelled completions. Default `dpo`.
    #[serde(default = "dpo")]
    pub name: String,
    /// Strength of the pull towards the reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beta: Option<f64>,
    /// DPOP: weight of the penalty on chosen answers that became less likely; ORPO: weight of the odds ratio.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lambda: Option<f64>,
    /// `SimPO`: the margin aimed at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gamma: Option<f64>,
    /// cDPO, robust DPO: the share of labels taken to be flipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_smoothing: Option<f64>,
    /// `kto-pair`: the reference point, a constant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kto_z0: Option<f64>,
    /// `kto`: weight of the desirable completions. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desirable_weight: Option<f64>,
    /// `kto`: weight of the undesirable completions. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undesirable_weight: Option<f64>,
    /// `dpo`: the divergence from the reference, `reverse-kl`, `forward-kl`, `jensen-shannon` or `alpha`. Default `reverse-kl`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub divergence: Option<String>,
    /// The divergence `alpha`: its exponent, between 0 and 1. Default 0.5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub divergence_alpha: Option<f64>,
    /// Weight of the chosen answer's mean negative log-likelihood beside the loss (RPO). Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sft_alpha: Option<f64>,
    /// What tokens beyond the length of the shorter answer count, 0 to 1 (LD-DPO). Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ld_alpha: Option<f64>,
    /// What this loss is multiplied by where `more` adds others. Default 1.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub weight: f64,
    /// Further losses of the same pairs that are added: tables of `name`, `weight` and parameters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub more: Vec<Self>,
}

impl Default for LossSection {
    /// DPO with its defaults.
    fn default() -> Self {
        Self {
            name: dpo(),
            beta: None,
            lambda: None,
            gamma: None,
            label_smoothing: None,
            kto_z0: None,
            desirable_weight: None,
            undesirable_weight: None,
            divergence: None,
            divergence_alpha: None,
            sft_alpha: None,
            ld_alpha: None,
            weight: 1.0,
            more: Vec::new(),
        }
    }
}

fn one() -> f64 {
    1.0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_one(weight: &f64) -> bool {
    *weight == 1.0
}

fn dpo() -> String {
    "dpo".to_owned()
}

/// `[displacement]`: when falling chosen answers are reported, whatever the loss.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DisplacementSection {
    /// Nats by which the mean chosen log-probability must lie below the reference. Default 1.
    pub threshold: f64,
    /// Evaluations in a row that must show it. Default 2.
    pub patience: usize,
    /// The run returns an error, after saving, once it was reported. Default false.
    pub fail: bool,
    /// How many of the worst pairs are named. Default 5.
    pub worst: usize,
}

impl Default for DisplacementSection {
    fn default() -> Self {
        Self { threshold: 1.0, patience: 2, fail: false, worst: 5 }
    }
}
