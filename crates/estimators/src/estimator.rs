//! Transformations by name, and the whole answer for one group.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use crate::{
    Binary, EstimatorError, GroupMean, Grpo, Loo, LooMinusOne, MaxAtN, Plain, Reinforce,
    RewardTransform, Rloo, Workspace, max_at_k_with,
};

/// The name of a [`RewardTransform`], as written on a command line or in a configuration file.
///
/// ```
/// use bestof_estimators::{Estimator, RewardTransform};
///
/// let estimator: Estimator = "loo-minus-one".parse()?;
/// assert_eq!(estimator.build(4)?.min_samples(), 4);
/// assert!("loo-minus-two".parse::<Estimator>().is_err());
/// # Ok::<(), bestof_estimators::EstimatorError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum Estimator {
    /// [`Plain`]
    Plain,
    /// [`Loo`]
    Loo,
    /// [`LooMinusOne`], which the paper recommends
    #[default]
    LooMinusOne,
    /// [`Binary`]
    Binary,
    /// [`Reinforce`]
    Reinforce,
    /// [`GroupMean`], also called `dr-grpo`
    #[cfg_attr(feature = "serde", serde(alias = "dr-grpo"))]
    Mean,
    /// [`Rloo`]
    Rloo,
    /// [`Grpo`] with its default settings
    Grpo,
    /// [`MaxAtN`]
    MaxAtN,
}

impl Estimator {
    /// Every estimator, PKPO's first.
    pub const ALL: [Self; 9] = [
        Self::Plain,
        Self::Loo,
        Self::LooMinusOne,
        Self::Binary,
        Self::Reinforce,
        Self::Mean,
        Self::Rloo,
        Self::Grpo,
        Self::MaxAtN,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Loo => "loo",
            Self::LooMinusOne => "loo-minus-one",
            Self::Binary => "binary",
            Self::Reinforce => "reinforce",
            Self::Mean => "mean",
            Self::Rloo => "rloo",
            Self::Grpo => "grpo",
            Self::MaxAtN => "max-at-n",
        }
    }

    /// Whether its weights depend on `k`. The others optimise the mean reward (`k = 1`), and
    /// `max-at-n` the maximum of the whole group.
    pub const fn uses_k(self) -> bool {
        matches!(self, Self::Plain | Self::Loo | Self::LooMinusOne | Self::Binary)
    }

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
            Self::Reinforce => Box::new(Reinforce),
            Self::Mean => Box::new(GroupMean),
            Self::Rloo => Box::new(Rloo),
            Self::Grpo => Box::new(Grpo::default()),
            Self::MaxAtN => Box::new(MaxAtN),
        })
    }

    /// As [`build`](Self::build), for a `k` that a schedule lowers to 1: there `loo-minus-one`
    /// hands over to [`Rloo`], in the same sum convention, so that the gradient's scale does
    /// not jump by a factor of `n`.
    ///
    /// Source: the `k = 1` phase of arXiv:2505.15201v4, section 5, uses equation 26.
    ///
    /// # Errors
    /// `ZeroK`.
    pub fn build_annealed(self, k: usize) -> Result<Box<dyn RewardTransform>, EstimatorError> {
        if self == Self::LooMinusOne && k == 1 { Ok(Box::new(Rloo)) } else { self.build(k) }
    }
}

impl fmt::Display for Estimator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Estimator {
    type Err = EstimatorError;

    fn from_str(name: &str) -> Result<Self, EstimatorError> {
        let wanted = if name == "dr-grpo" { "mean" } else { name };
        let found = Self::ALL.into_iter().find(|estimator| estimator.name() == wanted);
        found.ok_or_else(|| EstimatorError::UnknownEstimator(name.into()))
    }
}

/// What one group of rewards says: the value of its best-of-k and the weight of each sample.
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
/// `k` always means that of the value; the weights follow it where
/// [`Estimator::uses_k`] says so.
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
    let mut workspace = Workspace::with_capacity(rewards.len());
    let value = max_at_k_with(rewards, k, &mut workspace)?;
    let mut weights = vec![0.0; rewards.len()];
    estimator.build(k)?.transform_into(rewards, &mut weights, &mut workspace)?;
    Ok(Estimate { n: rewards.len(), k, value, weights })
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
    fn estimate_refuses_what_it_cannot_answer() {
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
