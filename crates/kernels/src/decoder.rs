//! The element-wise parts of a decoder, each in one pass over memory.
//!
//! On the CPU each of these is one operation with a written backward pass, over all threads; on
//! any other device, and in other types than f32, it is made of plain tensor operations, whose
//! backward pass is burn's. Both are tested against each other.

use burn::tensor::Tensor;

#[cfg(feature = "cpu")]
use crate::cpu;
#[cfg(feature = "cpu")]
use crate::custom::Inputs;
use crate::host::indices;
use crate::shape::{Activation, AttentionBlock, AttentionShape, SoftmaxRows};
use crate::{plain, plain_attention};

/// Rows divided by their root mean square, times `offset + weight`: `[rows, width]`.
pub fn rms_norm(x: Tensor<2>, weight: Tensor<1>, eps: f64, offset: f64) -> Tensor<2> {
    #[cfg(feature = "cpu")]
    if let Some(route) = cpu::Route::of(&x) {
        return cpu::rms_norm(route, x, weight, eps as f32, offset as f32);
    }
    plain::rms_norm(x, weight, eps, offset)
}

/// `activation(gate) * up`, `[rows, width]`.
pub fn gated_activation(gate: Tensor<2>, up: Tensor<2>, activation: Activation) -> Tensor<2> {
    #[cfg(feature = "cpu")]
    if let Some(route) = cpu::Route::of(&gate) {
        return cpu::gated(route, gate, up, activation);
    }
    plain::gated(gate, up, activation)
}

/// Heads turned by the angles of their rows, the two entries of a pair half a head apart.
///
/// # Shapes
/// - `x`: `[rows * heads, head_dim]`
/// - `cos`, `sin`: `[rows, 1, head_dim]`, equal for the two entries of a pair
/// - returns `[rows, heads, head_dim]`
pub fn apply_rotary(
    x: Tensor<2>,
    cos: &Tensor<3>,
    sin: &Tensor<3>,
    pairs: usize,
    exchange: Option<&Tensor<2>>,
) -> Tensor<3> {
    #[cfg(feature = "cpu")]
    if exchange.is_none()
        && let Some(route) = cpu::Route::of(&x)
    {
        return cpu::turn(route, x, cos.clone(), sin.clone(), pairs);
    }
    plain::turn(x, cos, sin, pairs, exchange)
}

/// What each query row takes from the rows it sees.
///
/// ```text
/// softmax(cap(q k^T) + mask) v,   cap(s) = c tanh(s / c)
/// ```
///
/// The weights of a block are in memory while that block is computed, and again in the backward pass;
/// what is kept between the two grows with the number of rows.
///
/// # Shapes
/// - `q`: `[queries, heads, head_dim]`, scaled; `k`, `v`: `[keys, kv_heads, head_dim]`
/// - `blocks`: rows of `q`, which they partition in order, and of `k` and `v`
/// - returns `[queries, heads * head_dim]`
pub fn attention(
    q: Tensor<3>,
    k: Tensor<3>,
    v: Tensor<3>,
    blocks: &[AttentionBlock],
    shape: AttentionShape,
) -> Tensor<2> {
    #[cfg(feature = "cpu")]
    if let Some(route) = cpu::Route::of(&q) {
        return cpu::attention(route, q, k, v, blocks, shape, cpu::KEPT_KEYS);
    }
    plain_attention::attention(q, k, v, blocks, shape)
}

/// The parts of the softmax of `logits`, `[rows, vocab]`, without automatic differentiation.
pub fn softmax_rows(logits: Tensor<2>) -> SoftmaxRows {
    #[cfg(feature = "cpu")]
    if let Some(cpu::Route::Plain) = cpu::Route::of(&logits) {
        return cpu::softmax_rows(logits);
    }
    plain::softmax_rows(logits)
}

/// `x w^T` for `x: [rows, in]` and `w: [out, in]`.
pub fn linear(x: Tensor<2>, weight: Tensor<2>) -> Tensor<2> {
    #[cfg(feature = "cpu")]
    match cpu::Route::of(&x).and_then(|route| route.with(&weight)) {
        Some(cpu::Route::Plain) => return cpu::product_of(x, weight.transpose()),
        Some(cpu::Route::Traced) => return cpu::linear(x, weight),
        None => {}
    }
    x.matmul(weight.transpose())
}

/// Rows of a table, `[entries, width]`, by their numbers: `[ids, width]`. The gradient of an entry is the sum of those of its
/// rows.
pub(crate) fn rows(table: Tensor<2>, ids: &[u32]) -> Tensor<2> {
    let numbers = indices(ids, &table.device());
    #[cfg(feature = "cpu")]
    if let Some(cpu::Route::Traced) = cpu::Route::of(&table) {
        let mut inputs = Inputs::new();
        inputs.add(&table);
        let (entries, ids) = (table.dims()[0], ids.to_vec());
        return inputs.differentiable(table.inner().select(0, numbers), move |dy: Tensor<2>| {
            vec![Some(cpu::sum_by_entry(dy, &ids, entries).into())]
        });
    }
    table.select(0, numbers)
}

/// `a b` for `a: [rows, inner]` and `b: [inner, columns]`, without automatic differentiation.
pub(crate) fn product_of(a: Tensor<2>, b: Tensor<2>) -> Tensor<2> {
    #[cfg(feature = "cpu")]
    if let Some(cpu::Route::Plain) = cpu::Route::of(&a).and_then(|route| route.with(&b)) {
        return cpu::product_of(a, b);
    }
    a.matmul(b)
}

/// `x w^T` for few rows `x`, `[rows, in]`, without automatic differentiation; `None` where there is
/// nothing better than a general product. The result for a row does not depend on the others.
pub(crate) fn few_rows_product(x: &Tensor<2>, weight: &Tensor<2>) -> Option<Tensor<2>> {
    #[cfg(feature = "cpu")]
    if let Some(cpu::Route::Plain) = cpu::Route::of(x) {
        return Some(cpu::few_rows_product(x.clone(), weight.clone()));
    }
    let _ = (x, weight);
    None
}
