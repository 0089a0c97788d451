//! Products with weights in blocks against products with the values that the blocks stand for.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use bestof_blocks::{GgmlType, quantize_blocks};
use bestof_closeness::largest_difference;
use bestof_kernels::{Random, Target, Vocabulary, Weight, host_values};
use burn::tensor::{Device, Tensor, TensorData};

const TYPES: [GgmlType; 4] = [GgmlType::BF16, GgmlType::F16, GgmlType::Q8_0, GgmlType::Q4_0];

/// f32 sums in another order, over up to 40 terms of up to 4.
const TOLERANCE: f64 = 2e-6;

/// Values between -2 and 2.
fn random<const D: usize>(shape: [usize; D], seed: u64) -> Tensor<D> {
    let mut random = Random::keyed(&[seed]);
    let count = shape.iter().product();
    let values: Vec<f32> = (0..count).map(|_| (4.0 * random.uniform() - 2.0) as f32).collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

fn leaf(x: &Tensor<2>) -> Tensor<2> {
    x.clone().autodiff().require_grad()
}

/// The largest difference, relative to the largest value or to 1.
fn difference<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> f64 {
    let (a, b) = (host_values(a.inner()), host_values(b.inner()));
    assert_eq!(a.len(), b.len());
    let largest = b.iter().fold(1.0_f32, |most, x| most.max(x.abs()));
    largest_difference(&a, &b) / f64::from(largest)
}

fn blocks(ggml_type: GgmlType, shape: [usize; 2], seed: u64) -> Weight {
    let (mut bytes, values) = (Vec::new(), host_values(random(shape, seed)));
    quantize_blocks(ggml_type, &values, &mut bytes).unwrap();
    Weight::from_blocks(ggml_type, bytes, shape, &Device::flex()).unwrap()
}

/// The last shape is widened in more than one panel, the last of them a part of one.
#[test]
fn a_product_with_blocks_is_one_with_their_values() {
    for ggml_type in TYPES {
        for (rows, out, width) in [(1, 1, 32), (5, 7, 64), (3, 130, 32), (4, 70_000, 32)] {
            let weight = blocks(ggml_type, [out, width], 3);
            let values = weight.values();
            let x = random([rows, width], 4);
            let expected = x.clone().matmul(values.clone().transpose());
            let y = weight.linear(x.clone());
            assert!(difference(y.clone(), expected.clone()) < TOLERANCE, "{ggml_type} {out}");
            assert!(difference(weight.few_rows(x.clone()), expected) < TOLERANCE);
            let traced = leaf(&x);
            let through = weight.linear(traced.clone());
            assert_eq!(host_values(through.clone().inner()), host_values(y));
            let dy = random([rows, out], 5);
            let graph = through.mul(dy.clone().autodiff()).sum().backward();
            let dx = traced.grad(&graph).unwrap();
            let expected = dy.matmul(values);
            let scale = (out as f64).sqrt();
            assert!(difference(dx, expected) < TOLERANCE * scale, "{ggml_type} {out}: gradient");
        }
    }
}

/// Of types that are read and not written: any bytes below 64 have finite scales.
#[test]
fn blocks_of_every_type_are_multiplied() {
    for ggml_type in GgmlType::ALL {
        let (out, width) = (37, 512);
        let row = width / ggml_type.block_values() * ggml_type.block_bytes();
        let bytes: Vec<u8> = (0..out * row).map(|i| ((i * 37 + i / 7) % 64) as u8).collect();
        let device = Device::flex();
        let weight = Weight::from_blocks(ggml_type, bytes, [out, width], &device).unwrap();
        let largest =
            host_values(weight.values()).iter().fold(0.0_f32, |most, x| most.max(x.abs()));
        assert!(largest > 0.0 && largest.is_finite(), "{ggml_type}");
        let x = leaf(&random([3, width], 4).div_scalar(largest));
        let expected = x.clone().inner().matmul(weight.values().transpose());
        let y = weight.linear(x.clone());
        assert!(difference(y.clone(), expected.clone()) < TOLERANCE, "{ggml_type}");
        assert!(difference(weight.few_rows(x.clone().inner()), expected) < TOLERANCE);
        let dy = random([3, out], 5).div_scalar(largest);
        let graph = y.mul(dy.clone().autodiff()).sum().backward();
        let dx = x.grad(&graph).unwrap();
        assert!(difference(dx, dy.matmul(weight.values())) < TOLERANCE, "{ggml_type}: gradient");
    }
}

#[test]
fn few_rows_do_not_depend_on_each_other() {
    for ggml_type in TYPES {
        let weight = blocks(ggml_type, [129, 64], 3);
        let x = random([6, 64], 4);
        let all = weight.few_rows(x.clone());
        for row in 0..6 {
            let alone = weight.few_rows(x.clone().slice_dim(0, row..row + 1));
            let there = all.clone().slice_dim(0, row..row + 1);
            assert_eq!(host_values(alone), host_values(there), "{ggml_type}");
        }
    }
}

#[test]
fn tokens_are_scored_with_the_values_of_blocks() {
    let targets: Vec<Target> = (0..9).map(|i| Target { row: i % 5, token: (i * i) % 50 }).collect();
    for ggml_type in TYPES {
        let weight = blocks(ggml_type, [50, 32], 3);
        let hidden = random([5, 32], 4).mul_scalar(0.2);
        for softcap in [None, Some(3.0)] {
            let score = |weight: Weight| {
                let hidden = leaf(&hidden);
                let found = Vocabulary { weight, softcap }.score(hidden.clone(), &targets, true);
                let entropies = found.entropies.unwrap();
                let mut graph = found
                    .logps
                    .clone()
                    .sum()
                    .add(entropies.clone().mul_scalar(0.3).sum())
                    .backward();
                (found.logps, entropies, hidden.grad_remove(&mut graph).unwrap())
            };
            let (found, expected) = (score(weight.clone()), score(weight.values().into()));
            assert!(difference::<1>(found.0, expected.0) < TOLERANCE, "{ggml_type}");
            assert!(difference::<1>(found.1, expected.1) < TOLERANCE, "{ggml_type}");
            assert!(difference::<2>(found.2, expected.2) < TOLERANCE, "{ggml_type}");
        }
    }
}

#[test]
fn blocks_that_do_not_fill_their_rows_are_refused() {
    for (bytes, shape) in [(34, [1, 33]), (33, [1, 32]), (34, [2, 32])] {
        let made = Weight::from_blocks(GgmlType::Q8_0, vec![0; bytes], shape, &Device::flex());
        assert!(made.is_err(), "{bytes} {shape:?}");
    }
    let empty: Tensor<2> = Tensor::zeros([0, 32], &Device::flex());
    assert_eq!(blocks(GgmlType::Q8_0, [3, 32], 1).linear(empty).dims(), [0, 3]);
}
