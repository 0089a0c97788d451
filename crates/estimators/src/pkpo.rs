//! The transformations of PKPO: plain, leave-one-out, leave-one-out-minus-one, and the binary
//! rule.
//!
//! All follow from one walk over the ranks. With rewards in ascending order, `gap_i = g_(i+1) -
//! g_(i)` and `d_i = C(i-1, k-1) / C(n, k)`, Pascal's rule turns the paper's sums over subsets
//! into running sums of `d_i gap_i`.

use crate::numerics::Sum;
use crate::pass_at_k::success_share;
use crate::transform::check_rewards;
use crate::{EstimatorError, RewardTransform, Target, Workspace};

/// The plain transformation `s`: the average, over all subsets of size `k`, of the subset's
/// maximum, credited to each member.
///
/// ```text
/// s_i = 1/C(n,k)  sum over k-subsets I containing i of  max(I)
///     = d_i g_(i) + sum_{j>i} (k-1)/(j-1) d_j g_(j)
/// ```
///
/// Unbiased for the gradient of max@k for `n >= k`. It has no baseline: its variance grows with
/// the rewards' offset. `sum_i s_i = k max@k`; adding `a` to all rewards adds `a k/n`.
///
/// Source: Walder and Karkhanis 2025, arXiv:2505.15201v4, equations 19 to 21 and theorem 4.
///
/// # Numerics
/// Rewards of one sign lose nothing to cancellation.
///
/// ```
/// use bestof_estimators::{Plain, RewardTransform};
/// let weights = Plain::new(2)?.transform(&[0.1, 0.2, 0.7, 1.0])?;
/// for (found, expected) in weights.iter().zip([1.9 / 6.0, 1.9 / 6.0, 0.4, 0.5]) {
///     assert!((found - expected).abs() < 1e-15);
/// }
/// # Ok::<(), bestof_estimators::EstimatorError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plain {
    k: usize,
}

impl Plain {
    /// The transformation for max@k.
    ///
    /// # Errors
    /// `ZeroK`.
    pub fn new(k: usize) -> Result<Self, EstimatorError> {
        if k == 0 { Err(EstimatorError::ZeroK) } else { Ok(Self { k }) }
    }
}

impl RewardTransform for Plain {
    fn name(&self) -> &'static str {
        "plain"
    }

    fn min_samples(&self) -> usize {
        self.k
    }

    fn k(&self) -> Option<usize> {
        Some(self.k)
    }

    fn target(&self, _n: usize) -> Target {
        Target::unbiased(self.k)
    }

    fn fill(&self, rewards: &[f64], weights: &mut [f64], workspace: &mut Workspace) {
        let (order, shares) = workspace.rank(rewards, self.k);
        let partners = (self.k - 1) as f64;
        let mut above = Sum::default();
        let mut last_reward = f64::INFINITY;
        let mut weight = f64::INFINITY;
        let ranks = order.rewards().iter().zip(shares).zip(order.places());
        for (rank, ((&reward, &share), place)) in ranks.enumerate().rev() {
            if reward < last_reward {
                // A lower reward never has a larger weight; `min` keeps that true under rounding.
                weight = weight.min(share * reward + above.value());
                last_reward = reward;
            }
            weights[place] = weight;
            // No rank lies below rank 0: its term is never read, and would divide by zero.
            above.add(partners / rank.max(1) as f64 * share * reward);
        }
    }
}

/// The leave-one-out transformation `s_loo`: [`Plain`] minus, for each sample, the average
/// plain weight that the other samples have without it.
///
/// ```text
/// s_loo_i = S(i,k,[n]) - 1/(n-1) sum_{j != i} S(j,k,[n] without i)
///         = s_i - k/(n-1) max@k(rewards without i)
/// ```
///
/// Unbiased for the gradient of max@k for `n > k`. It is *not* invariant to an offset: adding
/// `a` to all rewards adds `-a k/(n(n-1))`, so that a constant group gets weights that are not
/// zero. At `k = 1` it differs from [`Rloo`](crate::Rloo), though both are unbiased.
///
/// Source: Walder and Karkhanis 2025, arXiv:2505.15201v4, equations 28 to 29 and theorem 6.
///
/// # Numerics
/// Baseline and weight are subtracted as sums of gaps between rewards, so that the offset
/// cancels exactly, except for the term that remains by definition.
///
/// ```
/// use bestof_estimators::{Loo, RewardTransform};
/// let weights = Loo::new(2)?.transform(&[0.1, 0.2, 0.7, 1.0])?;
/// for (found, expected) in weights.iter().zip([-0.85 / 3.0, -0.85 / 3.0, -0.8 / 9.0, 1.3 / 9.0]) {
///     assert!((found - expected).abs() < 1e-15);
/// }
/// # Ok::<(), bestof_estimators::EstimatorError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loo {
    k: usize,
}

impl Loo {
    /// The transformation for max@k.
    ///
    /// # Errors
    /// `ZeroK`.
    pub fn new(k: usize) -> Result<Self, EstimatorError> {
        if k == 0 { Err(EstimatorError::ZeroK) } else { Ok(Self { k }) }
    }
}

impl RewardTransform for Loo {
    fn name(&self) -> &'static str {
        "loo"
    }

    fn min_samples(&self) -> usize {
        self.k.saturating_add(1)
    }

    fn k(&self) -> Option<usize> {
        Some(self.k)
    }

    fn target(&self, _n: usize) -> Target {
        Target::unbiased(self.k)
    }

    fn fill(&self, rewards: &[f64], weights: &mut [f64], workspace: &mut Workspace) {
        let (order, shares) = workspace.rank(rewards, self.k);
        let (n, k) = (rewards.len() as f64, self.k as f64);
        // Leaving one out turns d_i of n into d_i n/(n-k) of n-1.
        let baseline = k / (n - 1.0) * (n / (n - k));
        let Some(&best) = order.rewards().last() else { return };
        let offset = best * (k / n / (n - 1.0));
        let mut below_best = Sum::default();
        for (&reward, &share) in order.rewards().iter().zip(shares) {
            below_best.add(share * (best - reward));
        }
        let best_weight = baseline * below_best.value();
        let mut gaps = Sum::default();
        let mut next_reward = best;
        let ranks = order.rewards().iter().zip(shares).zip(order.places());
        for ((&reward, &share), place) in ranks.rev() {
            gaps.add(share * (next_reward - reward));
            next_reward = reward;
            weights[place] = (best_weight - (1.0 + baseline) * gaps.value()) - offset;
        }
    }
}

/// The leave-one-out-minus-one transformation `s_loo-1`: how much each sample raises the
/// maximum of the subsets that contain it. The estimator that the paper recommends.
///
/// ```text
/// s_loo-1_i = 1/C(n,k)  sum over k-subsets I containing i of  (max(I) - max(I without i))
/// s_loo-1_(1) = 0,   s_loo-1_(i+1) = s_loo-1_(i) + d_{i+1} gap_i
/// ```
///
/// Unbiased for the gradient of max@k for `n >= k >= 2`; undefined for `k = 1`, where
/// [`Rloo`](crate::Rloo) takes its place. Every weight is at least 0, the worst `k - 1` samples
/// and all that tie with the worst get exactly 0, and an offset changes nothing. For 0/1
/// rewards it is `f_i C(n-c, k-1) / C(n, k)`: a group with more than `n - k + 1` successes
/// carries no signal. `sum_i = k (max@k - max@(k-1))`.
///
/// Source: Walder and Karkhanis 2025, arXiv:2505.15201v4, equations 33 to 34 and theorem 7.
///
/// # Numerics
/// A running sum of terms that are not negative: no cancellation at all.
///
/// ```
/// use bestof_estimators::{LooMinusOne, RewardTransform};
/// let weights = LooMinusOne::new(2)?.transform(&[0.1, 0.2, 0.7, 1.0])?;
/// for (found, expected) in weights.iter().zip([0.0, 0.1 / 6.0, 1.1 / 6.0, 1.0 / 3.0]) {
///     assert!((found - expected).abs() < 1e-15);
/// }
/// # Ok::<(), bestof_estimators::EstimatorError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LooMinusOne {
    k: usize,
}

impl LooMinusOne {
    /// The transformation for max@k, `k` at least 2.
    ///
    /// # Errors
    /// `ZeroK`, `KTooSmall` for `k = 1`.
    pub fn new(k: usize) -> Result<Self, EstimatorError> {
        match k {
            0 => Err(EstimatorError::ZeroK),
            1 => Err(EstimatorError::KTooSmall { estimator: "loo-minus-one", k, min: 2 }),
            _ => Ok(Self { k }),
        }
    }
}

impl RewardTransform for LooMinusOne {
    fn name(&self) -> &'static str {
        "loo-minus-one"
    }

    fn min_samples(&self) -> usize {
        self.k
    }

    fn k(&self) -> Option<usize> {
        Some(self.k)
    }

    fn target(&self, _n: usize) -> Target {
        Target::unbiased(self.k)
    }

    fn fill(&self, rewards: &[f64], weights: &mut [f64], workspace: &mut Workspace) {
        let (order, shares) = workspace.rank(rewards, self.k);
        let mut raised = Sum::default();
        let mut weight = 0.0_f64;
        let mut last_reward = order.rewards().first().copied().unwrap_or(0.0);
        for ((&reward, &share), place) in order.rewards().iter().zip(shares).zip(order.places()) {
            raised.add(share * (reward - last_reward));
            last_reward = reward;
            weight = weight.max(raised.value());
            weights[place] = weight;
        }
    }
}

/// The rule for rewards 0 and 1: a success has weight `k/n`, a failure that times the probability
/// that `k - 1` of the others contain a success.
///
/// ```text
/// r_i = k/n                        if f_i = 1
///       k/n rho(n-1, c, k-1)       if f_i = 0
/// ```
///
/// Unbiased for the gradient of pass@k for `n >= k`. Equal to [`Plain`] on the same rewards,
/// without sorting.
///
/// Source: Walder and Karkhanis 2025, arXiv:2505.15201v4, equation 8 and theorem 2.
///
/// # Errors
/// `NotBinary` for any other reward.
///
/// ```
/// use bestof_estimators::{Binary, RewardTransform};
/// let weights = Binary::new(2)?.transform(&[1.0, 1.0, 0.0, 0.0])?;
/// for (found, expected) in weights.iter().zip([0.5, 0.5, 1.0 / 3.0, 1.0 / 3.0]) {
///     assert!((found - expected).abs() < 1e-15);
/// }
/// # Ok::<(), bestof_estimators::EstimatorError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binary {
    k: usize,
}

impl Binary {
    /// The rule for pass@k.
    ///
    /// # Errors
    /// `ZeroK`.
    pub fn new(k: usize) -> Result<Self, EstimatorError> {
        if k == 0 { Err(EstimatorError::ZeroK) } else { Ok(Self { k }) }
    }
}

impl RewardTransform for Binary {
    fn name(&self) -> &'static str {
        "binary"
    }

    fn min_samples(&self) -> usize {
        self.k
    }

    fn k(&self) -> Option<usize> {
        Some(self.k)
    }

    fn target(&self, _n: usize) -> Target {
        Target::unbiased(self.k)
    }

    fn check(&self, rewards: &[f64]) -> Result<(), EstimatorError> {
        let n = rewards.len();
        if self.k > n {
            return Err(EstimatorError::KExceedsSamples { k: self.k, n });
        }
        check_rewards(rewards)?;
        match rewards.iter().position(|&f| f != 0.0 && f != 1.0) {
            Some(index) => Err(EstimatorError::NotBinary { index, value: rewards[index] }),
            None => Ok(()),
        }
    }

    fn fill(&self, rewards: &[f64], weights: &mut [f64], _workspace: &mut Workspace) {
        let n = rewards.len();
        let c = rewards.iter().filter(|&&f| f == 1.0).count();
        let success = self.k as f64 / n as f64;
        // Without a failure its weight is never read, and n - 1 would not hold c successes.
        let failure = if c < n { success * success_share(n - 1, c, self.k - 1) } else { 0.0 };
        for (weight, &f) in weights.iter_mut().zip(rewards) {
            *weight = if f == 1.0 { success } else { failure };
        }
    }
}
