//! The parts of an encoder on the CPU.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::ops::FloatTensorOps;
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::{Shape, Slice, Tensor};

use super::super::encoder::{RowAttention, Run};
use super::super::{kernel, kernel_encoder};
use super::{
    NoCheckpointing, Place, Plain, dense, from_plain, from_traced, plain, tensor, traced, values,
    values_mut,
};

pub(in crate::fused) fn add_layer_norm(
    place: Place,
    x: Tensor<2>,
    residual: Tensor<2>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    eps: f32,
) -> Tensor<2> {
    if place == Place::Plain {
        let (mut x, residual) = (dense(plain(x)), dense(plain(residual)));
        let (weight, bias) = (dense(plain(weight)), dense(plain(bias)));
        let into = values_mut(&mut x);
        kernel_encoder::add_layer_norm(
            into,
            values(&residual),
            values(&weight),
            values(&bias),
            eps,
            None,
        );
        return from_plain(x);
    }
    let (x, x_node) = traced(x).into_parts();
    let (residual, residual_node) = traced(residual).into_parts();
    let (weight, weight_node) = traced(weight).into_parts();
    let (bias, bias_node) = traced(bias).into_parts();
    let (mut y, residual) = (dense(x), dense(residual));
    let (weight, bias) = (dense(weight), dense(bias));
    let (count, width) = (values(&y).len(), values(&weight).len());
    let (mut normed, mut scales) = (vec![0.0; count], vec![0.0; count / width]);
    kernel_encoder::add_layer_norm(
        values_mut(&mut y),
        values(&residual),
        values(&weight),
        values(&bias),
        eps,
        Some((&mut normed, &mut scales)),
    );
    let state = NormState { normed, scales, weight };
    let parents = [x_node, residual_node, weight_node, bias_node];
    match AddLayerNorm.prepare::<NoCheckpointing>(parents).compute_bound().stateful() {
        OpsKind::Tracked(prep) => from_traced(prep.finish(state, y)),
        OpsKind::UnTracked(prep) => from_traced(prep.finish(y)),
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

impl Backward<Flex, 4> for AddLayerNorm {
    type State = NormState;

    fn backward(self, ops: Ops<NormState, 4>, grads: &mut Gradients, _: &mut Checkpointer) {
        let mut dy = dense(grads.consume::<Flex>(&ops.node));
        let NormState { normed, scales, weight } = ops.state;
        let [x_node, residual_node, weight_node, bias_node] = ops.parents;
        let (dw, db) = kernel_encoder::layer_norm_backward(
            &normed,
            &scales,
            values(&weight),
            values_mut(&mut dy),
        );
        let width = dw.len();
        if let Some(node) = weight_node {
            grads.register::<Flex>(node.id, tensor(dw, [width]));
        }
        if let Some(node) = bias_node {
            grads.register::<Flex>(node.id, tensor(db, [width]));
        }
        if let Some(node) = residual_node {
            grads.register::<Flex>(node.id, dy.clone());
        }
        if let Some(node) = x_node {
            grads.register::<Flex>(node.id, dy);
        }
    }
}

pub(in crate::fused) fn gelu(place: Place, x: Tensor<2>) -> Tensor<2> {
    if place == Place::Plain {
        let mut x = dense(plain(x));
        kernel_encoder::gelu(values_mut(&mut x), None);
        return from_plain(x);
    }
    let (x, node) = traced(x).into_parts();
    let mut y = dense(x);
    let mut slopes = vec![0.0; values(&y).len()];
    kernel_encoder::gelu(values_mut(&mut y), Some(&mut slopes));
    match Gelu.prepare::<NoCheckpointing>([node]).compute_bound().stateful() {
        OpsKind::Tracked(prep) => from_traced(prep.finish(slopes, y)),
        OpsKind::UnTracked(prep) => from_traced(prep.finish(y)),
    }
}

#[derive(Debug)]
struct Gelu;

impl Backward<Flex, 1> for Gelu {
    type State = Vec<f32>;

    fn backward(self, ops: Ops<Vec<f32>, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let mut dy = dense(grads.consume::<Flex>(&ops.node));
        let [node] = ops.parents;
        if let Some(node) = node {
            kernel_encoder::multiply(values_mut(&mut dy), &ops.state);
            grads.register::<Flex>(node.id, dy);
        }
    }
}

pub(in crate::fused) fn affine(
    place: Place,
    x: Tensor<2>,
    weight: Tensor<2>,
    bias: Tensor<1>,
) -> Tensor<2> {
    let forward = |x: Plain, weight: Plain, bias: Plain| {
        let mut y = dense(Flex::float_matmul(x, Flex::float_swap_dims(weight, 0, 1)));
        kernel_encoder::add_to_rows(values_mut(&mut y), values(&dense(bias)));
        y
    };
    if place == Place::Plain {
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

/// Gives the weight's gradient in the weight's own layout.
#[derive(Debug)]
struct Affine;

impl Backward<Flex, 3> for Affine {
    type State = (Plain, Plain);

    fn backward(self, ops: Ops<(Plain, Plain), 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = dense(grads.consume::<Flex>(&ops.node));
        let (x, weight) = ops.state;
        let [x_node, weight_node, bias_node] = ops.parents;
        if let Some(node) = bias_node {
            let width = dy.shape()[1];
            grads.register::<Flex>(
                node.id,
                tensor(kernel_encoder::sum_rows(values(&dy), width), [width]),
            );
        }
        if let Some(node) = weight_node {
            let dw = Flex::float_matmul(Flex::float_swap_dims(dy.clone(), 0, 1), x);
            grads.register::<Flex>(node.id, dw);
        }
        if let Some(node) = x_node {
            grads.register::<Flex>(node.id, Flex::float_matmul(dy, weight));
        }
    }
}

/// What the backward pass of a run needs; `q`, `k`, `v` are `[rows * heads, length, d]`.
#[derive(Debug, Clone)]
struct RunState {
    run: Run,
    q: Plain,
    k: Plain,
    v: Plain,
    shares: Plain,
    mask: Option<Vec<f32>>,
}

pub(in crate::fused) fn row_attention(
    place: Place,
    q: Tensor<2>,
    k: Tensor<2>,
    v: Tensor<2>,
    shape: &RowAttention<'_>,
) -> Tensor<2> {
    if place == Place::Plain {
        return from_plain(attend(&plain(q), &plain(k), &plain(v), shape, &mut |_| ()));
    }
    let (q, q_node) = traced(q).into_parts();
    let (k, k_node) = traced(k).into_parts();
    let (v, v_node) = traced(v).into_parts();
    let parents = [q_node, k_node, v_node];
    match Attention.prepare::<NoCheckpointing>(parents).compute_bound().stateful() {
        OpsKind::Tracked(prep) => {
            let mut states = Vec::with_capacity(shape.runs.len());
            let y = attend(&q, &k, &v, shape, &mut |state| states.push(state));
            from_traced(prep.finish((states, shape.heads), y))
        }
        OpsKind::UnTracked(prep) => {
            from_traced(prep.finish(attend(&q, &k, &v, shape, &mut |_| ())))
        }
    }
}

/// Tokens `[tokens, heads * d]` of a run as `[rows * heads, length, d]`, dense.
fn by_head(x: Plain, run: &Run, heads: usize) -> Plain {
    let dim = x.shape()[1] / heads;
    let x = Flex::float_reshape(x, Shape::new([run.rows, run.length, heads, dim]));
    let x = Flex::float_permute(x, &[0, 2, 1, 3]);
    dense(Flex::float_reshape(x, Shape::new([run.rows * heads, run.length, dim])))
}

/// The way back.
fn by_token(x: Plain, run: &Run, heads: usize) -> Plain {
    let dim = x.shape()[2];
    let x = Flex::float_reshape(x, Shape::new([run.rows, heads, run.length, dim]));
    let x = Flex::float_permute(x, &[0, 2, 1, 3]);
    dense(Flex::float_reshape(x, Shape::new([run.rows * run.length, heads * dim])))
}

fn joined(mut parts: Vec<Plain>) -> Plain {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            Flex::float_cat(parts, 0)
        }
        None => tensor(Vec::new(), [0, 0]),
    }
}

fn transposed(x: Plain) -> Plain {
    Flex::float_swap_dims(x, 1, 2)
}

fn attend(
    q: &Plain,
    k: &Plain,
    v: &Plain,
    shape: &RowAttention<'_>,
    keep: &mut dyn FnMut(RunState),
) -> Plain {
    let heads = shape.heads;
    let scale = ((q.shape()[1] / heads) as f32).sqrt().recip();
    let mut parts = Vec::with_capacity(shape.runs.len());
    let mut from = 0;
    for (number, run) in shape.runs.iter().enumerate() {
        let range = from..from + run.rows * run.length;
        from = range.end;
        let take = |x: &Plain| {
            let x = Flex::float_slice(x.clone(), &[Slice::from(range.clone())]);
            by_head(x, run, heads)
        };
        let (mut q, k, v) = (take(q), take(k), take(v));
        kernel_encoder::scale(values_mut(&mut q), scale);
        let mut scores = dense(Flex::float_matmul(q.clone(), transposed(k.clone())));
        let keys = run.keys.as_ref().map(|keys| (keys.as_slice(), 1));
        kernel::softmax(values_mut(&mut scores), run.length, keys);
        let shares = scores;
        let mask = shape.mask(number, run.rows * heads * run.length * run.length);
        let taken = dropped(&shares, mask.as_deref());
        parts.push(by_token(Flex::float_matmul(taken, v.clone()), run, heads));
        keep(RunState { run: run.clone(), q, k, v, shares, mask });
    }
    joined(parts)
}

fn dropped(shares: &Plain, mask: Option<&[f32]>) -> Plain {
    let mut taken = shares.clone();
    if let Some(mask) = mask {
        kernel_encoder::multiply(values_mut(&mut taken), mask);
    }
    taken
}

#[derive(Debug)]
struct Attention;

impl Backward<Flex, 3> for Attention {
    type State = (Vec<RunState>, usize);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = dense(grads.consume::<Flex>(&ops.node));
        let (states, heads) = ops.state;
        let (mut dq, mut dk, mut dv) = (Vec::new(), Vec::new(), Vec::new());
        let mut from = 0;
        for RunState { run, q, k, v, shares, mask } in states {
            let range = from..from + run.rows * run.length;
            from = range.end;
            let scale = (q.shape()[2] as f32).sqrt().recip();
            let dy = by_head(Flex::float_slice(dy.clone(), &[Slice::from(range)]), &run, heads);
            let taken = dropped(&shares, mask.as_deref());
            dv.push(by_token(Flex::float_matmul(transposed(taken), dy.clone()), &run, heads));
            let mut ds = dense(Flex::float_matmul(dy, transposed(v)));
            if let Some(mask) = &mask {
                kernel_encoder::multiply(values_mut(&mut ds), mask);
            }
            kernel::softmax_backward(values(&shares), values_mut(&mut ds), run.length);
            dk.push(by_token(Flex::float_matmul(transposed(ds.clone()), q), &run, heads));
            let mut part = by_token(Flex::float_matmul(ds, k), &run, heads);
            kernel_encoder::scale(values_mut(&mut part), scale);
            dq.push(part);
        }
        for (node, parts) in ops.parents.into_iter().zip([dq, dk, dv]) {
            if let Some(node) = node {
                grads.register::<Flex>(node.id, joined(parts));
            }
        }
    }
}
