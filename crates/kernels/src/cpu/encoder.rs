//! The parts of an encoder on the CPU.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::Tensor;

use super::fresh::zeros;
use super::kernel_encoder::{self, Before};
use super::linear::derivatives;
use super::matmul::{matmul, transposed};
use super::{
    NoCheckpointing, Plain, Route, dense, from_plain, from_traced, plain, tensor, traced, values,
    values_mut,
};
use crate::encoder_shape::AddNormLayer;

pub(crate) fn add_layer_norm(
    route: Route,
    x: Tensor<2>,
    residual: Tensor<2>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    eps: f32,
) -> Tensor<2> {
    if route == Route::Plain {
        let (mut x, residual) = (dense(plain(x)), dense(plain(residual)));
        let (weight, bias) = (dense(plain(weight)), dense(plain(bias)));
        let before = Before { bias: None, mask: None, residual: Some(values(&residual)) };
        let (weight, bias) = (values(&weight), values(&bias));
        kernel_encoder::layer_norm(values_mut(&mut x), before, weight, bias, eps, None);
        return from_plain(x);
    }
    let (x, x_node) = traced(x).into_parts();
    let (residual, residual_node) = traced(residual).into_parts();
    let (weight, weight_node) = traced(weight).into_parts();
    let (bias, bias_node) = traced(bias).into_parts();
    let (mut y, residual) = (dense(x), dense(residual));
    let before = Before { bias: None, mask: None, residual: Some(values(&residual)) };
    let state = NormState::of(&mut y, before, dense(weight), &dense(bias), eps);
    let parents = [x_node, residual_node, weight_node, bias_node];
    match AddLayerNorm.prepare::<NoCheckpointing>(parents).compute_bound().stateful() {
        OpsKind::Tracked(prep) => from_traced(prep.finish(state, y)),
        OpsKind::UnTracked(prep) => from_traced(prep.finish(y)),
    }
}

pub(crate) fn layer_norm(
    route: Route,
    x: Tensor<2>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    eps: f32,
) -> Tensor<2> {
    if route == Route::Plain {
        let (mut x, weight, bias) = (dense(plain(x)), dense(plain(weight)), dense(plain(bias)));
        let (weight, bias) = (values(&weight), values(&bias));
        kernel_encoder::layer_norm(values_mut(&mut x), Before::default(), weight, bias, eps, None);
        return from_plain(x);
    }
    let (x, x_node) = traced(x).into_parts();
    let (weight, weight_node) = traced(weight).into_parts();
    let (bias, bias_node) = traced(bias).into_parts();
    let mut y = dense(x);
    let state = NormState::of(&mut y, Before::default(), dense(weight), &dense(bias), eps);
    let parents = [x_node, weight_node, bias_node];
    match LayerNorm.prepare::<NoCheckpointing>(parents).compute_bound().stateful() {
        OpsKind::Tracked(prep) => from_traced(prep.finish(state, y)),
        OpsKind::UnTracked(prep) => from_traced(prep.finish(y)),
    }
}

#[derive(Debug)]
struct LayerNorm;

impl Backward<Flex, 3> for LayerNorm {
    type State = NormState;

    fn backward(self, ops: Ops<NormState, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let mut dy = dense(grads.consume::<Flex>(&ops.node));
        let (dw, db) = ops.state.backward(&mut dy);
        for (node, found) in ops.parents.into_iter().zip([dy, dw, db]) {
            if let Some(node) = node {
                grads.register::<Flex>(node.id, found);
            }
        }
    }
}

#[derive(Debug)]
struct AddLayerNorm;

#[derive(Debug, Clone)]
struct NormState {
    normed: Vec<f32>,
    scales: Vec<f32>,
    weight: Plain,
}

impl NormState {
    /// Normalises `y` and keeps what the way back needs.
    fn of(y: &mut Plain, before: Before<'_>, weight: Plain, bias: &Plain, eps: f32) -> Self {
        let (count, width) = (values(y).len(), values(&weight).len());
        let (mut normed, mut scales) = (zeros(count), vec![0.0; count / width]);
        kernel_encoder::layer_norm(
            values_mut(y),
            before,
            values(&weight),
            values(bias),
            eps,
            Some((&mut normed, &mut scales)),
        );
        Self { normed, scales, weight }
    }

    /// Turns `dy` into the derivative by what was normalised; returns those by weight and bias.
    fn backward(&self, dy: &mut Plain) -> (Plain, Plain) {
        let dy = values_mut(dy);
        let (dw, db) = kernel_encoder::layer_norm_backward(
            &self.normed,
            &self.scales,
            values(&self.weight),
            dy,
        );
        let width = dw.len();
        (tensor(dw, [width]), tensor(db, [width]))
    }
}

impl Backward<Flex, 4> for AddLayerNorm {
    type State = NormState;

    fn backward(self, ops: Ops<NormState, 4>, grads: &mut Gradients, _: &mut Checkpointer) {
        let mut dy = dense(grads.consume::<Flex>(&ops.node));
        let [x_node, residual_node, weight_node, bias_node] = ops.parents;
        let (dw, db) = ops.state.backward(&mut dy);
        if let Some(node) = weight_node {
            grads.register::<Flex>(node.id, dw);
        }
        if let Some(node) = bias_node {
            grads.register::<Flex>(node.id, db);
        }
        if let Some(node) = residual_node {
            grads.register::<Flex>(node.id, dy.clone());
        }
        if let Some(node) = x_node {
            grads.register::<Flex>(node.id, dy);
        }
    }
}

/// The derivatives of `y = x w^T + b` by `x`, `w` and `b` that are needed.
fn affine_derivatives(
    needed: [bool; 3],
    (x, weight): (Plain, Plain),
    dy: Plain,
) -> [Option<Plain>; 3] {
    let [by_x, by_weight, by_bias] = needed;
    let width = dy.shape()[1];
    let db = by_bias.then(|| tensor(kernel_encoder::sum_rows(values(&dy), width), [width]));
    let [dx, dw] = derivatives([by_x, by_weight], (x, weight), dy);
    [dx, dw, db]
}

pub(crate) fn affine_gelu(
    route: Route,
    x: Tensor<2>,
    weight: Tensor<2>,
    bias: Tensor<1>,
) -> Tensor<2> {
    if route == Route::Plain {
        let mut y = matmul(plain(x), transposed(plain(weight)));
        kernel_encoder::bias_gelu(values_mut(&mut y), values(&dense(plain(bias))), None);
        return from_plain(y);
    }
    let (x, x_node) = traced(x).into_parts();
    let (weight, weight_node) = traced(weight).into_parts();
    let (bias, bias_node) = traced(bias).into_parts();
    let mut y = matmul(x.clone(), transposed(weight.clone()));
    let mut slopes = zeros(values(&y).len());
    kernel_encoder::bias_gelu(values_mut(&mut y), values(&dense(bias)), Some(&mut slopes));
    let parents = [x_node, weight_node, bias_node];
    match AffineGelu.prepare::<NoCheckpointing>(parents).compute_bound().stateful() {
        OpsKind::Tracked(prep) => from_traced(prep.finish((x, weight, slopes), y)),
        OpsKind::UnTracked(prep) => from_traced(prep.finish(y)),
    }
}

#[derive(Debug)]
struct AffineGelu;

impl Backward<Flex, 3> for AffineGelu {
    type State = (Plain, Plain, Vec<f32>);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let mut dy = dense(grads.consume::<Flex>(&ops.node));
        let (x, weight, slopes) = ops.state;
        kernel_encoder::multiply(values_mut(&mut dy), &slopes);
        let needed = ops.parents.each_ref().map(Option::is_some);
        let found = affine_derivatives(needed, (x, weight), dy);
        for (node, found) in ops.parents.into_iter().zip(found) {
            if let (Some(node), Some(found)) = (node, found) {
                grads.register::<Flex>(node.id, found);
            }
        }
    }
}

pub(crate) fn affine_add_norm(
    route: Route,
    x: Tensor<2>,
    residual: Tensor<2>,
    layer: AddNormLayer,
) -> Tensor<2> {
    let eps = layer.eps as f32;
    if route == Route::Plain {
        let residual = dense(plain(residual));
        let mut y = matmul(plain(x), transposed(plain(layer.weight.clone())));
        let mask = layer.mask(y.shape()[1]);
        let bias = dense(plain(layer.bias));
        let (norm_weight, norm_bias) =
            (dense(plain(layer.norm_weight)), dense(plain(layer.norm_bias)));
        let before = Before {
            bias: Some(values(&bias)),
            mask: mask.as_deref(),
            residual: Some(values(&residual)),
        };
        let (weight, bias) = (values(&norm_weight), values(&norm_bias));
        kernel_encoder::layer_norm(values_mut(&mut y), before, weight, bias, eps, None);
        return from_plain(y);
    }
    let (x, x_node) = traced(x).into_parts();
    let (residual, residual_node) = traced(residual).into_parts();
    let (weight, weight_node) = traced(layer.weight.clone()).into_parts();
    let mut y = matmul(x.clone(), transposed(weight.clone()));
    let mask = layer.mask(y.shape()[1]);
    let (bias, bias_node) = traced(layer.bias).into_parts();
    let (norm_weight, norm_weight_node) = traced(layer.norm_weight).into_parts();
    let (norm_bias, norm_bias_node) = traced(layer.norm_bias).into_parts();
    let (bias, residual) = (dense(bias), dense(residual));
    let before = Before {
        bias: Some(values(&bias)),
        mask: mask.as_deref(),
        residual: Some(values(&residual)),
    };
    let norm = NormState::of(&mut y, before, dense(norm_weight), &dense(norm_bias), eps);
    let state = AddNormState { x, weight, mask, norm };
    let parents = [x_node, weight_node, bias_node, residual_node, norm_weight_node, norm_bias_node];
    match AffineAddNorm.prepare::<NoCheckpointing>(parents).compute_bound().stateful() {
        OpsKind::Tracked(prep) => from_traced(prep.finish(state, y)),
        OpsKind::UnTracked(prep) => from_traced(prep.finish(y)),
    }
}

#[derive(Debug)]
struct AffineAddNorm;

#[derive(Debug, Clone)]
struct AddNormState {
    x: Plain,
    weight: Plain,
    mask: Option<Vec<f32>>,
    norm: NormState,
}

impl Backward<Flex, 6> for AffineAddNorm {
    type State = AddNormState;

    fn backward(self, ops: Ops<AddNormState, 6>, grads: &mut Gradients, _: &mut Checkpointer) {
        let mut dy = dense(grads.consume::<Flex>(&ops.node));
        let AddNormState { x, weight, mask, norm } = ops.state;
        let [x_node, weight_node, bias_node, residual_node, norm_weight_node, norm_bias_node] =
            ops.parents;
        let (dw, db) = norm.backward(&mut dy);
        if let Some(node) = norm_weight_node {
            grads.register::<Flex>(node.id, dw);
        }
        if let Some(node) = norm_bias_node {
            grads.register::<Flex>(node.id, db);
        }
        if let Some(node) = residual_node {
            grads.register::<Flex>(node.id, dy.clone());
        }
        if let Some(mask) = mask {
            kernel_encoder::multiply(values_mut(&mut dy), &mask);
        }
        let nodes = [x_node, weight_node, bias_node];
        let needed = nodes.each_ref().map(Option::is_some);
        let found = affine_derivatives(needed, (x, weight), dy);
        for (node, found) in nodes.into_iter().zip(found) {
            if let (Some(node), Some(found)) = (node, found) {
                grads.register::<Flex>(node.id, found);
            }
        }
    }
}

pub(crate) fn affine(route: Route, x: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<2> {
    let forward = |x: Plain, weight: Plain, bias: Plain| {
        let mut y = matmul(x, transposed(weight));
        kernel_encoder::add_to_rows(values_mut(&mut y), values(&dense(bias)));
        y
    };
    if route == Route::Plain {
        return from_plain(forward(plain(x), plain(weight), plain(bias)));
    }
    let (x, x_node) = traced(x).into_parts();
    let (weight, weight_node) = traced(weight).into_parts();
    let (bias, bias_node) = traced(bias).into_parts();
    let y = forward(x.clone(), weight.clone(), bias);
    let parents = [x_node, weight_node, bias_node];
    match Affine.prepare::<NoCheckpointing>(parents).compute_bound().stateful() {
        OpsKind::Tracked(prep) => from_traced(prep.finish((x, weight), y)),
        OpsKind::UnTracked(prep) => from_traced(prep.finish(y)),
    }
}

#[derive(Debug)]
struct Affine;

impl Backward<Flex, 3> for Affine {
    type State = (Plain, Plain);

    fn backward(self, ops: Ops<(Plain, Plain), 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = dense(grads.consume::<Flex>(&ops.node));
        let needed = ops.parents.each_ref().map(Option::is_some);
        let found = affine_derivatives(needed, ops.state, dy);
        for (node, found) in ops.parents.into_iter().zip(found) {
            if let (Some(node), Some(found)) = (node, found) {
                grads.register::<Flex>(node.id, found);
            }
        }
    }
}

pub(crate) fn gelu_gate(route: Route, x: Tensor<2>) -> Tensor<2> {
    let forward = |x: &Plain| {
        let [rows, width] = [x.shape()[0], x.shape()[1] / 2];
        let mut y = zeros(rows * width);
        kernel_encoder::gelu_gate(values(x), &mut y, width);
        tensor(y, [rows, width])
    };
    if route == Route::Plain {
        return from_plain(forward(&dense(plain(x))));
    }
    let (x, node) = traced(x).into_parts();
    let x = dense(x);
    let y = forward(&x);
    match GeluGate.prepare::<NoCheckpointing>([node]).compute_bound().stateful() {
        OpsKind::Tracked(prep) => from_traced(prep.finish(x, y)),
        OpsKind::UnTracked(prep) => from_traced(prep.finish(y)),
    }
}

#[derive(Debug)]
struct GeluGate;

impl Backward<Flex, 1> for GeluGate {
    type State = Plain;

    fn backward(self, ops: Ops<Plain, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = dense(grads.consume::<Flex>(&ops.node));
        let mut dx = ops.state;
        let [node] = ops.parents;
        if let Some(node) = node {
            kernel_encoder::gelu_gate_backward(values_mut(&mut dx), values(&dy), dy.shape()[1]);
            grads.register::<Flex>(node.id, dx);
        }
    }
}
