//! Transformations of other papers: REINFORCE, group baselines and the best-of-all rule.
//!
//! All weights follow the sum convention of [`RewardTransform`]; papers that average over the
//! group print `n` times these.

use crate::numerics::{deviation_norm, mean, sqrt};
use crate::{EstimatorError, RewardTransform, Target, Workspace};

/// Raw rewards without a baseline: `w_i = g_i / n`.
///
/// Unbiased for the gradient of the mean reward, with the largest variance of all here.
///
/// Source: Williams 1992, "Simple statistical gradient-following algorithms for connectionist
/// reinforcement learning"; the `k = 1` case of arXiv:2505.15201v4, equation 19.
///
/// ```
/// use bestof_estimators::{Reinforce, RewardTransform};
/// assert_eq!(Reinforce.transform(&[1.0, 3.0])?, [0.5, 1.5]);
/// # Ok::<(), bestof_estimators::EstimatorError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reinforce;

impl RewardTransform for Reinforce {
    fn name(&self) -> &'static str {
        "reinforce"
    }

    fn min_samples(&self) -> usize {
        1
    }

    fn target(&self, _n: usize) -> Target {
        Target::unbiased(1)
    }

    fn fill(&self, rewards: &[f64], weights: &mut [f64], _workspace: &mut Workspace) {
        let n = rewards.len() as f64;
        for (weight, &reward) in weights.iter_mut().zip(rewards) {
            *weight = reward / n;
        }
    }
}

/// Rewards minus the group's mean: `w_i = (g_i - mean) / n`, Dr. GRPO's advantage over `n`.
///
/// Each sample is part of its own baseline, so that the expected gradient is `1 - 1/n` times that of
/// the mean reward: the right direction, slightly too short. [`Rloo`] has the right length.
///
/// Source: Liu et al. 2025, "Understanding R1-Zero-like training", arXiv:2503.20783, where the
/// division by the standard deviation is dropped from GRPO.
///
/// ```
/// use bestof_estimators::{GroupMean, RewardTransform};
/// assert_eq!(GroupMean.transform(&[1.0, 3.0])?, [-0.5, 0.5]);
/// # Ok::<(), bestof_estimators::EstimatorError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupMean;

impl RewardTransform for GroupMean {
    fn name(&self) -> &'static str {
        "mean"
    }

    fn min_samples(&self) -> usize {
        2
    }

    fn target(&self, n: usize) -> Target {
        Target::Gradient { k: 1, factor: 1.0 - 1.0 / n as f64 }
    }

    fn fill(&self, rewards: &[f64], weights: &mut [f64], _workspace: &mut Workspace) {
        centred(rewards, weights, rewards.len() as f64);
    }
}

/// Rewards minus the mean of the *other* rewards: `w_i = (g_i - mean of the others) / n`.
///
/// Unbiased for the gradient of the mean reward. Takes the place of
/// [`LooMinusOne`](crate::LooMinusOne) at `k = 1`, in the same convention.
///
/// Source: Kool et al. 2019, "Buy 4 REINFORCE samples, get a baseline for free!"; Ahmadian et
/// al. 2024, arXiv:2402.14740; `1/n` times arXiv:2505.15201v4, equation 26.
///
/// # Numerics
/// Computed as `(g_i - mean) / (n - 1)`, which is the same number without a mean per sample.
///
/// ```
/// use bestof_estimators::{Rloo, RewardTransform};
/// assert_eq!(Rloo.transform(&[1.0, 3.0])?, [-1.0, 1.0]);
/// # Ok::<(), bestof_estimators::EstimatorError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rloo;

impl RewardTransform for Rloo {
    fn name(&self) -> &'static str {
        "rloo"
    }

    fn min_samples(&self) -> usize {
        2
    }

    fn target(&self, _n: usize) -> Target {
        Target::unbiased(1)
    }

    fn fill(&self, rewards: &[f64], weights: &mut [f64], _workspace: &mut Workspace) {
        centred(rewards, weights, (rewards.len() - 1) as f64);
    }
}

fn centred(rewards: &[f64], weights: &mut [f64], divisor: f64) {
    let mean = mean(rewards);
    for (weight, &reward) in weights.iter_mut().zip(rewards) {
        *weight = (reward - mean) / divisor;
    }
}

/// Which standard deviation [`Grpo`] divides by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum Normalization {
    /// Sum of squares over `n - 1`.
    #[default]
    Sample,
    /// Sum of squares over `n`.
    Population,
}

/// GRPO's advantage: `w_i = (g_i - mean) / (standard deviation + epsilon) / n`.
///
/// Biased: the random divisor gives groups with a small standard deviation more weight, which changes
/// the direction of the expected gradient. A constant group gets exactly 0.
///
/// Source: Shao et al. 2024, `DeepSeekMath`, arXiv:2402.03300, section 4.1.2. The paper names
/// neither the kind of standard deviation nor an epsilon; the default here is the sample's and
/// `1e-4`.
///
/// ```
/// use bestof_estimators::{Grpo, RewardTransform, Normalization};
/// let grpo = Grpo::new(0.0, Normalization::Population)?;
/// assert_eq!(grpo.transform(&[1.0, 3.0])?, [-0.5, 0.5]);
/// # Ok::<(), bestof_estimators::EstimatorError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grpo {
    epsilon: f64,
    normalization: Normalization,
}

impl Grpo {
    /// The normalisation with `epsilon` added to the standard deviation.
    ///
    /// # Errors
    /// `BadEpsilon` if it is negative, NaN or infinite.
    pub fn new(epsilon: f64, normalization: Normalization) -> Result<Self, EstimatorError> {
        if epsilon.is_finite() && epsilon >= 0.0 {
            Ok(Self { epsilon, normalization })
        } else {
            Err(EstimatorError::BadEpsilon { value: epsilon })
        }
    }
}

impl Default for Grpo {
    fn default() -> Self {
        Self { epsilon: 1e-4, normalization: Normalization::Sample }
    }
}

impl RewardTransform for Grpo {
    fn name(&self) -> &'static str {
        "grpo"
    }

    fn min_samples(&self) -> usize {
        2
    }

    fn target(&self, _n: usize) -> Target {
        Target::Biased
    }

    fn fill(&self, rewards: &[f64], weights: &mut [f64], _workspace: &mut Workspace) {
        let n = rewards.len() as f64;
        let mean = mean(rewards);
        let degrees = match self.normalization {
            Normalization::Sample => n - 1.0,
            Normalization::Population => n,
        };
        let divisor = deviation_norm(rewards, mean) / sqrt(degrees) + self.epsilon;
        for (weight, &reward) in weights.iter_mut().zip(rewards) {
            let deviation = reward - mean;
            *weight = if deviation == 0.0 { 0.0 } else { deviation / divisor / n };
        }
    }
}

/// The gain of the best sample over the second best, and 0 for all others; ties gain nothing.
///
/// ```text
/// w_i = max(g) - max(g without i)
/// ```
///
/// Unbiased for the gradient of max@n, where `n` is the whole group: equal to
/// [`LooMinusOne`](crate::LooMinusOne) at `k = n`, without sorting.
///
/// Source: Tang, Zheng, Synnaeve and Munos 2025, arXiv:2503.19595, as restated in
/// arXiv:2505.15201v4.
///
/// ```
/// use bestof_estimators::{MaxAtN, RewardTransform};
/// assert_eq!(MaxAtN.transform(&[1.0, 4.0, 2.0])?, [0.0, 2.0, 0.0]);
/// # Ok::<(), bestof_estimators::EstimatorError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MaxAtN;

impl RewardTransform for MaxAtN {
    fn name(&self) -> &'static str {
        "max-at-n"
    }

    fn min_samples(&self) -> usize {
        2
    }

    fn target(&self, n: usize) -> Target {
        Target::unbiased(n)
    }

    fn fill(&self, rewards: &[f64], weights: &mut [f64], _workspace: &mut Workspace) {
        weights.fill(0.0);
        let (mut best, mut second, mut winner) = (f64::NEG_INFINITY, f64::NEG_INFINITY, 0);
        for (index, &reward) in rewards.iter().enumerate() {
            if reward > best {
                (second, best, winner) = (best, reward, index);
            } else if reward > second {
                second = reward;
            }
        }
        if let Some(weight) = weights.get_mut(winner) {
            *weight = best - second;
        }
    }
}
