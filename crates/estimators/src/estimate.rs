//! Transformations built by name, and value and weights of one group in one call.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::str::FromStr;

use crate::off_policy::capped_max_at_k;
use crate::{
    Binary, Centred, Estimator, EstimatorError, GroupMean, Grpo, Harmonic, Loo, LooMinusOne,
    MaxAtN, OffPolicy, OffPolicyValue, OffPolicyWorkspace, Plain, Ratios, Reinforce,
    RewardTransform, Rloo, Workspace, max_at_k_with, off_policy_max_at_k,
};

impl Estimator {
    /// The transformation. `k` is not read where [`uses_k`](Self::uses_k) is false.
    ///
    /// # Errors
    /// `ZeroK`, and `KTooSmall` for `loo-minus-one` with `k = 1`.
    pub fn build(self, k: usize) -> Result<Box<dyn RewardTransform>, EstimatorError> {
        Ok(match self {
            Self::Plain => Box::new(Plain::new(k)?),
            Self::Loo => Box::new(Loo::new(k)?),
            Self::LooMinusOne => Box::new(LooMinusOne::new(k)?),
            Self::Binary => Box::new(Binary::new(k)?),
            Self::Centred => Box::new(Centred::new(k)?),
            Self::Harmonic => Box::new(Harmonic::new()),
            Self::Reinforce => Box::new(Reinforce),
            Self::Mean => Box::new(GroupMean),
            Self::Rloo => Box::new(Rloo),
            Self::Grpo => Box::new(Grpo::default()),
            Self::MaxAtN => Box::new(MaxAtN),
        })
    }

    /// As [`build`](Self::build), with the order of `harmonic`; `None` is every order a group has.
    ///
    /// # Errors
    /// Also `ZeroOrder`, and `OrderNotUsed` for another estimator with an order.
    pub fn build_with(
        self,
        k: usize,
        order: Option<usize>,
    ) -> Result<Box<dyn RewardTransform>, EstimatorError> {
        match (self, order) {
            (_, None) => self.build(k),
            (Self::Harmonic, Some(order)) => Ok(Box::new(Harmonic::of_order(order)?)),
            _ => Err(EstimatorError::OrderNotUsed { estimator: self.name() }),
        }
    }

    /// As [`build`](Self::build), for a `k` that a schedule lowers to 1, where `loo-minus-one` is
    /// undefined and [`Rloo`] takes its place, in the same sum convention, so that the gradient's
    /// scale does not jump by a factor of `n`.
    ///
    /// Source: the `k = 1` phase of arXiv:2505.15201v4, section 5, uses equation 26.
    ///
    /// # Errors
    /// `ZeroK`.
    pub fn build_annealed(self, k: usize) -> Result<Box<dyn RewardTransform>, EstimatorError> {
        if self == Self::LooMinusOne && k == 1 { Ok(Box::new(Rloo)) } else { self.build(k) }
    }
}

impl FromStr for Estimator {
    type Err = EstimatorError;

    fn from_str(name: &str) -> Result<Self, EstimatorError> {
        let canonical = if name == "dr-grpo" { "mean" } else { name };
        let found = Self::ALL.into_iter().find(|estimator| estimator.name() == canonical);
        found.ok_or_else(|| EstimatorError::UnknownEstimator(name.into()))
    }
}

/// Value of max@k and weight of each sample, for one group of rewards.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Estimate {
    /// Samples in the group.
    pub n: usize,
    /// The `k` of `value`.
    pub k: usize,
    /// Unbiased estimate of max@k; of pass@k for 0/1 rewards.
    pub value: f64,
    /// Weight of each sample's log-probability gradient, to be summed.
    pub weights: Vec<f64>,
}

/// Value of max@k and policy-gradient weights of one group of rewards.
///
/// `k` is that of the value; the weights depend on it where [`Estimator::uses_k`] is true.
///
/// # Errors
/// Those of [`max_at_k`](crate::max_at_k), [`Estimator::build`] and [`RewardTransform::check`].
///
/// ```
/// use bestof_estimators::{Estimator, estimate};
///
/// let answer = estimate(&[0.0, 1.0, 1.0, 0.0], 2, Estimator::Plain)?;
/// assert!((answer.value - 5.0 / 6.0).abs() < 1e-15);
/// assert_eq!(answer.weights[1], 0.5);
/// # Ok::<(), bestof_estimators::EstimatorError>(())
/// ```
pub fn estimate(
    rewards: &[f64],
    k: usize,
    estimator: Estimator,
) -> Result<Estimate, EstimatorError> {
    estimate_with(rewards, k, estimator.build(k)?.as_ref())
}

/// As [`estimate`], by a transformation that is built already; `k` is that of the value.
///
/// # Errors
/// Those of [`max_at_k`](crate::max_at_k) and [`RewardTransform::check`].
pub fn estimate_with(
    rewards: &[f64],
    k: usize,
    transform: &dyn RewardTransform,
) -> Result<Estimate, EstimatorError> {
    let mut workspace = Workspace::with_capacity(rewards.len());
    let value = max_at_k_with(rewards, k, &mut workspace)?;
    let mut weights = vec![0.0; rewards.len()];
    transform.transform_into(rewards, &mut weights, &mut workspace)?;
    Ok(Estimate { n: rewards.len(), k, value, weights })
}

/// Value of max@k under the policy and policy-gradient weights, for one group of samples that
/// another policy drew.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct OffPolicyEstimate {
    /// Samples in the group.
    pub n: usize,
    /// The `k` of `of_policy`.
    pub k: usize,
    /// Estimates of max@k under the policy, from ratios without a cap.
    pub of_policy: OffPolicyValue,
    /// With a partner cap: the value with every ratio at most the cap.
    pub value_capped: Option<f64>,
    /// Weight of each sample's log-probability gradient, own ratio included, to be summed.
    pub weights: Vec<f64>,
    /// The weights without the own ratios, for a loss that multiplies by them.
    pub factors: Vec<f64>,
}

/// Value of max@k under the policy and off-policy weights of one group.
///
/// `k` is that of the value; the weights have the `k` or the order of the rule.
///
/// # Errors
/// Those of [`off_policy_max_at_k`] and [`OffPolicy::weights_into`].
///
/// ```
/// use bestof_estimators::{Estimator, OffPolicy, Ratios, estimate_off_policy};
///
/// let rule = OffPolicy::new(Estimator::Centred, 1)?;
/// let answer = estimate_off_policy(&[0.0, 1.0], Ratios::Plain(&[0.5, 1.5]), 1, &rule)?;
/// assert_eq!(answer.of_policy.value, 0.75);
/// assert_eq!(answer.weights, [-0.25, 0.75]);
/// assert_eq!(answer.factors, [-0.5, 0.5]);
/// # Ok::<(), bestof_estimators::EstimatorError>(())
/// ```
pub fn estimate_off_policy(
    rewards: &[f64],
    ratios: Ratios<'_>,
    k: usize,
    rule: &OffPolicy,
) -> Result<OffPolicyEstimate, EstimatorError> {
    let mut workspace = OffPolicyWorkspace::new();
    let of_policy = off_policy_max_at_k(rewards, ratios, k, &mut workspace)?;
    let capped = |cap| capped_max_at_k(rewards, ratios, k, Some(cap), &mut workspace);
    let value_capped = rule.partner_cap().map(capped).transpose()?.map(|found| found.value);
    let mut weights = vec![0.0; rewards.len()];
    rule.weights_into(rewards, ratios, &mut weights, &mut workspace)?;
    let mut factors = vec![0.0; rewards.len()];
    rule.factors_into(rewards, ratios, &mut factors, &mut workspace)?;
    Ok(OffPolicyEstimate { n: rewards.len(), k, of_policy, value_capped, weights, factors })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn names_are_those_of_the_transforms_and_parse_back() {
        for estimator in Estimator::ALL {
            assert_eq!(estimator.build(3).unwrap().name(), estimator.name());
            assert_eq!(estimator.to_string().parse(), Ok(estimator));
            assert_eq!(estimator.build(3).unwrap().k().is_some(), estimator.uses_k());
        }
        assert_eq!("dr-grpo".parse(), Ok(Estimator::Mean));
        let message = "best".parse::<Estimator>().unwrap_err().to_string();
        assert!(
            message.contains("`best`") && message.contains("loo-minus-one, binary"),
            "{message}"
        );
    }

    #[test]
    fn annealing_to_one_keeps_the_sum_convention() {
        let rewards = [0.0, 1.0, 0.25, 0.5];
        assert!(matches!(Estimator::LooMinusOne.build(1), Err(EstimatorError::KTooSmall { .. })));
        let annealed = Estimator::LooMinusOne.build_annealed(1).unwrap();
        assert_eq!(annealed.transform(&rewards), Rloo.transform(&rewards));
        assert_eq!(Estimator::LooMinusOne.build_annealed(2).unwrap().name(), "loo-minus-one");
        assert_eq!(Estimator::Grpo.build_annealed(1).unwrap().name(), "grpo");
    }

    #[test]
    fn undefined_estimates_are_errors() {
        assert_eq!(estimate(&[1.0], 0, Estimator::Plain), Err(EstimatorError::ZeroK));
        assert_eq!(
            estimate(&[1.0], 2, Estimator::Plain),
            Err(EstimatorError::KExceedsSamples { k: 2, n: 1 })
        );
        assert_eq!(
            estimate(&[1.0, 0.0], 2, Estimator::Loo),
            Err(EstimatorError::TooFewSamples { estimator: "loo", needed: 3, n: 2 })
        );
        assert_eq!(
            estimate(&[1.0, 0.5], 1, Estimator::Binary),
            Err(EstimatorError::NotBinary { index: 1, value: 0.5 })
        );
    }
}
