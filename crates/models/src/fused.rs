//! The element-wise parts of a decoder, each in one pass over memory.
//!
//! On the CPU each of these is one operation with a written backward pass, over all threads; on
//! any other device, and in other types than f32, it is the plain tensor operations below, whose
//! backward pass is burn's. Both are tested against each other.

use burn::tensor::{Tensor, activation::sigmoid};

use crate::config::Activation;
use crate::mask::Block;

pub(crate) mod encoder;
#[cfg(feature = "cpu")]
mod flex;
#[cfg(feature = "cpu")]
mod kernel;
#[cfg(feature = "cpu")]
mod kernel_encoder;
#[cfg(feature = "cpu")]
mod product;

#[cfg(all(test, feature = "cpu"))]
mod encoder_tests;
#[cfg(all(test, feature = "cpu"))]
mod tests;

/// Rows divided by their root mean square, times `offset + weight`: `[rows, width]`.
pub(crate) fn rms_norm(x: Tensor<2>, weight: Tensor<1>, eps: f64, offset: f64) -> Tensor<2> {
    #[cfg(feature = "cpu")]
    if let Some(place) = flex::Place::of(&x) {
        return flex::rms_norm(place, x, weight, eps as f32, offset as f32);
    }
    plain::rms_norm(x, weight, eps, offset)
}

/// `activation(gate) * up`, `[rows, width]`.
pub(crate) fn gated(gate: Tensor<2>, up: Tensor<2>, activation: Activation) -> Tensor<2> {
    #[cfg(feature = "cpu")]
    if let Some(place) = flex::Place::of(&gate) {
        return flex::gated(place, gate, up, activation);
    }
    plain::gated(gate, up, activation)
}

/// Heads turned by the angles of their rows, the two entries of a pair half a head apart.
///
/// # Shapes
/// - `x`: `[rows * heads, head_dim]`
/// - `cos`, `sin`: `[rows, 1, head_dim]`, equal for the two entries of a pair
/// - returns `[rows, heads, head_dim]`
pub(crate) fn turn(
    x: Tensor<2>,
    cos: &Tensor<3>,
    sin: &Tensor<3>,
    pairs: usize,
    exchange: Option<&Tensor<2>>,
) -> Tensor<3> {
    #[cfg(feature = "cpu")]
    if exchange.is_none()
        && let Some(place) = flex::Place::of(&x)
    {
        return flex::turn(place, x, cos.clone(), sin.clone(), pairs);
    }
    plain::turn(x, cos, sin, pairs, exchange)
}

/// Sizes of attention.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AttentionShape {
    pub(crate) kv_heads: usize,
    pub(crate) group: usize,
    pub(crate) head_dim: usize,
    pub(crate) softcap: Option<f64>,
}

/// What each query row takes from the rows it sees.
///
/// ```text
/// softmax(cap(q k^T) + mask) v,   cap(s) = c tanh(s / c)
/// ```
///
/// # Shapes
/// - `q`: `[queries, heads, head_dim]`, scaled; `k`, `v`: `[keys, kv_heads, head_dim]`
/// - `blocks`: rows of `q`, which they partition in order, and of `k` and `v`
/// - returns `[queries, heads * head_dim]`
pub(crate) fn attention(
    q: Tensor<3>,
    k: Tensor<3>,
    v: Tensor<3>,
    blocks: &[Block],
    shape: AttentionShape,
) -> Tensor<2> {
    #[cfg(feature = "cpu")]
    if let Some(place) = flex::Place::of(&q) {
        return flex::attention(place, q, k, v, blocks, shape, flex::KEPT_KEYS);
    }
    plain::attention(q, k, v, blocks, shape)
}

/// Whether the backward pass of [`attention`] over `x` is written to need memory that grows with
/// the number of rows only. Where it is burn's, it keeps the weights of every block.
pub(crate) fn attention_recomputes(x: &Tensor<2>) -> bool {
    #[cfg(feature = "cpu")]
    if flex::Place::of(x).is_some() {
        return true;
    }
    let _ = x;
    false
}

/// What the softmax of rows of logits is made of.
#[derive(Debug)]
pub(crate) struct SoftmaxRows {
    /// `exp(l - max)`, `[rows, vocab]`
    pub(crate) exps: Tensor<2>,
    /// The largest logit of each row.
    pub(crate) max: Vec<f32>,
    /// The sum of the exponentials of each row.
    pub(crate) sums: Vec<f32>,
    /// `sum_v p_v (l_v - max)` of each row.
    pub(crate) means: Vec<f32>,
}

/// The parts of the softmax of `logits`, `[rows, vocab]`, without automatic differentiation.
pub(crate) fn softmax_rows(logits: Tensor<2>) -> SoftmaxRows {
    #[cfg(feature = "cpu")]
    if let Some(flex::Place::Plain) = flex::Place::of(&logits) {
        return flex::softmax_rows(logits);
    }
    plain::softmax_rows(logits)
}

/// `x w^T` for `x: [rows, in]` and `w: [out, in]`.
pub(crate) fn linear(x: Tensor<2>, weight: Tensor<2>) -> Tensor<2> {
    #[cfg(feature = "cpu")]
    if let Some(flex::Place::Traced) = flex::Place::of(&x) {
        return flex::linear(x, weight);
    }
    x.matmul(weight.transpose())
}

/// `x w^T` for few rows `x`, `[rows, in]`, without automatic differentiation; `None` where there is
/// nothing better than a general product. The result for a row does not depend on the others.
pub(crate) fn few_rows_product(x: &Tensor<2>, weight: &Tensor<2>) -> Option<Tensor<2>> {
    #[cfg(feature = "cpu")]
    if let Some(flex::Place::Plain) = flex::Place::of(x) {
        return Some(flex::few_rows_product(x.clone(), weight.clone()));
    }
    let _ = (x, weight);
    None
}

/// The same by plain tensor operations.
pub(crate) mod plain {
    use super::{Activation, AttentionShape, Block, SoftmaxRows, Tensor, sigmoid};
    use crate::vocabulary::floats;

    pub(crate) fn rms_norm(x: Tensor<2>, weight: Tensor<1>, eps: f64, offset: f64) -> Tensor<2> {
        let scale = x.clone().square().mean_dim(1).add_scalar(eps).sqrt().recip();
        let weight = if offset == 0.0 { weight } else { weight.add_scalar(offset) };
        x.mul(scale).mul(weight.unsqueeze())
    }

    pub(crate) fn gated(gate: Tensor<2>, up: Tensor<2>, activation: Activation) -> Tensor<2> {
        let slope = match activation {
            Activation::Silu => gate.clone(),
            // 0.5 x (1 + tanh(z)) = x sigmoid(2 z), z = sqrt(2/pi) (x + 0.044715 x^3)
            Activation::GeluTanh => {
                let slope =
                    2.0 * std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2;
                let square = gate.clone().square();
                square.mul_scalar(0.044_715 * slope).add_scalar(slope).mul(gate.clone())
            }
        };
        sigmoid(slope).mul(gate).mul(up)
    }

    pub(crate) fn turn(
        x: Tensor<2>,
        cos: &Tensor<3>,
        sin: &Tensor<3>,
        pairs: usize,
        exchange: Option<&Tensor<2>>,
    ) -> Tensor<3> {
        let [rows, _, dim] = cos.dims();
        let heads = x.dims()[0] / rows;
        let shape = [rows, heads, dim];
        let exchanged = match exchange {
            Some(exchange) => x.clone().matmul(exchange.clone()),
            None => Tensor::cat(
                vec![
                    x.clone().slice_dim(1, pairs..2 * pairs).neg(),
                    x.clone().slice_dim(1, 0..pairs),
                    x.clone().slice_dim(1, 2 * pairs..dim),
                ],
                1,
            ),
        };
        x.reshape(shape).mul(cos.clone()).add(exchanged.reshape(shape).mul(sin.clone()))
    }

    pub(crate) fn attention(
        q: Tensor<3>,
        k: Tensor<3>,
        v: Tensor<3>,
        blocks: &[Block],
        shape: AttentionShape,
    ) -> Tensor<2> {
        let AttentionShape { kv_heads: kv, group, head_dim: dim, softcap } = shape;
        let ([queries, ..], [keys, ..]) = (q.dims(), k.dims());
        // Row, kv head, group, entry -> kv head, group, row, entry; nothing moves in memory.
        let q = q.reshape([queries, kv, group, dim]).permute([1, 2, 0, 3]);
        let k = k.reshape([keys, kv, 1, dim]).permute([1, 2, 0, 3]);
        let v = v.reshape([keys, kv, 1, dim]).permute([1, 2, 0, 3]);
        let parts = blocks
            .iter()
            .map(|block| {
                let taken = block.rows.len();
                let q = q.clone().slice_dim(2, block.rows.clone());
                let k = k.clone().slice_dim(2, block.keys.clone());
                let v = v.clone().slice_dim(2, block.keys.clone());
                let mut scores = soft_cap(q.matmul(k.transpose()), softcap);
                if let Some(mask) = &block.mask {
                    scores = scores.add(mask.clone().unsqueeze());
                }
                let part = softmax(scores).matmul(v);
                part.permute([2, 0, 1, 3]).reshape([taken, kv * group * dim])
            })
            .collect();
        Tensor::cat(parts, 0)
    }

    /// `c tanh(x / c)`.
    pub(crate) fn soft_cap<const D: usize>(x: Tensor<D>, cap: Option<f64>) -> Tensor<D> {
        match cap {
            Some(cap) => x.div_scalar(cap).tanh().mul_scalar(cap),
            None => x,
        }
    }

    /// Softmax over the last dimension.
    ///
    /// Written out, because burn takes another path with automatic differentiation than without,
    /// and the log-probabilities of a policy and its reference must agree to the last bit before
    /// training.
    pub(crate) fn softmax<const D: usize>(scores: Tensor<D>) -> Tensor<D> {
        let max = scores.clone().detach().max_dim(D - 1);
        let exps = scores.sub(max).exp();
        let sums = exps.clone().sum_dim(D - 1);
        exps.div(sums)
    }

    pub(crate) fn softmax_rows(logits: Tensor<2>) -> SoftmaxRows {
        let max = logits.clone().max_dim(1);
        let centred = logits.sub(max.clone());
        let exps = centred.clone().exp();
        let sums = exps.clone().sum_dim(1);
        let means = exps.clone().mul(centred).sum_dim(1).div(sums.clone());
        SoftmaxRows { exps, max: floats(max), sums: floats(sums), means: floats(means) }
    }
}
