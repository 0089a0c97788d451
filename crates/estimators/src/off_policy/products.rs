//! Products of ratios among the lower ranks: by how many ratios, and in which scale.

use alloc::vec::Vec;

use crate::Workspace;
use crate::order::Order;

/// Sizes of subsets that one step of a loop takes, as vector instructions do.
pub(super) const LANES: usize = 4;
pub(super) type Lanes = [f64; LANES];

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

/// `X_m` for `m` below the degree. The last slot of the last chunk holds the largest `m`; slots below
/// `m = 0` are 0, which they stay by themselves.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    pub(super) chunks: Vec<Lanes>,
    pub(super) unused: usize,
}

impl Row {
    pub(super) fn with_capacity(degree: usize) -> Self {
        Self { chunks: Vec::with_capacity(degree.div_ceil(LANES)), unused: 0 }
    }

    /// The row of no samples.
    pub(super) fn start(&mut self, degree: usize) {
        self.chunks.clear();
        self.chunks.resize(degree.div_ceil(LANES), [0.0; LANES]);
        self.unused = self.chunks.len() * LANES - degree;
        self.chunks[0][self.unused] = 1.0;
    }

    /// From the row of `j - 1` ranks, whose chunks it hands out, to that of `j`.
    #[inline]
    pub(super) fn extend<S: Scale>(&mut self, j: usize, ratio: f64, mut keep: impl FnMut(Lanes)) {
        let j = j as f64;
        let mut carry = 0.0;
        for (chunk, lanes) in self.chunks.iter_mut().enumerate() {
            let m = sizes(chunk, self.unused);
            let fewer = smaller(&mut carry, lanes);
            keep(*lanes);
            for l in 0..LANES {
                let (kept, joined) = S::factors(j, m[l]);
                lanes[l] = kept * lanes[l] + joined * ratio * fewer[l];
            }
        }
    }

    /// `X` of the largest `m`.
    #[inline]
    pub(super) fn last(&self) -> f64 {
        self.chunks.last().map_or(0.0, |lanes| lanes[LANES - 1])
    }
}

/// The sizes `m` of a chunk of a [`Row`].
#[inline]
pub(super) fn sizes(chunk: usize, unused: usize) -> Lanes {
    let first = (chunk * LANES) as f64 - unused as f64;
    core::array::from_fn(|l| first + l as f64)
}

/// The numbers for sizes smaller by one; `carry` is the last of the chunk before.
#[inline]
pub(super) fn smaller(carry: &mut f64, lanes: &Lanes) -> Lanes {
    let shifted = [*carry, lanes[0], lanes[1], lanes[2]];
    *carry = lanes[3];
    shifted
}
