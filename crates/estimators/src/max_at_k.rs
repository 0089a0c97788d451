//! max@k from raw rewards.

use crate::numerics::Sum;
use crate::transform::check_rewards;
use crate::{EstimatorError, Workspace};

/// Expected maximum of `k` rewards drawn without replacement from the group: the unbiased
/// estimate of max@k, and of pass@k where rewards are 0 and 1.
///
/// ```text
/// rho_g = sum_{i=k..n} C(i-1, k-1) / C(n, k) g_(i),   g_(1) <= ... <= g_(n)
/// ```
///
/// Source: Walder and Karkhanis 2025, arXiv:2505.15201v4, equations 12 to 14 and theorem 3.
/// Rewards come in any order, may be tied and may be negative.
///
/// # Errors
/// `ZeroK`, `KExceedsSamples`, `NonFiniteReward`, `RewardTooLarge`.
///
/// # Numerics
/// `O(n log n)`; the weights are a compensated product and the sum is compensated, so that a
/// million rewards are as accurate as ten. Rewards of one sign suffer no cancellation.
///
/// ```
/// use bestof_estimators::max_at_k;
/// // Of the six pairs of four rewards, the mean of the larger.
/// assert!((max_at_k(&[0.7, 0.1, 1.0, 0.2], 2)? - 4.6 / 6.0).abs() < 1e-15);
/// # Ok::<(), bestof_estimators::EstimatorError>(())
/// ```
pub fn max_at_k(rewards: &[f64], k: usize) -> Result<f64, EstimatorError> {
    max_at_k_with(rewards, k, &mut Workspace::new())
}

/// As [`max_at_k`], in a workspace that the caller keeps.
pub fn max_at_k_with(
    rewards: &[f64],
    k: usize,
    workspace: &mut Workspace,
) -> Result<f64, EstimatorError> {
    if k == 0 {
        return Err(EstimatorError::ZeroK);
    }
    if k > rewards.len() {
        return Err(EstimatorError::KExceedsSamples { k, n: rewards.len() });
    }
    check_rewards(rewards)?;
    let (order, shares) = workspace.rank(rewards, k);
    let mut sum = Sum::default();
    for (&reward, &share) in order.rewards().iter().zip(shares) {
        sum.add(share * reward);
    }
    Ok(sum.value())
}
