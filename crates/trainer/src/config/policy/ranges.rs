//! Ranges of the values of policy-gradient sections, and how the sections fit each other.

use super::server::check_server;
use super::{External, RewardPart, RewardSection, RolloutSection, VerifierName};
use crate::config::error::ConfigError;
use crate::config::problems::Problems;
use crate::config::run_config::RunConfig;
use crate::reinforce::{OffPolicyWeights, listens};
use bestof_estimators::Estimator;

/// Most completions of one prompt.
const MOST_GENERATIONS: usize = 65_536;

impl RunConfig {
    pub(in crate::config) fn check_policy_sections(&self, problems: &mut Problems) {
        if let Some(rollout) = &self.rollout {
            check_rollout(rollout, problems);
        }
        if let Some(reward) = &self.reward {
            check_reward(reward, problems);
        }
        if let Some(objective) = &self.objective {
            let updates = objective.updates_per_batch;
            let fits = (1..=65_536).contains(&updates);
            problems.need(
                fits,
                "objective.updates_per_batch",
                updates,
                "at least 1, at most 65536",
            );
            for (key, found) in [
                ("objective.mini_batch_prompts", objective.mini_batch_prompts),
                ("objective.order", objective.order),
            ] {
                problems.need(found != Some(0), key, 0, "at least 1, or absent");
            }
            for (key, found) in [
                ("objective.partner_cap", objective.partner_cap),
                ("objective.sampler_cap", objective.sampler_cap),
            ] {
                let cap = found.unwrap_or(1.0);
                problems.need(
                    cap.is_finite() && cap >= 1.0,
                    key,
                    cap,
                    "a finite number of at least 1",
                );
            }
            let harmonic = objective.estimator == Estimator::Harmonic;
            problems.need(
                harmonic || objective.order.is_none(),
                "objective.order",
                objective.order.unwrap_or_default(),
                "absent: only `harmonic` has an order",
            );
            let truncated = objective.surrogate == "truncated-is";
            for (key, found, read) in [
                ("objective.ratio_cap", objective.ratio_cap, truncated),
                ("objective.epsilon", objective.epsilon, !truncated),
                ("objective.epsilon_high", objective.epsilon_high, !truncated),
            ] {
                problems.need(
                    read || found.is_none(),
                    key,
                    found.unwrap_or_default(),
                    "absent: `truncated-is` reads `ratio_cap`, and the other surrogates `epsilon`",
                );
            }
            let exact = objective.off_policy == OffPolicyWeights::Exact;
            problems.need(
                exact || objective.partner_cap.is_none(),
                "objective.partner_cap",
                objective.partner_cap.unwrap_or_default(),
                "absent: only `off_policy = \"exact\"` reads the ratios of other completions",
            );
            problems.need(
                objective.k != Some(0),
                "objective.k",
                0,
                "at least 1: the best of no samples is not defined",
            );
        }
    }

    /// What a policy-gradient run needs besides the ranges: sections that fit each other.
    pub(in crate::config) fn check_policy_run(&self, problems: &mut Problems) {
        let dropout = self.lora.as_ref().map_or(0.0, |lora| lora.dropout);
        let objective = self.objective.clone().unwrap_or_default();
        let corrected =
            objective.off_policy == OffPolicyWeights::Exact && objective.ratio == "sequence";
        problems.need(
            dropout == 0.0 || corrected,
            "lora.dropout",
            dropout,
            "0, or `objective.off_policy = \"exact\"` with `objective.ratio = \"sequence\"`: completions are sampled \
             without dropout, and are the policy's own only by their importance ratios",
        );
        problems.need(
            objective.reference_sync_steps == 0 || objective.kl_coefficient > 0.0,
            "objective.reference_sync_steps",
            objective.reference_sync_steps,
            "0: without `kl_coefficient` there is no reference",
        );
        let prompts = self
            .train
            .per_device_train_batch_size
            .saturating_mul(self.train.gradient_accumulation_steps);
        let mini = objective.mini_batch_prompts.unwrap_or(prompts);
        problems.need(
            mini <= prompts,
            "objective.mini_batch_prompts",
            mini,
            "at most the prompts of a step, `per_device_train_batch_size` times `gradient_accumulation_steps`",
        );
        let environment = self.reward.as_ref().is_some_and(RewardSection::is_environment);
        let turns = self.rollout.as_ref().and_then(|rollout| rollout.max_turns);
        problems.need(
            environment || turns.is_none(),
            "rollout.max_turns",
            turns.unwrap_or_default(),
            "absent: only runs with `reward.verifier = \"environment\"` have turns",
        );
        let buffer = self.reward.as_ref().map_or(0, |reward| reward.overlong_buffer);
        let longest = self.rollout.as_ref().map_or(256, |rollout| rollout.max_new_tokens);
        problems.need(
            buffer <= longest,
            "reward.overlong_buffer",
            buffer,
            "at most `rollout.max_new_tokens`",
        );
        let schedule = self.objective.as_ref().and_then(|objective| objective.k_schedule.as_ref());
        if schedule.is_some_and(listens) {
            let held_out = self.data.eval.is_some() || self.data.eval_fraction > 0.0;
            problems.need(
                held_out && self.train.eval_steps > 0,
                "objective.k_schedule.kind",
                "a schedule that goes by measured pass@k",
                "one that goes by the step, or held-out rows and `train.eval_steps` to measure with",
            );
        }
    }
}

impl RolloutSection {
    /// Checks every range.
    ///
    /// # Errors
    /// [`ConfigError::Values`].
    pub fn validate(&self) -> Result<(), ConfigError> {
        let mut problems = Problems::default();
        check_rollout(self, &mut problems);
        problems.finish()
    }
}

impl RewardSection {
    /// Checks every range.
    ///
    /// # Errors
    /// [`ConfigError::Values`].
    pub fn validate(&self) -> Result<(), ConfigError> {
        let mut problems = Problems::default();
        check_reward(self, &mut problems);
        problems.finish()
    }
}

fn check_rollout(rollout: &RolloutSection, problems: &mut Problems) {
    for (key, found, least) in [
        ("rollout.num_generations", rollout.num_generations, 1),
        ("rollout.eval_generations", rollout.eval_generations, 0),
    ] {
        let fits = (least..=MOST_GENERATIONS).contains(&found);
        problems.need(fits, key, found, "a number of completions, at most 65536");
    }
    problems.count("rollout.max_batch", rollout.max_batch);
    for (key, found) in [
        ("rollout.max_new_tokens", rollout.max_new_tokens),
        ("rollout.max_turns", rollout.max_turns.unwrap_or(1)),
    ] {
        let fits = (1..=1 << 30).contains(&found);
        problems.need(fits, key, found, "at least 1, at most 1073741824");
    }
    problems.need(
        rollout.temperature.is_finite() && rollout.temperature > 0.0,
        "rollout.temperature",
        rollout.temperature,
        "a finite number above 0: greedy completions are all alike",
    );
    problems.need(rollout.top_k != Some(0), "rollout.top_k", 0, "at least 1, or absent");
    let top_p = rollout.top_p.unwrap_or(1.0);
    problems.need(top_p > 0.0 && top_p <= 1.0, "rollout.top_p", top_p, "above 0, at most 1");
    let min_p = rollout.min_p.unwrap_or(0.0);
    problems.need((0.0..=1.0).contains(&min_p), "rollout.min_p", min_p, "between 0 and 1");
    problems.need(
        rollout.stop.iter().all(|text| !text.is_empty()),
        "rollout.stop",
        "an empty text",
        "texts that are not empty",
    );
    check_server(rollout, problems);
}

fn check_reward(reward: &RewardSection, problems: &mut Problems) {
    for (number, part) in reward.parts().iter().enumerate() {
        check_part(part, number > 0, problems);
    }
    let fits = reward.workers <= 1024;
    problems.need(fits, "reward.workers", reward.workers, "at most 1024 threads");
    for (key, value) in [
        ("reward.failed", reward.failed.unwrap_or(0.0)),
        ("reward.pass_at", reward.pass_at.unwrap_or(0.0)),
        ("reward.truncated", reward.truncated.unwrap_or(0.0)),
    ] {
        problems.need(value.abs() <= bestof_estimators::MAX_REWARD, key, value, "a finite number");
    }
    problems.need(
        reward.overlong_buffer > 0 || reward.overlong_penalty == 1.0,
        "reward.overlong_penalty",
        reward.overlong_penalty,
        "absent, or an `overlong_buffer` over which it rises",
    );
    for (key, value) in [
        ("reward.length_penalty", reward.length_penalty),
        ("reward.overlong_penalty", reward.overlong_penalty),
    ] {
        let fits = (0.0..=bestof_estimators::MAX_REWARD).contains(&value);
        problems.need(fits, key, value, "a finite number of at least 0: it is taken away");
    }
}

/// The keys of one verifier, those of `reward.more` under the name of the list.
fn check_part(reward: &RewardPart, further: bool, problems: &mut Problems) {
    let key = |first: &'static str| if further { "reward.more" } else { first };
    let program = matches!(reward.verifier, VerifierName::External(_));
    problems.need(
        !further || reward.verifier != VerifierName::External(External::Environment),
        "reward.more",
        "a list with an environment",
        "verifiers: the environment is `reward.verifier`, for there is one other side of a conversation",
    );
    problems.need(
        program != reward.command.is_empty(),
        key("reward.command"),
        if program { "empty" } else { "present" },
        if program {
            "a program and its arguments, as [\"python3\", \"check.py\"]"
        } else {
            "absent: only the verifiers `program` and `environment` run one"
        },
    );
    problems.need(
        program || !reward.persistent,
        key("reward.persistent"),
        true,
        "absent: only the verifiers `program` and `environment` have processes to keep",
    );
    problems.need(
        reward.low.is_finite() && reward.high.is_finite() && reward.low < reward.high,
        key("reward.low"),
        reward.low,
        "a finite number below `reward.high`",
    );
    problems.need(
        reward.weight.abs() <= bestof_estimators::MAX_REWARD,
        key("reward.weight"),
        reward.weight,
        "a finite number",
    );
    problems.need(
        reward.time_limit > 0.0 && reward.time_limit <= 86_400.0,
        key("reward.time_limit"),
        reward.time_limit,
        "seconds above 0, at most a day",
    );
    problems.need(
        reward.memory_limit != Some(0),
        key("reward.memory_limit"),
        0,
        "MiB above 0, or absent for no limit",
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RunKind;

    fn read(overrides: &[&str]) -> Result<RunConfig, ConfigError> {
        let text = "[model]\npath='m'\n[data]\ntrain='t'\n[output]\ndir='o'\n[objective]\nk=2\n";
        let overrides: Vec<String> = overrides.iter().map(|s| (*s).to_owned()).collect();
        RunConfig::from_toml(text, &overrides)
    }

    #[test]
    fn every_bad_value_is_refused_under_its_name() {
        for (text, key) in [
            ("rollout.num_generations=0", "rollout.num_generations"),
            ("rollout.num_generations=100000", "rollout.num_generations"),
            ("rollout.temperature=0", "rollout.temperature"),
            ("rollout.temperature=nan", "rollout.temperature"),
            ("rollout.top_k=0", "rollout.top_k"),
            ("rollout.top_p=1.5", "rollout.top_p"),
            ("rollout.min_p=-0.1", "rollout.min_p"),
            ("rollout.max_new_tokens=0", "rollout.max_new_tokens"),
            ("rollout.max_batch=0", "rollout.max_batch"),
            ("rollout.max_batch=1048577", "rollout.max_batch"),
            ("rollout.max_new_tokens=9223372036854775807", "rollout.max_new_tokens"),
            ("objective.updates_per_batch=65537", "objective.updates_per_batch"),
            ("reward.workers=1025", "reward.workers"),
            ("rollout.server_concurrency=1025", "rollout.server_concurrency"),
            ("rollout.max_turns=0", "rollout.max_turns"),
            ("reward.verifier=environment", "reward.command"),
            ("reward.more=[{verifier=\"environment\", command=[\"true\"]}]", "reward.more"),
            ("rollout.stop=[\"\"]", "rollout.stop"),
            ("reward.verifier=program", "reward.command"),
            ("reward.command=[\"true\"]", "reward.command"),
            ("reward.persistent=true", "reward.persistent"),
            ("reward.more=[{verifier=\"text\", persistent=true}]", "reward.more"),
            ("reward.low=1.0", "reward.low"),
            ("reward.time_limit=0", "reward.time_limit"),
            ("reward.memory_limit=0", "reward.memory_limit"),
            ("reward.failed=nan", "reward.failed"),
            ("objective.updates_per_batch=0", "objective.updates_per_batch"),
            ("objective.k=0", "objective.k"),
        ] {
            match read(&[text]).unwrap_err() {
                ConfigError::Values { problems } => assert_eq!(problems[0].key, key),
                other => panic!("{text}: {other}"),
            }
        }
        let error = read(&["reward.verifier=numbers"]).unwrap_err().to_string();
        assert!(error.contains("countdown-near, program and environment"), "{error}");
        let error = read(&["objective.estimator=loo-minus-two"]).unwrap_err().to_string();
        assert!(error.contains("loo-minus-one"), "{error}");
        let error = read(&["rollout.num_generation=4"]).unwrap_err().to_string();
        assert!(error.contains("did you mean `rollout.num_generations`"), "{error}");
    }

    #[test]
    fn sections_and_kinds_of_run_belong_together() {
        let config = read(&["rollout.num_generations=4"]).unwrap();
        assert!(config.validate_kind(RunKind::POLICY).is_ok());
        assert!(config.validate_kind(RunKind::SUPERVISED).is_err());
        assert!(config.validate_kind(RunKind::PREFERENCE).is_err());
        for wrong in [
            &["loss.name=dpo"][..],
            &["lora.dropout=0.1"],
            &["rollout.max_turns=3"],
            &["rollout.max_turns=3", "reward.verifier=program", "reward.command=[\"true\"]"],
            &["objective.k_schedule={kind=\"until-threshold\",from=4,to=1,threshold=0.5}"],
        ] {
            assert!(read(wrong).unwrap().validate_kind(RunKind::POLICY).is_err(), "{wrong:?}");
        }
    }
}
