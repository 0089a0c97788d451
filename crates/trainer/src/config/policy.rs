//! `[rollout]`, `[reward]` and `[objective]`: what only policy-gradient runs have.

mod ranges;

use bestof_estimators::{Estimator, Schedule};
use bestof_losses::{Aggregation, PolicyLoss, RatioLevel, Surrogate};
use bestof_tasks::verify::VerifierKind;
use serde::{Deserialize, Serialize};

use super::error::{ConfigError, ValueProblem};
use crate::error::TrainError;
use crate::reinforce::{Objective, OffPolicyWeights};

/// `[rollout]`: how completions are sampled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RolloutSection {
    /// Completions of each prompt, `n`. Default 8.
    pub num_generations: usize,
    /// Divides the logits, above 0, in sampling and in training: the policy is the model at this temperature. Default 1.
    pub temperature: f64,
    /// Keep the `k` likeliest tokens. Cuts bias the gradient. Default: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<usize>,
    /// Keep the likeliest tokens whose probabilities first reach this sum. Default: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// Keep tokens at least this many times as likely as the likeliest. Default: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_p: Option<f64>,
    /// Longest completion, in tokens. Default 256.
    pub max_new_tokens: usize,
    /// Completions sampled together; the others wait. Default 64.
    pub max_batch: usize,
    /// Texts that end a completion; compared as text. Default: none.
    pub stop: Vec<String>,
    /// Render plain prompts as a user's message by the model's chat template. Default false.
    pub chat: bool,
    /// System message in front of every conversation. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_prompt: Option<String>,
    /// Completions of each held-out prompt in an evaluation; 0 takes `num_generations`. Default 0.
    pub eval_generations: usize,
    /// Completions of each step, and of each evaluation, written to `samples.jsonl`. Default 4.
    pub logged_samples: usize,
}

impl Default for RolloutSection {
    fn default() -> Self {
        Self {
            num_generations: 8,
            temperature: 1.0,
            top_k: None,
            top_p: None,
            min_p: None,
            max_new_tokens: 256,
            max_batch: 64,
            stop: Vec::new(),
            chat: false,
            system_prompt: None,
            eval_generations: 0,
            logged_samples: 4,
        }
    }
}

impl RolloutSection {
    /// Completions of each held-out prompt.
    pub fn eval_samples(&self) -> usize {
        if self.eval_generations == 0 { self.num_generations } else { self.eval_generations }
    }
}

/// `[reward]`: who judges completions, and what a judgement is worth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RewardSection {
    /// `number`, `math`, `text`, `exact-text`, `choice`, `grid`, `countdown`, `countdown-near` or `program`. Default `number`.
    pub verifier: VerifierName,
    /// `program`: the program and its arguments.
    pub command: Vec<String>,
    /// `program`: the least reward it may give. Default 0.
    pub low: f64,
    /// `program`: the greatest reward it may give. Default 1.
    pub high: f64,
    /// `program`: seconds until it has to have answered. Default 10.
    pub time_limit: f64,
    /// `program`: MiB of address space for each of its processes. Default: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_limit: Option<u64>,
    /// Reward of a verification that failed: the program crashed, hung or talked nonsense. Default: the verifier's lowest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<f64>,
    /// Rewards from here on count as passed, in pass@k and shares of solved prompts. Default: the verifier's highest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pass_at: Option<f64>,
    /// What the verifier's reward is multiplied by. Default 1.
    pub weight: f64,
    /// Further rewards that are added: tables of `verifier`, `weight` and the keys of `program`. Whether a completion passed is said by the first verifier alone.
    pub more: Vec<RewardPart>,
    /// Reward of a completion that was cut off, whatever the verifiers say. Default: what they say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truncated: Option<f64>,
    /// What each token of a completion costs. Default 0.
    pub length_penalty: f64,
    /// Tokens before `rollout.max_new_tokens` over which `overlong_penalty` rises from 0. Default 0: none.
    pub overlong_buffer: usize,
    /// What the longest completions lose; read with `overlong_buffer`. Default 1.
    pub overlong_penalty: f64,
    /// Completions verified at the same time; 0 takes the number of processors. Default 0.
    pub workers: usize,
}

impl Default for RewardSection {
    fn default() -> Self {
        Self {
            verifier: VerifierName::BuiltIn(VerifierKind::Number),
            command: Vec::new(),
            low: 0.0,
            high: 1.0,
            time_limit: 10.0,
            memory_limit: None,
            failed: None,
            pass_at: None,
            weight: 1.0,
            more: Vec::new(),
            truncated: None,
            length_penalty: 0.0,
            overlong_buffer: 0,
            overlong_penalty: 1.0,
            workers: 0,
        }
    }
}

/// One verifier and its weight: a table of `reward.more`, or what `[reward]` says of the first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RewardPart {
    /// As `reward.verifier`.
    pub verifier: VerifierName,
    /// What its reward is multiplied by; may be negative. Default 1.
    #[serde(default = "one")]
    pub weight: f64,
    /// As `reward.command`.
    #[serde(default)]
    pub command: Vec<String>,
    /// As `reward.low`.
    #[serde(default)]
    pub low: f64,
    /// As `reward.high`.
    #[serde(default = "one")]
    pub high: f64,
    /// As `reward.time_limit`.
    #[serde(default = "ten")]
    pub time_limit: f64,
    /// As `reward.memory_limit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_limit: Option<u64>,
}

impl RewardSection {
    /// The verifiers, the first of which says what passed.
    pub(crate) fn parts(&self) -> Vec<RewardPart> {
        let first = RewardPart {
            verifier: self.verifier,
            weight: self.weight,
            command: self.command.clone(),
            low: self.low,
            high: self.high,
            time_limit: self.time_limit,
            memory_limit: self.memory_limit,
        };
        std::iter::once(first).chain(self.more.iter().cloned()).collect()
    }
}

fn one() -> f64 {
    1.0
}

fn ten() -> f64 {
    10.0
}

/// A verifier by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "no verifier has this name; there are number, math, text, exact-text, choice, grid, countdown, countdown-near and program"
)]
pub enum VerifierName {
    /// One of those that are built in.
    BuiltIn(VerifierKind),
    /// A program of the user's.
    External(External),
}

/// The name `program`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum External {
    /// `program`.
    Program,
}

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

    use crate::config::RunConfig;

    fn read(overrides: &[&str]) -> Result<RunConfig, ConfigError> {
        let text = "[model]\npath='m'\n[data]\ntrain='t'\n[output]\ndir='o'\n[objective]\nk=2\n";
        let overrides: Vec<String> = overrides.iter().map(|s| (*s).to_owned()).collect();
        RunConfig::from_toml(text, &overrides)
    }

    #[test]
    fn the_resolved_sections_read_back_equal() {
        let config = read(&[
            "objective.k_schedule={kind=\"until-stall\",from=4,to=1,patience=3,min_gain=0.01}",
            "rollout.top_p=0.9",
            "reward.verifier=program",
            "reward.command=[\"check\"]",
        ])
        .unwrap();
        assert_eq!(RunConfig::from_toml(&config.to_toml(), &[]).unwrap(), config);
    }

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
