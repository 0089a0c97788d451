//! The six gradient estimators of figure 4 behind one call.

use bestof_estimators::{Estimator, RewardTransform, Workspace};

use super::partitioned::Partitioned;
use crate::ReproduceError;

/// An estimator of the gradient of max@k.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    AllSubsets(Estimator),
    Blocks(Partitioned),
}

impl Method {
    /// In the order of the reference numbers.
    pub(crate) const ALL: [Self; 6] = [
        Self::AllSubsets(Estimator::Plain),
        Self::AllSubsets(Estimator::Loo),
        Self::AllSubsets(Estimator::LooMinusOne),
        Self::Blocks(Partitioned::Naive),
        Self::Blocks(Partitioned::Baselined),
        Self::Blocks(Partitioned::LooMinusOne),
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::AllSubsets(Estimator::Plain) => "all subsets (s)",
            Self::AllSubsets(Estimator::Loo) => "all subsets, leave-one-out (s_loo)",
            Self::AllSubsets(Estimator::LooMinusOne) => "all subsets, loo-minus-one (s_loo-1)",
            Self::AllSubsets(other) => other.name(),
            Self::Blocks(kind) => kind.name(),
        }
    }

    /// The rule from rewards to weights for one k, or nothing where n samples are too few.
    pub(crate) fn build(self, n: usize, k: usize) -> Result<Option<Rule>, ReproduceError> {
        Ok(match self {
            Self::AllSubsets(estimator) => {
                let transform = estimator.build(k)?;
                (transform.min_samples() <= n).then_some(Rule::AllSubsets(transform))
            }
            Self::Blocks(Partitioned::Baselined) if n <= k => None,
            Self::Blocks(kind) => Some(Rule::Blocks(kind, k)),
        })
    }
}

/// A method with its k.
#[derive(Debug)]
pub(crate) enum Rule {
    AllSubsets(Box<dyn RewardTransform>),
    Blocks(Partitioned, usize),
}

impl Rule {
    pub(crate) fn weights_into(
        &self,
        rewards: &[f64],
        weights: &mut [f64],
        workspace: &mut Workspace,
    ) -> Result<(), ReproduceError> {
        match self {
            Self::AllSubsets(transform) => {
                Ok(transform.transform_into(rewards, weights, workspace)?)
            }
            Self::Blocks(kind, k) => kind.weights_into(rewards, *k, weights),
        }
    }
}
