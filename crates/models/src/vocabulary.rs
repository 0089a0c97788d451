//! From hidden states to log-probabilities of single tokens and back, some rows at a time.
//!
//! The projection onto the vocabulary is the widest tensor of a language model. Here it exists for
//! a few rows only, in the forward as in the backward pass.

use std::ops::Range;

use burn::tensor::{DType, IndexingUpdateOp, Tensor};

use crate::block::projection::host_tensor;
use crate::fused::{self, SoftmaxRows, plain::soft_cap};
use crate::plan::indices;

/// Values of one chunk of logits: 128 rows of a vocabulary of 49,152 words.
const CHUNK_VALUES: usize = 128 * 49_152;

/// The projection onto the vocabulary: logits are `cap(h W^T)`.
#[derive(Debug, Clone)]
pub(crate) struct Vocabulary {
    /// `[vocab, width]`, without automatic differentiation
    pub(crate) weight: Tensor<2>,
    pub(crate) softcap: Option<f64>,
}

/// What the forward pass finds out about each row and target.
#[derive(Debug, Default)]
pub(crate) struct Scores {
    /// The log-probability of each target.
    pub(crate) logprobs: Vec<f32>,
    /// The entropy of each target's row, if asked for.
    pub(crate) entropies: Vec<f32>,
    /// For the backward pass, per chunk of rows: `sum_v p_v c'_v W_v`, `[rows, width]`.
    means: Vec<Tensor<2>>,
    /// The slope of the soft cap at each target's logit; empty without one.
    slopes: Vec<f32>,
}

/// Derivatives of a loss by what the forward pass found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slopes<'a> {
    /// By each target's log-probability.
    pub(crate) logprobs: &'a [f32],
    /// By the entropy of each target's row; empty for none.
    pub(crate) entropies: &'a [f32],
}

impl Slopes<'_> {
    /// Derivatives by the entropy of each row; `None` if there are none.
    fn entropies_by_row(&self, targets: &[(usize, u32)], rows: usize) -> Option<Vec<f32>> {
        if self.entropies.iter().all(|slope| *slope == 0.0) {
            return None;
        }
        Some(totals(targets, self.entropies, rows))
    }
}

/// The weights of all targets of each row.
fn totals(targets: &[(usize, u32)], weights: &[f32], rows: usize) -> Vec<f32> {
    let mut totals = vec![0.0; rows];
    for (&(row, _), weight) in targets.iter().zip(weights) {
        totals[row] += weight;
    }
    totals
}

/// What to compute besides log-probabilities.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Extras {
    pub(crate) entropies: bool,
    /// Whether a backward pass follows.
    pub(crate) backward: bool,
}

impl Vocabulary {
    fn rows_at_once(&self) -> usize {
        (CHUNK_VALUES / self.weight.dims()[0]).clamp(16, 1024)
    }

    fn chunks(&self, rows: usize) -> impl Iterator<Item = Range<usize>> {
        let size = self.rows_at_once();
        (0..rows).step_by(size).map(move |from| from..(from + size).min(rows))
    }

    /// The logits of the rows of `hidden`, `[rows, vocab]`.
    pub(crate) fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        soft_cap(hidden.matmul(self.weight.clone().transpose()), self.softcap)
    }

    /// The logits of the rows of `hidden`, one a sequence; those of a row do not depend on the
    /// others.
    pub(crate) fn next_token_logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        match fused::few_rows_product(&hidden, &self.weight) {
            Some(logits) => soft_cap(logits, self.softcap),
            None => self.logits(hidden),
        }
    }

    /// The slope of the soft cap at capped logits `y`: `1 - (y / c)^2`.
    fn slope(&self, y: Tensor<2>) -> Option<Tensor<2>> {
        self.softcap.map(|cap| y.div_scalar(cap).square().neg().add_scalar(1.0))
    }

    /// Log-probabilities of the targets `(row, token)` under the rows of `hidden`.
    pub(crate) fn score(
        &self,
        hidden: &Tensor<2>,
        targets: &[(usize, u32)],
        extras: Extras,
    ) -> Scores {
        let rows = hidden.dims()[0];
        let order = by_row(targets);
        let mut scores = Scores { logprobs: vec![0.0; targets.len()], ..Scores::default() };
        if extras.entropies {
            scores.entropies = vec![0.0; targets.len()];
        }
        if extras.backward && self.softcap.is_some() {
            scores.slopes = vec![0.0; targets.len()];
        }
        for chunk in self.chunks(rows) {
            let logits = self.logits(hidden.clone().slice_dim(0, chunk.clone()));
            let here = targets_in(&order, targets, &chunk);
            let picked = pick(&logits, targets, here, chunk.start);
            let slope = if extras.backward { self.slope(logits.clone()) } else { None };
            let parts = fused::softmax_rows(logits);
            for (&at, logit) in here.iter().zip(&picked) {
                let row = targets[at].0 - chunk.start;
                let log_sum = parts.sums[row].ln();
                scores.logprobs[at] = logit - parts.max[row] - log_sum;
                if extras.entropies {
                    // H = log sum - sum_v p_v (l_v - max)
                    scores.entropies[at] = log_sum - parts.means[row];
                }
                if let (Some(cap), true) = (self.softcap, extras.backward) {
                    scores.slopes[at] = 1.0 - (logit / cap as f32).powi(2);
                }
            }
            if extras.backward {
                let weighted = match slope {
                    Some(slope) => parts.exps.mul(slope),
                    None => parts.exps,
                };
                let sums: Tensor<2> = host_tensor(parts.sums, [chunk.len(), 1], &self.weight);
                scores.means.push(weighted.matmul(self.weight.clone()).div(sums));
            }
        }
        scores
    }

    /// `d sum_i (w_i logp_i + e_i H_i) / d hidden`, `[rows, width]`:
    ///
    /// ```text
    /// dh_r = sum_{i in r} w_i (c'_{y_i} W_{y_i} - sum_v p_v c'_v W_v)
    ///      - sum_{i in r} e_i sum_v p_v (log p_v + H) c'_v W_v
    /// ```
    ///
    /// The second term is linear in the weights, so that its vectors come from the forward pass
    /// and the projection is not repeated here. For entropies it is.
    pub(crate) fn hidden_gradient(
        &self,
        hidden: &Tensor<2>,
        scores: &Scores,
        targets: &[(usize, u32)],
        slopes: Slopes<'_>,
    ) -> Tensor<2> {
        let (rows, weights) = (hidden.dims()[0], slopes.logprobs);
        let means = Tensor::cat(scores.means.clone(), 0);
        let totals: Tensor<2> =
            host_tensor(totals(targets, weights, rows), [rows, 1], &self.weight);
        let mut pulled = means.mul(totals.neg());
        if let Some(by_row) = slopes.entropies_by_row(targets, rows) {
            pulled = pulled.add(self.entropy_hidden_gradient(hidden, &by_row));
        }

        let device = self.weight.device();
        let tokens: Vec<u32> = targets.iter().map(|t| t.1).collect();
        let places: Vec<u32> = targets.iter().map(|t| t.0 as u32).collect();
        let words = self.weight.clone().select(0, indices(&tokens, &device));
        let factors = self.target_factors(scores, weights);
        pulled.select_assign(
            0,
            indices(&places, &device),
            words.mul(factors),
            IndexingUpdateOp::Add,
        )
    }

    /// `- e_r sum_v p_v (log p_v + H_r) c'_v W_v` of every row.
    fn entropy_hidden_gradient(&self, hidden: &Tensor<2>, slopes: &[f32]) -> Tensor<2> {
        let parts = self.chunks(hidden.dims()[0]).map(|chunk| {
            let surprise = self.surprise(hidden.clone().slice_dim(0, chunk.clone()));
            let negated: Vec<f32> = slopes[chunk.clone()].iter().map(|slope| -slope).collect();
            let factors: Tensor<2> = host_tensor(negated, [chunk.len(), 1], &self.weight);
            surprise.matmul(self.weight.clone()).mul(factors)
        });
        Tensor::cat(parts.collect(), 0)
    }

    /// `p_v (log p_v + H) c'_v`, `[rows, vocab]`: minus the derivative of each row's entropy by
    /// its logits before the cap.
    fn surprise(&self, hidden: Tensor<2>) -> Tensor<2> {
        let rows = hidden.dims()[0];
        let logits = self.logits(hidden);
        let slope = self.slope(logits.clone());
        let parts = fused::softmax_rows(logits.clone());
        // log p_v + H = (l_v - max) - sum_u p_u (l_u - max): the normaliser falls out.
        let centres: Vec<f32> = parts.max.iter().zip(&parts.means).map(|(m, c)| m + c).collect();
        let centres: Tensor<2> = host_tensor(centres, [rows, 1], &self.weight);
        let sums: Tensor<2> = host_tensor(parts.sums, [rows, 1], &self.weight);
        let surprise = parts.exps.div(sums).mul(logits.sub(centres));
        match slope {
            Some(slope) => surprise.mul(slope),
            None => surprise,
        }
    }

    /// `w_i c'_{y_i}`, `[targets, 1]`.
    fn target_factors(&self, scores: &Scores, weights: &[f32]) -> Tensor<2> {
        let factors: Vec<f32> = if scores.slopes.is_empty() {
            weights.to_vec()
        } else {
            weights.iter().zip(&scores.slopes).map(|(w, s)| w * s).collect()
        };
        let count = factors.len();
        host_tensor(factors, [count, 1], &self.weight)
    }

    /// `d sum_i (w_i logp_i + e_i H_i) / d W`, `[vocab, width]`:
    ///
    /// ```text
    /// dW_v = sum_i w_i c'_v (1[v = y_i] - p_v) h_i - e_i p_v (log p_v + H_i) c'_v h_i
    /// ```
    pub(crate) fn weight_gradient(
        &self,
        hidden: &Tensor<2>,
        scores: &Scores,
        targets: &[(usize, u32)],
        slopes: Slopes<'_>,
    ) -> Tensor<2> {
        let (rows, weights) = (hidden.dims()[0], slopes.logprobs);
        let totals: Vec<f32> = totals(targets, weights, rows).iter().map(|sum| -sum).collect();
        let by_row = slopes.entropies_by_row(targets, rows);
        let mut gradient: Option<Tensor<2>> = None;
        for chunk in self.chunks(rows) {
            let h = hidden.clone().slice_dim(0, chunk.clone());
            let logits = self.logits(h.clone());
            let slope = self.slope(logits.clone());
            let SoftmaxRows { exps, sums, .. } = fused::softmax_rows(logits);
            let exps = match slope {
                Some(slope) => exps.mul(slope),
                None => exps,
            };
            let factors: Vec<f32> =
                totals[chunk.clone()].iter().zip(&sums).map(|(total, sum)| total / sum).collect();
            let factors: Tensor<2> = host_tensor(factors, [chunk.len(), 1], &self.weight);
            // The factors of a row go to the narrow side of the product.
            let mut part = exps.transpose().matmul(h.clone().mul(factors));
            if let Some(by_row) = &by_row {
                let negated: Vec<f32> = by_row[chunk.clone()].iter().map(|slope| -slope).collect();
                let factors: Tensor<2> = host_tensor(negated, [chunk.len(), 1], &self.weight);
                part = part.add(self.surprise(h.clone()).transpose().matmul(h.mul(factors)));
            }
            gradient = Some(match gradient {
                Some(sum) => sum.add(part),
                None => part,
            });
        }
        let gradient = gradient.unwrap_or_else(|| self.weight.zeros_like());
        let device = self.weight.device();
        let tokens: Vec<u32> = targets.iter().map(|t| t.1).collect();
        let places: Vec<u32> = targets.iter().map(|t| t.0 as u32).collect();
        let states = hidden.clone().select(0, indices(&places, &device));
        let factors = self.target_factors(scores, weights);
        gradient.select_assign(
            0,
            indices(&tokens, &device),
            states.mul(factors),
            IndexingUpdateOp::Add,
        )
    }
}

/// The targets' indices, sorted by row.
fn by_row(targets: &[(usize, u32)]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..targets.len()).collect();
    order.sort_by_key(|&at| targets[at].0);
    order
}

/// Those of the sorted targets whose rows lie in `chunk`.
fn targets_in<'a>(
    order: &'a [usize],
    targets: &[(usize, u32)],
    chunk: &Range<usize>,
) -> &'a [usize] {
    let from = order.partition_point(|&at| targets[at].0 < chunk.start);
    let to = order.partition_point(|&at| targets[at].0 < chunk.end);
    &order[from..to]
}

/// The logits of some targets, whose rows start at `first`.
fn pick(logits: &Tensor<2>, targets: &[(usize, u32)], which: &[usize], first: usize) -> Vec<f32> {
    if which.is_empty() {
        return Vec::new();
    }
    let [rows, vocab] = logits.dims();
    let places: Vec<u32> =
        which.iter().map(|&at| ((targets[at].0 - first) * vocab) as u32 + targets[at].1).collect();
    let flat: Tensor<1> = logits.clone().reshape([rows * vocab]);
    floats(flat.select(0, indices(&places, &logits.device())))
}

/// The values of a tensor, in its order.
pub(crate) fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    let tensor = if tensor.dtype() == DType::F32 { tensor } else { tensor.cast(DType::F32) };
    tensor.into_data().iter::<f32>().collect()
}
