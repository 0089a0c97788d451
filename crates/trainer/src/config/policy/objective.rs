//! `[objective]`: what is optimised, and how far one batch may move the policy.

use bestof_estimators::{Estimator, Schedule};
use bestof_losses::{Aggregation, PolicyLoss, RatioLevel, Surrogate};
use serde::{Deserialize, Serialize};

use crate::config::error::{ConfigError, ValueProblem};
use crate::error::TrainError;
use crate::reinforce::{Objective, OffPolicyWeights};

/// `[objective]`: what is optimised, and how far one batch may move the policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ObjectiveSection {
    /// `loo-minus-one`, `loo`, `plain`, `binary`, `centred`, `harmonic`, `reinforce`, `rloo`, `mean`, `grpo` or `max-at-n`. Default `loo-minus-one`.
    pub estimator: Estimator,
    /// The `k` of pass@k, the same at every step; or else `k_schedule`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub k: Option<usize>,
    /// Which `k` at which step: `{ kind = "step", from = 8, to = 1, at = 1500 }`; also `constant`, `linear`, `cosine`, `until-stall`, `until-threshold`; or at which prompt: `by-pass-rate`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub k_schedule: Option<Schedule>,
    /// `harmonic`: the highest order of its sum. Default: one less than `rollout.num_generations`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<usize>,
    /// Optimiser updates made of each completion of a step. Default 1.
    pub updates_per_batch: usize,
    /// Prompts of each update, so that a step makes several. Default: all of the step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mini_batch_prompts: Option<usize>,
    /// Weights of updates after the first: `exact`, from the ratios of all completions of a prompt, or `own-ratio`, those of the first update. Default `exact`.
    pub off_policy: OffPolicyWeights,
    /// The greatest ratio that other completions of a prompt count with in `exact` weights. Default: no bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partner_cap: Option<f64>,
    /// Importance ratios of later updates: `token`, `sequence` or `sequence-mean`. Default `token`.
    pub ratio: String,
    /// How ratios enter the loss: `ppo-clip`, `cispo` or `truncated-is`. Default `ppo-clip`.
    pub surrogate: String,
    /// A ratio below `1 - epsilon` moves nothing further down. Default 0.2, and 3e-4 with `sequence-mean`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epsilon: Option<f64>,
    /// A ratio above `1 + epsilon_high` moves nothing further up. Default: `epsilon`, else 0.2, and 4e-4 with `sequence-mean`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epsilon_high: Option<f64>,
    /// `truncated-is`: the greatest ratio. Default 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio_cap: Option<f64>,
    /// The greatest importance weight of a token between the policy and what it was drawn from, where cuts or rounding make them differ. Default: tokens are not weighed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sampler_cap: Option<f64>,
    /// How tokens add up: `sum`, `token-mean`, `sequence-mean` or `constant-length`. Default `sum`.
    pub aggregation: String,
    /// `constant-length`: the number of tokens that sums are divided by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aggregation_length: Option<usize>,
    /// Whether completions that were cut off have no gradient. Default false.
    pub mask_truncated: bool,
    /// How often a step draws other prompts in place of those whose completions all have one reward. Default 0.
    pub redraw_rounds: usize,
    /// The reference becomes the policy after every so many steps; 0 keeps the first. Default 0.
    pub reference_sync_steps: u64,
    /// What a nat of divergence from the reference costs; 0 needs no reference. Default 0.
    pub kl_coefficient: f64,
    /// `k1`, `k2` or `k3`. Default `k3`.
    pub kl_estimator: String,
    /// What a nat of entropy is worth. Default 0.
    pub entropy_coefficient: f64,
}

impl Default for ObjectiveSection {
    fn default() -> Self {
        Self {
            estimator: Estimator::LooMinusOne,
            k: None,
            k_schedule: None,
            order: None,
            updates_per_batch: 1,
            mini_batch_prompts: None,
            off_policy: OffPolicyWeights::Exact,
            partner_cap: None,
            ratio: "token".to_owned(),
            surrogate: Surrogate::default().as_str().to_owned(),
            epsilon: None,
            epsilon_high: None,
            ratio_cap: None,
            sampler_cap: None,
            aggregation: Aggregation::default().as_str().to_owned(),
            aggregation_length: None,
            mask_truncated: false,
            redraw_rounds: 0,
            reference_sync_steps: 0,
            kl_coefficient: 0.0,
            kl_estimator: "k3".to_owned(),
            entropy_coefficient: 0.0,
        }
    }
}

impl ObjectiveSection {
    /// The objective.
    ///
    /// # Errors
    /// An unknown name, a value out of range, or a `k` that is missing, given twice, or given to an
    /// estimator that reads none.
    pub fn build(&self) -> Result<Objective, TrainError> {
        let mut objective = Objective::new(self.estimator, self.schedule()?);
        objective.order = self.order;
        objective.updates_per_batch = self.updates_per_batch;
        objective.mini_batch_prompts = self.mini_batch_prompts;
        objective.off_policy = self.off_policy;
        objective.partner_cap = self.partner_cap;
        objective.sampler_cap = self.sampler_cap;
        objective.aggregation = Aggregation::named(&self.aggregation, self.aggregation_length)?;
        objective.mask_truncated = self.mask_truncated;
        objective.redraw_rounds = self.redraw_rounds;
        objective.reference_sync_steps = self.reference_sync_steps;
        objective.loss = self.loss()?;
        Ok(objective)
    }

    fn loss(&self) -> Result<PolicyLoss, TrainError> {
        let ratio: RatioLevel = self.ratio.parse()?;
        let loss = PolicyLoss::default()
            .with_ratio(ratio)
            .with_surrogate(Surrogate::named(
                &self.surrogate,
                ratio,
                self.epsilon,
                self.epsilon_high,
                self.ratio_cap,
            )?)
            .with_kl_coefficient(self.kl_coefficient)
            .with_kl(self.kl_estimator.parse()?)
            .with_entropy_coefficient(self.entropy_coefficient);
        loss.validate()?;
        Ok(loss)
    }

    /// Which `k` at which step; 1 for estimators without one.
    fn schedule(&self) -> Result<Schedule, TrainError> {
        let problem = |key, found: String, expected| {
            Err(ConfigError::Values { problems: vec![ValueProblem { key, found, expected }] }
                .into())
        };
        match (self.k, &self.k_schedule, self.estimator.uses_k()) {
            (Some(k), _, false) => {
                problem("objective.k", k.to_string(), "absent: this estimator reads no k")
            }
            (None, Some(_), false) => problem(
                "objective.k_schedule",
                "present".to_owned(),
                "absent: this estimator reads no k",
            ),
            (Some(k), Some(_), true) => problem(
                "objective.k",
                k.to_string(),
                "absent when there is a `k_schedule` (`--set objective.k_schedule=` takes that out)",
            ),
            (None, None, true) => problem(
                "objective.k",
                "absent".to_owned(),
                "a number from 1 to `rollout.num_generations`, or a `k_schedule`: this estimator optimises the best of k",
            ),
            (Some(k), None, true) => Ok(Schedule::constant(k)?),
            (None, Some(schedule), true) => Ok(schedule.clone()),
            (None, None, false) => Ok(Schedule::constant(1)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn k_is_given_once_where_it_is_read() {
        let objective = |estimator, k, schedule: Option<Schedule>| ObjectiveSection {
            estimator,
            k,
            k_schedule: schedule,
            ..ObjectiveSection::default()
        };
        let paper = || Some(Schedule::paper());
        assert!(objective(Estimator::Plain, Some(2), None).schedule().is_ok());
        assert!(objective(Estimator::LooMinusOne, None, paper()).schedule().is_ok());
        assert!(objective(Estimator::Rloo, None, None).schedule().is_ok());
        for wrong in [
            objective(Estimator::Plain, None, None),
            objective(Estimator::Plain, Some(2), paper()),
            objective(Estimator::Rloo, Some(2), None),
            objective(Estimator::Grpo, None, paper()),
        ] {
            let message = wrong.schedule().unwrap_err().to_string();
            assert!(message.contains("objective.k"), "{message}");
        }
    }

    #[test]
    fn groups_too_small_are_refused_with_estimator_and_n() {
        let of = |estimator, k: Option<usize>| ObjectiveSection {
            estimator,
            k,
            ..ObjectiveSection::default()
        };
        let check = |section: ObjectiveSection, n: usize| section.build().unwrap().check_group(n);
        let message = check(of(Estimator::Rloo, None), 1).unwrap_err().to_string();
        assert!(message.contains("rloo") && message.contains("= 1"), "{message}");
        assert!(check(of(Estimator::Loo, Some(4)), 4).is_err());
        assert!(check(of(Estimator::LooMinusOne, Some(4)), 4).is_ok());
        for (estimator, k) in [
            (Estimator::Reinforce, None),
            (Estimator::Plain, Some(1)),
            (Estimator::Binary, Some(1)),
        ] {
            assert!(check(of(estimator, k), 1).is_ok(), "{estimator}");
        }
        // What a schedule only comes to later counts as well.
        let stall = r#"{"kind":"until-stall","from":2,"to":16,"patience":3}"#;
        for schedule in
            [serde_json::from_str(stall).unwrap(), Schedule::linear(2, 16, 0, 100).unwrap()]
        {
            let objective =
                ObjectiveSection { k_schedule: Some(schedule), ..ObjectiveSection::default() };
            assert!(check(objective.clone(), 8).is_err());
            assert!(check(objective, 16).is_ok());
        }
    }
}
