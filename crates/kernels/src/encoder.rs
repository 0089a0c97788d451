//! The parts of an encoder around its matrix products, each in one pass over memory.
//!
//! As with the decoder operations, the CPU has operations with written backward passes, other devices plain tensor
//! operations, and both are tested against each other.

use burn::tensor::Tensor;

#[cfg(feature = "cpu")]
use crate::cpu;
use crate::encoder_shape::{AddNormLayer, Projections, RowAttention};
use crate::plain_encoder as plain;

/// What each token takes from the tokens of its row.
///
/// ```text
/// softmax(q k^T / sqrt(d) + mask) v,   q, k, v = W x + b
/// ```
///
/// # Shapes
/// - `x`: `[tokens, heads * d]`
/// - returns `[tokens, heads * d]`
pub fn self_attention(
    x: Tensor<2>,
    projections: Projections,
    shape: &RowAttention<'_>,
) -> Tensor<2> {
    #[cfg(feature = "cpu")]
    {
        let Projections { weights, biases } = &projections;
        let route = weights.iter().fold(cpu::Route::of(&x), |route, w| route?.with(w));
        let route = biases.iter().fold(route, |route, b| route?.with(b));
        if let Some(route) = route {
            return cpu::self_attention(route, x, projections, shape);
        }
    }
    plain::self_attention(x, projections, shape)
}

/// The sum of two tensors, its rows brought to mean 0 and variance 1, scaled and shifted:
/// `[rows, width]`.
pub fn add_layer_norm(
    x: Tensor<2>,
    residual: Tensor<2>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    eps: f64,
) -> Tensor<2> {
    #[cfg(feature = "cpu")]
    if let Some(route) = cpu::Route::of(&x)
        .and_then(|route| route.with(&residual))
        .and_then(|route| route.with(&weight))
        .and_then(|route| route.with(&bias))
    {
        return cpu::add_layer_norm(route, x, residual, weight, bias, eps as f32);
    }
    plain::add_layer_norm(x, residual, weight, bias, eps)
}

/// The rows of `x`, `[rows, width]`, brought to mean 0 and variance 1, scaled and shifted.
pub fn layer_norm(x: Tensor<2>, weight: Tensor<1>, bias: Tensor<1>, eps: f64) -> Tensor<2> {
    #[cfg(feature = "cpu")]
    if let Some(route) =
        cpu::Route::of(&x).and_then(|route| route.with(&weight)).and_then(|route| route.with(&bias))
    {
        return cpu::layer_norm(route, x, weight, bias, eps as f32);
    }
    burn::tensor::module::layer_norm(x, weight, Some(bias), eps)
}

/// `a Phi(a) b`, `[rows, width]`, for rows `x` of `a` and then `b`, `[rows, 2 * width]`, by the error
/// function: GeGLU (Shazeer 2020, arXiv:2002.05202, section 2) between its products.
pub fn gelu_gate(x: Tensor<2>) -> Tensor<2> {
    #[cfg(feature = "cpu")]
    if let Some(route) = cpu::Route::of(&x) {
        return cpu::gelu_gate(route, x);
    }
    plain::gelu_gate(x)
}

/// `norm(dropout(x w^T + b) + residual)` for `x: [rows, in]` and `residual: [rows, out]`.
pub fn affine_add_norm(x: Tensor<2>, residual: Tensor<2>, layer: AddNormLayer) -> Tensor<2> {
    #[cfg(feature = "cpu")]
    if let Some(route) = cpu::Route::of(&x)
        .and_then(|route| route.with(&residual))
        .and_then(|route| route.with(&layer.weight))
        .and_then(|route| route.with(&layer.bias))
        .and_then(|route| route.with(&layer.norm_weight))
        .and_then(|route| route.with(&layer.norm_bias))
    {
        return cpu::affine_add_norm(route, x, residual, layer);
    }
    plain::affine_add_norm(x, residual, layer)
}

/// `y Phi(y)` of `y = x w^T + b`, by the error function.
pub fn affine_gelu(x: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<2> {
    #[cfg(feature = "cpu")]
    if let Some(route) =
        cpu::Route::of(&x).and_then(|route| route.with(&weight)).and_then(|route| route.with(&bias))
    {
        return cpu::affine_gelu(route, x, weight, bias);
    }
    plain::affine_gelu(x, weight, bias)
}

/// `x w^T + b` for `x: [rows, in]`, `w: [out, in]` and `b: [out]`.
pub fn affine(x: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<2> {
    #[cfg(feature = "cpu")]
    if let Some(route) =
        cpu::Route::of(&x).and_then(|route| route.with(&weight)).and_then(|route| route.with(&bias))
    {
        return cpu::affine(route, x, weight, bias);
    }
    plain::affine(x, weight, bias)
}
