//! What holds for all rows of a step, and which steps can be made.

use bestof_losses::{Kto, Label, LossError, UnpairedLogps, UnpairedTerms};

use super::labelled::LabelledSet;
use crate::config::{ConfigError, ValueProblem};
use crate::error::TrainError;
use crate::metric::MetricSums;
use crate::run::TrainSettings;

/// What holds for all rows of a step.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct StepPoint {
    pub(super) z0: f64,
    pub(super) desirable: usize,
    pub(super) undesirable: usize,
}

impl StepPoint {
    /// That of these rows, with the log-ratios of their mismatched completions.
    pub(super) fn new(
        set: &LabelledSet,
        rows: &[usize],
        ratios: &[f64],
    ) -> Result<Self, LossError> {
        let desirable = rows.iter().filter(|&&row| set.labels[row] == Label::Desirable).count();
        let undesirable = rows.len() - desirable;
        Ok(Self { z0: Kto::reference_point(ratios)?, desirable, undesirable })
    }

    /// Adds one row's metrics under TRL's names; desirable rows are the chosen.
    pub(super) fn observe(
        &self,
        logps: &UnpairedLogps,
        terms: &UnpairedTerms,
        metrics: &mut MetricSums,
    ) {
        let (sign, of_label) = match logps.label {
            Label::Desirable => {
                metrics.observe("rewards/chosen", terms.reward);
                metrics.observe("logps/chosen", logps.logp);
                metrics.observe("logps/chosen_vs_ref", logps.log_ratio());
                metrics.observe("displacement", f64::from(u8::from(logps.log_ratio() < 0.0)));
                (1.0, self.desirable)
            }
            Label::Undesirable => {
                metrics.observe("rewards/rejected", terms.reward);
                metrics.observe("logps/rejected", logps.logp);
                (-1.0, self.undesirable)
            }
        };
        if self.desirable > 0 && self.undesirable > 0 {
            // The rows of a step add up to the difference of the two means, with weight 1.
            let rows = (self.desirable + self.undesirable) as f64;
            metrics.add("rewards/margins", sign * terms.reward / of_label as f64, 1.0 / rows);
        }
    }
}

/// Log-ratios; names the rows whose ratio is not finite.
pub(super) fn log_ratios(
    policy: &[f64],
    reference: &[f64],
    name_of: impl Fn(usize) -> String,
    step: u64,
) -> Result<Vec<f64>, TrainError> {
    let ratios: Vec<f64> = policy.iter().zip(reference).map(|(p, r)| p - r).collect();
    let bad = ratios.iter().enumerate().filter(|(_, ratio)| !ratio.is_finite());
    let rows: Vec<String> = bad
        .map(|(place, _)| format!("{} with the completion of the next row", name_of(place)))
        .collect();
    if rows.is_empty() {
        Ok(ratios)
    } else {
        Err(TrainError::LossNotFinite { step, loss: f64::NAN, rows })
    }
}

/// Refuses settings under which a step over `rows` rows would have a single one.
///
/// # Errors
/// [`ConfigError::Values`] naming `train.per_device_train_batch_size`.
pub fn check_steps(rows: usize, settings: &TrainSettings) -> Result<(), TrainError> {
    let batch = settings.global_batch().max(1);
    let meets_the_last = settings.total_steps(rows, batch) >= rows.div_ceil(batch) as u64;
    if batch == 1 || (rows % batch == 1 && meets_the_last) {
        let size = settings.per_device_train_batch_size;
        return Err(lone_row(format!(
            "{size}, which leaves a step of one row ({batch} rows a step, {rows} in all)"
        )));
    }
    Ok(())
}

pub(super) fn refused(key: &'static str, found: String, expected: &'static str) -> TrainError {
    ConfigError::Values { problems: vec![ValueProblem { key, found, expected }] }.into()
}

pub(super) fn lone_row(found: String) -> TrainError {
    refused(
        "train.per_device_train_batch_size",
        found,
        "a number that leaves no step with a single row: the reference point of `kto` is made of a \
         prompt with the completion of another row of its step; change the number, or leave out a row",
    )
}
