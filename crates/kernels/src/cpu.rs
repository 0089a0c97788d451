//! The fused operations on burn's CPU backend, with and without automatic differentiation.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{
    Autodiff, DispatchDevice, Flex, GradientCheckpointingStrategy, TensorMetadata,
};
use burn::tensor::{DType, Shape, Tensor, TensorData};

use crate::shape::{Activation, SoftmaxRows};

mod ahead;
mod attention;
mod decoding;
mod encoder;
mod entries;
mod fresh;
mod kernel;
mod kernel_encoder;
mod lane_sums;
mod linear;
mod low_rank;
mod matmul;
mod panels;
mod product;
mod self_attention;
mod softmax;
mod square_sum;

pub(crate) use attention::{KEPT_KEYS, attention};
pub(crate) use decoding::HostCache;
pub(crate) use encoder::{
    add_layer_norm, affine, affine_add_norm, affine_gelu, gelu_gate, layer_norm,
};
pub(crate) use entries::sum_by_entry;
pub(crate) use fresh::zeros;
pub(crate) use linear::{linear, product_of};
pub(crate) use low_rank::{add_low_rank, outer_sums};
pub(crate) use panels::{Rows, few_rows_of_blocks, linear_of_blocks, times_blocks};
pub(crate) use self_attention::self_attention;
pub(crate) use softmax::{largest_of as largest, weights};
pub(crate) use square_sum::square_sum;

type Plain = FloatTensor<Flex>;
type Traced = FloatTensor<Autodiff<Flex>>;

/// Where a tensor lies, if the operations here can take it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// On the CPU, without automatic differentiation.
    Plain,
    /// On the CPU, with it.
    Traced,
}

impl Route {
    pub(crate) fn of<const D: usize>(x: &Tensor<D>) -> Option<Self> {
        let device = x.device().without_autodiff();
        if x.dtype() != DType::F32 || !matches!(device.as_dispatch(), DispatchDevice::Flex(_)) {
            return None;
        }
        match x.gradient_checkpointing_strategy() {
            None => Some(Self::Plain),
            Some(GradientCheckpointingStrategy::Disabled) => Some(Self::Traced),
            Some(_) => None,
        }
    }

    /// Where an operation on tensors in both places is done.
    pub(crate) fn with<const D: usize>(self, other: &Tensor<D>) -> Option<Self> {
        match (self, Self::of(other)?) {
            (Self::Plain, Self::Plain) => Some(Self::Plain),
            _ => Some(Self::Traced),
        }
    }
}

fn plain<const D: usize>(x: Tensor<D>) -> Plain {
    x.inner().try_into_primitive::<Flex>().expect("the tensor lies on the CPU")
}

fn traced<const D: usize>(x: Tensor<D>) -> Traced {
    x.autodiff().try_into_primitive::<Autodiff<Flex>>().expect("the tensor lies on the CPU")
}

fn from_plain<const D: usize>(x: Plain) -> Tensor<D> {
    Tensor::from_primitive::<Flex>(x)
}

fn from_traced<const D: usize>(x: Traced) -> Tensor<D> {
    Tensor::from_primitive::<Autodiff<Flex>>(x)
}

/// A tensor whose values lie one after the other.
fn dense(x: Plain) -> Plain {
    if x.layout().contiguous_offsets().is_some() { x } else { x.to_contiguous() }
}

/// The same values one after the other, without automatic differentiation.
pub(crate) fn laid_out(x: Tensor<2>) -> Tensor<2> {
    from_plain(dense(plain(x)))
}

/// The values of a dense tensor.
fn values(x: &Plain) -> &[f32] {
    let (start, end) = x.layout().contiguous_offsets().expect("the tensor is dense");
    &x.storage::<f32>()[start..end]
}

/// The values of a dense tensor, to be changed; a copy is made if others hold them too.
fn values_mut(x: &mut Plain) -> &mut [f32] {
    if !x.is_unique() {
        *x = tensor(fresh::copied(values(x)), x.shape().to_vec());
    }
    let (start, end) = x.layout().contiguous_offsets().expect("the tensor is dense");
    &mut x.storage_mut::<f32>()[start..end]
}

fn tensor(values: Vec<f32>, shape: impl Into<Vec<usize>>) -> Plain {
    Plain::from_data(TensorData::new(values, Shape::from(shape.into())))
}

pub(crate) fn rms_norm(
    route: Route,
    x: Tensor<2>,
    weight: Tensor<1>,
    eps: f32,
    offset: f32,
) -> Tensor<2> {
    let forward = |x: &Plain, weight: &Plain| {
        tensor(kernel::rms_norm(values(x), values(weight), eps, offset), x.shape().to_vec())
    };
    if route == Route::Plain {
        return from_plain(forward(&dense(plain(x)), &dense(plain(weight))));
    }
    let (x, x_node) = traced(x).into_parts();
    let (weight, weight_node) = traced(weight).into_parts();
    let (x, weight) = (dense(x), dense(weight));
    let y = forward(&x, &weight);
    let state = RmsNormState { x, weight, eps, offset };
    match RmsNorm.prepare::<NoCheckpointing>([x_node, weight_node]).compute_bound().stateful() {
        OpsKind::Tracked(prep) => from_traced(prep.finish(state, y)),
        OpsKind::UnTracked(prep) => from_traced(prep.finish(y)),
    }
}

type NoCheckpointing = burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;

#[derive(Debug)]
struct RmsNorm;

#[derive(Debug, Clone)]
struct RmsNormState {
    x: Plain,
    weight: Plain,
    eps: f32,
    offset: f32,
}

impl Backward<Flex, 2> for RmsNorm {
    type State = RmsNormState;

    fn backward(self, ops: Ops<RmsNormState, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let mut dy = dense(grads.consume::<Flex>(&ops.node));
        let RmsNormState { x, weight, eps, offset } = ops.state;
        let [x_node, weight_node] = ops.parents;
        let with_weight = weight_node.is_some();
        let dw = kernel::rms_norm_backward(
            values(&x),
            values(&weight),
            values_mut(&mut dy),
            eps,
            offset,
            with_weight,
        );
        if let Some(node) = x_node {
            grads.register::<Flex>(node.id, dy);
        }
        if let (Some(node), Some(dw)) = (weight_node, dw) {
            let width = dw.len();
            grads.register::<Flex>(node.id, tensor(dw, [width]));
        }
    }
}

pub(crate) fn gated(
    route: Route,
    gate: Tensor<2>,
    up: Tensor<2>,
    activation: Activation,
) -> Tensor<2> {
    if route == Route::Plain {
        let (gate, mut up) = (dense(plain(gate)), dense(plain(up)));
        kernel::gated(values(&gate), values_mut(&mut up), activation);
        return from_plain(up);
    }
    let (gate, gate_node) = traced(gate).into_parts();
    let (up, up_node) = traced(up).into_parts();
    let (gate, up) = (dense(gate), dense(up));
    let mut y = up.clone();
    kernel::gated(values(&gate), values_mut(&mut y), activation);
    let state = GatedState { gate, up, activation };
    match Gated.prepare::<NoCheckpointing>([gate_node, up_node]).compute_bound().stateful() {
        OpsKind::Tracked(prep) => from_traced(prep.finish(state, y)),
        OpsKind::UnTracked(prep) => from_traced(prep.finish(y)),
    }
}

#[derive(Debug)]
struct Gated;

#[derive(Debug, Clone)]
struct GatedState {
    gate: Plain,
    up: Plain,
    activation: Activation,
}

impl Backward<Flex, 2> for Gated {
    type State = GatedState;

    fn backward(self, ops: Ops<GatedState, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let mut dy = dense(grads.consume::<Flex>(&ops.node));
        let GatedState { gate, up, activation } = ops.state;
        let [gate_node, up_node] = ops.parents;
        let shape = gate.shape().to_vec();
        let dgate =
            kernel::gated_backward(values(&gate), values(&up), values_mut(&mut dy), activation);
        if let Some(node) = gate_node {
            grads.register::<Flex>(node.id, tensor(dgate, shape));
        }
        if let Some(node) = up_node {
            grads.register::<Flex>(node.id, dy);
        }
    }
}

pub(crate) fn turn(
    route: Route,
    x: Tensor<2>,
    cos: Tensor<3>,
    sin: Tensor<3>,
    pairs: usize,
) -> Tensor<3> {
    let [rows, _, dim] = cos.dims();
    let heads = x.dims()[0] / rows;
    let state = TurnState { cos: dense(plain(cos)), sin: dense(plain(sin)), dim, heads, pairs };
    let shape = [rows, heads, dim];
    if route == Route::Plain {
        return from_plain(tensor(state.turn(&dense(plain(x)), 1.0), shape));
    }
    let (x, node) = traced(x).into_parts();
    let y = tensor(state.turn(&dense(x), 1.0), shape);
    match Turn.prepare::<NoCheckpointing>([node]).compute_bound().stateful() {
        OpsKind::Tracked(prep) => from_traced(prep.finish(state, y)),
        OpsKind::UnTracked(prep) => from_traced(prep.finish(y)),
    }
}

#[derive(Debug)]
struct Turn;

#[derive(Debug, Clone)]
struct TurnState {
    cos: Plain,
    sin: Plain,
    dim: usize,
    heads: usize,
    pairs: usize,
}

impl TurnState {
    fn turn(&self, x: &Plain, sign: f32) -> Vec<f32> {
        let (cos, sin) = (values(&self.cos), values(&self.sin));
        kernel::turn(values(x), cos, sin, self.dim, self.heads, self.pairs, sign)
    }
}

impl Backward<Flex, 1> for Turn {
    type State = TurnState;

    fn backward(self, ops: Ops<TurnState, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = dense(grads.consume::<Flex>(&ops.node));
        let [node] = ops.parents;
        if let Some(node) = node {
            let rows = dy.shape().num_elements() / ops.state.dim;
            // A rotation's transpose is the rotation back.
            let dx = tensor(ops.state.turn(&dy, -1.0), [rows, ops.state.dim]);
            grads.register::<Flex>(node.id, dx);
        }
    }
}

pub(crate) fn softmax_rows(logits: Tensor<2>) -> SoftmaxRows {
    let width = logits.dims()[1];
    let mut exps = dense(plain(logits));
    let column = |values: Vec<f32>| {
        let rows = values.len();
        from_plain(tensor(values, [rows]))
    };
    let parts = softmax::softmax_parts(values_mut(&mut exps), width);
    SoftmaxRows {
        exps: from_plain(exps),
        max: column(parts.iter().map(|part| part.0).collect()),
        sums: column(parts.iter().map(|part| part.1).collect()),
        means: column(parts.iter().map(|part| part.2).collect()),
    }
}

pub(crate) fn few_rows_product(x: Tensor<2>, weight: Tensor<2>) -> Tensor<2> {
    let ([rows, width], [out, _]) = (x.dims(), weight.dims());
    let (x, weight) = (dense(plain(x)), dense(plain(weight)));
    let source = product::Source::Values(values(&weight));
    from_plain(tensor(product::few_rows(values(&x), source, width, out), [rows, out]))
}
