//! Scratch memory of the transformations: the order of a group and the weights of its ranks.

use alloc::vec::Vec;

use crate::numerics::{Product, Sum};
use crate::order::Order;

/// Scratch memory of all transformations; grows to the largest group it has held.
///
/// It also remembers the subset weights of the last pair `(n, k)`, so that a batch of groups of
/// one size computes them once. A workspace carries no result from one call to the next.
///
/// ```
/// use bestof_estimators::{LooMinusOne, RewardTransform, Workspace};
///
/// let mut workspace = Workspace::with_capacity(16);
/// let transform = LooMinusOne::new(4)?;
/// let mut weights = [0.0; 16];
/// for step in 0..3 {
///     let rewards: [f64; 16] = core::array::from_fn(|i| ((i * 7 + step) % 5) as f64);
///     transform.transform_into(&rewards, &mut weights, &mut workspace)?;
/// }
/// assert_eq!(workspace.capacity(), 16); // nothing was allocated after set-up
/// # Ok::<(), bestof_estimators::EstimatorError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Workspace {
    order: Order,
    steps: RankWeights,
}

impl Workspace {
    /// An empty workspace; the first call allocates.
    pub fn new() -> Self {
        Self::default()
    }

    /// A workspace that allocates nothing more for groups of up to `samples` rewards.
    pub fn with_capacity(samples: usize) -> Self {
        Self {
            order: Order::with_capacity(samples),
            steps: RankWeights { of: Vec::with_capacity(samples), ..RankWeights::default() },
        }
    }

    /// The largest group that fits without another allocation.
    pub fn capacity(&self) -> usize {
        self.order.capacity().min(self.steps.of.capacity())
    }

    /// Rewards in ascending order, and the share of `k`-subsets that each rank leads.
    pub(crate) fn rank(&mut self, rewards: &[f64], k: usize) -> (&Order, &[f64]) {
        self.sort(rewards);
        self.leads(k)
    }

    /// Rewards in ascending order, and the harmonic weight of each gap up to `order`.
    pub(crate) fn rank_harmonic(&mut self, rewards: &[f64], order: usize) -> (&Order, &[f64]) {
        self.sort(rewards);
        self.weigh(Rule::Harmonic { order })
    }

    pub(crate) fn sort(&mut self, rewards: &[f64]) {
        self.order.sort(rewards);
    }

    /// The share of `k`-subsets that each rank leads, beside the order of the last
    /// [`sort`](Self::sort).
    pub(crate) fn leads(&mut self, k: usize) -> (&Order, &[f64]) {
        self.weigh(Rule::Leads { k })
    }

    /// `2^(shift (k-1)) / C(n, k)` for each rank, beside the order of the last [`sort`](Self::sort).
    pub(crate) fn common_lead(&mut self, k: usize, shift: u32) -> (&Order, &[f64]) {
        self.weigh(Rule::CommonLead { k, shift })
    }

    /// The order of the last [`sort`](Self::sort).
    pub(crate) fn order(&self) -> &Order {
        &self.order
    }

    fn weigh(&mut self, rule: Rule) -> (&Order, &[f64]) {
        self.steps.set(self.order.rewards().len(), rule);
        (&self.order, &self.steps.of)
    }
}

/// One weight for each rank of `n`, kept until another size or rule is asked for.
#[derive(Clone, Debug, Default)]
struct RankWeights {
    n: usize,
    rule: Rule,
    of: Vec<f64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Rule {
    #[default]
    None,
    Leads {
        k: usize,
    },
    CommonLead {
        k: usize,
        shift: u32,
    },
    Harmonic {
        order: usize,
    },
}

impl RankWeights {
    fn set(&mut self, n: usize, rule: Rule) {
        if (self.n, self.rule) == (n, rule) {
            return;
        }
        (self.n, self.rule) = (n, rule);
        self.of.clear();
        self.of.resize(n, 0.0);
        match rule {
            Rule::None => {}
            Rule::Leads { k } => leads(k, &mut self.of),
            Rule::CommonLead { k, shift } => self.of.fill(common_lead(n, k, shift)),
            Rule::Harmonic { order } => harmonic(order, &mut self.of),
        }
    }
}

/// Share of the `k`-subsets of `n` ranks whose largest rank is `i`.
///
/// ```text
/// d_i = C(i-1, k-1) / C(n, k),  i = 1..n;   d_n = k/n,  d_{i-1} = d_i (i-k)/(i-1)
/// ```
///
/// The walk from `n` down needs no binomial. It may underflow where `d_i < 2.3e-308`; those
/// weights become 0.
fn leads(k: usize, of: &mut [f64]) {
    let n = of.len();
    let mut share = Product::ratio(k, n);
    for i in (k..=n).rev() {
        let value = share.value();
        if value < f64::MIN_POSITIVE {
            break;
        }
        of[i - 1] = value;
        if i > k {
            share = share.times(i - k, i - 1);
        }
    }
}

/// `2^(shift (k-1)) / C(n, k)`, with a power of two for each factor but the first.
fn common_lead(n: usize, k: usize, shift: u32) -> f64 {
    let first = Product::ratio(k, n);
    (1..k).fold(first, |lead, m| lead.times(m << shift, n - m)).value()
}

/// Weight of `gap_i = g_(i+1) - g_(i)` in the sum of `1/k` times the centred weights up to `order`.
///
/// ```text
/// h_i = sum_{k<=T} 1/k n/(n-k) d_i(k) = rho_i / (n-i),   rho_i = 1 - C(i-1, T) / C(n-1, T)
/// ```
///
/// The sum over `k` telescopes. `rho` is summed from the top, where it is small: with the share
/// `q_i = C(i-1, T) / C(n-1, T)` it is `rho_{i-1} = rho_i + q_i T/(i-1)`, without a subtraction.
fn harmonic(order: usize, of: &mut [f64]) {
    let n = of.len();
    let mut share = Product::ONE;
    let mut rho = Sum::default();
    for i in (1..n).rev() {
        // From rank i + 1 to rank i, whose share is 0 below the order.
        if i + 1 > order {
            rho.add(share.times(order, i).value());
            share = share.times(i - order.min(i), i);
        }
        of[i - 1] = rho.value().min(1.0) / (n - i) as f64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bestof_closeness::largest_relative_difference;
    use num_bigint::BigUint;
    use num_traits::ToPrimitive;

    /// Compares with the same walk in fixed point, 2,048 bits behind the point.
    fn largest_relative_error(n: usize, k: usize, off_by: usize) -> f64 {
        const BITS: i32 = 2048;
        let mut table = RankWeights::default();
        table.set(n, Rule::Leads { k });
        let mut exact = (BigUint::from(k) << BITS) / n;
        let (mut found, mut expected) = (Vec::new(), Vec::new());
        for i in (k..=n).rev() {
            let bits = exact.bits() as i32;
            if bits + 1000 < BITS {
                break;
            }
            // 64 leading bits are rounded once; the power of two goes on in two exact halves.
            let exponent = bits - 64 - BITS;
            let leading = (&exact >> (bits - 64)).to_f64().unwrap();
            let value =
                leading * 2.0_f64.powi(exponent / 2) * 2.0_f64.powi(exponent - exponent / 2);
            found.push(table.of[i - 1]);
            expected.push(value);
            exact = exact * (i - k) / (i - 1 + off_by).max(1);
        }
        largest_relative_difference(found, expected, 0.0)
    }

    #[test]
    fn walk_agrees_with_2048_bit_arithmetic_up_to_a_million_samples() {
        for (n, k) in [
            (7, 1),
            (16, 8),
            (1000, 500),
            (1_000, 999),
            (100_000, 2),
            (1_000_000, 3),
            (1_000_000, 64),
            (1_000_000, 500_000),
            (1_000_000, 999_999),
        ] {
            let worst = largest_relative_error(n, k, 0);
            assert!(worst < 5e-16, "n {n} k {k}: {worst:e}");
        }
        assert!(largest_relative_error(1000, 500, 1) > 1e-4, "an off-by-one must be seen");
    }

    #[test]
    fn weights_are_shares() {
        for (n, k) in [(1, 1), (5, 5), (5, 1), (12, 4), (4096, 2048), (1_000_000, 10)] {
            let mut table = RankWeights::default();
            table.set(n, Rule::Leads { k });
            let total: f64 = table.of.iter().sum();
            assert!((total - 1.0).abs() < 1e-12);
            assert!(table.of[..k - 1].iter().all(|&d| d == 0.0));
        }
    }

    #[test]
    fn harmonic_weights_are_the_sum_over_k() {
        for n in [2, 3, 7, 40, 300] {
            for order in [1, 2, 5, n / 2, n - 1] {
                if order == 0 || order >= n {
                    continue;
                }
                let mut table = RankWeights::default();
                table.set(n, Rule::Harmonic { order });
                let mut expected = std::vec![0.0; n];
                for k in 1..=order {
                    let mut leads = RankWeights::default();
                    leads.set(n, Rule::Leads { k });
                    let factor = n as f64 / ((n - k) * k) as f64;
                    for (slot, d) in expected.iter_mut().zip(&leads.of) {
                        *slot += factor * d;
                    }
                }
                // There is no gap above the last rank.
                let worst =
                    largest_relative_difference(&table.of[..n - 1], &expected[..n - 1], 0.0);
                assert!(worst < 1e-14, "n {n} order {order}: {worst:e}");
            }
        }
    }
}
