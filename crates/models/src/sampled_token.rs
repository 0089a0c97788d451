//! Sampling one token from logits.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use bestof_kernels::{CHUNK, likeliest, weight_sums, weights};

use crate::sampling::{Filters, SamplingConfig};

/// A sampled token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct SampledToken {
    pub(crate) token: u32,
    /// Its log-probability under the softmax of the logits.
    pub(crate) logprob: f32,
    /// The same of the logits divided by the temperature.
    pub(crate) tempered_logprob: f32,
    /// Its log-probability under the distribution it was sampled from.
    pub(crate) sampling_logprob: f32,
}

/// The token that inverse transform sampling selects at `uniform`, in `[0, 1)`.
///
/// Filters are applied in the order of transformers: temperature, top-k, top-p, min-p. Among equal
/// logits the smaller token id ranks first.
pub(crate) fn sample_token(logits: &[f32], config: &SamplingConfig, uniform: f64) -> SampledToken {
    let best = likeliest(logits);
    let max = logits.get(best).copied().unwrap_or(0.0);
    let sums = weight_sums(logits, max, 1.0);
    let log_sum = sums.iter().sum::<f64>().ln();
    let logprob = |token: usize| logits[token] - max - log_sum as f32;
    if config.temperature == 0.0 {
        let logprob = logprob(best);
        let (tempered_logprob, sampling_logprob) = (0.0, 0.0);
        return SampledToken { token: best as u32, logprob, tempered_logprob, sampling_logprob };
    }
    let row = Row { logits, max, scale: config.temperature.recip() };
    let sums = if row.scale == 1.0 { sums } else { weight_sums(logits, max, row.scale as f32) };
    let whole: f64 = sums.iter().sum();
    let (token, total, cut) = match config.filters(logits.len()) {
        None => (row.pick(&sums, uniform * whole), whole, false),
        Some(filters) => {
            let kept = row.kept(filters, whole);
            let weights = kept.iter().map(|&(token, exponent)| (token as usize, exponent.exp()));
            let total: f64 = weights.clone().map(|(_, weight)| weight).sum();
            (first_past(weights, uniform * total).0, total, true)
        }
    };
    let token = token.unwrap_or(best);
    let exponent = row.exponent(token);
    let sampling_logprob = (exponent - total.ln()) as f32;
    let logprob = logprob(token);
    let tempered_logprob = if row.scale == 1.0 {
        logprob
    } else if cut {
        (exponent - whole.ln()) as f32
    } else {
        sampling_logprob
    };
    SampledToken { token: token as u32, logprob, tempered_logprob, sampling_logprob }
}

/// The first token at which the running sum of weights exceeds `point`, or the last one with a
/// positive weight if rounding keeps the sum below `point`; and what `point` is above the sum.
fn first_past(weights: impl Iterator<Item = (usize, f64)>, point: f64) -> (Option<usize>, f64) {
    let (mut sum, mut last) = (0.0, None);
    for (token, weight) in weights {
        if weight > 0.0 {
            sum += weight;
            last = Some(token);
            if sum > point {
                break;
            }
        }
    }
    (last, point - sum)
}

/// Logits of which the largest is `max`, to be multiplied by `scale`.
struct Row<'a> {
    logits: &'a [f32],
    max: f32,
    scale: f64,
}

/// Tokens with their exponents `(l - max) scale`.
type Ranked = Vec<(u32, f64)>;

impl Row<'_> {
    fn exponent(&self, token: usize) -> f64 {
        f64::from(self.logits[token] - self.max) * self.scale
    }

    /// The token at a point of the weights' running sum, given the sums of chunks.
    fn pick(&self, sums: &[f64], point: f64) -> Option<usize> {
        let (chunk, left) = first_past(sums.iter().copied().enumerate(), point);
        let (chunk, first) = (chunk?, chunk? * CHUNK);
        let tokens = &self.logits[first..(first + CHUNK).min(self.logits.len())];
        let (weights, _) = weights(tokens, self.max, self.scale as f32);
        let weights = weights.iter().map(|weight| f64::from(*weight));
        first_past(weights.enumerate(), left + sums[chunk]).0.map(|token| first + token)
    }

    /// The tokens that the filters keep, likeliest first; `total` is the sum of all weights.
    fn kept(&self, filters: Filters, total: f64) -> Ranked {
        let Filters { top_k, top_p, min_p } = filters;
        let mut kept = match (top_k, top_p) {
            (Some(k), _) => self.likeliest(k),
            (None, Some(p)) => self.reaching(p * total),
            (None, None) => self.above(min_p.map_or(f64::NEG_INFINITY, f64::ln)),
        };
        if let Some(p) = top_p {
            let total = match top_k {
                Some(_) => kept.iter().map(|(_, exponent)| exponent.exp()).sum(),
                None => total,
            };
            let mut sum = 0.0;
            let count = kept.iter().position(|(_, exponent)| {
                sum += exponent.exp();
                sum >= p * total
            });
            kept.truncate(count.map_or(kept.len(), |at| at + 1));
        }
        if let Some(p) = min_p {
            let floor = p.ln();
            kept.retain(|(_, exponent)| *exponent >= floor);
        }
        kept
    }

    /// The `k` likeliest tokens, in order.
    fn likeliest(&self, k: usize) -> Ranked {
        // The least likely of those that are in so far is on top.
        let mut heap: BinaryHeap<Reverse<(Logit, Reverse<u32>)>> = BinaryHeap::with_capacity(k + 1);
        let mut least = f32::NEG_INFINITY;
        for (token, &logit) in self.logits.iter().enumerate() {
            if heap.len() == k && logit.total_cmp(&least).is_le() {
                continue;
            }
            heap.push(Reverse((Logit(logit), Reverse(token as u32))));
            if heap.len() > k {
                heap.pop();
            }
            least = heap.peek().map_or(least, |Reverse((logit, _))| logit.0);
        }
        let ranked = heap.into_sorted_vec().into_iter();
        ranked.map(|Reverse((_, Reverse(token)))| (token, self.exponent(token as usize))).collect()
    }

    /// The likeliest tokens, in order, whose weights have at least the sum `goal`, and perhaps more.
    fn reaching(&self, goal: f64) -> Ranked {
        // Tokens this far below the likeliest hold less than 1e-9 of the mass together.
        let least = -((self.logits.len() as f64).ln() + 21.0);
        for floor in [-3.0, -6.0, -12.0] {
            let kept = self.above(floor);
            // The weights of a row are rounded, and so is the goal.
            if kept.iter().map(|(_, exponent)| exponent.exp()).sum::<f64>() >= goal * (1.0 + 1e-5) {
                return kept;
            }
        }
        self.above(least)
    }

    /// The tokens whose exponents are at least `floor`, in order.
    fn above(&self, floor: f64) -> Ranked {
        let tokens = (0..self.logits.len()).map(|token| (token as u32, self.exponent(token)));
        let mut kept: Ranked = tokens.filter(|(_, exponent)| *exponent >= floor).collect();
        kept.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        kept
    }
}

/// A logit by the order of `total_cmp`.
#[derive(PartialEq)]
struct Logit(f32);

impl Eq for Logit {}

impl Ord for Logit {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Logit {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Logits of the probabilities 0.4, 0.3, 0.2, 0.1, in the order 2, 0, 3, 1.
    fn hand() -> Vec<f32> {
        [0.3_f32, 0.1, 0.4, 0.2].iter().map(|p| p.ln() + 5.0).collect()
    }

    fn kept(config: &SamplingConfig) -> Vec<u32> {
        let logits = hand();
        let row = Row { logits: &logits, max: logits[2], scale: config.temperature.recip() };
        let total = weight_sums(&logits, row.max, row.scale as f32).iter().sum();
        let Some(filters) = config.filters(4) else { return vec![2, 0, 3, 1] };
        row.kept(filters, total).iter().map(|(token, _)| *token).collect()
    }

    #[test]
    fn top_k_keeps_the_likeliest() {
        let with = |k| SamplingConfig::default().with_top_k(Some(k));
        assert_eq!(kept(&with(1)), [2]);
        assert_eq!(kept(&with(3)), [2, 0, 3]);
        assert_eq!(kept(&with(9)), [2, 0, 3, 1]);
    }

    #[test]
    fn top_p_keeps_the_tokens_that_first_reach_the_sum() {
        let with = |p| SamplingConfig::default().with_top_p(Some(p));
        assert_eq!(kept(&with(0.05)), [2]);
        assert_eq!(kept(&with(0.41)), [2, 0]);
        assert_eq!(kept(&with(0.69)), [2, 0]);
        assert_eq!(kept(&with(0.71)), [2, 0, 3]);
        assert_eq!(kept(&with(1.0)), [2, 0, 3, 1]);
    }

    #[test]
    fn top_p_counts_within_top_k() {
        // Of 0.4 and 0.3 the first holds 0.571.
        let with = |p| SamplingConfig::default().with_top_k(Some(2)).with_top_p(Some(p));
        assert_eq!(kept(&with(0.57)), [2]);
        assert_eq!(kept(&with(0.58)), [2, 0]);
    }

    #[test]
    fn min_p_is_relative_to_the_likeliest() {
        let with = |p| SamplingConfig::default().with_min_p(Some(p));
        assert_eq!(kept(&with(0.76)), [2]);
        assert_eq!(kept(&with(0.74)), [2, 0]);
        assert_eq!(kept(&with(0.26)), [2, 0, 3]);
        assert_eq!(kept(&with(0.2)), [2, 0, 3, 1]);
    }

    #[test]
    fn temperature_comes_before_the_filters() {
        // At temperature 1/2 the probabilities are 16, 9, 4, 1 of 30.
        let config = SamplingConfig::default().with_temperature(0.5).with_top_p(Some(0.8));
        assert_eq!(kept(&config), [2, 0]);
    }

    #[test]
    fn samples_follow_the_distribution() {
        let logits = hand();
        let config = SamplingConfig::default();
        let count = 1000;
        let mut seen = [0; 4];
        for i in 0..count {
            let sampled = sample_token(&logits, &config, (f64::from(i) + 0.5) / f64::from(count));
            seen[sampled.token as usize] += 1;
            assert!((sampled.logprob - sampled.sampling_logprob).abs() < 1e-6);
        }
        assert_eq!(seen, [300, 100, 400, 200]);
    }

    #[test]
    fn log_probabilities_are_those_of_both_distributions() {
        let logits = hand();
        let config = SamplingConfig::default().with_temperature(0.5).with_top_k(Some(2));
        let sampled = sample_token(&logits, &config, 0.99);
        assert_eq!(sampled.token, 0);
        assert!((sampled.logprob - 0.3_f32.ln()).abs() < 1e-6);
        assert!((sampled.sampling_logprob - (9.0_f32 / 25.0).ln()).abs() < 1e-6);
        let greedy = sample_token(&logits, &SamplingConfig::greedy(1), 0.99);
        assert_eq!((greedy.token, greedy.sampling_logprob), (2, 0.0));
    }

    #[test]
    fn tempered_log_probabilities_know_the_temperature_and_no_cut() {
        let logits = hand();
        let sampled = |config: &SamplingConfig| sample_token(&logits, config, 0.99);
        // At temperature 1/2 the probabilities are 16, 9, 4, 1 of 30: of all tokens, not of two.
        let cold = SamplingConfig::default().with_temperature(0.5);
        let cut = sampled(&cold.clone().with_top_k(Some(2)));
        assert!((cut.tempered_logprob - 0.3_f32.ln()).abs() < 1e-6);
        let whole = sampled(&cold);
        assert_eq!((whole.token, whole.tempered_logprob), (3, whole.sampling_logprob));
        assert!((whole.tempered_logprob - (2.0_f32 / 15.0).ln()).abs() < 1e-6);
        // At temperature 1 they are those of the model, cut or not.
        for config in [SamplingConfig::default(), SamplingConfig::default().with_top_p(Some(0.5))] {
            let warm = sampled(&config);
            assert_eq!(warm.tempered_logprob, warm.logprob);
        }
        assert_eq!(sampled(&SamplingConfig::greedy(1)).tempered_logprob, 0.0);
    }

    #[test]
    fn ties_go_to_the_smaller_id() {
        assert_eq!(sample_token(&[1.0, 3.0, 3.0], &SamplingConfig::greedy(1), 0.0).token, 1);
        let config = SamplingConfig::default().with_top_k(Some(1));
        assert_eq!(sample_token(&[1.0, 3.0, 3.0], &config, 0.999).token, 1);
    }
}
