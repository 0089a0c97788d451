//! One new token a sequence against the keys of its prompt and its own, where they lie.
#![expect(
    clippy::inline_always,
    reason = "a function that is not inlined is compiled for the plainest processor"
)]

use std::ops::Range;

use burn::tensor::Tensor;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::product::{TILE, products};
use super::{Plain, dense, from_plain, plain, softmax, tensor, values};
use crate::cached::{Cached, PromptKeys};
use crate::mask::first_key;
use crate::shape::AttentionShape;

/// Query rows of a task: as many meet the keys of their prompt while these are in the cache.
const ROWS: usize = 24;

/// Keys and values of a sequence's own tokens, `[tokens, kv_heads, head_dim]`.
#[derive(Debug, Clone, Default)]
struct Own {
    k: Vec<f32>,
    v: Vec<f32>,
}

/// See [`crate::DecodeCache`].
#[derive(Debug)]
pub(crate) struct HostCache {
    shape: AttentionShape,
    own: Vec<Own>,
}

impl HostCache {
    pub(crate) fn new(shape: AttentionShape) -> Self {
        Self { shape, own: Vec::new() }
    }
}

impl Cached for HostCache {
    fn add(&mut self, sequences: usize) {
        self.own.resize_with(self.own.len() + sequences, Own::default);
    }

    fn keep(&mut self, places: &[u32]) {
        let kept = places.iter().map(|&place| std::mem::take(&mut self.own[place as usize]));
        self.own = kept.collect();
    }

    fn replace(&mut self, sequence: usize, k: Tensor<3>, v: Tensor<3>) {
        let [k, v] = [k, v].map(|x| values(&dense(plain(x))).to_vec());
        self.own[sequence] = Own { k, v };
    }

    fn attend(
        &mut self,
        [q, k, v]: [Tensor<3>; 3],
        prompts: &[PromptKeys<'_>],
        window: Option<usize>,
    ) -> Tensor<2> {
        let AttentionShape { kv_heads, group, head_dim, softcap } = self.shape;
        let [q, k, v] = [q, k, v].map(|x| dense(plain(x)));
        let stride = kv_heads * head_dim;
        let new = values(&k).chunks_exact(stride).zip(values(&v).chunks_exact(stride));
        for (own, (k, v)) in self.own.iter_mut().zip(new) {
            own.k.extend_from_slice(k);
            own.v.extend_from_slice(v);
        }
        let prompts: Vec<Prompt> = prompts.iter().map(Prompt::new).collect();
        let members = (ROWS / group).max(1);
        let mut tasks = Vec::new();
        for prompt in &prompts {
            for first in prompt.members.clone().step_by(members) {
                let members = first..(first + members).min(prompt.members.end);
                tasks.extend((0..kv_heads).map(|head| (prompt, members.clone(), head)));
            }
        }
        let width = group * head_dim;
        let parts: Vec<Vec<f32>> = tasks
            .par_iter()
            .map(|(prompt, members, head)| {
                let place = head * head_dim;
                let mut queries = Vec::with_capacity(members.len() * width);
                for sequence in members.clone() {
                    let at = (sequence * kv_heads + head) * width;
                    queries.extend_from_slice(&values(&q)[at..at + width]);
                }
                let sequences = self.own[members.clone()].iter().map(|own| {
                    let tokens = own.k.len() / stride;
                    let own_first = first_key(tokens - 1, window);
                    Sequence {
                        prompt_first: first_key(prompt.filled + tokens - 1, window)
                            .min(prompt.filled),
                        tokens: tokens - own_first,
                        k: Keys::new(&own.k, own_first, place, stride),
                        v: Keys::new(&own.v, own_first, place, stride),
                    }
                });
                let task = Task {
                    sequences: &sequences.collect::<Vec<Sequence<'_>>>(),
                    queries: &queries,
                    prompt,
                    place,
                    stride,
                    group,
                    dim: head_dim,
                    softcap,
                };
                Arch::new().dispatch(task)
            })
            .collect();
        let mut y = vec![0.0; values(&q).len()];
        for ((_, members, head), part) in tasks.iter().zip(&parts) {
            for (sequence, part) in members.clone().zip(part.chunks_exact(width)) {
                y[(sequence * kv_heads + head) * width..][..width].copy_from_slice(part);
            }
        }
        from_plain(tensor(y, [self.own.len(), kv_heads * width]))
    }
}

struct Prompt {
    members: Range<usize>,
    k: Plain,
    v: Plain,
    filled: usize,
}

impl Prompt {
    fn new(prompt: &PromptKeys<'_>) -> Self {
        let [k, v] = [prompt.k, prompt.v].map(|x| dense(plain(x.clone())));
        Self { members: prompt.members.clone(), k, v, filled: prompt.filled }
    }
}

/// Rows of one head, each `stride` behind the one before.
#[derive(Clone, Copy)]
struct Keys<'a> {
    x: &'a [f32],
    stride: usize,
}

impl<'a> Keys<'a> {
    /// From a row on, of the head that begins at a place of it; none behind the last row.
    fn new(x: &'a [f32], first: usize, place: usize, stride: usize) -> Self {
        Self { x: x.get(first * stride + place..).unwrap_or_default(), stride }
    }
}

/// What a sequence sees.
struct Sequence<'a> {
    /// Of its prompt everything from here on.
    prompt_first: usize,
    /// How many tokens of its own.
    tokens: usize,
    k: Keys<'a>,
    v: Keys<'a>,
}

/// Sequences of one prompt and one head of keys.
struct Task<'a> {
    sequences: &'a [Sequence<'a>],
    /// `[sequences * group, dim]`
    queries: &'a [f32],
    prompt: &'a Prompt,
    /// Where the head begins in a row of keys.
    place: usize,
    stride: usize,
    group: usize,
    dim: usize,
    softcap: Option<f64>,
}

impl WithSimd for Task<'_> {
    /// `[sequences * group, dim]`
    type Output = Vec<f32>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Vec<f32> {
        let Self { sequences, queries, prompt, place, stride, group, dim, softcap } = self;
        let first = sequences.iter().map(|s| s.prompt_first).min().unwrap_or(0);
        let seen = prompt.filled - first;
        let longest = sequences.iter().map(|s| s.tokens).max().unwrap_or(0);
        let width = seen + longest;
        let rows = sequences.len() * group;
        let mut weights = vec![0.0; rows * width];
        let mut out = vec![0.0; rows * dim];
        let [k, v] = [&prompt.k, &prompt.v].map(|x| Keys::new(values(x), first, place, stride));
        scores(simd, queries, k, seen, dim, &mut weights, width);
        for (index, sequence) in sequences.iter().enumerate() {
            let queries = &queries[index * group * dim..][..group * dim];
            let weights = &mut weights[index * group * width..][..group * width];
            scores(simd, queries, sequence.k, sequence.tokens, dim, &mut weights[seen..], width);
            for weights in weights.chunks_exact_mut(width) {
                let (unseen, weights) = weights.split_at_mut(sequence.prompt_first - first);
                unseen.fill(0.0);
                let weights =
                    &mut weights[..prompt.filled - sequence.prompt_first + sequence.tokens];
                if let Some(cap) = softcap {
                    softmax::cap_row(weights, cap as f32);
                }
                softmax::softmax_row(weights);
            }
        }
        let sum = |weights, values, count| Sum { weights, width, values, count, dim };
        sum(&weights, v, seen).add_to(simd, &mut out);
        for (index, sequence) in sequences.iter().enumerate() {
            let weights = &weights[index * group * width..][..group * width];
            let out = &mut out[index * group * dim..][..group * dim];
            sum(&weights[seen..], sequence.v, sequence.tokens).add_to(simd, out);
        }
        out
    }
}

/// The products of the queries, `[rows, dim]`, with `count` keys, into rows of scores `width` apart.
#[inline(always)]
fn scores<S: Simd>(
    simd: S,
    queries: &[f32],
    keys: Keys<'_>,
    count: usize,
    dim: usize,
    scores: &mut [f32],
    width: usize,
) {
    let rows = queries.len() / dim;
    for key in (0..count).step_by(TILE) {
        let taken = (count - key).min(TILE);
        for row in (0..rows).step_by(TILE) {
            let x = &queries[row * dim..];
            let weight = (&keys.x[key * keys.stride..], taken, keys.stride);
            let sums = products(simd, (x, (rows - row).min(TILE)), weight, dim);
            for (at, sums) in sums.iter().enumerate().take(taken) {
                for (of_row, sum) in sums.iter().enumerate().take(rows - row) {
                    scores[(row + of_row) * width + key + at] = *sum;
                }
            }
        }
    }
}

/// Vectors of a row that are summed together.
const VECTORS: usize = 4;

/// Sums of the first `count` values by weights, rows of which lie `width` apart.
///
/// Every entry is one sum in the order of the values, whatever the number of rows.
struct Sum<'a> {
    weights: &'a [f32],
    width: usize,
    values: Keys<'a>,
    count: usize,
    dim: usize,
}

impl Sum<'_> {
    /// Adds them to the rows of `out`, `[rows, dim]`.
    #[inline(always)]
    fn add_to<S: Simd>(&self, simd: S, out: &mut [f32]) {
        for (tile, out) in out.chunks_mut(TILE * self.dim).enumerate() {
            let row = tile * TILE;
            match out.len() / self.dim {
                1 => self.add_rows::<S, 1>(simd, row, out),
                2 => self.add_rows::<S, 2>(simd, row, out),
                3 => self.add_rows::<S, 3>(simd, row, out),
                _ => self.add_rows::<S, 4>(simd, row, out),
            }
        }
    }

    #[inline(always)]
    fn add_rows<S: Simd, const X: usize>(&self, simd: S, row: usize, out: &mut [f32]) {
        let Self { weights, width, values, count, dim } = *self;
        let weights = &weights[row * width..];
        let wide = VECTORS * S::F32_LANES;
        let mut from = 0;
        while from + wide <= dim {
            let mut sums = [[simd.splat_f32s(0.0); VECTORS]; X];
            for x in 0..X {
                let (body, _) = S::as_simd_f32s(&out[x * dim + from..][..wide]);
                sums[x].copy_from_slice(body);
            }
            for key in 0..count {
                let (value, _) = S::as_simd_f32s(&values.x[key * values.stride + from..][..wide]);
                for x in 0..X {
                    let weight = simd.splat_f32s(weights[x * width + key]);
                    for i in 0..VECTORS {
                        sums[x][i] = simd.mul_add_f32s(weight, value[i], sums[x][i]);
                    }
                }
            }
            for x in 0..X {
                let (body, _) = S::as_mut_simd_f32s(&mut out[x * dim + from..][..wide]);
                body.copy_from_slice(&sums[x]);
            }
            from += wide;
        }
        if from == dim {
            return;
        }
        for key in 0..count {
            let value = &values.x[key * values.stride..][from..dim];
            for x in 0..X {
                let weight = weights[x * width + key];
                for (out, value) in out[x * dim + from..(x + 1) * dim].iter_mut().zip(value) {
                    *out += weight * value;
                }
            }
        }
    }
}
