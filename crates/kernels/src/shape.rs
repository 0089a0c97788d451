//! What the operations are told about their inputs.

use std::ops::Range;

use burn::tensor::Tensor;

/// The activation of a gated feed-forward block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// `x * sigmoid(x)`.
    Silu,
    /// GELU by its tanh approximation.
    GeluTanh,
}

/// Sizes of grouped-query attention.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AttentionShape {
    /// Heads of keys and values.
    pub kv_heads: usize,
    /// Query heads per key head.
    pub group: usize,
    /// Values per head.
    pub head_dim: usize,
    /// Scores become `c tanh(score / c)`.
    pub softcap: Option<f64>,
}

/// A block of query rows and the key rows it attends to.
#[derive(Debug, Clone)]
pub struct AttentionBlock {
    /// Query rows.
    pub rows: Range<usize>,
    /// Key rows.
    pub keys: Range<usize>,
    /// Added to the scores, `[rows, keys]`; `None` if every row sees every key.
    pub mask: Option<Tensor<2>>,
}

impl AttentionBlock {
    /// The block with its rows and its keys moved up by an offset each.
    #[must_use]
    pub fn shifted(self, rows: usize, keys: usize) -> Self {
        Self {
            rows: self.rows.start + rows..self.rows.end + rows,
            keys: self.keys.start + keys..self.keys.end + keys,
            mask: self.mask,
        }
    }
}

/// The parts of the softmax of rows of logits `l`.
#[derive(Debug, Clone)]
pub struct SoftmaxRows {
    /// `exp(l - max)`, `[rows, vocab]`
    pub exps: Tensor<2>,
    /// The largest logit of each row, `[rows]`.
    pub max: Tensor<1>,
    /// The sum of the exponentials of each row, `[rows]`.
    pub sums: Tensor<1>,
    /// `sum_v p_v (l_v - max)` of each row, `[rows]`.
    pub means: Tensor<1>,
}
