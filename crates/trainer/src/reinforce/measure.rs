//! What completions say about a policy: rewards, pass@k, shares, lengths, entropy.

use std::collections::HashSet;

use bestof_estimators::{mean_pass_at_k, pass_at_k};
use bestof_tasks::verify::VerificationOutcome;
use serde::{Deserialize, Serialize};

use super::rollout::{Group, Rollout};
use crate::error::TrainError;
use crate::evaluate::Estimate;
use crate::metric::MetricSums;

/// The `k` for which pass@k is measured on `n` samples: 1, 2, 4 and so on, and `n`.
///
/// ```
/// use bestof_trainer::reinforce::measured_ks;
///
/// assert_eq!(measured_ks(1), [1]);
/// assert_eq!(measured_ks(12), [1, 2, 4, 8, 12]);
/// ```
pub fn measured_ks(n: usize) -> Vec<usize> {
    let mut ks: Vec<usize> =
        std::iter::successors(Some(1_usize), |k| k.checked_mul(2)).take_while(|k| *k < n).collect();
    ks.push(n.max(1));
    ks
}

/// Adds what the completions of a prompt say, under TRL's names where it has one.
///
/// # Errors
/// Never for groups with a completion.
pub(super) fn observe(group: &Group, metrics: &mut MetricSums) -> Result<(), TrainError> {
    let (n, passed) = (group.rollouts.len(), group.passed());
    let rewards = group.rewards();
    let flag = |holds: bool| f64::from(u8::from(holds));
    let mean = rewards.iter().sum::<f64>() / n as f64;
    let squares: f64 = rewards.iter().map(|reward| (reward - mean).powi(2)).sum();
    metrics.add("reward", rewards.iter().sum(), n as f64);
    metrics.observe("reward_std", (squares / n.saturating_sub(1).max(1) as f64).sqrt());
    // Of the rewards themselves: rounding can give equal ones a spread.
    metrics.observe("frac_reward_zero_std", flag(rewards.iter().all(|r| *r == rewards[0])));
    for k in measured_ks(n) {
        metrics.observe(&format!("pass@{k}"), pass_at_k(n, passed, k)?);
    }
    metrics.observe("prompts/none", flag(passed == 0));
    metrics.observe("prompts/some", flag(passed > 0 && passed < n));
    metrics.observe("prompts/all", flag(passed == n));
    metrics.observe("distinct_answers", distinct_answers(group) as f64);
    for rollout in &group.rollouts {
        let tokens = rollout.drawn_tokens() as f64;
        metrics.observe("completions/mean_length", tokens);
        metrics.observe("completions/clipped_ratio", flag(rollout.is_truncated()));
        let sum = |values: &[f32]| values.iter().map(|logp| f64::from(*logp)).sum::<f64>();
        let (model, drawn) = (sum(&rollout.logprobs), sum(&rollout.sampling_logprobs));
        metrics.add("entropy", -model, tokens);
        metrics.add("sampling_gap", drawn - model, tokens);
        if let Some(turns) = rollout.turns {
            metrics.observe("rollout/turns", turns as f64);
        }
    }
    Ok(())
}

/// How many different final answers the completions give.
fn distinct_answers(group: &Group) -> usize {
    let answers: HashSet<&str> = group.rollouts.iter().map(|r| r.answer.as_str()).collect();
    answers.len()
}

/// Failed verifications.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Failures {
    pub(super) judged: usize,
    pub(super) failed: usize,
    /// Of these, those that took too long.
    pub(super) late: usize,
    /// Reward and reason of the first.
    pub(super) first: Option<(f64, String)>,
}

impl Failures {
    pub(super) fn of(groups: &[Group]) -> Self {
        let mut found = Self::default();
        for judgement in groups.iter().flat_map(|group| &group.rollouts).map(|r| &r.judgement) {
            found.judged += 1;
            if judgement.outcome.is_failure() {
                found.failed += 1;
                found.late += usize::from(judgement.outcome == VerificationOutcome::TimedOut);
                found.first.get_or_insert_with(|| (judgement.reward, judgement.reason.clone()));
            }
        }
        found
    }

    /// Adds those of others.
    pub(super) fn add(&mut self, others: Self) {
        self.judged += others.judged;
        self.failed += others.failed;
        self.late += others.late;
        self.first = self.first.take().or(others.first);
    }
}

/// pass@k over the prompts of `groups`, unbiased, for each of `ks`, with 95 % intervals over
/// prompts.
///
/// # Errors
/// [`TrainError::Estimate`] if there is no prompt, or fewer than `k` completions of one.
pub fn pass_at_k_estimates(groups: &[Group], ks: &[usize]) -> Result<Vec<Estimate>, TrainError> {
    let counts: Vec<(usize, usize)> =
        groups.iter().map(|group| (group.rollouts.len(), group.passed())).collect();
    ks.iter()
        .map(|&k| Ok(Estimate::named(&format!("pass@{k}"), mean_pass_at_k(&counts, k)?)))
        .collect()
}

/// What else the completions say, with 95 % intervals: `reward`, `distinct_answers` and
/// `completions/mean_length` over prompts, `completions/clipped_ratio` and `verifier/failures` as
/// shares of all completions.
///
/// # Errors
/// [`TrainError::Estimate`] if there is no prompt.
pub fn other_estimates(groups: &[Group]) -> Result<Vec<Estimate>, TrainError> {
    let over_prompts = |name: &str, value: &dyn Fn(&Group) -> f64| {
        let values: Vec<f64> = groups.iter().map(value).collect();
        Estimate::mean(name, &values)
    };
    let mean = |group: &Group, sum: f64| sum / group.rollouts.len().max(1) as f64;
    let rollouts = || groups.iter().flat_map(|group| &group.rollouts);
    let (all, truncated) = (rollouts().count(), rollouts().filter(|r| r.is_truncated()).count());
    Ok(vec![
        over_prompts("reward", &|group| mean(group, group.rewards().iter().sum()))?,
        over_prompts("distinct_answers", &|group| distinct_answers(group) as f64)?,
        over_prompts("completions/mean_length", &|group| {
            mean(group, group.rollouts.iter().map(Rollout::drawn_tokens).sum::<usize>() as f64)
        })?,
        Estimate::share("completions/clipped_ratio", truncated, all)?,
        Estimate::share("verifier/failures", Failures::of(groups).failed, all)?,
    ])
}
