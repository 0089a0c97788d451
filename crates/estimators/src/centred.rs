//! Centred weights of max@k, and their harmonic sum over k.
//!
//! Both are running sums of weighted gaps between neighbouring rewards, minus their mean.

use crate::numerics::Sum;
use crate::order::Order;
use crate::{EstimatorError, RewardTransform, Target, Workspace};

/// The centred transformation: how much better subsets with the sample are than subsets without it.
///
/// ```text
/// w_i = k/n (mean max of k-subsets with i - mean max of k-subsets without i)
///     = n/(n-k) (s_i - mean s) = s_i - k/n max@k(rewards without i)
/// ```
///
/// Unbiased for the gradient of max@k for `1 <= k <= n - 1`. It sums to 0, an offset changes nothing,
/// a constant group gets exactly 0, and at `k = 1` it is [`Rloo`](crate::Rloo), so that a `k` that is
/// lowered to 1 meets no jump. It differs from [`Loo`](crate::Loo) by the coefficient `k/n` in place of
/// `k/(n-1)`. Neither this nor [`LooMinusOne`](crate::LooMinusOne) has the smaller variance everywhere.
///
/// Source: the leave-two-out advantage of `MaxPO`, arXiv:2606.06080, times `k/n`, and the maximum of
/// `OrderGrad`, arXiv:2606.06096: the same numbers, here in `O(n log n)`.
///
/// # Numerics
/// A running sum of terms of one sign from the worst weight up, compensated.
///
/// ```
/// use bestof_estimators::{Centred, RewardTransform};
/// let weights = Centred::new(2)?.transform(&[0.1, 0.2, 0.7, 1.0])?;
/// for (found, expected) in weights.iter().zip([-0.4 / 3.0, -0.4 / 3.0, 0.1 / 3.0, 0.7 / 3.0]) {
///     assert!((found - expected).abs() < 1e-15);
/// }
/// # Ok::<(), bestof_estimators::EstimatorError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Centred {
    k: usize,
}

impl Centred {
    /// The transformation for max@k.
    ///
    /// # Errors
    /// `ZeroK`.
    pub fn new(k: usize) -> Result<Self, EstimatorError> {
        if k == 0 { Err(EstimatorError::ZeroK) } else { Ok(Self { k }) }
    }
}

impl RewardTransform for Centred {
    fn name(&self) -> &'static str {
        "centred"
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
        let n = rewards.len() as f64;
        fill(order, shares, n / (n - self.k as f64), weights);
    }
}

/// The harmonic transformation: `1/k` times the [`Centred`] weights of max@k, summed over
/// `k = 1..T`.
///
/// ```text
/// w_i = sum_{k=1..T} centred_i(k) / k
/// T = n-1:  w = omega - mean omega,   omega_(i+1) = omega_(i) + gap_i / (n-i)
/// ```
///
/// Unbiased for the gradient of `sum_{k<=T} max@k / k` for groups of more than `T` samples; on 0/1
/// rewards and without a bound on `T` that sum is the logarithm of the pass rate. There the weights are
/// `f_i/c - 1/n` with `c` successes, and 0 without one. An offset changes nothing and the sum is 0.
/// The order `T` is a way to anneal without a `k`: `T = 1` is [`Rloo`](crate::Rloo).
///
/// Source: `MaxRL`, arXiv:2602.02710, for 0/1 rewards; `TailRL`, arXiv:2609.02987, for others. Both
/// average over the group and so print `n` times these.
///
/// # Numerics
/// The sum over `k` telescopes to `rho(n-1, n-i, T)/(n-i)` for each gap: one sort and one pass for
/// any order.
///
/// ```
/// use bestof_estimators::{Harmonic, RewardTransform, Rloo};
/// let rewards = [0.1, 0.2, 0.7, 1.0];
/// let weights = Harmonic::new().transform(&rewards)?;
/// for (found, expected) in weights.iter().zip([-0.225, -0.575 / 3.0, 0.175 / 3.0, 1.075 / 3.0]) {
///     assert!((found - expected).abs() < 1e-15);
/// }
/// let first = Harmonic::of_order(1)?.transform(&rewards)?;
/// for (found, expected) in first.iter().zip(Rloo.transform(&rewards)?) {
///     assert!((found - expected).abs() < 1e-15);
/// }
/// # Ok::<(), bestof_estimators::EstimatorError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Harmonic {
    order: Option<usize>,
}

impl Harmonic {
    /// The sum up to `n - 1`, all that a group of `n` has.
    pub const fn new() -> Self {
        Self { order: None }
    }

    /// The sum up to `order`, for groups of more than `order` samples.
    ///
    /// # Errors
    /// `ZeroOrder`.
    pub fn of_order(order: usize) -> Result<Self, EstimatorError> {
        if order == 0 { Err(EstimatorError::ZeroOrder) } else { Ok(Self { order: Some(order) }) }
    }

    /// The order for groups of `n` samples.
    pub fn order(&self, n: usize) -> usize {
        self.order.unwrap_or(n.saturating_sub(1))
    }
}

impl RewardTransform for Harmonic {
    fn name(&self) -> &'static str {
        "harmonic"
    }

    fn min_samples(&self) -> usize {
        self.order.unwrap_or(1).saturating_add(1)
    }

    fn target(&self, n: usize) -> Target {
        Target::Harmonic { order: self.order(n) }
    }

    fn fill(&self, rewards: &[f64], weights: &mut [f64], workspace: &mut Workspace) {
        let (order, steps) = workspace.rank_harmonic(rewards, self.order(rewards.len()));
        fill(order, steps, 1.0, weights);
    }
}

/// Running sums of `factor step_i gap_i` minus their mean, in the caller's order.
fn fill(order: &Order, steps: &[f64], factor: f64, weights: &mut [f64]) {
    let rewards = order.rewards();
    let n = rewards.len();
    let rise = |i: usize| {
        let gap = rewards[i + 1] - rewards[i];
        // A step of 0 keeps a huge factor from meeting a huge gap.
        if steps[i] == 0.0 { 0.0 } else { factor * steps[i] * gap }
    };
    let mut sum = Sum::default();
    for i in 0..n.saturating_sub(1) {
        sum.add(-rise(i) * ((n - 1 - i) as f64 / n as f64));
    }
    let mut weight = sum.value();
    for (i, place) in order.places().enumerate() {
        weights[place] = weight;
        if i + 1 < n {
            sum.add(rise(i));
            weight = weight.max(sum.value());
        }
    }
}
