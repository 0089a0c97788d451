//! Products of ratios among the lower ranks: by how many ratios, and in which scale.

use alloc::vec::Vec;

use crate::Workspace;
use crate::order::Order;

/// A scale of the products over the `m`-subsets of the `j` lowest ranks, from which all sums follow:
///
/// ```text
/// X_m(j) = kept X_m(j-1) + joined r_(j) X_{m-1}(j-1),   X_0 = 1, X_m(j) = 0 for m > j
/// lead_j X_{k-1}(j-1) = sum over the subsets that rank j leads / C(n, k), without r_(j)
/// ```
///
/// A subset either lacks rank `j` or holds it. Only sums of products of numbers that are not negative.
pub(super) trait Scale {
    /// Logarithm of the power of two by which the ratios of `n` partners are divided.
    fn shift(n: usize) -> u32;

    /// `kept` and `joined`.
    fn factors(j: f64, m: f64) -> (f64, f64);

    /// The order of the ranking, and `lead` of each rank.
    fn leads(ranking: &mut Workspace, k: usize) -> (&Order, &[f64]);
}

/// Mean products, for any number of ratios: `lead_j = d_j`, `kept = (j-m)/j`, `joined = m/j`.
#[derive(Debug)]
pub(super) enum Means {}

impl Scale for Means {
    fn shift(_n: usize) -> u32 {
        0
    }

    #[inline]
    fn factors(j: f64, m: f64) -> (f64, f64) {
        let inverse = 1.0 / j;
        // Rounding of X_0 would add up.
        (if m == 0.0 { 1.0 } else { (j - m) * inverse }, m * inverse)
    }

    fn leads(ranking: &mut Workspace, k: usize) -> (&Order, &[f64]) {
        ranking.leads(k)
    }
}

/// Sums of products of few ratios over at least `n`, which are no larger than mean products:
/// `kept = joined = 1`, and all ranks have the same lead.
#[derive(Debug)]
pub(super) enum Sums {}

impl Sums {
    /// Whether `degree` ratios are few, and products of them times a reward, of which `log_size`
    /// bounds the logarithm, leave room for the lead, which is below `exp(50)`.
    pub(super) fn suffice(degree: usize, log_size: f64) -> bool {
        degree <= 16 && log_size <= 600.0
    }
}

impl Scale for Sums {
    fn shift(n: usize) -> u32 {
        n.next_power_of_two().ilog2()
    }

    #[inline]
    fn factors(_j: f64, _m: f64) -> (f64, f64) {
        (1.0, 1.0)
    }

    fn leads(ranking: &mut Workspace, k: usize) -> (&Order, &[f64]) {
        let shift = Self::shift(ranking.order().rewards().len());
        ranking.common_lead(k, shift)
    }
}

/// The row `X_m`, `m` below the degree, of no samples.
pub(super) fn start(row: &mut Vec<f64>, degree: usize) {
    row.clear();
    row.resize(degree, 0.0);
    row[0] = 1.0;
}

/// From the row of `j - 1` ranks, whose numbers it hands out, to that of `j`.
#[inline]
pub(super) fn extend<S: Scale>(row: &mut [f64], j: usize, ratio: f64, mut keep: impl FnMut(f64)) {
    let (j, mut m, mut fewer) = (j as f64, 0.0, 0.0);
    for slot in row {
        let same = *slot;
        keep(same);
        let (kept, joined) = S::factors(j, m);
        *slot = kept * same + joined * (ratio * fewer);
        (m, fewer) = (m + 1.0, same);
    }
}
