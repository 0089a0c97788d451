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
fn gelu_by_the_error_function() {
    let x = random::<2>([130, 150], 1).mul_scalar(3.0);
    let shift: Tensor<2> = random([1, 150], 2);
    compare(
        (x, shift, random::<1>([150], 3)),
        |x, y, z| encoder::gelu(x.mul(y)).mul(z.unsqueeze()),
        |x, y, z| plain::gelu(x.mul(y)).mul(z.unsqueeze()),
    );
}
