//! What follows from the products of ratios among the lower ranks alone: the value and the
//! leave-one-out-minus-one factors.

use alloc::vec::Vec;

use super::products::Scale;
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
    let (mut value, mut product) = (Sum::default(), Sum::default());
    S::products(ratios, k, row, |i, x| {
        let share = leads[i] * (ratios[i] * x);
        value.add(share * rewards[i]);
        product.add(share);
    });
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
    let mut raised = Sum::default();
    let mut factor = 0.0;
    let mut last = rewards.first().copied().unwrap_or(0.0);
    S::products(ratios, k, row, |i, x| {
        raised.add(leads[i] * x * (rewards[i] - last));
        last = rewards[i];
        factor = larger(factor, raised.value());
        factors[i] = factor;
    });
}
