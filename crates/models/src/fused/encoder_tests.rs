//! The encoder's fused operations against the plain ones: values and gradients.

use burn::tensor::Tensor;

use super::encoder::{self, RowAttention, Run, plain};
use super::tests::{compare, random};

#[test]
fn attention_within_rows() {
    let hidden = vec![0.0, -1e30, 0.0, 0.0, -1e30];
    let runs = [
        Run { rows: 3, length: 7, keys: None },
        Run { rows: 1, length: 5, keys: Some(hidden) },
        Run { rows: 2, length: 1, keys: None },
    ];
    let tokens = 3 * 7 + 5 + 2;
    for dropout in [None, Some((0.3, [5, 1, 0]))] {
        let shape = RowAttention { heads: 3, runs: &runs, dropout };
        let input = |seed| random::<2>([tokens, 12], seed);
        compare(
            (input(1), input(2), input(3)),
            |q, k, v| encoder::row_attention(q, k, v, &shape),
            |q, k, v| plain::row_attention(q, k, v, &shape),
        );
    }
}

#[test]
fn norms_of_sums() {
    for rows in [1, 90] {
        let (x, weight) = (random::<2>([rows, 200], 1), random::<1>([200], 2));
        let residual = random::<2>([rows, 200], 4);
        compare(
            (x, weight, residual),
            |x, w, r| encoder::add_layer_norm(x, r, w.clone(), w, 1e-5),
            |x, w, r| plain::add_layer_norm(x, r, w.clone(), w, 1e-5),
        );
    }
}

#[test]
fn affine_layers() {
    compare(
        (random::<2>([70, 33], 1), random::<2>([20, 33], 2), random::<1>([20], 3)),
        encoder::affine,
        plain::affine,
    );
}

#[test]
fn weights_have_gradients_where_inputs_have_none() {
    let leaf = |x: Tensor<2>| x.autodiff().require_grad();
    let x = random::<2>([4, 6], 1);
    let weight = leaf(random([5, 6], 2));
    let y = encoder::affine(x.clone(), weight.clone(), random([5], 3));
    assert!(weight.grad(&y.sum().backward()).is_some());
    let residual = leaf(random([4, 6], 4));
    let y = encoder::add_layer_norm(x, residual.clone(), random([6], 2), random([6], 3), 1e-5);
    assert!(residual.grad(&y.square().sum().backward()).is_some());
}

#[test]
fn gelu_by_the_error_function() {
    let x = random::<2>([130, 150], 1).mul_scalar(3.0);
    let shift: Tensor<2> = random([1, 150], 2);
    compare(
        (x, shift, random::<1>([150], 3)),
        |x, y, z| encoder::gelu(x.mul(y)).mul(z.unsqueeze()),
        |x, y, z| plain::gelu(x.mul(y)).mul(z.unsqueeze()),
    );
}
