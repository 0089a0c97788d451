//! Sampling one token from logits.

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
    let log_sum = log_sum_exp(logits, max, 1.0);
    let logprob = |token: usize| logits[token] - max - log_sum as f32;
    if config.temperature == 0.0 {
        let logprob = logprob(best);
        let (tempered_logprob, sampling_logprob) = (0.0, 0.0);
        return SampledToken { token: best as u32, logprob, tempered_logprob, sampling_logprob };
    }
    let scale = config.temperature.recip();
    let kept = kept_tokens(logits, config, max, scale);
    let weight = |token: usize| (f64::from(logits[token] - max) * scale).exp();
    let total: f64 = match &kept {
        Some(kept) => kept.iter().map(|&token| weight(token as usize)).sum(),
        None => log_sum_exp(logits, max, scale).exp(),
    };
    let token = match &kept {
        Some(kept) => pick(kept.iter().map(|&t| t as usize), weight, uniform * total),
        None => pick(0..logits.len(), weight, uniform * total),
    };
    let token = token.unwrap_or(best);
    let exponent = f64::from(logits[token] - max) * scale;
    let sampling_logprob = (exponent - total.ln()) as f32;
    let logprob = logprob(token);
    let tempered_logprob = if scale == 1.0 {
        logprob
    } else if kept.is_none() {
        sampling_logprob
    } else {
        (exponent - log_sum_exp(logits, max, scale)) as f32
    };
    SampledToken { token: token as u32, logprob, tempered_logprob, sampling_logprob }
}

/// The index of the first of the largest logits.
fn likeliest(logits: &[f32]) -> usize {
    let mut best = 0;
    for (token, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = token;
        }
    }
    best
}

/// `ln sum_v exp((l_v - max) scale)`.
fn log_sum_exp(logits: &[f32], max: f32, scale: f64) -> f64 {
    let scale = scale as f32;
    // Sums of 256 values in f32 lose no precision that matters; the total is in f64.
    let sum: f64 = logits
        .chunks(256)
        .map(|chunk| f64::from(chunk.iter().map(|l| ((l - max) * scale).exp()).sum::<f32>()))
        .sum();
    sum.ln()
}

/// The first token at which the running sum of weights exceeds `point`; the last one with a
/// positive weight if rounding keeps the sum below `point`.
fn pick(
    tokens: impl Iterator<Item = usize>,
    weight: impl Fn(usize) -> f64,
    point: f64,
) -> Option<usize> {
    let mut sum = 0.0;
    let mut last = None;
    for token in tokens {
        let weight = weight(token);
        if weight > 0.0 {
            sum += weight;
            last = Some(token);
            if sum > point {
                break;
            }
        }
    }
    last
}

/// The tokens that the filters keep, likeliest first; `None` if no filter is set.
fn kept_tokens(logits: &[f32], config: &SamplingConfig, max: f32, scale: f64) -> Option<Vec<u32>> {
    let Filters { top_k, top_p, min_p } = config.filters(logits.len())?;
    let by_logit =
        |a: &u32, b: &u32| logits[*b as usize].total_cmp(&logits[*a as usize]).then(a.cmp(b));
    let mut kept: Vec<u32> = (0..logits.len() as u32).collect();
    if let Some(k) = top_k {
        kept.select_nth_unstable_by(k - 1, by_logit);
        kept.truncate(k);
    }
    let exponent = |token: u32| f64::from(logits[token as usize] - max) * scale;
    if let Some(p) = top_p {
        // Tokens this far below the likeliest hold less than 1e-9 of the mass together.
        let floor = -((logits.len() as f64).ln() + 21.0);
        let total: f64 = kept.iter().map(|&token| exponent(token).exp()).sum();
        kept.retain(|&token| exponent(token) > floor);
        kept.sort_unstable_by(by_logit);
        let mut sum = 0.0;
        let count = kept
            .iter()
            .position(|&token| {
                sum += exponent(token).exp();
                sum >= p * total
            })
            .map_or(kept.len(), |at| at + 1);
        kept.truncate(count);
    }
    if let Some(p) = min_p {
        let floor = p.ln();
        kept.retain(|&token| exponent(token) >= floor);
    }
    if top_p.is_none() {
        kept.sort_unstable_by(by_logit);
    }
    Some(kept)
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
        kept_tokens(&logits, config, logits[2], config.temperature.recip())
            .unwrap_or_else(|| vec![2, 0, 3, 1])
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
