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
