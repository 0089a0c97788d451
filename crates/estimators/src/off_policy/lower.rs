//! Mean products of ratios among the lower-ranked samples, and what follows from them alone: the
//! value and the leave-one-out-minus-one factors.

use alloc::vec::Vec;

use crate::numerics::Sum;

/// Mean product over the `m`-subsets of the `j` lowest ranks, for `m` from 0 to `degree - 1`.
///
/// ```text
/// M_m(j) = (j-m)/j M_m(j-1) + m/j r_(j) M_{m-1}(j-1),   M_0 = 1, M_m(j) = 0 for m > j
/// ```
///
/// A subset either lacks rank `j` or holds it. Only sums of products of numbers that are not negative.
pub(super) fn extend(row: &mut [f64], j: usize, ratio: f64) {
    let inverse = 1.0 / j as f64;
    let top = row.len().min(j + 1);
    for m in (1..top).rev() {
        row[m] = (row[m] * (j - m) as f64 + m as f64 * (ratio * row[m - 1])) * inverse;
    }
}

/// The row of no samples.
pub(super) fn start(row: &mut Vec<f64>, degree: usize) {
    row.clear();
    row.resize(degree, 0.0);
    row[0] = 1.0;
}

/// `U` and `M`, before the common power of two.
///
/// ```text
/// U = sum_j d_j g_(j) r_(j) M_{k-1}(j-1),   M the same for g = 1
/// ```
pub(super) fn value(
    rewards: &[f64],
    leads: &[f64],
    ratios: &[f64],
    row: &mut Vec<f64>,
    k: usize,
) -> (f64, f64) {
    start(row, k);
    let (mut value, mut product) = (Sum::default(), Sum::default());
    for (i, (&reward, (&lead, &ratio))) in rewards.iter().zip(leads.iter().zip(ratios)).enumerate() {
        let share = lead * (ratio * row[k - 1]);
        value.add(share * reward);
        product.add(share);
        extend(row, i + 1, ratio);
    }
    (value.value(), product.value())
}

/// Hands out the factor of each rank, before the common power of two.
///
/// ```text
/// A_(1) = 0,   A_(i+1) = A_(i) + gap_i d_{i+1} M_{k-1}(i)
/// ```
pub(super) fn minus_one(
    rewards: &[f64],
    leads: &[f64],
    ratios: &[f64],
    row: &mut Vec<f64>,
    k: usize,
    mut give: impl FnMut(usize, f64),
) {
    start(row, k);
    let mut raised = Sum::default();
    let mut factor = 0.0_f64;
    let mut last = rewards.first().copied().unwrap_or(0.0);
    for (i, (&reward, (&lead, &ratio))) in rewards.iter().zip(leads.iter().zip(ratios)).enumerate() {
        raised.add(lead * row[k - 1] * (reward - last));
        factor = factor.max(raised.value());
        last = reward;
        give(i, factor);
        extend(row, i + 1, ratio);
    }
}
