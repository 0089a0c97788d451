//! What follows from the products of ratios among the lower ranks alone: the value and the
//! leave-one-out-minus-one factors.

use alloc::vec::Vec;

use super::products::{Scale, extend, start};
use crate::numerics::{Sum, larger};

/// `U` and `M`, before the common power of two.
///
/// ```text
/// U = sum_j lead_j g_(j) r_(j) X_{k-1}(j-1),   M the same for g = 1
/// ```
pub(super) fn value<S: Scale>(
    rewards: &[f64],
    leads: &[f64],
    ratios: &[f64],
    row: &mut Vec<f64>,
    k: usize,
) -> (f64, f64) {
    start(row, k);
    let (mut value, mut product) = (Sum::default(), Sum::default());
    for (i, (&reward, (&lead, &ratio))) in rewards.iter().zip(leads.iter().zip(ratios)).enumerate()
    {
        let share = lead * (ratio * row[k - 1]);
        value.add(share * reward);
        product.add(share);
        extend::<S>(row, i + 1, ratio, |_| ());
    }
    (value.value(), product.value())
}

/// The factor of each rank, before the common power of two.
///
/// ```text
/// A_(1) = 0,   A_(i+1) = A_(i) + gap_i lead_{i+1} X_{k-1}(i)
/// ```
pub(super) fn minus_one<S: Scale>(
    rewards: &[f64],
    leads: &[f64],
    ratios: &[f64],
    row: &mut Vec<f64>,
    k: usize,
    factors: &mut [f64],
) {
    start(row, k);
    let mut raised = Sum::default();
    let mut factor = 0.0;
    let mut last = rewards.first().copied().unwrap_or(0.0);
    let ranks = rewards.iter().zip(leads).zip(ratios).zip(factors);
    for (i, (((&reward, &lead), &ratio), slot)) in ranks.enumerate() {
        raised.add(lead * row[k - 1] * (reward - last));
        last = reward;
        factor = larger(factor, raised.value());
        *slot = factor;
        extend::<S>(row, i + 1, ratio, |_| ());
    }
}
