//! The encoder operations as plain tensor operations, for every device and float type.

use burn::tensor::Tensor;
use burn::tensor::module::layer_norm;

use crate::encoder_shape::{AddNormLayer, Projections, RowAttention};
use crate::host::host_tensor;
use crate::plain::softmax;

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
    let (mut from, mut first) = (0, 0);
    for run in shape.runs {
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
        if let Some(mask) = shape.mask(run, first) {
            shares = shares.mul(host_tensor(mask, [rows, heads, length, length], &q));
        }
        first += rows;
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

pub(crate) fn affine_gelu(x: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<2> {
    gelu(affine(x, weight, bias))
}

pub(crate) fn gelu_gate(x: Tensor<2>) -> Tensor<2> {
    let [_, both] = x.dims();
    gelu(x.clone().slice_dim(1, 0..both / 2)).mul(x.slice_dim(1, both / 2..both))
}

/// Written out, because the derivative of burn's own is that of the tanh approximation on some devices
/// (burn 0.22).
fn gelu(y: Tensor<2>) -> Tensor<2> {
    let cdf = y.clone().mul_scalar(std::f64::consts::FRAC_1_SQRT_2).erf().add_scalar(1.0);
    y.mul(cdf.mul_scalar(0.5))
}

pub(crate) fn affine_add_norm(x: Tensor<2>, residual: Tensor<2>, layer: AddNormLayer) -> Tensor<2> {
    let mut y = affine(x, layer.weight.clone(), layer.bias.clone());
    let shape = y.dims();
    if let Some(mask) = layer.mask(shape[1]) {
        let mask = host_tensor(mask, shape, &y);
        y = y.mul(mask);
    }
    add_layer_norm(y, residual, layer.norm_weight, layer.norm_bias, layer.eps)
}

pub(crate) fn affine(x: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<2> {
    x.matmul(weight.transpose()).add(bias.unsqueeze())
}
