//! Figure 2: how much of max@k each rank of the samples carries.

use bestof_estimators::{EstimatorError, max_at_k};
use bestof_report::{Plot, Section, Series};
use serde_json::{Value, json};

use crate::{Claim, Measured, ReproduceError, all_hold};

const N: usize = 8;
const KS: [usize; 4] = [1, 2, 4, 8];
/// Far above the rounding of the weights, far below their differences.
const ROUNDING: f64 = 1e-12;

/// The weights of ranks 1 to n, the worst first: `mu_i / C(n, k)`.
#[derive(Debug, Clone)]
pub(crate) struct RankWeights {
    k: usize,
    weights: Vec<f64>,
}

/// max@k is linear in the sorted rewards, so that rewards that step from 0 to 1 at a rank read
/// the weights off.
pub(crate) fn measure() -> Result<Vec<RankWeights>, ReproduceError> {
    let mut all = Vec::with_capacity(KS.len());
    for k in KS {
        let mut weights = Vec::with_capacity(N);
        for first in 0..N {
            weights.push(from_rank(first, k)? - from_rank(first + 1, k)?);
        }
        all.push(RankWeights { k, weights });
    }
    Ok(all)
}

/// max@k of rewards that are 1 from a rank on, counted from 0.
fn from_rank(first: usize, k: usize) -> Result<f64, EstimatorError> {
    let step: Vec<f64> = (0..N).map(|i| f64::from(u8::from(i >= first))).collect();
    max_at_k(&step, k)
}

impl RankWeights {
    /// The mean rank that max@k reads, between (n + 1)/2 and n.
    fn mean_rank(&self) -> f64 {
        (1..).zip(&self.weights).map(|(rank, w)| f64::from(rank) * w).sum()
    }
}

pub(crate) fn claim(all: &[RankWeights]) -> Claim {
    let known = |value| Measured { value, low: value - ROUNDING, high: value + ROUNDING };
    let ranks: Vec<Measured> = all.iter().map(|of_k| known(of_k.mean_rank())).collect();
    let further = ranks.windows(2).map(|pair| pair[1].is_above(pair[0].high));
    // The best sample leads k/n of all subsets.
    let best = all.iter().filter_map(|of_k| {
        let expected = of_k.k as f64 / N as f64;
        of_k.weights.last().map(|&best| known(best).is_near(expected, 2.0 * ROUNDING))
    });
    let listed: Vec<String> =
        all.iter().map(|of_k| format!("k = {}: {:.3}", of_k.k, of_k.mean_rank())).collect();
    Claim::new(
        "A larger k reads max@k off better samples (figure 2)",
        "of 8 samples, the mean rank that is read rises with k, and the best sample carries k/n",
        format!("mean rank for {}", listed.join(", ")),
        all_hold(further.chain(best)),
    )
}

pub(crate) fn section(all: &[RankWeights]) -> Section {
    let mut plot =
        Plot::new("Weight of each rank of 8 samples, the largest scaled to 1").x_label("rank");
    for of_k in all {
        let largest = of_k.weights.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        let points = (1..).zip(&of_k.weights).map(|(rank, w)| (f64::from(rank), w / largest));
        plot = plot.series(Series::new(format!("k = {}", of_k.k), points.collect()).marked());
    }
    Section::new("Figure 2: which samples count").element(plot)
}

pub(crate) fn numbers(all: &[RankWeights]) -> Value {
    all.iter().map(|of_k| json!({"k": of_k.k, "weights": of_k.weights})).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binomial(n: usize, k: usize) -> f64 {
        if k > n {
            return 0.0;
        }
        (0..k).fold(1.0, |product, i| product * (n - i) as f64 / (i + 1) as f64)
    }

    #[test]
    fn weights_are_shares_of_subsets() {
        for of_k in measure().unwrap() {
            for (rank, &found) in (1..).zip(&of_k.weights) {
                let expected = binomial(rank - 1, of_k.k - 1) / binomial(N, of_k.k);
                assert!((found - expected).abs() < 1e-15, "k {} rank {rank}", of_k.k);
            }
            // The mean of the largest of k ranks out of n.
            let expected = (of_k.k * (N + 1)) as f64 / (of_k.k + 1) as f64;
            assert!((of_k.mean_rank() - expected).abs() < 1e-13);
        }
    }
}
