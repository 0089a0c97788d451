//! The fused operations against the plain ones: values and gradients.

use bestof_closeness::{largest_difference, largest_relative_difference};
use burn::tensor::{Device, Tensor, TensorData};
use proptest::prelude::*;

use crate::decoder::{apply_rotary, attention, gated_activation, linear, rms_norm, softmax_rows};
use crate::host::host_values;
use crate::mask::{BLOCK, CausalMasks, tree_blocks};
use crate::random::Random;
use crate::shape::{Activation, AttentionBlock, AttentionShape};
use crate::{Weight, cpu, plain, plain_attention};

/// Values between -2 and 2.
pub(super) fn random<const D: usize>(shape: [usize; D], seed: u64) -> Tensor<D> {
    let mut random = Random::keyed(&[seed]);
    let values: Vec<f32> = (0..shape.iter().product::<usize>())
        .map(|_| (4.0 * random.uniform() - 2.0) as f32)
        .collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

fn leaf<const D: usize>(x: &Tensor<D>) -> Tensor<D> {
    x.clone().autodiff().require_grad()
}

/// The largest difference, relative to the largest value, or to the inputs where values cancel.
fn difference<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> f32 {
    assert_eq!(a.dims(), b.dims());
    let (a, b) = (host_values(a.inner()), host_values(b.inner()));
    let largest = b.iter().fold(1.0_f32, |m, x| m.max(x.abs()));
    largest_difference(&a, &b) as f32 / largest
}

/// f32 sums in another order and an exponential of its own.
const TOLERANCE: f32 = 5e-6;

/// Compares values with and without automatic differentiation, and gradients, of two functions of
/// three inputs.
pub(super) fn compare<const A: usize, const B: usize, const C: usize, const Y: usize>(
    inputs: (Tensor<A>, Tensor<B>, Tensor<C>),
    fused: impl Fn(Tensor<A>, Tensor<B>, Tensor<C>) -> Tensor<Y>,
    plain: impl Fn(Tensor<A>, Tensor<B>, Tensor<C>) -> Tensor<Y>,
) {
    let (a, b, c) = inputs;
    let expected = plain(a.clone(), b.clone(), c.clone());
    let without = fused(a.clone(), b.clone(), c.clone());
    assert!(difference(without.clone(), expected.clone()) < TOLERANCE);
    let gradients = |f: &dyn Fn(Tensor<A>, Tensor<B>, Tensor<C>) -> Tensor<Y>| {
        let (a, b, c) = (leaf(&a), leaf(&b), leaf(&c));
        let y = f(a.clone(), b.clone(), c.clone());
        let weight = random(y.dims(), 99);
        let values = y.clone().inner();
        let mut graph = y.mul(weight).sum().backward();
        (values, a.grad_remove(&mut graph), b.grad_remove(&mut graph), c.grad_remove(&mut graph))
    };
    let (values, da, db, dc) = gradients(&fused);
    let (_, ea, eb, ec) = gradients(&plain);
    assert_eq!(
        host_values(values),
        host_values(without),
        "with a graph and without, to the last bit"
    );
    let same = |fused: Option<f32>| fused.is_some_and(|difference| difference < TOLERANCE);
    assert!(same(da.zip(ea).map(|(a, b)| difference(a, b))));
    assert!(same(db.zip(eb).map(|(a, b)| difference(a, b))));
    if let (Some(dc), Some(ec)) = (dc, ec) {
        assert!(difference(dc, ec) < TOLERANCE);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn norms(rows in 1usize..70, width in 1usize..300, offset in 0u8..2) {
        let inputs = (random([rows, width], 1), random([width], 2), random([1], 3));
        let offset = f64::from(offset);
        compare(
            inputs,
            |x, w, _| rms_norm(x, w, 1e-5, offset),
            |x, w, _| plain::rms_norm(x, w, 1e-5, offset),
        );
    }

    #[test]
    fn products(rows in 1usize..40, width in 1usize..50, out in 1usize..50) {
        let inputs = (random([rows, width], 1), random([out, width], 2), random([1], 3));
        compare(inputs, |x, w, _| linear(x, w), |x, w, _| x.matmul(w.transpose()));
    }

    #[test]
    fn adapters(rows in 1usize..40, width in 1usize..90, out in 1usize..90, rank in 1usize..20) {
        let (x, w) = (random([rows, width], 1), random([out, width], 2));
        let (a, b) = (random([rank, width], 3), random([out, rank], 4));
        let plain = |x: Tensor<2>, w: Tensor<2>, a: Tensor<2>, b: Tensor<2>| {
            let adapted = x.clone().matmul(a.transpose()).matmul(b.transpose()).mul_scalar(0.25);
            x.matmul(w.transpose()).add(adapted)
        };
        let fused = |x, w: Tensor<2>, a: &Tensor<2>, b: &Tensor<2>| {
            Weight::from(w).linear_with_low_rank(x, a, b, 0.25)
        };
        let fixed = &w;
        compare(
            (x.clone(), a.clone(), b.clone()),
            |x, a, b| fused(x, fixed.clone(), &a, &b),
            |x, a, b| plain(x, fixed.clone(), a, b),
        );
        let fixed = &b;
        compare((x, w, a), |x, w, a| fused(x, w, &a, fixed), |x, w, a| plain(x, w, a, fixed.clone()));
    }

    #[test]
    fn gates(rows in 1usize..40, width in 1usize..700) {
        for kind in [Activation::Silu, Activation::GeluTanh] {
            let inputs = (random([rows, width], 1), random([rows, width], 2), random([1], 3));
            compare(inputs, |g, u, _| gated_activation(g, u, kind), |g, u, _| plain::gated(g, u, kind));
        }
    }

    #[test]
    fn rotations(rows in 1usize..90, heads in 1usize..5, pairs in 1usize..20, rest in 0usize..3) {
        let dim = 2 * (pairs + rest);
        let angles: Vec<f32> = host_values(random([rows, pairs], 5));
        let table = |f: fn(f32) -> f32, beyond: f32| -> Tensor<3> {
            let row = |angles: &[f32]| -> Vec<f32> {
                let half = angles.iter().map(|a| f(*a));
                half.clone().chain(half).chain((2 * pairs..dim).map(|_| beyond)).collect()
            };
            let values: Vec<f32> = angles.chunks(pairs).flat_map(row).collect();
            Tensor::from_data(TensorData::new(values, [rows, 1, dim]), &Device::flex())
        };
        let (cos, sin) = (table(f32::cos, 0.25), table(f32::sin, 0.0));
        let x = random([rows * heads, dim], 1);
        let inputs = (x.clone(), x, random([1], 2));
        compare(
            inputs,
            |x, y, _| apply_rotary(x, &cos, &sin, pairs, None).add(apply_rotary(y, &cos, &sin, pairs, None)),
            |x, y, _| {
                let turned = |x| plain::turn(x, &cos, &sin, pairs, None);
                turned(x).add(turned(y))
            },
        );
    }

    #[test]
    fn attention_on_paths_and_trees(
        length in 1usize..60,
        start in 0usize..30,
        window in prop::option::of(1usize..40),
        cap in prop::option::of(2.0f64..8.0),
        kv_heads in 1usize..3,
        group in 1usize..4,
    ) {
        let like = random([1, 1], 0);
        let path = CausalMasks::new(length, window, &like).blocks(0..length);
        // Sequences 0 1 2 3 4, 0 1 5 and 0 6 7 8 of nodes.
        let parents = [None, Some(0), Some(1), Some(2), Some(3), Some(1), Some(0), Some(6), Some(7)];
        let depths = [0, 1, 2, 3, 4, 2, 1, 2, 3];
        let tree = tree_blocks(&parents, &depths, window, &like).into_iter();
        // Two trees, the first of them after keys that nobody looks at.
        let blocks: Vec<AttentionBlock> = path
            .into_iter()
            .map(|block| block.shifted(0, start))
            .chain(tree.map(|block| block.shifted(length, start + length)))
            .collect();
        let queries = blocks.iter().map(|block| block.rows.end).max().unwrap_or(0);
        let keys = blocks.iter().map(|block| block.keys.end).max().unwrap_or(0);
        let shape = AttentionShape { kv_heads, group, head_dim: 6, softcap: cap };
        let inputs = (
            random([queries, kv_heads * group, 6], 1),
            random([keys, kv_heads, 6], 2),
            random([keys, kv_heads, 6], 3),
        );
        compare(
            inputs,
            |q, k, v| attention(q, k, v, &blocks, shape),
            |q, k, v| plain_attention::attention(q, k, v, &blocks, shape),
        );
    }
}

/// Attention with the scores of all rows and keys at once, and a mask.
fn naive(
    q: Tensor<3>,
    k: Tensor<3>,
    v: Tensor<3>,
    window: Option<usize>,
    shape: AttentionShape,
) -> Tensor<2> {
    let [length, heads, dim] = q.dims();
    let seen = |row: usize, key: usize| key <= row && window.is_none_or(|w| row - key < w);
    let mask: Vec<f32> = (0..length * length)
        .map(|i| if seen(i / length, i % length) { 0.0 } else { f32::NEG_INFINITY })
        .collect();
    let mask: Tensor<2> =
        Tensor::from_data(TensorData::new(mask, [length, length]), &Device::flex());
    let by_head = |x: Tensor<3>| {
        let group = heads / x.dims()[1];
        let parts = (0..heads).map(|head| x.clone().slice_dim(1, head / group..head / group + 1));
        Tensor::cat(parts.collect(), 1).swap_dims(0, 1)
    };
    let scores = plain::soft_cap(by_head(q).matmul(by_head(k).transpose()), shape.softcap);
    let mask: Tensor<3> = mask.unsqueeze();
    let p = burn::tensor::activation::softmax(scores.add(mask), 2);
    p.matmul(by_head(v)).swap_dims(0, 1).reshape([length, heads * dim])
}

#[test]
fn attention_in_blocks_is_attention_at_once() {
    let like = random([1, 1], 0);
    let length = 2 * BLOCK + 88;
    for (window, softcap) in [(None, None), (Some(BLOCK + 70), Some(3.0))] {
        let shape = AttentionShape { kv_heads: 2, group: 2, head_dim: 4, softcap };
        let blocks = CausalMasks::new(length, window, &like).blocks(0..length);
        let inputs =
            (random([length, 4, 4], 1), random([length, 2, 4], 2), random([length, 2, 4], 3));
        compare(
            inputs.clone(),
            |q, k, v| attention(q, k, v, &blocks, shape),
            |q, k, v| naive(q, k, v, window, shape),
        );
        compare(
            inputs,
            |q, k, v| plain_attention::attention(q, k, v, &blocks, shape),
            |q, k, v| naive(q, k, v, window, shape),
        );
    }
}

#[test]
fn weights_computed_again_give_the_gradients_of_kept_ones() {
    let like = random([1, 1], 0);
    let length = BLOCK + 40;
    let blocks = CausalMasks::new(length, None, &like).blocks(0..length);
    for softcap in [None, Some(2.5)] {
        let shape = AttentionShape { kv_heads: 1, group: 3, head_dim: 4, softcap };
        let gradients = |kept: usize| -> Vec<Vec<f32>> {
            let leaves = [(3, 1), (1, 2), (1, 3)]
                .map(|(heads, seed)| random([length, heads, 4], seed).autodiff().require_grad());
            let [q, k, v] = leaves.clone();
            let place = cpu::Route::Traced;
            let y = cpu::attention(place, q, k, v, &blocks, shape, kept);
            let mut graph = y.mul(random([length, 12], 9)).sum().backward();
            leaves.iter().map(|x| host_values(x.grad_remove(&mut graph).unwrap())).collect()
        };
        assert_eq!(gradients(0), gradients(usize::MAX), "to the last bit");
    }
}

#[test]
fn attention_over_several_blocks() {
    let length = 2 * BLOCK + 19;
    let like = random([1, 1], 0);
    let shape = AttentionShape { kv_heads: 1, group: 2, head_dim: 4, softcap: None };
    for window in [None, Some(BLOCK + 5)] {
        let blocks = CausalMasks::new(length, window, &like).blocks(0..length);
        let inputs =
            (random([length, 2, 4], 1), random([length, 1, 4], 2), random([length, 1, 4], 3));
        compare(
            inputs,
            |q, k, v| attention(q, k, v, &blocks, shape),
            |q, k, v| plain_attention::attention(q, k, v, &blocks, shape),
        );
    }
}

#[test]
fn rows_of_logits() {
    let logits = random([5, 777], 1).mul_scalar(9.0);
    let (fused, plain) = (softmax_rows(logits.clone()), plain::softmax_rows(logits));
    assert!(difference(fused.exps, plain.exps) < TOLERANCE);
    let close = |a: Tensor<1>, b: Tensor<1>| {
        largest_relative_difference(host_values(a), host_values(b), 0.0) < 1e-5
    };
    assert_eq!(host_values(fused.max), host_values(plain.max));
    assert!(close(fused.sums, plain.sums) && close(fused.means, plain.means));
}
