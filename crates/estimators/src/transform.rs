//! The interface of all transformations: rewards in, policy-gradient weights out.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt::Debug;

use crate::numerics::MAX_REWARD;
use crate::{EstimatorError, Workspace};

/// What the expected gradient of a transformation is.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Target {
    /// `factor` times the gradient of max@k (of pass@k for 0/1 rewards; of the mean reward for
    /// `k = 1`). A factor of 1 is an unbiased estimate.
    Gradient {
        /// The `k` of the objective.
        k: usize,
        /// Length of the expected estimate relative to the gradient.
        factor: f64,
    },
    /// The gradient of `sum_{k<=order} max@k / k`, unbiased.
    Harmonic {
        /// The largest `k` of the sum.
        order: usize,
    },
    /// Not a multiple of the gradient of any max@k: the direction itself is biased.
    Biased,
}

impl Target {
    /// The gradient of max@k itself.
    pub(crate) const fn unbiased(k: usize) -> Self {
        Self::Gradient { k, factor: 1.0 }
    }
}

/// Turns the rewards of one group into the weight of each sample's log-probability gradient.
///
/// Every implementation uses one convention, a **sum over samples**:
///
/// ```text
/// gradient = sum_i w_i grad log p(x_i)
/// ```
///
/// A loss that averages over the group needs `n w_i`. A group holds the independent samples of
/// one prompt; samples of different prompts never share a group
/// ([`transform_groups_into`](Self::transform_groups_into) keeps them apart). Weights come in
/// the order of the rewards, which need not be sorted; equal rewards get equal weights.
///
/// Source of the convention: arXiv:2505.15201v4, equations 8 and 18.
///
/// ```
/// use bestof_estimators::{Plain, RewardTransform};
///
/// let transform: Box<dyn RewardTransform> = Box::new(Plain::new(2)?);
/// let weights = transform.transform(&[1.0, 0.0, 1.0, 0.0])?;
/// assert_eq!(weights[0], 0.5);
/// assert!((weights[1] - 1.0 / 3.0).abs() < 1e-15);
/// # Ok::<(), bestof_estimators::EstimatorError>(())
/// ```
pub trait RewardTransform: Debug + Send + Sync {
    /// The name on a command line and in a configuration file.
    fn name(&self) -> &'static str;

    /// The smallest group it is defined for.
    fn min_samples(&self) -> usize;

    /// The `k` it was built with; `None` if it has none.
    fn k(&self) -> Option<usize> {
        None
    }

    /// What its expected gradient is, for groups of `n` samples.
    fn target(&self, n: usize) -> Target;

    /// Writes the weights of rewards that passed [`check`](Self::check) into a buffer of the
    /// same length. Implement this; call [`transform_into`](Self::transform_into).
    fn fill(&self, rewards: &[f64], weights: &mut [f64], workspace: &mut Workspace);

    /// Rejects a group that the transformation is not defined for.
    ///
    /// # Errors
    /// `KExceedsSamples`, `TooFewSamples`, `NonFiniteReward`, `RewardTooLarge`.
    fn check(&self, rewards: &[f64]) -> Result<(), EstimatorError> {
        let n = rewards.len();
        if let Some(k) = self.k().filter(|&k| k > n) {
            return Err(EstimatorError::KExceedsSamples { k, n });
        }
        let needed = self.min_samples();
        if n < needed {
            return Err(EstimatorError::TooFewSamples { estimator: self.name(), needed, n });
        }
        check_rewards(rewards)
    }

    /// Writes one weight per reward; allocates nothing once the workspace has held a group of this
    /// size.
    ///
    /// # Errors
    /// `WrongBufferLength` and those of [`check`](Self::check); the buffer is then untouched.
    fn transform_into(
        &self,
        rewards: &[f64],
        weights: &mut [f64],
        workspace: &mut Workspace,
    ) -> Result<(), EstimatorError> {
        check_buffer(rewards, weights)?;
        self.check(rewards)?;
        self.fill(rewards, weights, workspace);
        Ok(())
    }

    /// One weight per reward, in a new vector.
    ///
    /// # Errors
    /// Those of [`check`](Self::check).
    fn transform(&self, rewards: &[f64]) -> Result<Vec<f64>, EstimatorError> {
        let mut weights = vec![0.0; rewards.len()];
        self.transform_into(rewards, &mut weights, &mut Workspace::new())?;
        Ok(weights)
    }

    /// Transforms consecutive groups of any sizes: group `j` is
    /// `rewards[offsets[j]..offsets[j + 1]]`.
    ///
    /// # Errors
    /// `WrongBufferLength`, `BadOffset`, `OffsetsEnd`, and `InGroup` around an error
    /// of [`check`](Self::check); the buffer is then untouched.
    ///
    /// ```
    /// use bestof_estimators::{LooMinusOne, RewardTransform, Workspace};
    ///
    /// let rewards = [0.0, 1.0, /* next prompt */ 0.2, 0.9, 0.9, 0.1];
    /// let mut weights = [0.0; 6];
    /// let transform = LooMinusOne::new(2)?;
    /// transform.transform_groups_into(&rewards, &[0, 2, 6], &mut weights, &mut Workspace::new())?;
    /// assert_eq!(weights[..2], transform.transform(&rewards[..2])?);
    /// assert_eq!(weights[2..], transform.transform(&rewards[2..])?);
    /// # Ok::<(), bestof_estimators::EstimatorError>(())
    /// ```
    fn transform_groups_into(
        &self,
        rewards: &[f64],
        offsets: &[usize],
        weights: &mut [f64],
        workspace: &mut Workspace,
    ) -> Result<(), EstimatorError> {
        check_buffer(rewards, weights)?;
        check_offsets(rewards.len(), offsets)?;
        for (group, bounds) in offsets.windows(2).enumerate() {
            self.check(&rewards[bounds[0]..bounds[1]])
                .map_err(|error| EstimatorError::InGroup { group, source: Box::new(error) })?;
        }
        for bounds in offsets.windows(2) {
            let range = bounds[0]..bounds[1];
            self.fill(&rewards[range.clone()], &mut weights[range], workspace);
        }
        Ok(())
    }
}

/// Rejects rewards that are not finite or too large.
pub(crate) fn check_rewards(rewards: &[f64]) -> Result<(), EstimatorError> {
    // One comparison per reward, which NaN fails too. The index matters only after a failure.
    if rewards.iter().all(|g| g.abs() <= MAX_REWARD) {
        return Ok(());
    }
    for (index, &value) in rewards.iter().enumerate() {
        if !value.is_finite() {
            return Err(EstimatorError::NonFiniteReward { index, value });
        }
        if value.abs() > MAX_REWARD {
            return Err(EstimatorError::RewardTooLarge { index, value });
        }
    }
    Ok(())
}

/// Rejects a buffer of another length than the rewards.
pub(crate) fn check_buffer(rewards: &[f64], weights: &[f64]) -> Result<(), EstimatorError> {
    if rewards.len() == weights.len() {
        return Ok(());
    }
    Err(EstimatorError::WrongBufferLength { expected: rewards.len(), found: weights.len() })
}

/// Rejects offsets that are not those of consecutive groups.
pub(crate) fn check_offsets(rewards: usize, offsets: &[usize]) -> Result<(), EstimatorError> {
    let mut least = 0;
    for (index, &found) in offsets.iter().enumerate() {
        if found < least || (index == 0 && found != 0) {
            return Err(EstimatorError::BadOffset { index, found, expected_at_least: least });
        }
        least = found;
    }
    if least == rewards {
        return Ok(());
    }
    Err(EstimatorError::OffsetsEnd { expected: rewards, found: least })
}
