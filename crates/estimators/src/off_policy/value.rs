//! max@k of a policy from another policy's samples.

use super::lower;
use super::products::{Means, Scale, Sums};
use super::ratios::Ratios;
use super::workspace::OffPolicyWorkspace;
use crate::EstimatorError;
use crate::numerics::Sum;
use crate::transform::check_rewards;

/// Estimates of max@k of the policy, and how far they can be trusted.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct OffPolicyValue {
    /// `U`, unbiased for max@k under the policy.
    pub value: f64,
    /// `M`, the mean product of `k` ratios. Its expectation is 1; far from it, do not trust the rest.
    pub mean_product: f64,
    /// `U/M`, between the lowest and the highest reward; biased by `O(1/n)`. `None` where `M` is 0.
    pub self_normalised: Option<f64>,
    /// `(sum r)^2 / sum r^2`, between 1 and `n`: how many samples of the policy itself would be as good
    /// for a mean. 0 where all ratios are 0.
    pub effective_samples: f64,
}

/// max@k under the policy, from rewards of samples that the sampler drew.
///
/// ```text
/// U = 1/C(n,k) sum_I prod_I r max_I g,   M = 1/C(n,k) sum_I prod_I r,   I over the k-subsets
/// ```
///
/// Source: the expectation whose gradient is equation 10 of arXiv:2510.23393v1.
///
/// # Errors
/// `ZeroK`, `KExceedsSamples`, `NonFiniteReward`, `RewardTooLarge`, `RatioCount`, `BadRatio`,
/// `BadLogRatio`, `ProductTooLarge`.
///
/// # Numerics
/// `O(n log n + n k)` time and `O(k)` memory beside the order, by the recursion for mean products of
/// lower ranks. Rewards of one sign suffer no cancellation.
///
/// ```
/// use bestof_estimators::{OffPolicyWorkspace, Ratios, off_policy_max_at_k};
///
/// let ratios = Ratios::Plain(&[0.5, 2.0, 1.0]);
/// let found = off_policy_max_at_k(&[0.0, 1.0, 0.5], ratios, 2, &mut OffPolicyWorkspace::new())?;
/// assert!((found.value - (1.0 + 0.25 + 2.0) / 3.0).abs() < 1e-15);
/// assert!((found.mean_product - 3.5 / 3.0).abs() < 1e-15);
/// assert!((found.self_normalised.unwrap() - 3.25 / 3.5).abs() < 1e-15);
/// # Ok::<(), bestof_estimators::EstimatorError>(())
/// ```
pub fn off_policy_max_at_k(
    rewards: &[f64],
    ratios: Ratios<'_>,
    k: usize,
    workspace: &mut OffPolicyWorkspace,
) -> Result<OffPolicyValue, EstimatorError> {
    capped_max_at_k(rewards, ratios, k, None, workspace)
}

/// As [`off_policy_max_at_k`], with every ratio at most `cap`.
pub(crate) fn capped_max_at_k(
    rewards: &[f64],
    ratios: Ratios<'_>,
    k: usize,
    cap: Option<f64>,
    workspace: &mut OffPolicyWorkspace,
) -> Result<OffPolicyValue, EstimatorError> {
    if k == 0 {
        return Err(EstimatorError::ZeroK);
    }
    if k > rewards.len() {
        return Err(EstimatorError::KExceedsSamples { k, n: rewards.len() });
    }
    check_rewards(rewards)?;
    let log_size = ratios.log_size(rewards, k, cap)?;
    workspace.ranking.sort(rewards);
    Ok(if Sums::suffice(k, log_size) {
        evaluate::<Sums>(ratios, k, cap, workspace)
    } else {
        evaluate::<Means>(ratios, k, cap, workspace)
    })
}

/// The value of the group whose order the ranking holds.
fn evaluate<S: Scale>(
    ratios: Ratios<'_>,
    k: usize,
    cap: Option<f64>,
    workspace: &mut OffPolicyWorkspace,
) -> OffPolicyValue {
    let OffPolicyWorkspace { ranking, ratios: scaled, row, .. } = workspace;
    let (order, leads) = S::leads(ranking, k);
    scaled.set(ratios, cap, S::shift(ratios.len()), order.places());
    let (value, product) = lower::value::<S>(order.rewards(), leads, &scaled.partners, row, k);
    let bounds = order.rewards().first().zip(order.rewards().last());
    let within = |x: f64| bounds.map_or(x, |(&low, &high)| x.clamp(low, high));
    let unscaled = |sum| scaled.unscaled(scaled.of_one_more(sum), k - 1);
    OffPolicyValue {
        value: unscaled(value),
        mean_product: unscaled(product),
        self_normalised: (product >= f64::MIN_POSITIVE).then(|| within(value / product)),
        effective_samples: effective_samples(&scaled.partners),
    }
}

fn effective_samples(ratios: &[f64]) -> f64 {
    let largest = ratios.iter().fold(0.0_f64, |largest, ratio| largest.max(*ratio));
    if largest == 0.0 {
        return 0.0;
    }
    let (mut sum, mut squares) = (Sum::default(), Sum::default());
    for ratio in ratios {
        let share = ratio / largest;
        sum.add(share);
        squares.add(share * share);
    }
    sum.value() * sum.value() / squares.value()
}
