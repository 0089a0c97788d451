//! The computation of encoders that normalise behind each block: BERT, RoBERTa and DistilBERT.
//!
//! Their layers differ in the names of their tensors only.

use burn::tensor::Tensor;

use super::parts::{Dense, Norm, Table};
use super::pass::Pass;
use bestof_kernels::{AddNormLayer, Projections, RowAttention, affine_add_norm, self_attention};

/// The parts of the input of the first layer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sum<'a> {
    pub(super) positions: &'a Table,
    pub(super) types: Option<&'a Table>,
    pub(super) norm: &'a Norm,
}

impl Sum<'_> {
    /// The sum of word, position and token type embeddings, normalised, `[tokens, hidden]`.
    pub(super) fn forward(self, words: Tensor<2>, pass: Pass<'_>) -> Tensor<2> {
        let words = match self.types {
            Some(types) => words.add(types.rows(&pass.packed.types)),
            None => words,
        };
        let positions = self.positions.rows(&pass.packed.positions);
        let x = self.norm.of_sum(words, positions, pass.config.layer_norm_eps);
        pass.drop(x, pass.config.hidden_dropout, 0)
    }
}

/// The parts of a layer.
#[derive(Debug, Clone, Copy)]
pub(super) struct PostNorm<'a> {
    /// Queries, keys and values.
    pub(super) projections: [&'a Dense; 3],
    /// What attention found.
    pub(super) attended: (&'a Dense, &'a Norm),
    /// Into the feed-forward block.
    pub(super) inner: &'a Dense,
    /// Out of it.
    pub(super) outer: (&'a Dense, &'a Norm),
}

impl PostNorm<'_> {
    /// ```text
    /// y = norm(x + attention(x) W^T + b)      norm(y + W_out activation(W_in y + b_in) + b_out)
    /// ```
    ///
    /// Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.1 and equation 1.
    pub(super) fn forward(self, x: Tensor<2>, pass: Pass<'_>) -> Tensor<2> {
        let shape = RowAttention {
            heads: pass.config.num_heads,
            runs: &pass.packed.runs,
            dropout: pass.dropout(pass.config.attention_dropout, 0),
        };
        let projections = Projections {
            weights: self.projections.map(|part| part.weight.val()),
            biases: self.projections.map(|part| part.bias.val()),
        };
        let attended = self_attention(x.clone(), projections, &shape);
        let x = add_norm(self.attended, attended, x, pass, 1);
        let inner = self.inner.activated(x.clone(), pass.config.activation);
        add_norm(self.outer, inner, x, pass, 2)
    }
}

/// A linear layer whose output is added to the residual stream and normalised.
fn add_norm(
    (dense, norm): (&Dense, &Norm),
    x: Tensor<2>,
    residual: Tensor<2>,
    pass: Pass<'_>,
    slot: u64,
) -> Tensor<2> {
    let layer = AddNormLayer {
        weight: dense.weight.val(),
        bias: dense.bias.val(),
        norm_weight: norm.weight.val(),
        norm_bias: norm.bias(),
        eps: pass.config.layer_norm_eps,
        dropout: pass.dropout(pass.config.hidden_dropout, slot),
    };
    affine_add_norm(x, residual, layer)
}
