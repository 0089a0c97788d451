//! Products of rows with a weight, and their backward pass.

use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::tensor::Tensor;

use super::matmul::{matmul, transposed};
use super::{NoCheckpointing, Plain, from_plain, from_traced, plain, traced};

/// `a b`, without automatic differentiation.
pub(crate) fn product_of(a: Tensor<2>, b: Tensor<2>) -> Tensor<2> {
    from_plain(matmul(plain(a), plain(b)))
}

/// The derivatives of `y = x w^T` by `x` and `w` that are needed, the weight's in its own layout: burn's product would give
/// it transposed, to be copied before anyone can use it.
pub(super) fn derivatives(
    [by_x, by_weight]: [bool; 2],
    (x, weight): (Plain, Plain),
    dy: Plain,
) -> [Option<Plain>; 2] {
    let dw = by_weight.then(|| matmul(transposed(dy.clone()), x));
    let dx = by_x.then(|| matmul(dy, weight));
    [dx, dw]
}

pub(crate) fn linear(x: Tensor<2>, weight: Tensor<2>) -> Tensor<2> {
    let (x, x_node) = traced(x).into_parts();
    let (weight, weight_node) = traced(weight).into_parts();
    let y = matmul(x.clone(), transposed(weight.clone()));
    match Linear.prepare::<NoCheckpointing>([x_node, weight_node]).compute_bound().stateful() {
        OpsKind::Tracked(prep) => from_traced(prep.finish((x, weight), y)),
        OpsKind::UnTracked(prep) => from_traced(prep.finish(y)),
    }
}

#[derive(Debug)]
struct Linear;

impl Backward<Flex, 2> for Linear {
    type State = (Plain, Plain);

    fn backward(self, ops: Ops<(Plain, Plain), 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<Flex>(&ops.node);
        let needed = ops.parents.each_ref().map(Option::is_some);
        let found = derivatives(needed, ops.state, dy);
        for (node, found) in ops.parents.into_iter().zip(found) {
            if let (Some(node), Some(found)) = (node, found) {
                grads.register::<Flex>(node.id, found);
            }
        }
    }
}
