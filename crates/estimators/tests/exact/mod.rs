//! Exact expectations and variances of gradient estimates: every batch that a sampler over a few
//! actions can draw, as counts of actions with their multinomial probability.

#![allow(dead_code, reason = "each test file uses its part")]

pub(crate) mod table;
#[path = "../wrong/mod.rs"]
pub(crate) mod wrong;

/// A softmax policy `p` and the sampler `q` that drew the batch, over actions with fixed rewards.
#[derive(Clone, Debug)]
pub(crate) struct Drift {
    pub(crate) sampler: Vec<f64>,
    pub(crate) policy: Vec<f64>,
    pub(crate) rewards: Vec<f64>,
}

/// Expected gradient by the logits of the policy, and the sum of the variances of its entries.
#[derive(Clone, Debug)]
pub(crate) struct Moments {
    pub(crate) mean: Vec<f64>,
    pub(crate) variance: f64,
}

impl Drift {
    pub(crate) fn new(sampler: &[f64], policy: &[f64], rewards: &[f64]) -> Self {
        Self { sampler: sampler.to_vec(), policy: policy.to_vec(), rewards: rewards.to_vec() }
    }

    pub(crate) fn ratios(&self) -> Vec<f64> {
        self.policy.iter().zip(&self.sampler).map(|(p, q)| p / q).collect()
    }

    /// Each multiset of `n` actions with its probability.
    pub(crate) fn for_each_batch(&self, n: usize, mut visit: impl FnMut(f64, &[usize])) {
        self.extend(n, 1.0, &mut Vec::new(), &mut visit);
    }

    fn extend(
        &self,
        left: usize,
        probability: f64,
        batch: &mut Vec<usize>,
        visit: &mut impl FnMut(f64, &[usize]),
    ) {
        if left == 0 {
            visit(probability, batch);
            return;
        }
        // Actions come in ascending order; the multinomial coefficient is built with the run of
        // the action that is added.
        let first = batch.last().copied().unwrap_or(0);
        for action in first..self.sampler.len() {
            let run = batch.iter().filter(|&&a| a == action).count() + 1;
            let factor = (batch.len() + 1) as f64 / run as f64 * self.sampler[action];
            batch.push(action);
            self.extend(left - 1, probability * factor, batch, visit);
            batch.pop();
        }
    }

    fn of(values: &[f64], batch: &[usize]) -> Vec<f64> {
        batch.iter().map(|&a| values[a]).collect()
    }

    /// Expectation over batches of a function of rewards and ratios.
    pub(crate) fn expected(&self, n: usize, f: impl Fn(&[f64], &[f64]) -> f64) -> f64 {
        let ratios = self.ratios();
        let mut total = 0.0;
        self.for_each_batch(n, |probability, batch| {
            total += probability * f(&Self::of(&self.rewards, batch), &Self::of(&ratios, batch));
        });
        total
    }

    /// Moments of `sum_i w_i grad log p(a_i)`, for weights of rewards and ratios.
    pub(crate) fn moments(&self, n: usize, weigh: impl Fn(&[f64], &[f64]) -> Vec<f64>) -> Moments {
        let ratios = self.ratios();
        let mut mean = vec![0.0; self.policy.len()];
        let mut squares = 0.0;
        self.for_each_batch(n, |probability, batch| {
            let weights = weigh(&Self::of(&self.rewards, batch), &Self::of(&ratios, batch));
            let total: f64 = weights.iter().sum();
            let mut estimate: Vec<f64> = self.policy.iter().map(|p| -p * total).collect();
            for (&action, weight) in batch.iter().zip(&weights) {
                estimate[action] += weight;
            }
            for (slot, x) in mean.iter_mut().zip(&estimate) {
                *slot += probability * x;
            }
            squares += probability * estimate.iter().map(|x| x * x).sum::<f64>();
        });
        let variance = squares - mean.iter().map(|x| x * x).sum::<f64>();
        Moments { mean, variance }
    }

    /// `E[max(g, best of k - 1 draws)]` for draws from a measure on the actions that need not sum to 1.
    fn with_partners(&self, g: f64, k: usize, measure: &[f64]) -> f64 {
        if k == 1 {
            return g;
        }
        let mut levels = self.rewards.clone();
        levels.sort_by(f64::total_cmp);
        levels.dedup();
        let mut last = 0.0;
        let mut total = 0.0;
        for level in levels {
            let members = measure.iter().zip(&self.rewards).filter(|(_, r)| **r <= level);
            let below = members.map(|(m, _)| m).sum::<f64>().powi(k as i32 - 1);
            total += g.max(level) * (below - last);
            last = below;
        }
        total
    }

    /// `E[max of k]` under the policy.
    pub(crate) fn value(&self, k: usize) -> f64 {
        let each = self.policy.iter().zip(&self.rewards);
        each.map(|(p, &g)| p * self.with_partners(g, k, &self.policy)).sum()
    }

    /// Gradient by the logits of `k E[max(x ~ p, k - 1 others ~ measure)]` with the measure held fixed.
    pub(crate) fn surrogate(&self, k: usize, measure: &[f64]) -> Vec<f64> {
        let levels: Vec<f64> =
            self.rewards.iter().map(|&g| self.with_partners(g, k, measure)).collect();
        let mean: f64 = self.policy.iter().zip(&levels).map(|(p, h)| p * h).sum();
        let each = self.policy.iter().zip(&levels);
        each.map(|(p, h)| k as f64 * p * (h - mean)).collect()
    }

    /// Gradient of max@k under the policy: all `k` draws move.
    pub(crate) fn gradient(&self, k: usize) -> Vec<f64> {
        self.surrogate(k, &self.policy)
    }

    /// `min(p, cap q)`.
    pub(crate) fn capped(&self, cap: f64) -> Vec<f64> {
        self.policy.iter().zip(&self.sampler).map(|(p, q)| p.min(cap * q)).collect()
    }
}
