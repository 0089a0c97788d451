//! Sampling where the logits lie: of a device's logits only the tokens and their log-probabilities are
//! read back.

use bestof_kernels::{constant, host_values, indices, is_host};
use burn::tensor::{Bool, DType, Tensor};

use crate::sampled_token::{SampledToken, sample_token};
use crate::sampling::{Filters, SamplingConfig};

/// A token for each entry of `rows`, which are rows of `logits`, `[_, vocab]`, by the number in
/// `uniforms`, in `[0, 1)`, of the same place.
///
/// On the host by [`sample_token`]; elsewhere by the same rules in f32, so that the same number selects
/// the same token unless it falls within rounding of the border between two.
pub(crate) fn sample_tokens(
    logits: Tensor<2>,
    rows: &[u32],
    config: &SamplingConfig,
    uniforms: &[f64],
) -> Vec<SampledToken> {
    let logits = logits.inner();
    let [count, vocab] = logits.dims();
    if is_host(&logits.device()) {
        let values = host_values(logits);
        let row = |row: u32| &values[row as usize * vocab..][..vocab];
        let each = rows.iter().zip(uniforms);
        return each.map(|(&at, &uniform)| sample_token(row(at), config, uniform)).collect();
    }
    let in_order = rows.len() == count && rows.iter().zip(0..).all(|(&row, at)| row == at);
    let logits = if in_order {
        logits
    } else {
        let rows = indices(rows, &logits.device());
        logits.select(0, rows)
    };
    Rows::new(logits).sample(config, uniforms)
}

/// Rows of logits, each less its largest value.
struct Rows {
    /// `[rows, vocab]`, at most 0
    centred: Tensor<2>,
    /// Token ids, `[rows, vocab]`: exact in f32 below 2^24.
    ids: Tensor<2>,
}

/// A token of each row, `[rows, 1]` each.
struct Chosen {
    token: Tensor<2>,
    logprob: Tensor<2>,
    tempered_logprob: Tensor<2>,
    sampling_logprob: Tensor<2>,
}

/// Tokens taken likeliest first, up to where their running sum reaches a goal.
struct Edge {
    /// The tokens that are likelier than those at the edge.
    above: Tensor<2, Bool>,
    /// Tokens of one value, some of which reach the goal.
    ties: Tensor<2, Bool>,
    /// How many ties have a smaller id, `[rows, vocab]`.
    rank: Tensor<2>,
    /// The sum above, and the weight of a tie, `[rows, 1]` each.
    sum: Tensor<2>,
    weight: Tensor<2>,
}

/// Exponents below this have a weight of less than 1e-27.
const FLOOR: f64 = -64.0;
/// Halvings of the range of exponents; the last is at the spacing of f32 between 0.5 and 1.
const HALVINGS: i32 = 30;
/// Tokens added up one after the other, before their sums are.
const WIDTH: usize = 64;

impl Rows {
    fn new(logits: Tensor<2>) -> Self {
        let logits = if logits.dtype() == DType::F32 { logits } else { logits.cast(DType::F32) };
        let [rows, vocab] = logits.dims();
        let max = logits.clone().max_dim(1);
        let ids = Tensor::arange(0..vocab as i64, &logits.device()).float().cast(DType::F32);
        Self { centred: logits.sub(max), ids: ids.unsqueeze::<2>().expand([rows, vocab]) }
    }

    fn sample(&self, config: &SamplingConfig, uniforms: &[f64]) -> Vec<SampledToken> {
        let chosen = if config.temperature == 0.0 {
            self.likeliest()
        } else {
            // The largest f32 below 1 is smaller than some f64 below 1.
            let uniforms = uniforms.iter().map(|u| (*u as f32).min(1.0 - f32::EPSILON)).collect();
            let shape = [self.centred.dims()[0], 1];
            self.drawn(config, constant(uniforms, shape, &self.centred.device()))
        };
        let Chosen { token, logprob, tempered_logprob, sampling_logprob } = chosen;
        let all = Tensor::cat(vec![token, logprob, tempered_logprob, sampling_logprob], 1);
        host_values(all)
            .chunks_exact(4)
            .map(|row| SampledToken {
                token: row[0] as u32,
                logprob: row[1],
                tempered_logprob: row[2],
                sampling_logprob: row[3],
            })
            .collect()
    }

    fn likeliest(&self) -> Chosen {
        let token = self.first(self.centred.clone().equal_elem(0.0));
        let logprob = log_sum(self.centred.clone().exp()).neg();
        let zeros = logprob.zeros_like();
        Chosen { token, logprob, tempered_logprob: zeros.clone(), sampling_logprob: zeros }
    }

    /// `uniforms`: `[rows, 1]`
    fn drawn(&self, config: &SamplingConfig, uniforms: Tensor<2>) -> Chosen {
        let exponents = self.centred.clone().mul_scalar(config.temperature.recip());
        let all = exponents.clone().exp();
        let kept = kept(config, &exponents, &all);
        let weights = kept.clone().unwrap_or_else(|| all.clone());
        let points = uniforms.mul(weights.clone().sum_dim(1));
        let token = if kept.is_some() {
            let edge = edge(&exponents, &weights, &points);
            let last = edge.ties.clone().float().sum_dim(1).sub_scalar(1.0);
            let rank = points.sub(edge.sum).div(edge.weight).floor().clamp_min(0.0).min_pair(last);
            self.first(edge.ties.bool_and(edge.rank.equal(rank)))
        } else {
            let positive = weights.clone().greater_elem(0.0);
            let past = running_sum(weights.clone()).greater(points).bool_and(positive.clone());
            let last = self.ids.clone().mask_fill(positive.bool_not(), 0.0).max_dim(1);
            self.first(past).min_pair(last)
        };
        let of_token = |x: &Tensor<2>| x.clone().gather(1, token.clone().int());
        let logprob = of_token(&self.centred).sub(log_sum(self.centred.clone().exp()));
        let sampling_logprob = of_token(&exponents).sub(log_sum(weights));
        let tempered_logprob = if config.temperature == 1.0 {
            logprob.clone()
        } else if kept.is_none() {
            sampling_logprob.clone()
        } else {
            of_token(&exponents).sub(log_sum(all))
        };
        Chosen { token, logprob, tempered_logprob, sampling_logprob }
    }

    /// The smallest id of each row in `mask`, `[rows, 1]`; the last id if there is none, as where a logit
    /// is NaN.
    fn first(&self, mask: Tensor<2, Bool>) -> Tensor<2> {
        let last = self.ids.dims()[1] as f64 - 1.0;
        self.ids.clone().mask_fill(mask.bool_not(), last).min_dim(1)
    }
}

impl Edge {
    /// The tokens before which the sum is below `goal`.
    fn within(self, goal: Tensor<2>) -> Tensor<2, Bool> {
        let before = self.rank.mul(self.weight).add(self.sum);
        self.above.bool_or(self.ties.bool_and(before.lower(goal)))
    }
}

/// The weights of the tokens that the filters keep, others 0; `None` if no filter is set.
fn kept(config: &SamplingConfig, exponents: &Tensor<2>, all: &Tensor<2>) -> Option<Tensor<2>> {
    let [rows, vocab] = all.dims();
    let Filters { top_k, top_p, min_p } = config.filters(vocab)?;
    let mut kept = all.clone();
    if let Some(k) = top_k {
        let goal = Tensor::full([rows, 1], k as f64, &all.device());
        let within = edge(exponents, &all.ones_like(), &goal).within(goal);
        kept = kept.mask_fill(within.bool_not(), 0.0);
    }
    if let Some(p) = top_p {
        let goal = kept.clone().sum_dim(1).mul_scalar(p);
        let within = edge(exponents, &kept, &goal).within(goal);
        kept = kept.mask_fill(within.bool_not(), 0.0);
    }
    if let Some(p) = min_p {
        kept = kept.mask_fill(exponents.clone().lower_elem(p.ln()), 0.0);
    }
    Some(kept)
}

/// Where the sum of `weights`, in the order of falling `exponents`, reaches `goal`, `[rows, 1]`.
fn edge(exponents: &Tensor<2>, weights: &Tensor<2>, goal: &Tensor<2>) -> Edge {
    let sum_above = |border: &Tensor<2>| {
        let below = exponents.clone().lower_equal(border.clone());
        weights.clone().mask_fill(below, 0.0).sum_dim(1)
    };
    let mut border = goal.zeros_like();
    for halving in 1..=HALVINGS {
        let step = FLOOR * 0.5_f64.powi(halving);
        let lower = border.clone().add_scalar(step);
        let short = sum_above(&lower).lower(goal.clone());
        border = border.mask_where(short, lower);
    }
    let nothing = weights.clone().lower_equal_elem(0.0);
    let beyond = exponents.clone().greater(border).bool_or(nothing.clone());
    let lowest = exponents.clone().mask_fill(nothing.clone(), 0.0).min_dim(1);
    let next = exponents.clone().mask_fill(beyond, f32::NEG_INFINITY).max_dim(1);
    let value = next.max_pair(lowest);
    let ties = exponents.clone().equal(value.clone()).bool_and(nothing.bool_not());
    let counted = ties.clone().float();
    Edge {
        above: exponents.clone().greater(value.clone()),
        rank: running_sum(counted.clone()).sub(counted),
        sum: sum_above(&value),
        weight: weights.clone().mask_fill(ties.clone().bool_not(), 0.0).max_dim(1),
        ties,
    }
}

/// `ln sum_v weights_v`, `[rows, 1]`.
fn log_sum(weights: Tensor<2>) -> Tensor<2> {
    weights.sum_dim(1).log()
}

/// The sums of the values up to each place of a row.
///
/// In two levels: burn adds up everything before a place anew for every place, and one sum over a
/// vocabulary would lose digits in f32.
fn running_sum(x: Tensor<2>) -> Tensor<2> {
    let [rows, width] = x.dims();
    let parts = width.div_ceil(WIDTH);
    let x = match parts * WIDTH - width {
        0 => x,
        missing => {
            let zeros = Tensor::zeros([rows, missing], (&x.device(), x.dtype()));
            Tensor::cat(vec![x, zeros], 1)
        }
    };
    let x: Tensor<3> = x.reshape([rows, parts, WIDTH]);
    let sums = x.clone().sum_dim(2);
    let before = sums.clone().cumsum(1).sub(sums);
    x.cumsum(2).add(before).reshape([rows, parts * WIDTH]).slice_dim(1, 0..width)
}

#[cfg(all(test, feature = "cpu"))]
mod tests {
    use bestof_kernels::Random;
    use burn::tensor::{Device, TensorData};

    use super::*;

    fn tensor(values: &[f32], vocab: usize) -> Tensor<2> {
        let rows = values.len() / vocab;
        Tensor::from_data(TensorData::new(values.to_vec(), [rows, vocab]), &Device::flex())
    }

    /// Settings with every filter alone and together.
    fn settings() -> Vec<SamplingConfig> {
        let at = |t| SamplingConfig::default().with_temperature(t);
        vec![
            SamplingConfig::greedy(1),
            at(1.0),
            at(0.6),
            at(1.0).with_top_k(Some(1)),
            at(1.3).with_top_k(Some(17)),
            at(1.0).with_top_p(Some(0.9)),
            at(0.7).with_top_p(Some(0.3)),
            at(1.0).with_min_p(Some(0.1)),
            at(0.8).with_top_k(Some(40)).with_top_p(Some(0.8)).with_min_p(Some(0.02)),
        ]
    }

    fn assert_same(found: &SampledToken, expected: &SampledToken, what: &str) {
        assert_eq!(found.token, expected.token, "{what}");
        for (found, expected) in [
            (found.logprob, expected.logprob),
            (found.tempered_logprob, expected.tempered_logprob),
            (found.sampling_logprob, expected.sampling_logprob),
        ] {
            assert!((found - expected).abs() < 1e-5, "{what}: {found} for {expected}");
        }
    }

    #[test]
    fn devices_select_what_the_host_selects() {
        // Wider than one part of the running sum, and not a multiple of it.
        let (rows, vocab) = (40, 3 * WIDTH + 11);
        let mut random = Random::keyed(&[5]);
        let logits: Vec<f32> =
            (0..rows * vocab).map(|_| (12.0 * random.uniform() - 6.0) as f32).collect();
        let uniforms: Vec<f64> = (0..rows).map(|_| random.uniform()).collect();
        for config in settings() {
            let found = Rows::new(tensor(&logits, vocab)).sample(&config, &uniforms);
            for (row, found) in found.iter().enumerate() {
                let expected =
                    sample_token(&logits[row * vocab..][..vocab], &config, uniforms[row]);
                assert_same(found, &expected, &format!("row {row} of {config:?}"));
            }
        }
    }

    /// In half precision many tokens share a logit: the smaller id comes first everywhere.
    #[test]
    fn equal_logits_are_taken_in_the_order_of_their_ids() {
        let vocab = WIDTH + 9;
        let logits: Vec<f32> = (0..vocab).map(|id| (id * 7 % 5) as f32).collect();
        let uniforms: Vec<f64> = (0..50).map(|n| (f64::from(n) + 0.5) / 50.0).collect();
        for config in settings() {
            let all = tensor(&logits, vocab).repeat_dim(0, uniforms.len());
            let found = Rows::new(all).sample(&config, &uniforms);
            for (found, &uniform) in found.iter().zip(&uniforms) {
                let expected = sample_token(&logits, &config, uniform);
                assert_same(found, &expected, &format!("{uniform} of {config:?}"));
            }
        }
    }

    #[test]
    fn tokens_that_cannot_be_are_never_selected() {
        let vocab = 2 * WIDTH;
        let mut logits = vec![f32::NEG_INFINITY; vocab];
        (logits[3], logits[90]) = (1.0, 1.0);
        for config in settings() {
            let ends = [0.0, 1.0 - 1e-16];
            let all = tensor(&logits, vocab).repeat_dim(0, 2);
            let tokens = Rows::new(all).sample(&config, &ends).iter().map(|s| s.token).collect();
            let expected = ends.map(|u| sample_token(&logits, &config, u).token).to_vec();
            let found: Vec<u32> = tokens;
            assert_eq!(found, expected, "{config:?}");
        }
    }

    #[test]
    fn a_logit_that_is_no_number_gives_a_token_of_the_vocabulary() {
        let vocab = 2 * WIDTH;
        for wrong in [f32::NAN, f32::INFINITY] {
            let mut logits = vec![0.5; vocab];
            logits[7] = wrong;
            for config in settings() {
                for sampled in Rows::new(tensor(&logits, vocab)).sample(&config, &[0.3]) {
                    assert!((sampled.token as usize) < vocab, "{config:?}");
                    assert!(!sampled.logprob.is_finite(), "{config:?}");
                }
            }
        }
    }

    #[test]
    fn rows_are_taken_as_often_as_asked_for() {
        let logits = [0.0_f32, 5.0, 5.0, 0.0];
        let greedy = SamplingConfig::greedy(1);
        let found = sample_tokens(tensor(&logits, 2), &[1, 1, 0], &greedy, &[0.0; 3]);
        assert_eq!(found.iter().map(|s| s.token).collect::<Vec<_>>(), [0, 0, 1]);
    }
}
