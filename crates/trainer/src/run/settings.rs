//! What the training loop reads.

use std::path::PathBuf;

use serde::Serialize;

use crate::data::Mix;
use crate::error::TrainError;
use crate::optimizer::AdamWConfig;
use crate::schedule::ScheduleSettings;

/// What decides the numbers of a run, beside its model and rows; names are those of `transformers`.
///
/// ```
/// use bestof_trainer::run::TrainSettings;
///
/// let mut settings = TrainSettings::new("runs/first");
/// settings.schedule.learning_rate = 1e-3;
/// settings.max_steps = Some(100);
/// assert_eq!(settings.optimizer.beta2, 0.999);
/// ```
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct TrainSettings {
    /// The run's folder, made if absent.
    #[serde(skip)]
    pub dir: PathBuf,
    /// TOML text kept in the folder as `config.toml`; a resumed run must have the same values, but
    /// for `output.dir`. `None` keeps these settings themselves, whose integers have to be below 2^63.
    #[serde(skip)]
    pub config: Option<String>,
    /// Brings the text of a folder that is resumed to today's form: keys that did not exist when it
    /// was written get their defaults. `None` leaves it as it is, which is the default.
    #[serde(skip)]
    pub complete: fn(&str) -> Option<String>,
    /// SHA-256 of the model that training starts from: a resumed run must start from the same. `None`
    /// takes any, which is the default.
    #[serde(skip)]
    pub base: Option<String>,
    /// Passes over the training rows, above 0; used where `max_steps` is `None`. Default 3.
    pub num_train_epochs: f64,
    /// Steps. Default: as many as `num_train_epochs` takes.
    pub max_steps: Option<u64>,
    /// Rows per micro-batch, at least 1. Default 8.
    pub per_device_train_batch_size: usize,
    /// Micro-batches per step, on all ranks together, at least 1. Default 1.
    pub gradient_accumulation_steps: usize,
    /// Gradients are scaled down to this global norm; 0 leaves them alone. Default 1.
    pub max_grad_norm: f64,
    /// Steps between lines of `metrics.jsonl`; 0 writes one at the end only. Default 1.
    pub logging_steps: u64,
    /// Steps between evaluations; 0 evaluates at the end only. Default 0.
    pub eval_steps: u64,
    /// Evaluate before the first step too. Default false.
    pub eval_on_start: bool,
    /// Steps between checkpoints; 0 writes one at the end only. Default 100.
    pub save_steps: u64,
    /// How many checkpoints are kept. Default: all.
    pub save_total_limit: Option<usize>,
    /// Evaluations in a row that bring nothing better before the run ends early. Default: never.
    pub early_stopping_patience: Option<u64>,
    /// Whether the run ends with the weights of its best evaluation. Default false.
    pub load_best_model_at_end: bool,
    /// Seed of the row order and of dropout. Default 42.
    pub seed: u64,
    /// Whether every epoch has an order of its own; else that of the rows. Default true.
    pub shuffle: bool,
    /// Shares of several files of rows that stand in the set one behind the other; they are shuffled.
    /// Default: every row once an epoch.
    #[serde(skip)]
    pub mix: Option<Mix>,
    /// The optimiser.
    pub optimizer: AdamWConfig,
    /// The learning rate.
    pub schedule: ScheduleSettings,
}

impl TrainSettings {
    /// The defaults, for a run in this folder.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            config: None,
            complete: |_| None,
            base: None,
            num_train_epochs: 3.0,
            max_steps: None,
            per_device_train_batch_size: 8,
            gradient_accumulation_steps: 1,
            max_grad_norm: 1.0,
            logging_steps: 1,
            eval_steps: 0,
            eval_on_start: false,
            save_steps: 100,
            save_total_limit: None,
            early_stopping_patience: None,
            load_best_model_at_end: false,
            seed: 42,
            shuffle: true,
            mix: None,
            optimizer: AdamWConfig::default(),
            schedule: ScheduleSettings::default(),
        }
    }

    /// Rows of a step, on all ranks together: their number changes how a step is made, not what it is.
    pub(crate) fn global_batch(&self) -> usize {
        self.per_device_train_batch_size * self.gradient_accumulation_steps
    }

    /// Steps of a run over so many rows.
    pub(crate) fn total_steps(&self, rows: usize, global_batch: usize) -> u64 {
        let per_epoch = rows.div_ceil(global_batch) as f64;
        self.max_steps.unwrap_or_else(|| (self.num_train_epochs * per_epoch).ceil() as u64)
    }

    /// Refuses values that no run can be made with.
    pub(super) fn validate(&self) -> Result<(), TrainError> {
        let need = |holds: bool, setting, found: &dyn ToString, expected| {
            let found = found.to_string();
            if holds { Ok(()) } else { Err(TrainError::Setting { setting, found, expected }) }
        };
        for (setting, found) in [
            ("per_device_train_batch_size", self.per_device_train_batch_size),
            ("gradient_accumulation_steps", self.gradient_accumulation_steps),
        ] {
            // Of the two a step is the product.
            let fits = (1..=1 << 20).contains(&found);
            need(fits, setting, &found, "at least 1, at most 1048576")?;
        }
        let epochs = self.num_train_epochs;
        let finite = epochs.is_finite() && epochs > 0.0;
        need(finite, "num_train_epochs", &epochs, "a finite number above 0")
    }

    /// The text that the folder keeps.
    pub(super) fn recorded(&self) -> String {
        let own = || toml::to_string_pretty(self).expect("numbers and names have a TOML form");
        self.config.clone().unwrap_or_else(own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_without_a_configuration_are_kept_themselves() {
        let mut settings = TrainSettings::new("a");
        let table: toml::Table = settings.recorded().parse().unwrap();
        assert_eq!(table["schedule"]["learning_rate"].as_float(), Some(5e-5));
        assert_eq!(table["seed"].as_integer(), Some(42));
        assert!(!table.contains_key("dir"));
        settings.config = Some("x = 1".to_owned());
        assert_eq!(settings.recorded(), "x = 1");
    }

    #[test]
    fn settings_that_no_run_can_be_made_with_are_refused() {
        for change in [
            (|settings: &mut TrainSettings| settings.per_device_train_batch_size = 0) as fn(&mut _),
            |settings| settings.gradient_accumulation_steps = 0,
            |settings| settings.gradient_accumulation_steps = usize::MAX,
            |settings| settings.num_train_epochs = f64::NAN,
        ] {
            let mut settings = TrainSettings::new("a");
            assert!(settings.validate().is_ok());
            change(&mut settings);
            assert!(settings.validate().is_err());
        }
    }
}
