//! From a checked configuration to the values that the engines are built from.

use std::sync::Arc;
use std::time::Duration;

use bestof_tasks::environment::ProgramEnvironment;
use bestof_tasks::program::{ProgramLimits, ProgramPool};
use bestof_tasks::rows::{OnBadRow, ReadOptions};
use bestof_tasks::verify::{ProgramVerifier, VerifierError, VerifierKind};

use serde_json::Map;

use super::policy::{External, RewardPart, RewardSection, RolloutSection, VerifierName};
use super::run_config::RunConfig;
use super::sections::{DisplacementSection, TrainSection};
use crate::data::EncodeOptions;
use crate::displacement::DisplacementSettings;
use crate::error::TrainError;
use crate::optimizer::AdamWConfig;
use crate::reinforce::{JudgeSettings, ProblemSettings, RewardShaping, VerifierSettings};
use crate::run::TrainSettings;
use crate::schedule::ScheduleSettings;
use crate::sft::ForwardSettings;

impl RunConfig {
    /// How rows go through the model.
    pub fn forward_settings(&self) -> ForwardSettings {
        ForwardSettings {
            max_tokens: self.train.max_tokens_per_forward,
            eval_batch: self.train.per_device_eval_batch_size,
            checkpoint_layers: self.train.gradient_checkpointing,
            dropout: self.lora.as_ref().is_some_and(|lora| lora.dropout > 0.0),
        }
    }

    /// How rows become tokens, `longest` of them at most, for a model with `vocab_size` embeddings.
    pub fn encode_options(&self, longest: usize, vocab_size: usize) -> EncodeOptions {
        EncodeOptions {
            max_length: Some(longest),
            truncation: self.data.truncation_mode,
            vocab_size: Some(vocab_size),
            // A policy learns the end tokens that it samples itself.
            append_end_of_text: self.data.append_end_of_text && self.objective.is_none(),
            assistant_only: self.data.assistant_only_loss,
            ..EncodeOptions::training()
        }
    }

    /// How files of rows are read.
    pub fn read_options(&self) -> ReadOptions {
        let on_bad_row = if self.data.skip_bad_rows { OnBadRow::Skip } else { OnBadRow::Refuse };
        let columns = self.data.columns.iter().map(|(a, b)| (a.clone(), b.clone())).collect();
        ReadOptions::default().on_bad_row(on_bad_row).columns(columns)
    }

    /// The text of a configuration as this version writes it; `None` if it is none. What foreign
    /// sections hold stays as it is.
    fn completed(text: &str) -> Option<String> {
        let config = Self::with_foreign(text.parse().ok()?, |_| true).ok()?;
        Some(config.to_toml())
    }

    /// What the training loop reads; the run's folder keeps the resolved configuration.
    pub fn train_settings(&self) -> TrainSettings {
        let train = &self.train;
        TrainSettings {
            config: Some(self.to_toml()),
            complete: RunConfig::completed,
            num_train_epochs: train.num_train_epochs,
            max_steps: u64::try_from(train.max_steps).ok(),
            per_device_train_batch_size: train.per_device_train_batch_size,
            gradient_accumulation_steps: train.gradient_accumulation_steps,
            max_grad_norm: train.max_grad_norm,
            logging_steps: train.logging_steps,
            eval_steps: train.eval_steps,
            eval_on_start: train.eval_on_start,
            save_steps: train.save_steps,
            save_total_limit: train.save_total_limit,
            early_stopping_patience: train.early_stopping_patience,
            load_best_model_at_end: train.load_best_model_at_end,
            seed: train.seed,
            shuffle: self.data.shuffle,
            optimizer: train.into(),
            schedule: train.into(),
            ..TrainSettings::new(&self.output.dir)
        }
    }
}

impl From<&TrainSection> for AdamWConfig {
    fn from(train: &TrainSection) -> Self {
        Self {
            beta1: train.adam_beta1,
            beta2: train.adam_beta2,
            epsilon: train.adam_epsilon,
            weight_decay: train.weight_decay,
        }
    }
}

impl From<&TrainSection> for ScheduleSettings {
    fn from(train: &TrainSection) -> Self {
        Self {
            kind: train.lr_scheduler_type,
            learning_rate: train.learning_rate,
            warmup_steps: train.warmup_steps,
            warmup_ratio: train.warmup_ratio,
        }
    }
}

impl From<&DisplacementSection> for DisplacementSettings {
    fn from(section: &DisplacementSection) -> Self {
        let &DisplacementSection { threshold, patience, fail, worst } = section;
        Self { threshold, patience, fail, worst }
    }
}

impl RolloutSection {
    /// How rows become prompts whose completions are judged as `reward` says.
    ///
    /// # Errors
    /// [`TrainError::Verifier`] for a program that cannot be run with its limits.
    pub fn problem_settings(&self, reward: &RewardSection) -> Result<ProblemSettings, TrainError> {
        Ok(ProblemSettings {
            chat: self.chat,
            system_prompt: self.system_prompt.clone(),
            environment: reward.environment()?,
            verifiers: reward.verifiers()?,
        })
    }
}

impl RewardSection {
    /// How verdicts become rewards.
    pub fn judge_settings(&self) -> JudgeSettings {
        JudgeSettings { failed: self.failed, pass_at: self.pass_at, workers: self.workers }
    }

    /// Whether the verifier compares numbers.
    pub(crate) fn compares_numbers(&self) -> bool {
        matches!(self.verifier, VerifierName::BuiltIn(VerifierKind::Number | VerifierKind::Math))
    }

    /// What the length of completions does to their rewards.
    pub(crate) fn shaping(&self) -> RewardShaping {
        RewardShaping {
            truncated: self.truncated,
            length_penalty: self.length_penalty,
            overlong_buffer: self.overlong_buffer,
            overlong_penalty: self.overlong_penalty,
        }
    }

    /// The verifier of `reward.verifier`, without the fields of a row; an environment's program is taken for one.
    ///
    /// # Errors
    /// [`TrainError::Verifier`] for a program that cannot be run with its limits.
    pub fn verifier_settings(&self) -> Result<VerifierSettings, TrainError> {
        self.first().verifier_settings().map_err(|error| refused(&error))
    }

    /// The verifiers with their weights, in order.
    fn verifiers(&self) -> Result<Vec<(VerifierSettings, f64)>, TrainError> {
        let parts = self.parts();
        let verifiers = parts.iter().filter(|part| !part.is_environment());
        let built = |part: &RewardPart| Ok((part.verifier_settings()?, part.weight));
        verifiers.map(|part| built(part).map_err(|error| refused(&error))).collect()
    }

    /// Whether the first verifier is an environment.
    pub(crate) fn is_environment(&self) -> bool {
        self.first().is_environment()
    }

    /// The environment with its weight, if there is one.
    fn environment(&self) -> Result<Option<(ProgramEnvironment, f64)>, TrainError> {
        if !self.is_environment() {
            return Ok(None);
        }
        let environment = self.first().program_environment().map_err(|error| refused(&error))?;
        Ok(Some((environment, self.weight)))
    }
}

fn refused(error: &VerifierError) -> TrainError {
    TrainError::Verifier { reason: error.to_string() }
}

impl RewardPart {
    fn verifier_settings(&self) -> Result<VerifierSettings, VerifierError> {
        Ok(match self.verifier {
            VerifierName::BuiltIn(kind) => VerifierSettings::BuiltIn(kind),
            VerifierName::External(_) => VerifierSettings::Program(self.program_verifier()?),
        })
    }

    fn is_environment(&self) -> bool {
        self.verifier == VerifierName::External(External::Environment)
    }

    /// The program as an environment, without the fields of a row.
    fn program_environment(&self) -> Result<ProgramEnvironment, VerifierError> {
        let (range, limits) = (self.low..=self.high, self.limits());
        if self.persistent {
            let pool = Arc::new(ProgramPool::new(&self.command, limits)?);
            return ProgramEnvironment::persistent(pool, range);
        }
        ProgramEnvironment::new(&self.command, range, limits)
    }

    /// The program as a verifier, without the fields of a row.
    fn program_verifier(&self) -> Result<ProgramVerifier, VerifierError> {
        let (range, limits) = (self.low..=self.high, self.limits());
        if self.persistent {
            let pool = Arc::new(ProgramPool::new(&self.command, limits)?);
            return ProgramVerifier::persistent(pool, Map::new(), range);
        }
        ProgramVerifier::new(&self.command, Map::new(), range, limits)
    }

    fn limits(&self) -> ProgramLimits {
        ProgramLimits::default()
            .time(Duration::try_from_secs_f64(self.time_limit).unwrap_or(Duration::MAX))
            .memory_bytes(self.memory_limit.map(|mib| mib.saturating_mul(1 << 20)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_from_before_a_key_existed_gets_its_default() {
        let text = "[model]\npath = 'm'\n[data]\ntrain = 't'\n[output]\ndir = 'o'\n";
        let config = RunConfig::from_toml(text, &[]).unwrap();
        let today = config.to_toml();
        let kept = today.split_inclusive('\n').filter(|line| !line.starts_with("eval_on_start"));
        let older: String = kept.collect();
        assert_ne!(older, today);
        assert_eq!(RunConfig::completed(&older).as_deref(), Some(today.as_str()));
        let changed = RunConfig::completed(&older.replace("seed = 42", "seed = 43")).unwrap();
        assert_ne!(changed, today, "a value that was set stays");
        assert_eq!(RunConfig::completed("seed"), None);
    }
}
