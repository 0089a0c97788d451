//! Products of rows with a weight, and their backward pass.

use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::ops::FloatTensorOps;
use burn::tensor::Tensor;

use super::matmul::matmul;
use super::{NoCheckpointing, Plain, from_plain, from_traced, plain, traced};

/// `a b`, without automatic differentiation.
pub(crate) fn product_of(a: Tensor<2>, b: Tensor<2>) -> Tensor<2> {
    from_plain(matmul(plain(a), plain(b)))
}

pub(crate) fn linear(x: Tensor<2>, weight: Tensor<2>) -> Tensor<2> {
    let (x, x_node) = traced(x).into_parts();
    let (weight, weight_node) = traced(weight).into_parts();
    let y = matmul(x.clone(), Flex::float_swap_dims(weight.clone(), 0, 1));
    match Linear.prepare::<NoCheckpointing>([x_node, weight_node]).compute_bound().stateful() {
        OpsKind::Tracked(prep) => from_traced(prep.finish((x, weight), y)),
        OpsKind::UnTracked(prep) => from_traced(prep.finish(y)),
    }
}

/// Gives the weight's gradient in the weight's own layout; burn's product would give it
/// transposed, to be copied before anyone can use it.
#[derive(Debug)]
struct Linear;

impl Backward<Flex, 2> for Linear {
    type State = (Plain, Plain);

    fn backward(self, ops: Ops<(Plain, Plain), 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<Flex>(&ops.node);
        let (x, weight) = ops.state;
        let [x_node, weight_node] = ops.parents;
        if let Some(node) = weight_node {
            let dw = matmul(Flex::float_swap_dims(dy.clone(), 0, 1), x);
            grads.register::<Flex>(node.id, dw);
        }
        if let Some(node) = x_node {
            grads.register::<Flex>(node.id, matmul(dy, weight));
        }
    }
}
