//! The parts of an encoder around its matrix products, each in one pass over memory.
//!
//! As in [`super`], the CPU has operations with written backward passes, other devices plain tensor
//! operations, and both are tested against each other.

use burn::tensor::Tensor;

#[cfg(feature = "cpu")]
use super::flex;
use crate::random::dropout_mask;

/// Rows of one length, one behind the other, whose tokens see those of their own row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Run {
    pub(crate) rows: usize,
    pub(crate) length: usize,
    /// What is added to the scores of each key, where some are not to be seen; the run is one row.
    pub(crate) keys: Option<Vec<f32>>,
}

/// Attention within rows.
#[derive(Debug, Clone)]
pub(crate) struct RowAttention<'a> {
    pub(crate) heads: usize,
    pub(crate) runs: &'a [Run],
    /// Probability and keys of the values dropped.
    pub(crate) dropout: Option<(f64, [u64; 3])>,
}

impl RowAttention<'_> {
    /// The mask of the weights of one run.
    pub(super) fn mask(&self, run: usize, count: usize) -> Option<Vec<f32>> {
        let (probability, [a, b, c]) = self.dropout?;
        Some(dropout_mask(count, probability, &[a, b, c, run as u64]))
    }
}

/// The layers that make queries, keys and values: weights `[width, width]`, biases `[width]`.
#[derive(Debug, Clone)]
pub(crate) struct Projections {
    pub(crate) weights: [Tensor<2>; 3],
    pub(crate) biases: [Tensor<1>; 3],
}

/// What each token takes from the tokens of its row.
///
/// ```text
/// softmax(q k^T / sqrt(d) + mask) v,   q, k, v = W x + b
/// ```
///
/// # Shapes
/// - `x`: `[tokens, heads * d]`
/// - returns `[tokens, heads * d]`
pub(crate) fn self_attention(
    x: Tensor<2>,
    projections: Projections,
    shape: &RowAttention<'_>,
) -> Tensor<2> {
    #[cfg(feature = "cpu")]
    {
        let Projections { weights, biases } = &projections;
        let place = weights.iter().fold(flex::Place::of(&x), |place, w| place?.with(w));
        let place = biases.iter().fold(place, |place, b| place?.with(b));
        if let Some(place) = place {
            return flex::self_attention(place, x, projections, shape);
        }
    }
    plain::self_attention(x, projections, shape)
}

/// The sum of two tensors, its rows brought to mean 0 and variance 1, scaled and shifted:
/// `[rows, width]`.
pub(crate) fn add_layer_norm(
    x: Tensor<2>,
    residual: Tensor<2>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    eps: f64,
) -> Tensor<2> {
    #[cfg(feature = "cpu")]
    if let Some(place) = flex::Place::of(&x)
        .and_then(|place| place.with(&residual))
        .and_then(|place| place.with(&weight))
        .and_then(|place| place.with(&bias))
    {
        return flex::add_layer_norm(place, x, residual, weight, bias, eps as f32);
    }
    plain::add_layer_norm(x, residual, weight, bias, eps)
}

/// A linear layer whose output is added to a residual stream and normalised.
#[derive(Debug, Clone)]
pub(crate) struct AddNormLayer {
    /// `[out, in]`
    pub(crate) weight: Tensor<2>,
    /// `[out]`
    pub(crate) bias: Tensor<1>,
    /// Of the norm, `[out]`.
    pub(crate) norm_weight: Tensor<1>,
    /// Of the norm, `[out]`.
    pub(crate) norm_bias: Tensor<1>,
    pub(crate) eps: f64,
    /// Probability and keys of the outputs dropped.
    pub(crate) dropout: Option<(f64, [u64; 3])>,
}

impl AddNormLayer {
    /// What the outputs are multiplied by.
    pub(super) fn mask(&self, count: usize) -> Option<Vec<f32>> {
        self.dropout.map(|(probability, keys)| dropout_mask(count, probability, &keys))
    }
}

/// `norm(dropout(x w^T + b) + residual)` for `x: [rows, in]` and `residual: [rows, out]`.
pub(crate) fn affine_add_norm(x: Tensor<2>, residual: Tensor<2>, layer: AddNormLayer) -> Tensor<2> {
    #[cfg(feature = "cpu")]
    if let Some(place) = flex::Place::of(&x)
        .and_then(|place| place.with(&residual))
        .and_then(|place| place.with(&layer.weight))
        .and_then(|place| place.with(&layer.bias))
        .and_then(|place| place.with(&layer.norm_weight))
        .and_then(|place| place.with(&layer.norm_bias))
    {
        return flex::affine_add_norm(place, x, residual, layer);
    }
    plain::affine_add_norm(x, residual, layer)
}

/// `y Phi(y)` of `y = x w^T + b`, by the error function.
pub(crate) fn affine_gelu(x: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<2> {
    #[cfg(feature = "cpu")]
    if let Some(place) = flex::Place::of(&x)
        .and_then(|place| place.with(&weight))
        .and_then(|place| place.with(&bias))
    {
        return flex::affine_gelu(place, x, weight, bias);
    }
    plain::affine_gelu(x, weight, bias)
}

/// `x w^T + b` for `x: [rows, in]`, `w: [out, in]` and `b: [out]`.
pub(crate) fn affine(x: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<2> {
    #[cfg(feature = "cpu")]
    if let Some(place) = flex::Place::of(&x)
        .and_then(|place| place.with(&weight))
        .and_then(|place| place.with(&bias))
    {
        return flex::affine(place, x, weight, bias);
    }
    plain::affine(x, weight, bias)
}

/// The same by plain tensor operations.
pub(crate) mod plain {
    use burn::tensor::Tensor;
    use burn::tensor::module::layer_norm;

    use super::super::plain::softmax;
    use super::{AddNormLayer, Projections, RowAttention};
    use crate::block::projection::host_tensor;

    pub(crate) fn self_attention(
        x: Tensor<2>,
        projections: Projections,
        shape: &RowAttention<'_>,
    ) -> Tensor<2> {
        let Projections { weights: [wq, wk, wv], biases: [bq, bk, bv] } = projections;
        let q = affine(x.clone(), wq, bq);
        let k = affine(x.clone(), wk, bk);
        let v = affine(x, wv, bv);
        let [_, width] = q.dims();
        let dim = width / shape.heads;
        let q = q.mul_scalar((dim as f64).sqrt().recip());
        let mut parts = Vec::with_capacity(shape.runs.len());
        let mut from = 0;
        for (number, run) in shape.runs.iter().enumerate() {
            let (rows, length, heads) = (run.rows, run.length, shape.heads);
            let range = from..from + rows * length;
            from = range.end;
            let split = |x: &Tensor<2>| -> Tensor<4> {
                let x = x.clone().slice_dim(0, range.clone());
                x.reshape([rows, length, heads, dim]).swap_dims(1, 2)
            };
            let mut scores = split(&q).matmul(split(&k).transpose());
            if let Some(keys) = &run.keys {
                scores = scores.add(host_tensor(keys.clone(), [1, 1, 1, length], &q));
            }
            let mut shares = softmax(scores);
            if let Some(mask) = shape.mask(number, rows * heads * length * length) {
                shares = shares.mul(host_tensor(mask, [rows, heads, length, length], &q));
            }
            parts.push(shares.matmul(split(&v)).swap_dims(1, 2).reshape([rows * length, width]));
        }
        Tensor::cat(parts, 0)
    }

    pub(crate) fn add_layer_norm(
        x: Tensor<2>,
        residual: Tensor<2>,
        weight: Tensor<1>,
        bias: Tensor<1>,
        eps: f64,
    ) -> Tensor<2> {
        layer_norm(x.add(residual), weight, Some(bias), eps)
    }

    /// GELU is written out, because the derivative of burn's own is that of the tanh approximation
    /// on some devices (burn 0.22).
    pub(crate) fn affine_gelu(x: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<2> {
        let y = affine(x, weight, bias);
        let cdf = y.clone().mul_scalar(std::f64::consts::FRAC_1_SQRT_2).erf().add_scalar(1.0);
        y.mul(cdf.mul_scalar(0.5))
    }

    pub(crate) fn affine_add_norm(
        x: Tensor<2>,
        residual: Tensor<2>,
        layer: AddNormLayer,
    ) -> Tensor<2> {
        let mut y = affine(x, layer.weight.clone(), layer.bias.clone());
        let shape = y.dims();
        if let Some(mask) = layer.mask(shape.iter().product()) {
            let mask = host_tensor(mask, shape, &y);
            y = y.mul(mask);
        }
        add_layer_norm(y, residual, layer.norm_weight, layer.norm_bias, layer.eps)
    }

    pub(crate) fn affine(x: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<2> {
        x.matmul(weight.transpose()).add(bias.unsqueeze())
    }
}
