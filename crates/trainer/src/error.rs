//! What can go wrong in a run.

use std::path::PathBuf;

use bestof_checkpoints::CheckpointError;
use bestof_estimators::EstimatorError;
use bestof_files::{FileError, LockError};
use bestof_losses::LossError;
use bestof_models::encoder::EncoderError;
use bestof_models::{DeviceError, ModelError};
use bestof_report::ReportError;
use thiserror::Error;

use crate::config::ConfigError;
use crate::data::DataError;
use crate::displacement::DisplacementWarning;
use crate::record::Difference;
use crate::rows::RowName;
use crate::server::ServerError;

/// Why a run, an evaluation or a file of theirs failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The training or evaluation rows could not be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The device is not there.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The model could not be built or run.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The encoder could not be built or run.
    #[error(transparent)]
    Encoder(#[from] EncoderError),
    /// The preference loss could not be built or evaluated.
    #[error(transparent)]
    Loss(#[from] LossError),
    /// An interval could not be computed.
    #[error(transparent)]
    Estimate(#[from] EstimatorError),
    /// A model or tokenizer file could not be read or written.
    #[error(transparent)]
    Files(#[from] CheckpointError),
    /// Metrics or the report could not be written.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// A file or folder of the run could not be written whole.
    #[error(transparent)]
    Write(#[from] FileError),
    /// A file of the run folder could not be read or written.
    #[error("{action} {}: {source}", .path.display())]
    Io {
        /// What was tried, as `cannot write`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A checkpoint could not be written; the earlier ones are untouched.
    #[error(
        "the checkpoint of step {step} could not be written to {}: {source}; earlier checkpoints are whole, so free some space and resume",
        .path.display()
    )]
    SaveFailed {
        /// Optimiser steps done.
        step: u64,
        /// The folder it would have been.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A checkpoint that hashes as whole holds something this program cannot use.
    #[error("the checkpoint {} does not fit this run: {reason}", .path.display())]
    Unusable {
        /// The checkpoint folder.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// A setting outside its range.
    #[error("`{setting}` is {found}, expected {expected}")]
    Setting {
        /// Its name.
        setting: &'static str,
        /// The value given.
        found: String,
        /// What is allowed.
        expected: &'static str,
    },
    /// The settings kept in the run folder, or those to be kept, are not TOML.
    #[error("the settings of {} are not valid TOML: {source}", .path.display())]
    Settings {
        /// The file that keeps them.
        path: PathBuf,
        /// Position and reason.
        source: Box<toml::de::Error>,
    },
    /// A resumed run was given other settings than the ones it started with.
    #[error(
        "this run was started with other settings: {}; give the old ones back, or choose another `output.dir`",
        .differences.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    )]
    ChangedOnResume {
        /// Every key whose value differs.
        differences: Vec<Difference>,
    },
    /// The run folder already holds a run and resuming was not asked for.
    #[error("{} already holds a run; resume it, or choose another `output.dir`", .path.display())]
    FolderInUse {
        /// The run folder.
        path: PathBuf,
    },
    /// The folder of a new run holds something that is not of a run.
    #[error(
        "{} holds `{name}` and no run; choose a new or an empty folder as `output.dir`",
        .path.display()
    )]
    FolderNotOfRun {
        /// The folder.
        path: PathBuf,
        /// A file or folder in it.
        name: String,
    },
    /// The run folder is another process's, or cannot be locked.
    #[error("the run folder: {0}")]
    Locked(#[from] LockError),
    /// The weights of the best evaluation are not those that were written.
    #[error(
        "the weights of the best evaluation, {}, are damaged: {reason}; those of the last step are whole in {}",
        .path.display(), .last.display()
    )]
    BestDamaged {
        /// Their folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
        /// The last checkpoint.
        last: PathBuf,
    },
    /// The model that training starts from changed between the start of the run and its resumption.
    #[error(
        "the model is not the one that the run was started from (SHA-256 {found}, expected {expected}); put the old files back, or start a new run"
    )]
    BaseChanged {
        /// SHA-256 now.
        found: String,
        /// SHA-256 in the checkpoint.
        expected: String,
    },
    /// The rows changed between the start of the run and its resumption.
    #[error(
        "the training or evaluation rows are not those the run was started with (fingerprint {found}, expected {expected}); put the old files back, or start a new run"
    )]
    DataChanged {
        /// Fingerprint now.
        found: String,
        /// Fingerprint in the checkpoint.
        expected: String,
    },
    /// There is nothing to train on or to evaluate.
    #[error("{what} has no rows left after encoding; see the drop reasons of `inspect`")]
    NoRows {
        /// Which set.
        what: &'static str,
    },
    /// A prompt cannot be put into tokens.
    #[error("item {item}: the prompt cannot be encoded: {reason}")]
    Prompt {
        /// Line of the data file counted from 1, or number of the generated item.
        item: usize,
        /// Why not.
        reason: String,
    },
    /// A model gives an item a log-probability that is no number, so that there is nothing to measure.
    #[error(
        "{}: the model's log-probability is {found}; its weights are damaged, or overflow in the float type they are \
         computed in",
        prompt(*row, name.as_deref())
    )]
    ScoreNotFinite {
        /// The item's row, from 0.
        row: usize,
        /// The item, as `file:line` where that is known.
        name: Option<String>,
        /// The value.
        found: f64,
    },
    /// The loss is NaN or infinite.
    #[error(
        "the loss of step {step} is {loss} (rows {}); the model of the step before is in the last checkpoint. Look at these rows, lower the learning rate, or clip gradients",
        .rows.join(", ")
    )]
    LossNotFinite {
        /// The step that was being made, counted from 1.
        step: u64,
        /// The value.
        loss: f64,
        /// The rows that caused it, as `file:line`.
        rows: Vec<String>,
    },
    /// A gradient is NaN or infinite although the loss is not.
    #[error("the gradient of `{parameter}` is not finite")]
    GradientNotFinite {
        /// The first such parameter.
        parameter: String,
    },
    /// A step has gradients that are not finite.
    #[error(
        "step {step}: the gradient of `{parameter}` is not finite (rows {}); the model of the step before is in the last checkpoint",
        .rows.join(", ")
    )]
    StepGradientNotFinite {
        /// The step that was being made, counted from 1.
        step: u64,
        /// The first such parameter.
        parameter: String,
        /// The rows of the step, as `file:line`.
        rows: Vec<String>,
    },
    /// Before the first step, the policy does not equal the reference.
    #[error(
        "before the first step the policy gives row {row} a log-probability {gap:e} nats away from the reference; the reference was computed with another model or other settings. Delete {} and run again",
        .cache.display()
    )]
    ReferenceMismatch {
        /// The worst row, as `file:line`.
        row: String,
        /// Distance in nats.
        gap: f64,
        /// The cached reference.
        cache: PathBuf,
    },
    /// Chosen answers kept losing probability and the configuration asked to fail on that.
    #[error("{0}")]
    Displaced(Box<DisplacementWarning>),
    /// An estimator is not defined for so many samples of a prompt.
    #[error(
        "`objective.estimator` = `{estimator}` cannot be used with `rollout.num_generations` = {n}: {source}"
    )]
    Objective {
        /// The estimator.
        estimator: &'static str,
        /// Samples of each prompt.
        n: usize,
        /// Why.
        source: EstimatorError,
    },
    /// The policy has moved so far that a prompt's completions have no weights.
    #[error(
        "step {step}: the completions of {row} have no weights under the policy as it is now: {source}; lower \
         `train.learning_rate` or `objective.updates_per_batch`, bound the ratios of other completions \
         with `objective.partner_cap`, or set `objective.off_policy = \"own-ratio\"`"
    )]
    OffPolicy {
        /// The step that was being made, counted from 1.
        step: u64,
        /// The prompt, as `file:line`.
        row: String,
        /// Why.
        source: EstimatorError,
    },
    /// A completions server gave no completions of a prompt.
    #[error("{}: {source}", prompt(*row, name.as_deref()))]
    Server {
        /// The prompt's row, from 0.
        row: usize,
        /// The row as `file:line`, where that is known.
        name: Option<String>,
        /// Why not.
        source: Box<ServerError>,
    },
    /// An environment's messages cannot be part of an episode.
    #[error(
        "{}: the environment's messages cannot follow the completion: {reason}",
        prompt(*row, name.as_deref())
    )]
    Environment {
        /// The prompt's row, from 0.
        row: usize,
        /// The row as `file:line`, where that is known.
        name: Option<String>,
        /// Why not.
        reason: String,
    },
    /// The weights could not be handed to the completions server.
    #[error("`rollout.sync_command`: {command} {reason}; the weights of step {step} are in {}", .folder.display())]
    Sync {
        /// The command, with its arguments.
        command: String,
        /// What went wrong.
        reason: String,
        /// Steps done.
        step: u64,
        /// What it was given.
        folder: PathBuf,
    },
    /// A verifier cannot be made, or its program is not there.
    #[error("`reward.command`: {reason}")]
    Verifier {
        /// What is wrong.
        reason: String,
    },
    /// Ranks could not exchange values.
    #[error("ranks could not exchange values: {reason}")]
    Communication {
        /// What the engine said.
        reason: String,
    },
    /// A rank cannot go on, and so none can.
    #[error("rank {rank}: {reason}")]
    OnRank {
        /// Its number, from 0.
        rank: usize,
        /// Its error, with the causes.
        reason: String,
    },
    /// Ranks were not given the same things.
    #[error("rank {rank}: {reason}")]
    RanksDiffer {
        /// The first that differs from rank 0.
        rank: usize,
        /// In what.
        reason: String,
    },
    /// A run of another crate says what is wrong.
    #[error(transparent)]
    Run(Box<dyn std::error::Error + Send + Sync>),
    /// Asked to stop from outside; the run was saved and can be resumed.
    #[error("stopped after step {step}, saved in {}; resume to go on", .path.display())]
    Stopped {
        /// Steps done.
        step: u64,
        /// The checkpoint.
        path: PathBuf,
    },
}

/// A prompt by its name, or by its number.
fn prompt(row: usize, name: Option<&str>) -> String {
    name.map_or_else(|| format!("prompt {}", row + 1), str::to_owned)
}

impl TrainError {
    /// The same with the name of its prompt, whose row is one of these.
    #[must_use]
    pub fn at_row_of(mut self, names: &[RowName]) -> Self {
        if let Self::Server { row, name, .. }
        | Self::Environment { row, name, .. }
        | Self::ScoreNotFinite { row, name, .. } = &mut self
        {
            *name = names.get(*row).map(ToString::to_string);
        }
        self
    }

    /// Whether every rank has this error already.
    pub fn is_of_all_ranks(&self) -> bool {
        use TrainError::{Displaced, OnRank, RanksDiffer, Stopped};
        matches!(self, OnRank { .. } | RanksDiffer { .. } | Displaced(_) | Stopped { .. })
    }

    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}
