//! Figure 5: the weights of 32 uniform rewards, as means over bins of the reward.

use bestof_estimators::{Estimator, Workspace};
use bestof_report::{Plot, Section, Series};
use serde_json::{Value, json};

use crate::noise::Noise;
use crate::{Claim, Measured, ReproduceError, all_hold};

const N: usize = 32;
const KS: [usize; 4] = [2, 4, 8, 16];
const ESTIMATORS: [Estimator; 3] = [Estimator::Plain, Estimator::Loo, Estimator::LooMinusOne];
const BINS: usize = 20;
const STREAM: u64 = 3 << 32;
/// Share of the plain weights' offset up to which weights count as centred.
const CENTRED: f64 = 0.1;

/// The weights of one estimator and k over many groups.
#[derive(Debug, Clone)]
pub(crate) struct Weights {
    pub(crate) estimator: Estimator,
    pub(crate) k: usize,
    /// Mean weight of a sample: the offset of the weights.
    pub(crate) offset: Measured,
    /// Middle of each bin of the reward, with the mean weight in it.
    bins: Vec<(f64, f64)>,
}

pub(crate) fn measure(seed: u64, groups: usize) -> Result<Vec<Weights>, ReproduceError> {
    let mut all = Vec::new();
    for estimator in ESTIMATORS {
        for k in KS {
            all.push(weights_of(estimator, k, seed, groups)?);
        }
    }
    Ok(all)
}

/// Every estimator and k sees the same groups.
fn weights_of(
    estimator: Estimator,
    k: usize,
    seed: u64,
    groups: usize,
) -> Result<Weights, ReproduceError> {
    let mut source = Noise::new(seed, STREAM);
    let transform = estimator.build(k)?;
    let mut workspace = Workspace::with_capacity(N);
    let (mut rewards, mut weights) = ([0.0; N], [0.0; N]);
    let mut bins = vec![(0.0, 0.0); BINS];
    let (mut sum, mut squares) = (0.0, 0.0);
    for _ in 0..groups {
        rewards.fill_with(|| source.uniform() - 0.5);
        transform.transform_into(&rewards, &mut weights, &mut workspace)?;
        for (g, w) in rewards.iter().zip(weights) {
            let bin = ((g + 0.5) * BINS as f64) as usize;
            let (count, total) = &mut bins[bin.min(BINS - 1)];
            *count += 1.0;
            *total += w;
        }
        let mean = weights.iter().sum::<f64>() / N as f64;
        sum += mean;
        squares += mean * mean;
    }
    let count = groups as f64;
    let mean = sum / count;
    let error = ((squares / count - mean * mean).max(0.0) / (count - 1.0)).sqrt();
    let middle = |bin: usize| (bin as f64 + 0.5) / BINS as f64 - 0.5;
    let bins = bins.iter().enumerate().map(|(bin, (count, total))| (middle(bin), total / count));
    Ok(Weights { estimator, k, offset: Measured::of_draws(mean, error), bins: bins.collect() })
}

fn of(all: &[Weights], estimator: Estimator) -> impl Iterator<Item = &Weights> {
    all.iter().filter(move |weights| weights.estimator == estimator)
}

fn listed(all: &[Weights], estimator: Estimator) -> String {
    let offsets: Vec<String> = of(all, estimator)
        .map(|weights| format!("k = {}: {:.5}", weights.k, weights.offset.value))
        .collect();
    offsets.join(", ")
}

pub(crate) fn claims(all: &[Weights]) -> Vec<Claim> {
    let plain: Vec<&Weights> = of(all, Estimator::Plain).collect();
    let grows = plain.windows(2).map(|pair| pair[1].offset.is_above(pair[0].offset.high));
    let mut claims = vec![Claim::new(
        "Without a baseline the weights carry an offset that grows with k (figure 5)",
        "the mean weight of s rises from each k to the next, with intervals of 4 standard errors apart",
        format!("mean weight of s at {}", listed(all, Estimator::Plain)),
        all_hold(grows),
    )];
    for (estimator, name, remark) in [
        (Estimator::Loo, "leave-one-out (s_loo)", ""),
        (
            Estimator::LooMinusOne,
            "leave-one-out-minus-one (s_loo-1)",
            "; these weights are never negative, and their mean is k/n (max@k - max@(k-1)) by formula",
        ),
    ] {
        let centred = of(all, estimator)
            .zip(&plain)
            .map(|(weights, plain)| weights.offset.is_near(0.0, CENTRED * plain.offset.value));
        claims.push(Claim::new(
            format!("The {name} weights are centred (figure 5)"),
            format!(
                "at every k their mean is within {:.0} % of that of s around 0",
                100.0 * CENTRED
            ),
            format!("mean weight at {}{remark}", listed(all, estimator)),
            all_hold(centred),
        ));
    }
    claims
}

pub(crate) fn section(all: &[Weights]) -> Section {
    let mut section = Section::new("Figure 5: the offset of the weights");
    for (estimator, title) in ESTIMATORS.into_iter().zip(["s", "s_loo", "s_loo-1"]) {
        let mut plot =
            Plot::new(format!("Mean weight under {title}, 32 rewards uniform on [-1/2, 1/2]"))
                .x_label("reward");
        for weights in of(all, estimator) {
            plot = plot.series(Series::new(format!("k = {}", weights.k), weights.bins.clone()));
        }
        section.push(plot);
    }
    section
}

pub(crate) fn numbers(all: &[Weights]) -> Value {
    all.iter()
        .map(|weights| {
            json!({
                "estimator": weights.estimator.name(), "k": weights.k,
                "mean_weight": weights.offset.to_json(),
                "bins": weights.bins,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// max@k of rewards uniform on [-1/2, 1/2].
    fn max_at(k: usize) -> f64 {
        k as f64 / (k + 1) as f64 - 0.5
    }

    #[test]
    fn offsets_are_those_of_the_sums_of_weights() {
        let n = N as f64;
        for weights in measure(11, 2000).unwrap() {
            let k = weights.k as f64;
            let sum = match weights.estimator {
                Estimator::Plain => k * max_at(weights.k),
                Estimator::Loo => -k / (n - 1.0) * max_at(weights.k),
                _ => k * (max_at(weights.k) - max_at(weights.k - 1)),
            };
            assert!(weights.offset.low < sum / n && sum / n < weights.offset.high, "{weights:?}");
            assert_eq!(weights.bins.len(), BINS);
        }
    }
}
