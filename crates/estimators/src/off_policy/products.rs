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

    /// Hands out `X_{k-1}(j-1)` of each rank, from the lowest up.
    fn products(ratios: &[f64], k: usize, row: &mut Vec<f64>, give: impl FnMut(usize, f64));
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

    fn products(ratios: &[f64], k: usize, row: &mut Vec<f64>, mut give: impl FnMut(usize, f64)) {
        start(row, k);
        for (i, &ratio) in ratios.iter().enumerate() {
            give(i, row[k - 1]);
            extend::<Self>(row, i + 1, ratio, |_| ());
        }
    }
}

/// Rows of sums are a multiple of it wide.
pub(super) const LANES: usize = 4;

/// Sums of products of few ratios over at least `n`, which are no larger than mean products:
/// `kept = joined = 1`, and all ranks have the same lead.
#[derive(Debug)]
pub(super) enum Sums {}

impl Sums {
    /// The most ratios in a product.
    pub(super) const DEGREE: usize = 16;

    /// Numbers in a row of products of fewer than `degree` ratios.
    pub(super) fn lanes(degree: usize) -> usize {
        degree.next_multiple_of(LANES)
    }

    /// Whether `degree` ratios are few, and products of as many as there are lanes, times a reward, leave room for
    /// the lead, which is below `exp(50)`. `log_size` bounds the logarithm of those of `degree`.
    pub(super) fn suffice(degree: usize, log_size: f64) -> bool {
        degree <= Self::DEGREE && log_size * (Self::lanes(degree) as f64 / degree as f64) <= 600.0
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

    fn products(ratios: &[f64], k: usize, _row: &mut Vec<f64>, give: impl FnMut(usize, f64)) {
        match Self::lanes(k) / LANES {
            1 => products::<LANES>(ratios, k, give),
            2 => products::<{ 2 * LANES }>(ratios, k, give),
            3 => products::<{ 3 * LANES }>(ratios, k, give),
            _ => products::<{ Self::DEGREE }>(ratios, k, give),
        }
    }
}

fn products<const L: usize>(ratios: &[f64], k: usize, mut give: impl FnMut(usize, f64)) {
    let mut row = Row::<L>::start(k);
    for (i, &ratio) in ratios.iter().enumerate() {
        give(i, row.0[L - 1]);
        row.extend(ratio);
    }
}

/// The row `X_m` of sums, `X_{k-1}` in the last lane. The first ones stay 0.
pub(super) struct Row<const L: usize>(pub(super) [f64; L]);

impl<const L: usize> Row<L> {
    /// That of no samples.
    pub(super) fn start(k: usize) -> Self {
        Self(core::array::from_fn(|m| if m + k == L { 1.0 } else { 0.0 }))
    }

    /// From `j - 1` ranks to `j`.
    #[inline]
    pub(super) fn extend(&mut self, ratio: f64) {
        for m in (1..L).rev() {
            self.0[m] += ratio * self.0[m - 1];
        }
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
