//! What a policy-gradient run optimises.

use bestof_estimators::{
    Estimator, EstimatorError, KSchedule, OffPolicy, OffPolicyWorkspace, Ratios, RewardTransform,
    Schedule, off_policy_max_at_k,
};
use bestof_losses::{Aggregation, PolicyLoss};
use serde::{Deserialize, Serialize};

use crate::error::TrainError;

/// The weights of a step's completions once the policy has moved from the one that sampled them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OffPolicyWeights {
    /// Computed anew before every such update, from the ratios of all completions of the prompt. With
    /// `ratio = "sequence"` the gradient is that of the policy as it is, up to the bounds of the
    /// ratios.
    #[default]
    Exact,
    /// Those of the first update, so that a completion counts its own ratio alone, as in other
    /// programs: the gradient of the best of one sample of the policy as it is and `k - 1` of the
    /// policy that sampled, exact for `k = 1` only.
    OwnRatio,
}

/// What is optimised, and how far one batch may move the policy.
///
/// ```
/// use bestof_estimators::{Estimator, Schedule};
/// use bestof_trainer::reinforce::Objective;
///
/// let objective = Objective::new(Estimator::LooMinusOne, Schedule::constant(4)?);
/// assert!(objective.check_group(8).is_ok());
/// assert!(objective.check_group(2).is_err());
/// # Ok::<(), bestof_estimators::EstimatorError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Objective {
    /// Turns the rewards of a prompt's completions into weights.
    pub estimator: Estimator,
    /// The `k` of pass@k at every step; 1 for estimators that read none.
    pub k: Schedule,
    /// Highest order of `harmonic`; `None` is one less than the number of samples.
    pub order: Option<usize>,
    /// Optimiser updates made of each completion of a step, at least 1.
    pub updates_per_batch: usize,
    /// Prompts of each update; `None` takes all of the step.
    pub mini_batch_prompts: Option<usize>,
    /// The weights of updates after the first.
    pub off_policy: OffPolicyWeights,
    /// The greatest ratio that a completion's partners count with in [`OffPolicyWeights::Exact`].
    pub partner_cap: Option<f64>,
    /// The greatest importance weight of a token between policy and sampler; `None` weighs none.
    pub sampler_cap: Option<f64>,
    /// How the tokens of completions of different lengths add up.
    pub aggregation: Aggregation,
    /// Whether completions that were cut off have no gradient. Their rewards still count in the
    /// weights of the others.
    pub mask_truncated: bool,
    /// How often a step draws other prompts in place of those whose completions all have one reward.
    pub redraw_rounds: usize,
    /// The reference becomes the policy after every so many steps; 0 keeps it.
    pub reference_sync_steps: u64,
    /// Loss of the weighted completions.
    pub loss: PolicyLoss,
}

impl Objective {
    /// One update per batch, with the default loss and the first reference.
    pub fn new(estimator: Estimator, k: Schedule) -> Self {
        Self {
            estimator,
            k,
            order: None,
            updates_per_batch: 1,
            mini_batch_prompts: None,
            off_policy: OffPolicyWeights::Exact,
            partner_cap: None,
            sampler_cap: None,
            aggregation: Aggregation::Sum,
            mask_truncated: false,
            redraw_rounds: 0,
            reference_sync_steps: 0,
            loss: PolicyLoss::default(),
        }
    }

    /// Checks that the estimator is defined for groups of `n` samples at every `k` of the schedule.
    ///
    /// # Errors
    /// [`TrainError::Objective`] naming both.
    pub fn check_group(&self, n: usize) -> Result<(), TrainError> {
        let check = |k: usize| -> Result<(), EstimatorError> {
            self.transform(k)?.check(&vec![0.0; n])?;
            if let Some(rule) = self.off_policy_rule(k, n)? {
                rule.check(&vec![0.0; n], Ratios::Log(&vec![0.0; n]))?;
            }
            Ok(())
        };
        for k in extremes(&self.k) {
            check(k).map_err(|source| TrainError::Objective {
                estimator: self.estimator.name(),
                n,
                source,
            })?;
        }
        Ok(())
    }
}

impl Objective {
    /// Rewards to weights, for completions of the policy itself.
    pub(super) fn transform(&self, k: usize) -> Result<Box<dyn RewardTransform>, EstimatorError> {
        match self.order {
            Some(_) => self.estimator.build_with(k, self.order),
            None => self.estimator.build_annealed(k),
        }
    }

    /// Whether a completion's weight changes with the ratios of the others: not where rewards are
    /// averaged one by one, and not for `grpo`, which is no gradient of anything.
    pub(super) fn has_partners(&self) -> bool {
        use Estimator::{Grpo, Mean, Reinforce, Rloo};
        !matches!(self.estimator, Reinforce | Mean | Rloo | Grpo)
    }

    /// The same for completions of a policy that has moved since; `None` where weights do not change.
    pub(super) fn off_policy_rule(
        &self,
        k: usize,
        n: usize,
    ) -> Result<Option<OffPolicy>, EstimatorError> {
        if self.off_policy == OffPolicyWeights::OwnRatio || !self.has_partners() {
            return Ok(None);
        }
        let rule = match self.estimator {
            // Equal to it on rewards 0 and 1.
            Estimator::Binary => OffPolicy::new(Estimator::Plain, k)?,
            Estimator::MaxAtN => OffPolicy::annealed(Estimator::LooMinusOne, n)?,
            estimator => OffPolicy::annealed(estimator, k)?,
        };
        let rule = match self.order {
            Some(order) => rule.with_order(order)?,
            None => rule,
        };
        // At k = 1 the annealed rule has no partners, and needs no cap.
        Ok(Some(match self.partner_cap {
            Some(cap) if rule.has_partners() => rule.with_partner_cap(cap)?,
            _ => rule,
        }))
    }
}

/// Weights under a policy that has moved, and how far it has.
pub(super) struct Moved {
    /// One per completion, without its own ratio, which the loss multiplies by.
    pub(super) factors: Vec<f64>,
    pub(super) mean_product: f64,
    pub(super) effective_samples: f64,
}

/// The weights of a group by a rule, from its rewards and the log-ratios of whole completions.
pub(super) fn moved_weights(
    rule: &OffPolicy,
    rewards: &[f64],
    log_ratios: &[f64],
) -> Result<Moved, EstimatorError> {
    let ratios = Ratios::Log(log_ratios);
    let k = rule.k().unwrap_or(1).min(rewards.len());
    let value = off_policy_max_at_k(rewards, ratios, k, &mut OffPolicyWorkspace::new())?;
    Ok(Moved {
        factors: rule.factors(rewards, ratios)?,
        mean_product: value.mean_product,
        effective_samples: value.effective_samples,
    })
}

/// The `k` a schedule begins and ends with; all others lie between.
fn extremes(schedule: &Schedule) -> [usize; 2] {
    if let Schedule::ByPassRate(schedule) = schedule {
        let (from, to) = schedule.bounds();
        return [from, to];
    }
    // A schedule that listens reaches its end by hearing a perfect score until it has stalled.
    let mut ended = schedule.clone();
    if listens(schedule) {
        let mut left = 1_u32 << 20;
        while ended.k(u64::MAX) == schedule.k(0) && left > 0 {
            ended.observe(1.0);
            left -= 1;
        }
    }
    [schedule.k(0), ended.k(u64::MAX)]
}

/// Whether a schedule goes by measurements.
pub(crate) fn listens(schedule: &Schedule) -> bool {
    matches!(schedule, Schedule::UntilStall(_) | Schedule::UntilThreshold(_))
}
