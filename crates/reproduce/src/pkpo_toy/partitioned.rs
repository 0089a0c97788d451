//! Gradient estimators that use one split of the samples into blocks of `k`, which the paper
//! compares with those over all subsets.

use crate::ReproduceError;

/// How a block of `k` samples credits its members. With `m = n/k` blocks and samples in the
/// order they were drawn, `max_b` the largest reward of block `b`:
///
/// ```text
/// Naive       w_i = max_b / m
/// Baselined   w_i = (max_b - mean of the other blocks' max) / m
/// LooMinusOne w_i = (max_b - max of block b without i) / m
/// ```
///
/// All are weights for a sum over samples, and unbiased for the gradient of max@k.
///
/// Source: arXiv:2505.15201v4, section 5.1, figure 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Partitioned {
    Naive,
    Baselined,
    LooMinusOne,
}

impl Partitioned {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Naive => "naive partitioned",
            Self::Baselined => "naive partitioned, baselined",
            Self::LooMinusOne => "loo-minus-one partitioned",
        }
    }

    /// Writes one weight a reward.
    pub(crate) fn weights_into(
        self,
        rewards: &[f64],
        k: usize,
        weights: &mut [f64],
    ) -> Result<(), ReproduceError> {
        let n = rewards.len();
        let refuse = |needed| Err(ReproduceError::Blocks { estimator: self.name(), needed, n, k });
        if k == 0 || n == 0 || !n.is_multiple_of(k) || weights.len() != n {
            return refuse("whole blocks of k samples, and one weight a sample");
        }
        let blocks = (n / k) as f64;
        if self == Self::Baselined && n == k {
            return refuse("at least two blocks");
        }
        if self == Self::LooMinusOne && k == 1 {
            return refuse("blocks of at least two samples");
        }
        let total: f64 = rewards.chunks(k).map(largest).sum();
        for (block, weights) in rewards.chunks(k).zip(weights.chunks_mut(k)) {
            let best = largest(block);
            let others = (total - best) / (blocks - 1.0);
            for (i, weight) in weights.iter_mut().enumerate() {
                let baseline = match self {
                    Self::Naive => 0.0,
                    Self::Baselined => others,
                    Self::LooMinusOne => largest(&block[..i]).max(largest(&block[i + 1..])),
                };
                *weight = (best - baseline) / blocks;
            }
        }
        Ok(())
    }
}

fn largest(rewards: &[f64]) -> f64 {
    rewards.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Partitioned::{Baselined, LooMinusOne, Naive};
    use bestof_estimators::{Estimator, Plain, RewardTransform};

    const ACTIONS: [f64; 3] = [-0.4, 0.3, 1.1];

    fn weights(kind: Partitioned, rewards: &[f64], k: usize) -> Vec<f64> {
        let mut weights = vec![0.0; rewards.len()];
        kind.weights_into(rewards, k, &mut weights).unwrap();
        weights
    }

    /// Every way to choose `count` of three actions, with its probability.
    fn batches(p: [f64; 3], count: u32) -> impl Iterator<Item = (Vec<usize>, f64)> {
        (0..3_usize.pow(count)).map(move |code| {
            let batch: Vec<usize> = (0..count).map(|i| code / 3_usize.pow(i) % 3).collect();
            let probability = batch.iter().map(|&a| p[a]).product();
            (batch, probability)
        })
    }

    /// Derivatives of E[max of k] by the three logits, over every batch of k.
    fn exact_gradient(p: [f64; 3], k: u32) -> [f64; 3] {
        let mut gradient = [0.0; 3];
        for (batch, probability) in batches(p, k) {
            let best = batch.iter().map(|&a| ACTIONS[a]).fold(f64::NEG_INFINITY, f64::max);
            for (j, slot) in gradient.iter_mut().enumerate() {
                let score: f64 = batch.iter().map(|&a| f64::from(u8::from(a == j)) - p[j]).sum();
                *slot += probability * best * score;
            }
        }
        gradient
    }

    /// The same as the mean of an estimator over every batch of n.
    fn mean_estimate(p: [f64; 3], n: u32, weights: impl Fn(&[f64]) -> Vec<f64>) -> [f64; 3] {
        let mut gradient = [0.0; 3];
        for (batch, probability) in batches(p, n) {
            let rewards: Vec<f64> = batch.iter().map(|&a| ACTIONS[a]).collect();
            for (w, &a) in weights(&rewards).iter().zip(&batch) {
                for (j, slot) in gradient.iter_mut().enumerate() {
                    *slot += probability * w * (f64::from(u8::from(a == j)) - p[j]);
                }
            }
        }
        gradient
    }

    #[test]
    fn each_is_unbiased_over_every_batch_of_a_small_policy() {
        let p = [0.5, 0.3, 0.2];
        let near = |found: [f64; 3], expected: [f64; 3]| {
            found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-13)
        };
        for (n, k) in [(4, 2), (6, 2), (6, 3), (4, 4)] {
            let exact = exact_gradient(p, k);
            for kind in [Naive, Baselined, LooMinusOne] {
                if kind == Baselined && n == k {
                    continue;
                }
                let mean = mean_estimate(p, n, |rewards| weights(kind, rewards, k as usize));
                assert!(near(mean, exact), "{kind:?} {n} {k}: {mean:?} {exact:?}");
            }
            // A baseline that contains the sample's own block is biased, and this sees it.
            let own = |rewards: &[f64]| {
                let naive = weights(Naive, rewards, k as usize);
                let mean = naive.iter().sum::<f64>() / naive.len() as f64;
                naive.iter().map(|w| w - mean).collect()
            };
            assert!(!near(mean_estimate(p, n, own), exact));
        }
    }

    #[test]
    fn one_block_is_every_subset() {
        let rewards = [0.3, -0.2, 0.9, 0.9];
        let all = |estimator: Estimator| estimator.build(4).unwrap().transform(&rewards).unwrap();
        assert_eq!(weights(Naive, &rewards, 4), all(Estimator::Plain));
        for (found, expected) in
            weights(LooMinusOne, &rewards, 4).iter().zip(all(Estimator::LooMinusOne))
        {
            assert!((found - expected).abs() < 1e-15);
        }
    }

    #[test]
    fn blocks_are_those_of_the_order_drawn() {
        let rewards = [0.1, 0.7, /* block */ 1.0, 0.2, /* block */ 0.4, 0.4];
        let close = |kind, expected: [f64; 6]| {
            for (found, expected) in weights(kind, &rewards, 2).iter().zip(expected) {
                assert!((found - expected / 3.0).abs() < 1e-15, "{kind:?} {found}");
            }
        };
        close(Naive, [0.7, 0.7, 1.0, 1.0, 0.4, 0.4]);
        close(Baselined, [0.0, 0.0, 0.45, 0.45, -0.45, -0.45]);
        close(LooMinusOne, [0.0, 0.6, 0.8, 0.0, 0.0, 0.0]);
        // Within a block it is the plain transformation of that block, over the blocks.
        let block = Plain::new(2).unwrap().transform(&rewards[..2]).unwrap();
        for (found, expected) in weights(Naive, &rewards, 2).iter().zip(block) {
            assert!((found - expected / 3.0).abs() < 1e-15);
        }
    }

    #[test]
    fn what_does_not_split_is_refused() {
        for (kind, n, k) in
            [(Naive, 5, 2), (Naive, 4, 0), (Naive, 0, 2), (Baselined, 4, 4), (LooMinusOne, 4, 1)]
        {
            let error = kind.weights_into(&vec![0.5; n], k, &mut vec![0.0; n]).unwrap_err();
            assert!(error.to_string().contains(&format!("found {n} samples for k = {k}")));
        }
        assert!(Naive.weights_into(&[0.5; 4], 2, &mut [0.0; 3]).is_err());
    }
}
