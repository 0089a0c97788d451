//! What a policy-gradient run optimises.

use bestof_estimators::{Estimator, EstimatorError, KSchedule, Schedule};
use bestof_losses::PolicyLoss;

use crate::error::TrainError;

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
    /// Optimiser updates made of the completions of one step, at least 1.
    pub updates_per_batch: usize,
    /// Loss of the weighted completions.
    pub loss: PolicyLoss,
}

impl Objective {
    /// One update per batch, with the default loss.
    pub fn new(estimator: Estimator, k: Schedule) -> Self {
        Self { estimator, k, updates_per_batch: 1, loss: PolicyLoss::default() }
    }

    /// Checks that the estimator is defined for groups of `n` samples at every `k` of the schedule.
    ///
    /// # Errors
    /// [`TrainError::Objective`] naming both.
    pub fn check_group(&self, n: usize) -> Result<(), TrainError> {
        let check = |k: usize| -> Result<(), EstimatorError> {
            self.estimator.build_annealed(k)?.check(&vec![0.0; n])
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

/// The `k` a schedule begins and ends with; all others lie between.
fn extremes(schedule: &Schedule) -> [usize; 2] {
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
