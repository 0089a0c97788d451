//! The encoder's fused operations against the plain ones: values and gradients.

use burn::tensor::Tensor;

use crate::dropout::{Dropout, KeyedRow};
use crate::encoder;
use crate::encoder_shape::{AddNormLayer, Projections, RowAttention, Run};
use crate::plain_encoder as plain;
use crate::tests::{compare, random};

fn dropout(probability: f64, tokens: &[usize]) -> Dropout {
    let rows = tokens.iter().zip(40..).map(|(&tokens, key)| KeyedRow { key, tokens });
    Dropout { probability, keys: [5, 1, 0], rows: rows.collect() }
}

#[test]
fn attention_within_rows() {
    let hidden = vec![0.0, -1e30, 0.0, 0.0, -1e30];
    let runs = [
        Run { rows: 3, length: 7, keys: None },
        Run { rows: 1, length: 5, keys: Some(hidden) },
        Run { rows: 2, length: 1, keys: None },
    ];
    let tokens = 3 * 7 + 5 + 2;
    // Two of the projections vary at a time; the others, and the inputs, stay.
    let projections = |weight: Tensor<2>, bias: Tensor<1>, at: usize| {
        let mut made = Projections {
            weights: [1, 2, 3].map(|seed| random::<2>([12, 12], seed).mul_scalar(0.3)),
            biases: [4, 5, 6].map(|seed| random::<1>([12], seed)),
        };
        made.weights[at] = weight;
        made.biases[at] = bias;
        made
    };
    for dropout in [None, Some(dropout(0.3, &[7, 7, 7, 5, 1, 1]))] {
        let shape = RowAttention { heads: 3, runs: &runs, dropout };
        for at in 0..3 {
            let weight = random::<2>([12, 12], 8).mul_scalar(0.3);
            compare(
                (random::<2>([tokens, 12], 7), weight, random::<1>([12], 9)),
                |x, w, b| encoder::self_attention(x, projections(w, b, at), &shape),
                |x, w, b| plain::self_attention(x, projections(w, b, at), &shape),
            );
        }
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
fn norms() {
    for rows in [1, 90] {
        compare(
            (random::<2>([rows, 200], 1), random::<1>([200], 2), random::<1>([200], 3)),
            |x, w, b| encoder::layer_norm(x, w, b, 1e-5),
            |x, w, b| burn::tensor::module::layer_norm(x, w, Some(b), 1e-5),
        );
    }
}

#[test]
fn gates_of_two_halves() {
    for rows in [1, 90] {
        compare(
            (random::<2>([rows, 400], 1), random::<1>([200], 2), random::<1>([200], 3)),
            |x, w, b| encoder::gelu_gate(x).mul(w.unsqueeze()).add(b.unsqueeze()),
            |x, w, b| plain::gelu_gate(x).mul(w.unsqueeze()).add(b.unsqueeze()),
        );
    }
}

#[test]
fn layers_that_are_added_and_normalised() {
    for dropout in [None, Some(dropout(0.2, &[60, 35]))] {
        let layer = |weight: Tensor<2>, bias: Tensor<1>| AddNormLayer {
            weight,
            norm_weight: bias.clone(),
            norm_bias: bias.clone().mul_scalar(2.0),
            bias,
            eps: 1e-5,
            dropout: dropout.clone(),
        };
        let residual = random::<2>([95, 70], 4);
        let x = random::<2>([95, 30], 1);
        compare(
            (x.clone(), random::<2>([70, 30], 2), random::<1>([70], 3)),
            |x, w, b| encoder::affine_add_norm(x, residual.clone(), layer(w, b)),
            |x, w, b| plain::affine_add_norm(x, residual.clone(), layer(w, b)),
        );
        compare(
            (residual.clone(), random::<2>([70, 30], 2), random::<1>([70], 3)),
            |r, w, b| encoder::affine_add_norm(x.clone(), r, layer(w, b)),
            |r, w, b| plain::affine_add_norm(x.clone(), r, layer(w, b)),
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
    compare(
        (random::<2>([70, 33], 1), random::<2>([150, 33], 2), random::<1>([150], 3)),
        encoder::affine_gelu,
        plain::affine_gelu,
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
