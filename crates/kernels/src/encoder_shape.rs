//! What the encoder operations are told about their inputs.

use burn::tensor::Tensor;

use crate::dropout::Dropout;

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
    /// Which shares are dropped.
    pub dropout: Option<Dropout>,
}

impl RowAttention<'_> {
    /// What the shares of one run are multiplied by, `[rows, heads, length, length]`; `first` rows are
    /// before it.
    pub(crate) fn mask(&self, run: &Run, first: usize) -> Option<Vec<f32>> {
        let dropout = self.dropout.as_ref()?;
        let Run { rows, length, .. } = *run;
        let count = self.heads * length * length;
        let rows = &dropout.rows[first..first + rows];
        Some(dropout.masks(rows.iter().map(|row| (row, count))))
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
    /// Which outputs are dropped.
    pub dropout: Option<Dropout>,
}

impl AddNormLayer {
    /// What the outputs are multiplied by, `[tokens, width]`.
    pub(crate) fn mask(&self, width: usize) -> Option<Vec<f32>> {
        self.dropout.as_ref().map(|dropout| dropout.mask(width))
    }
}
