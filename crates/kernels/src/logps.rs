//! From hidden states to log-probabilities of single tokens and back, some rows at a time.
//!
//! The projection onto the vocabulary is the widest tensor of a language model. Here it exists for
//! a few rows only, in the forward as in the backward pass.

use std::ops::Range;

use burn::tensor::{DType, Device, IndexingUpdateOp, Int, Tensor};

use crate::custom::{AnyTensor, Inputs};
use crate::decoder::{product_of, softmax_rows};
use crate::host::{indices, on_pool};
use crate::plain::{in_type, soft_cap, wide_type, widened};
use crate::shape::SoftmaxRows;
use crate::weight::Weight;

/// Values of one chunk of logits: 128 rows of a vocabulary of 49,152 tokens.
const CHUNK_VALUES: usize = 128 * 49_152;

/// The projection of hidden states onto the vocabulary: logits are `cap(h W^T)`, with
/// `cap(l) = c tanh(l / c)`.
///
/// A bias is a column of the weight that meets a hidden value of 1.
#[derive(Debug, Clone)]
pub struct Vocabulary {
    /// `[vocab, width]`
    pub weight: Weight,
    /// The soft cap `c` of the logits (Gemma 2).
    pub softcap: Option<f64>,
}

/// A token to score: the row of hidden states that predicts it, and its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// Row of the hidden states.
    pub row: u32,
    /// Id of the token.
    pub token: u32,
}

/// What [`Vocabulary::score`] says of each target.
#[derive(Debug, Clone)]
pub struct TokenScores {
    /// Natural log-probability of each target, `[targets]`.
    pub logps: Tensor<1>,
    /// Entropy in nats of the distribution that each target is drawn from, `[targets]`, if asked
    /// for.
    pub entropies: Option<Tensor<1>>,
}

impl Vocabulary {
    /// The logits of the rows of `hidden`, `[rows, width]` to `[rows, vocab]`.
    pub fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        soft_cap(widened(self.weight.linear(hidden)), self.softcap)
    }

    /// The logits of few rows of `hidden`, one per sequence; those of a row do not depend on the
    /// others. Without automatic differentiation.
    pub fn next_token_logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        soft_cap(widened(self.weight.few_rows(hidden)), self.softcap)
    }

    /// Log-probabilities, and entropies if asked for, of targets under the rows of `hidden`,
    /// `[rows, width]`, as one operation with its gradient in closed form:
    ///
    /// ```text
    /// logp_i = log softmax(cap(h_r W^T))[y_i],   H_r = - sum_v p_v log p_v
    ///
    /// dL/dh_r = sum_{i in r} w_i (c'_{y_i} W_{y_i} - sum_v p_v c'_v W_v)
    ///         - sum_{i in r} e_i sum_v p_v (log p_v + H_r) c'_v W_v
    /// dL/dW_v = sum_i w_i c'_v (1[v = y_i] - p_v) h_r - e_i p_v (log p_v + H_r) c'_v h_r
    /// ```
    ///
    /// with `w_i = dL/dlogp_i`, `e_i = dL/dH_i` and `c'` the slope of the soft cap. Logits exist
    /// for some rows at a time: `[rows, vocab]` is never in memory at once. The gradient flows to
    /// hidden states and weight, to each only if it has one.
    ///
    /// # Panics
    /// If a target's row or token is out of range.
    pub fn score(&self, hidden: Tensor<2>, targets: &[Target], entropies: bool) -> TokenScores {
        if targets.is_empty() {
            let nothing = || Tensor::zeros([0], (&hidden.device(), wide_type(hidden.dtype())));
            return TokenScores { logps: nothing(), entropies: entropies.then(nothing) };
        }
        let mut inputs = Inputs::new();
        let to_hidden = inputs.add(&hidden);
        let to_weight = match &self.weight {
            Weight::Tensor(weight) => inputs.add(weight),
            Weight::Blocks(_) => false,
        };
        let plain = Self { weight: self.weight.clone().inner(), softcap: self.softcap };
        let hidden = hidden.inner();
        let targets = Targets::new(targets, hidden.dims()[0], &hidden.device());
        let forward = on_pool(|| plain.forward(&hidden, &targets, entropies, to_hidden));
        let count = targets.tokens.len();
        let Forward { logps, entropies: found, means, target_slopes } = forward;
        let output = match found {
            Some(found) => Tensor::cat(vec![logps, found], 0),
            None => logps,
        };
        let scores = inputs.differentiable(output, move |by_output: Tensor<1>| {
            let backward = Backward {
                vocabulary: plain,
                hidden,
                targets,
                target_slopes,
                by_logp: by_output.clone().slice_dim(0, 0..count),
                by_entropy: entropies.then(|| by_output.slice_dim(0, count..2 * count)),
            };
            let by_hidden = to_hidden.then(|| backward.by_hidden(means).into());
            let by_weight: Option<AnyTensor> = to_weight.then(|| backward.by_weight().into());
            vec![by_hidden, by_weight]
        });
        if entropies {
            TokenScores {
                logps: scores.clone().slice_dim(0, 0..count),
                entropies: Some(scores.slice_dim(0, count..2 * count)),
            }
        } else {
            TokenScores { logps: scores, entropies: None }
        }
    }

    /// `x W`, `[rows, width]`, of a product that is taken in `dtype`.
    fn times(&self, x: Tensor<2>, dtype: DType) -> Tensor<2> {
        widened(self.weight.times(in_type(x, dtype)))
    }

    /// The rows whose logits exist at once, of a vocabulary of `vocab` tokens.
    pub fn rows_at_a_time(vocab: usize) -> usize {
        (CHUNK_VALUES / vocab).clamp(16, 1024)
    }

    fn chunks(&self, rows: usize) -> impl Iterator<Item = Range<usize>> + use<> {
        let size = Self::rows_at_a_time(self.weight.dims()[0]);
        (0..rows).step_by(size).map(move |from| from..(from + size).min(rows))
    }

    /// The slope of the soft cap at capped logits `y`: `1 - (y / c)^2`.
    fn slope<const D: usize>(&self, y: Tensor<D>) -> Option<Tensor<D>> {
        self.softcap.map(|cap| y.div_scalar(cap).square().neg().add_scalar(1.0))
    }

    fn forward(
        &self,
        hidden: &Tensor<2>,
        targets: &Targets,
        entropies: bool,
        to_hidden: bool,
    ) -> Forward {
        let mut picked = Vec::new();
        let (mut max, mut sums, mut centres) = (Vec::new(), Vec::new(), Vec::new());
        let mut means = Vec::new();
        for chunk in self.chunks(hidden.dims()[0]) {
            let logits = self.logits(hidden.clone().slice_dim(0, chunk.clone()));
            picked.extend(targets.pick(&logits, &chunk));
            let slope = if to_hidden { self.slope(logits.clone()) } else { None };
            let parts = softmax_rows(logits);
            max.push(parts.max);
            if entropies {
                centres.push(parts.means);
            }
            if to_hidden {
                let weighted = match slope {
                    Some(slope) => parts.exps.mul(slope),
                    None => parts.exps,
                };
                let sums: Tensor<2> = parts.sums.clone().unsqueeze_dim(1);
                means.push(self.times(weighted, hidden.dtype()).div(sums));
            }
            sums.push(parts.sums);
        }
        let of_targets =
            |parts: Vec<Tensor<1>>| Tensor::cat(parts, 0).select(0, targets.rows.clone());
        let picked = Tensor::cat(picked, 0).select(0, targets.unsorted.clone());
        let log_sums = of_targets(sums).log();
        // H = log sum - sum_v p_v (l_v - max)
        let found = entropies.then(|| log_sums.clone().sub(of_targets(centres)));
        let target_slopes = self.slope(picked.clone());
        let logps = picked.sub(of_targets(max)).sub(log_sums);
        Forward { logps, entropies: found, means, target_slopes }
    }
}

struct Forward {
    /// `[targets]`
    logps: Tensor<1>,
    /// `[targets]`
    entropies: Option<Tensor<1>>,
    /// Per chunk of rows `sum_v p_v c'_v W_v`, `[rows, width]`.
    means: Vec<Tensor<2>>,
    /// The slope of the soft cap at each target's logit, `[targets]`.
    target_slopes: Option<Tensor<1>>,
}

/// The targets as index tensors.
struct Targets {
    count_of_rows: usize,
    /// Row of each target, `[targets]`.
    rows: Tensor<1, Int>,
    /// Token of each target, `[targets]`.
    tokens: Vec<u32>,
    /// Targets in the order of their rows.
    sorted: Vec<Target>,
    /// Where each target stands in that order, `[targets]`.
    unsorted: Tensor<1, Int>,
}

impl Targets {
    fn new(targets: &[Target], count_of_rows: usize, device: &Device) -> Self {
        let mut order: Vec<usize> = (0..targets.len()).collect();
        order.sort_by_key(|&at| targets[at].row);
        let mut unsorted = vec![0; targets.len()];
        for (position, &at) in order.iter().enumerate() {
            unsorted[at] = position as u32;
        }
        let rows: Vec<u32> = targets.iter().map(|target| target.row).collect();
        Self {
            count_of_rows,
            rows: indices(&rows, device),
            tokens: targets.iter().map(|target| target.token).collect(),
            sorted: order.iter().map(|&at| targets[at]).collect(),
            unsorted: indices(&unsorted, device),
        }
    }

    /// The logits of the targets in a chunk of rows, in the order of rows.
    fn pick(&self, logits: &Tensor<2>, chunk: &Range<usize>) -> Option<Tensor<1>> {
        let from = self.sorted.partition_point(|target| (target.row as usize) < chunk.start);
        let to = self.sorted.partition_point(|target| (target.row as usize) < chunk.end);
        if from == to {
            return None;
        }
        let [rows, vocab] = logits.dims();
        let offsets: Vec<u32> = self.sorted[from..to]
            .iter()
            .map(|target| ((target.row as usize - chunk.start) * vocab) as u32 + target.token)
            .collect();
        let flat: Tensor<1> = logits.clone().reshape([rows * vocab]);
        Some(flat.select(0, indices(&offsets, &logits.device())))
    }

    /// The sum over the targets of each row, `[rows, 1]`.
    fn by_row(&self, values: Tensor<1>) -> Tensor<2> {
        let rows = Tensor::zeros([self.count_of_rows], (&values.device(), values.dtype()));
        let sums: Tensor<1> =
            rows.select_assign(0, self.rows.clone(), values, IndexingUpdateOp::Add);
        sums.unsqueeze_dim(1)
    }
}

/// The derivatives in closed form; nothing here has a graph.
struct Backward {
    vocabulary: Vocabulary,
    /// `[rows, width]`
    hidden: Tensor<2>,
    targets: Targets,
    /// `[targets]`
    target_slopes: Option<Tensor<1>>,
    /// `[targets]`
    by_logp: Tensor<1>,
    /// `[targets]`
    by_entropy: Option<Tensor<1>>,
}

impl Backward {
    /// `dL/dhidden`, `[rows, width]`.
    ///
    /// The second term is linear in the derivatives, so that its vectors come from the forward
    /// pass and the projection is not repeated here. For entropies it is.
    fn by_hidden(&self, means: Vec<Tensor<2>>) -> Tensor<2> {
        let mut gradient =
            Tensor::cat(means, 0).mul(self.targets.by_row(self.by_logp.clone()).neg());
        if let Some(by_row) = self.entropies_by_row() {
            gradient = gradient.add(self.entropy_by_hidden(&by_row));
        }
        let rows = widened(self.vocabulary.weight.rows(&self.targets.tokens)).mul(self.factors());
        let gradient =
            gradient.select_assign(0, self.targets.rows.clone(), rows, IndexingUpdateOp::Add);
        in_type(gradient, self.hidden.dtype())
    }

    /// `dL/dW`, `[vocab, width]`.
    fn by_weight(&self) -> Tensor<2> {
        let totals = self.targets.by_row(self.by_logp.clone()).neg();
        let by_entropy = self.entropies_by_row();
        let mut gradient: Option<Tensor<2>> = None;
        for chunk in self.vocabulary.chunks(self.targets.count_of_rows) {
            let h = self.hidden.clone().slice_dim(0, chunk.clone());
            let logits = self.vocabulary.logits(h.clone());
            let h = widened(h);
            let slope = self.vocabulary.slope(logits.clone());
            let SoftmaxRows { exps, sums, .. } = softmax_rows(logits);
            let exps = match slope {
                Some(slope) => exps.mul(slope),
                None => exps,
            };
            let factors = totals.clone().slice_dim(0, chunk.clone()).div(sums.unsqueeze_dim(1));
            // The factors of a row go to the narrow side of the product.
            let mut part = product_of(exps.transpose(), h.clone().mul(factors));
            if let Some(by_entropy) = &by_entropy {
                let factors = by_entropy.clone().slice_dim(0, chunk).neg();
                part = part.add(product_of(self.surprise(h.clone()).transpose(), h.mul(factors)));
            }
            gradient = Some(match gradient {
                Some(sum) => sum.add(part),
                None => part,
            });
        }
        let weight = self.vocabulary.weight.values();
        let gradient = gradient.unwrap_or_else(|| widened(weight.zeros_like()));
        let tokens = indices(&self.targets.tokens, &gradient.device());
        let states = widened(self.hidden.clone().select(0, self.targets.rows.clone()));
        let states = states.mul(self.factors());
        let gradient = gradient.select_assign(0, tokens, states, IndexingUpdateOp::Add);
        in_type(gradient, weight.dtype())
    }

    /// `w_i c'_{y_i}`, `[targets, 1]`.
    fn factors(&self) -> Tensor<2> {
        let by_logp = self.by_logp.clone();
        let factors = match &self.target_slopes {
            Some(slopes) => by_logp.mul(slopes.clone()),
            None => by_logp,
        };
        factors.unsqueeze_dim(1)
    }

    /// Derivatives by the entropy of each row, `[rows, 1]`.
    fn entropies_by_row(&self) -> Option<Tensor<2>> {
        self.by_entropy.clone().map(|values| self.targets.by_row(values))
    }

    /// `- e_r sum_v p_v (log p_v + H_r) c'_v W_v` of every row, `[rows, width]`.
    fn entropy_by_hidden(&self, by_row: &Tensor<2>) -> Tensor<2> {
        let parts = self.vocabulary.chunks(self.targets.count_of_rows).map(|chunk| {
            let surprise = self.surprise(self.hidden.clone().slice_dim(0, chunk.clone()));
            let factors = by_row.clone().slice_dim(0, chunk).neg();
            self.vocabulary.times(surprise, self.hidden.dtype()).mul(factors)
        });
        Tensor::cat(parts.collect(), 0)
    }

    /// `p_v (log p_v + H) c'_v`, `[rows, vocab]`: minus the derivative of each row's entropy by
    /// its logits before the cap.
    fn surprise(&self, hidden: Tensor<2>) -> Tensor<2> {
        let logits = self.vocabulary.logits(hidden);
        let slope = self.vocabulary.slope(logits.clone());
        let parts = softmax_rows(logits.clone());
        // log p_v + H = (l_v - max) - sum_u p_u (l_u - max): the normaliser falls out.
        let centres = parts.max.add(parts.means).unsqueeze_dim(1);
        let sums = parts.sums.unsqueeze_dim(1);
        let surprise = parts.exps.div(sums).mul(logits.sub(centres));
        match slope {
            Some(slope) => surprise.mul(slope),
            None => surprise,
        }
    }
}
