//! Scratch memory of the off-policy weights.

use alloc::vec::Vec;

use super::ratios::Scaled;
use super::table::Table;
use crate::Workspace;

/// Scratch memory of [`OffPolicy`](super::OffPolicy) and
/// [`off_policy_max_at_k`](super::off_policy_max_at_k); grows to the largest call it has served and
/// carries no result from one call to the next.
///
/// ```
/// use bestof_estimators::{Estimator, OffPolicy, OffPolicyWorkspace, Ratios};
///
/// let rule = OffPolicy::new(Estimator::LooMinusOne, 2)?;
/// let mut workspace = OffPolicyWorkspace::with_capacity(4, 2);
/// let mut weights = [0.0; 4];
/// for drift in [0.0, 0.1, 0.2] {
///     let log_ratios = [0.0, drift, -drift, drift];
///     let ratios = Ratios::Log(&log_ratios);
///     rule.weights_into(&[0.0, 1.0, 0.5, 0.25], ratios, &mut weights, &mut workspace)?;
/// }
/// # Ok::<(), bestof_estimators::EstimatorError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct OffPolicyWorkspace {
    pub(super) ranking: Workspace,
    pub(super) ratios: Scaled,
    pub(super) row: Vec<f64>,
    pub(super) table: Table,
    /// By rank: what the ratios are still to be multiplied with.
    pub(super) means: Vec<f64>,
    /// One factor or weight per sample of a whole batch, until every group is known to be sound.
    pub(super) results: Vec<f64>,
}

impl OffPolicyWorkspace {
    /// An empty workspace; the first call allocates.
    pub fn new() -> Self {
        Self::default()
    }

    /// A workspace that allocates nothing more for groups or batches of up to `samples` rewards and
    /// products of up to `k` ratios; of `harmonic`, `k` is the order. Holds about `samples * k`
    /// numbers.
    pub fn with_capacity(samples: usize, k: usize) -> Self {
        Self {
            ranking: Workspace::with_capacity(samples),
            ratios: Scaled::with_capacity(samples),
            row: Vec::with_capacity(k),
            table: Table::with_capacity(samples, k),
            means: Vec::with_capacity(samples),
            results: Vec::with_capacity(samples),
        }
    }

    /// The largest group that fits without another allocation.
    pub fn capacity(&self) -> usize {
        let by_rank = self.ratios.capacity().min(self.means.capacity());
        self.ranking.capacity().min(by_rank).min(self.results.capacity())
    }
}
