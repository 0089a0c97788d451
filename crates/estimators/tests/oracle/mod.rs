//! The definitions themselves, by enumeration: slow, and with no formula in common with the crate.

#![allow(dead_code, reason = "each test file uses its part")]

use bestof_closeness::{largest_difference, largest_magnitude};

/// All subsets of `0..n` with `k` members, as bit masks.
pub(crate) fn subsets(n: usize, k: usize) -> Vec<u32> {
    (0..1_u32 << n).filter(|mask| mask.count_ones() as usize == k).collect()
}

fn max_of(rewards: &[f64], mask: u32) -> f64 {
    let members = rewards.iter().enumerate().filter(|(i, _)| mask >> i & 1 == 1);
    members.map(|(_, &g)| g).fold(f64::NEG_INFINITY, f64::max)
}

/// Mean over all k-subsets of their largest reward.
pub(crate) fn max_at_k(rewards: &[f64], k: usize) -> f64 {
    let all = subsets(rewards.len(), k);
    all.iter().map(|&mask| max_of(rewards, mask)).sum::<f64>() / all.len() as f64
}

/// Equation 28: the sum over k-subsets of `among` that contain `i` of their maximum, over the
/// number of k-subsets of `among`.
fn credit(rewards: &[f64], i: usize, k: usize, among: u32) -> f64 {
    let all: Vec<u32> = subsets(rewards.len(), k).into_iter().filter(|m| m & !among == 0).collect();
    let with_i = all.iter().filter(|&&mask| mask >> i & 1 == 1);
    with_i.map(|&mask| max_of(rewards, mask)).sum::<f64>() / all.len() as f64
}

/// Equation 19.
pub(crate) fn plain(rewards: &[f64], k: usize) -> Vec<f64> {
    let everyone = (1 << rewards.len()) - 1;
    (0..rewards.len()).map(|i| credit(rewards, i, k, everyone)).collect()
}

/// Equation 29.
pub(crate) fn loo(rewards: &[f64], k: usize) -> Vec<f64> {
    let n = rewards.len();
    let everyone: u32 = (1 << n) - 1;
    (0..n)
        .map(|i| {
            let without = everyone & !(1 << i);
            let others: f64 =
                (0..n).filter(|&j| j != i).map(|j| credit(rewards, j, k, without)).sum();
            credit(rewards, i, k, everyone) - others / (n - 1) as f64
        })
        .collect()
}

/// Equation 33.
pub(crate) fn loo_minus_one(rewards: &[f64], k: usize) -> Vec<f64> {
    let all = subsets(rewards.len(), k);
    (0..rewards.len())
        .map(|i| {
            let with_i = all.iter().filter(|&&mask| mask >> i & 1 == 1);
            let gain =
                with_i.map(|&mask| max_of(rewards, mask) - max_of(rewards, mask & !(1 << i)));
            gain.sum::<f64>() / all.len() as f64
        })
        .collect()
}

/// Largest difference, relative to the larger of 1 and the largest expected magnitude; NaN where a
/// pair cannot be compared.
pub(crate) fn gap(found: &[f64], expected: &[f64]) -> f64 {
    largest_difference(found, expected) / largest_magnitude(expected).max(1.0)
}

/// splitmix64: enough of a generator for tests, the same on every machine.
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in (0, 1).
    pub(crate) fn uniform(&mut self) -> f64 {
        ((self.bits() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// Standard normal, by Box and Muller.
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        radius * (core::f64::consts::TAU * self.uniform()).cos()
    }
}

/// Off-policy sums over the k-subsets of `among`, over the number of k-subsets of everyone in it.
#[derive(Clone, Copy)]
pub(crate) struct Group<'a> {
    pub(crate) rewards: &'a [f64],
    pub(crate) ratios: &'a [f64],
}

impl Group<'_> {
    fn product(&self, mask: u32) -> f64 {
        let members = self.ratios.iter().enumerate().filter(|(i, _)| mask >> i & 1 == 1);
        members.map(|(_, r)| r).product()
    }

    /// Mean over k-subsets of those that are in `among` of `term`, a subset counting only if `keep`.
    fn mean(
        &self,
        k: usize,
        among: u32,
        keep: impl Fn(u32) -> bool,
        term: impl Fn(u32) -> f64,
    ) -> f64 {
        let all = subsets(self.rewards.len(), k);
        let all: Vec<u32> = all.into_iter().filter(|m| m & !among == 0).collect();
        let kept = all.iter().copied().filter(|&m| keep(m));
        kept.map(term).sum::<f64>() / all.len() as f64
    }

    fn everyone(&self) -> u32 {
        (1 << self.rewards.len()) - 1
    }

    /// `U` and `M` of those in `among`.
    fn value_among(&self, k: usize, among: u32) -> (f64, f64) {
        let value = self.mean(k, among, |_| true, |m| self.product(m) * max_of(self.rewards, m));
        (value, self.mean(k, among, |_| true, |m| self.product(m)))
    }

    pub(crate) fn value(&self, k: usize) -> (f64, f64) {
        self.value_among(k, self.everyone())
    }

    /// `(A_i, r_i A_i)` by definition; a partner's ratio is at most `cap`.
    pub(crate) fn weights(&self, name: &str, k: usize, cap: f64) -> (Vec<f64>, Vec<f64>) {
        let n = self.rewards.len();
        let factor = |i: usize| {
            let mut ratios: Vec<f64> = self.ratios.iter().map(|r| r.min(cap)).collect();
            ratios[i] = 1.0;
            let partners = Group { rewards: self.rewards, ratios: &ratios };
            let bit = 1_u32 << i;
            let all = self.everyone();
            let with = |term: &dyn Fn(u32) -> f64| {
                partners.mean(k, all, |m| m & bit != 0, |m| partners.product(m) * term(m))
            };
            let max = |m: u32| max_of(self.rewards, m);
            let others = || partners.value_among(k, all & !bit);
            match name {
                "plain" => with(&max),
                "loo-minus-one" => with(&|m| max(m) - max(m & !bit)),
                "loo" => with(&max) - k as f64 / (n - 1) as f64 * others().0,
                "centred" => {
                    let (value, product) = others();
                    with(&max) - with(&|_| 1.0) * value / product
                }
                _ => unreachable!("{name}"),
            }
        };
        let factors: Vec<f64> = (0..n).map(factor).collect();
        let weights = factors.iter().zip(self.ratios).map(|(f, r)| f * r).collect();
        (factors, weights)
    }

    /// The harmonic sum of the centred weights.
    pub(crate) fn harmonic(&self, order: usize, cap: f64) -> (Vec<f64>, Vec<f64>) {
        let n = self.rewards.len();
        let mut total = (vec![0.0; n], vec![0.0; n]);
        for k in 1..=order {
            let (factors, weights) = self.weights("centred", k, cap);
            for i in 0..n {
                total.0[i] += factors[i] / k as f64;
                total.1[i] += weights[i] / k as f64;
            }
        }
        total
    }
}
