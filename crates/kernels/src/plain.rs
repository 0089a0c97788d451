//! The decoder operations as plain tensor operations, for every device and float type.

use burn::tensor::{DType, Tensor, activation::sigmoid};

use crate::shape::{Activation, SoftmaxRows};

pub(crate) fn rms_norm(x: Tensor<2>, weight: Tensor<1>, eps: f64, offset: f64) -> Tensor<2> {
    let dtype = x.dtype();
    let x = in_type(x, wide_type(dtype));
    let weight = in_type(weight, wide_type(dtype));
    let scale = x.clone().square().mean_dim(1).add_scalar(eps).sqrt().recip();
    let weight = if offset == 0.0 { weight } else { weight.add_scalar(offset) };
    in_type(x.mul(scale).mul(weight.unsqueeze()), dtype)
}

/// In another float type.
pub(crate) fn in_type<const D: usize>(x: Tensor<D>, dtype: DType) -> Tensor<D> {
    if x.dtype() == dtype { x } else { x.cast(dtype) }
}

/// Half-precision values as f32; others as they are.
pub fn widened<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let dtype = wide_type(x.dtype());
    in_type(x, dtype)
}

/// The type that values of a type are summed in.
pub(crate) fn wide_type(dtype: DType) -> DType {
    if matches!(dtype, DType::BF16 | DType::F16) { DType::F32 } else { dtype }
}

pub(crate) fn gated(gate: Tensor<2>, up: Tensor<2>, activation: Activation) -> Tensor<2> {
    let slope = match activation {
        Activation::Silu => gate.clone(),
        // 0.5 x (1 + tanh(z)) = x sigmoid(2 z), z = sqrt(2/pi) (x + 0.044715 x^3)
        Activation::GeluTanh => {
            let slope = 2.0 * std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2;
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

/// `c tanh(x / c)`.
pub fn soft_cap<const D: usize>(x: Tensor<D>, cap: Option<f64>) -> Tensor<D> {
    match cap {
        Some(cap) => x.div_scalar(cap).tanh().mul_scalar(cap),
        None => x,
    }
}

/// Softmax over the last dimension, in f32 where the scores are narrower, and then in their type.
///
/// Written out, because burn takes another path with automatic differentiation than without,
/// and the log-probabilities of a policy and its reference must agree to the last bit before
/// training.
pub fn softmax<const D: usize>(scores: Tensor<D>) -> Tensor<D> {
    let dtype = scores.dtype();
    let scores = in_type(scores, wide_type(dtype));
    let max = scores.clone().detach().max_dim(D - 1);
    let exps = scores.sub(max).exp();
    let sums = exps.clone().sum_dim(D - 1);
    in_type(exps.div(sums), dtype)
}

pub(crate) fn softmax_rows(logits: Tensor<2>) -> SoftmaxRows {
    let max = logits.clone().max_dim(1);
    let centred = logits.sub(max.clone());
    let exps = centred.clone().exp();
    let sums = exps.clone().sum_dim(1);
    let means = exps.clone().mul(centred).sum_dim(1).div(sums.clone());
    SoftmaxRows {
        exps,
        max: max.squeeze_dim(1),
        sums: sums.squeeze_dim(1),
        means: means.squeeze_dim(1),
    }
}
