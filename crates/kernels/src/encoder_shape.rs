//! What the encoder operations are told about their inputs.

use burn::tensor::Tensor;

use crate::random::dropout_mask;

/// Rows of one length, one after the other, whose tokens see those of their own row.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Number of rows.
    pub rows: usize,
    /// Tokens per row.
    pub length: usize,
    /// What is added to the scores of each key, where some are not to be seen; the run is one row.
    pub keys: Option<Vec<f32>>,
}

/// Attention within rows.
#[derive(Debug, Clone)]
pub struct RowAttention<'a> {
    /// Attention heads.
    pub heads: usize,
    /// The rows, in the order of the tokens.
    pub runs: &'a [Run],
    /// Probability and keys of the values dropped.
    pub dropout: Option<(f64, [u64; 3])>,
}

impl RowAttention<'_> {
    /// The mask of the weights of one run.
    pub(crate) fn mask(&self, run: usize, count: usize) -> Option<Vec<f32>> {
        let (probability, [a, b, c]) = self.dropout?;
        Some(dropout_mask(count, probability, &[a, b, c, run as u64]))
    }
}

/// The layers that make queries, keys and values: weights `[width, width]`, biases `[width]`.
#[derive(Debug, Clone)]
pub struct Projections {
    /// `[width, width]` each.
    pub weights: [Tensor<2>; 3],
    /// `[width]` each.
    pub biases: [Tensor<1>; 3],
}

/// A linear layer whose output is added to a residual stream and normalised.
#[derive(Debug, Clone)]
pub struct AddNormLayer {
    /// `[out, in]`
    pub weight: Tensor<2>,
    /// `[out]`
    pub bias: Tensor<1>,
    /// Of the norm, `[out]`.
    pub norm_weight: Tensor<1>,
    /// Of the norm, `[out]`.
    pub norm_bias: Tensor<1>,
    /// Added to the variance before the root.
    pub eps: f64,
    /// Probability and keys of the outputs dropped.
    pub dropout: Option<(f64, [u64; 3])>,
}

impl AddNormLayer {
    /// What the outputs are multiplied by.
    pub(crate) fn mask(&self, count: usize) -> Option<Vec<f32>> {
        self.dropout.map(|(probability, keys)| dropout_mask(count, probability, &keys))
    }
}
