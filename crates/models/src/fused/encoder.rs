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

/// What each token takes from the tokens of its row.
///
/// ```text
/// softmax(q k^T / sqrt(d) + mask) v
/// ```
///
/// # Shapes
/// - `q`, `k`, `v`: `[tokens, heads * d]`
/// - returns `[tokens, heads * d]`
pub(crate) fn row_attention(
    q: Tensor<2>,
    k: Tensor<2>,
    v: Tensor<2>,
    shape: &RowAttention<'_>,
) -> Tensor<2> {
    #[cfg(feature = "cpu")]
    if let Some(place) = flex::Place::of(&q).and_then(|p| p.with(&k)).and_then(|p| p.with(&v)) {
        return flex::row_attention(place, q, k, v, shape);
    }
    plain::row_attention(q, k, v, shape)
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

/// `x Phi(x)`, by the error function.
pub(crate) fn gelu(x: Tensor<2>) -> Tensor<2> {
    #[cfg(feature = "cpu")]
    if let Some(place) = flex::Place::of(&x) {
        return flex::gelu(place, x);
    }
    plain::gelu(x)
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
    use super::RowAttention;
    use crate::block::projection::host_tensor;

    pub(crate) fn row_attention(
        q: Tensor<2>,
        k: Tensor<2>,
        v: Tensor<2>,
        shape: &RowAttention<'_>,
    ) -> Tensor<2> {
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

    /// Written out, because the derivative of burn's own is that of the tanh approximation on some
    /// devices (burn 0.22).
    pub(crate) fn gelu(x: Tensor<2>) -> Tensor<2> {
        let cdf = x.clone().mul_scalar(std::f64::consts::FRAC_1_SQRT_2).erf().add_scalar(1.0);
        x.mul(cdf.mul_scalar(0.5))
    }

    pub(crate) fn affine(x: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<2> {
        x.matmul(weight.transpose()).add(bias.unsqueeze())
    }
}
