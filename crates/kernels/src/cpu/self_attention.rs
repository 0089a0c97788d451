//! Attention within rows on the CPU, from hidden states to what each token takes.

use std::ops::Range;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::ops::FloatTensorOps;
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::{Slice, Tensor};
use rayon::prelude::*;

use super::fresh::zeros;
use super::kernel_encoder::{self, HeadLayout};
use super::linear::derivatives;
use super::matmul::{matmul, transposed};
use super::softmax;
use super::{
    NoCheckpointing, Plain, Route, dense, from_plain, from_traced, plain, tensor, traced, values,
    values_mut,
};
use crate::encoder_shape::{Projections, RowAttention, Run};

/// What the backward pass of a run needs; `q`, `k`, `v` are `[rows * heads, length, d]`, the queries
/// scaled.
#[derive(Debug, Clone)]
struct RunState {
    run: Run,
    q: Plain,
    k: Plain,
    v: Plain,
    shares: Plain,
    mask: Option<Vec<f32>>,
}

#[derive(Debug, Clone)]
struct State {
    x: Plain,
    /// The three weights one above the other, `[3 width, width]`.
    weight: Plain,
    runs: Vec<RunState>,
    heads: usize,
}

pub(crate) fn self_attention(
    route: Route,
    x: Tensor<2>,
    projections: Projections,
    shape: &RowAttention<'_>,
) -> Tensor<2> {
    let Projections { weights, biases } = projections;
    if route == Route::Plain {
        let weight = Flex::float_cat(weights.map(plain).to_vec(), 0);
        let bias = Flex::float_cat(biases.map(plain).to_vec(), 0);
        return from_plain(attend(plain(x), weight, &bias, shape, |_| ()).0);
    }
    let (x, x_node) = traced(x).into_parts();
    let weights = weights.map(|weight| traced(weight).into_parts());
    let biases = biases.map(|bias| traced(bias).into_parts());
    let [(wq, wq_node), (wk, wk_node), (wv, wv_node)] = weights;
    let [(bq, bq_node), (bk, bk_node), (bv, bv_node)] = biases;
    let parents = [x_node, wq_node, wk_node, wv_node, bq_node, bk_node, bv_node];
    let weight = Flex::float_cat(vec![wq, wk, wv], 0);
    let bias = Flex::float_cat(vec![bq, bk, bv], 0);
    match Attention.prepare::<NoCheckpointing>(parents).compute_bound().stateful() {
        OpsKind::Tracked(prep) => {
            let (y, runs) = attend(x.clone(), weight.clone(), &bias, shape, |run| run);
            from_traced(prep.finish(State { x, weight, runs, heads: shape.heads }, y))
        }
        OpsKind::UnTracked(prep) => {
            from_traced(prep.finish(attend(x, weight, &bias, shape, |_| ()).0))
        }
    }
}

/// The places of the heads of a run in its rows of a matrix with `parts` times the width of the hidden states.
fn layout_of(run: &Run, heads: usize, width: usize, [part, parts]: [usize; 2]) -> HeadLayout {
    HeadLayout {
        rows: run.rows,
        length: run.length,
        heads,
        dim: width / heads,
        column: part * width,
        width: parts * width,
    }
}

/// A run and what is its own of matrices with a row per token.
struct Part<'a, R> {
    run: R,
    /// The rows of tokens before it.
    first: usize,
    tokens: Range<usize>,
    /// Its rows of the matrix that is being made.
    out: &'a mut [f32],
}

/// Runs are computed side by side: those of single rows are small.
fn side_by_side<R: Send>(
    runs: impl Iterator<Item = R>,
    sizes: impl Fn(&R) -> &Run,
    mut out: &mut [f32],
    width: usize,
) -> impl IndexedParallelIterator<Item = Part<'_, R>> {
    let (mut first, mut from) = (0, 0);
    let parts: Vec<Part<'_, R>> = runs
        .map(|run| {
            let Run { rows, length, .. } = *sizes(&run);
            let tokens = from..from + rows * length;
            let own = out.split_off_mut(..tokens.len() * width).expect("a row per token");
            let part = Part { run, first, tokens, out: own };
            (first, from) = (first + rows, part.tokens.end);
            part
        })
        .collect();
    parts.into_par_iter()
}

/// The rows of some tokens.
fn rows_of(matrix: &[f32], tokens: Range<usize>, width: usize) -> &[f32] {
    &matrix[tokens.start * width..tokens.end * width]
}

/// `[rows * heads, length, d]` as a tensor.
fn by_head(values: Vec<f32>, at: &HeadLayout) -> Plain {
    tensor(values, [at.rows * at.heads, at.length, at.dim])
}

/// What the tokens take, `[tokens, width]`, and what `keep` makes of each run.
fn attend<T: Send>(
    x: Plain,
    weight: Plain,
    bias: &Plain,
    shape: &RowAttention<'_>,
    keep: impl Fn(RunState) -> T + Sync,
) -> (Plain, Vec<T>) {
    let [tokens, width] = [x.shape()[0], x.shape()[1]];
    let heads = shape.heads;
    let scale = ((width / heads) as f32).sqrt().recip();
    let all = matmul(x, transposed(weight));
    let bias = dense(bias.clone());
    let mut y = zeros(tokens * width);
    let parts = side_by_side(shape.runs.iter(), |run| run, &mut y, width);
    let kept = parts.map(|Part { run, first, tokens, out }| {
        let all = rows_of(values(&all), tokens, 3 * width);
        let take = |part: usize, factor: f32| {
            let at = layout_of(run, heads, width, [part, 3]);
            by_head(at.take(all, Some(values(&bias)), factor), &at)
        };
        let (q, k, v) = (take(0, scale), take(1, 1.0), take(2, 1.0));
        let mut shares = matmul(q.clone(), transposed(k.clone()));
        let keys = run.keys.as_ref().map(|keys| (keys.as_slice(), 1));
        softmax::softmax(values_mut(&mut shares), run.length, keys);
        let mask = shape.mask(run, first);
        let taken = dropped(&shares, mask.as_deref());
        let found = matmul(taken, v.clone());
        layout_of(run, heads, width, [0, 1]).put(values(&found), 1.0, out);
        keep(RunState { run: run.clone(), q, k, v, shares, mask })
    });
    let kept = kept.collect();
    (tensor(y, [tokens, width]), kept)
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

impl Backward<Flex, 7> for Attention {
    type State = State;

    fn backward(self, ops: Ops<State, 7>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = dense(grads.consume::<Flex>(&ops.node));
        let State { x, weight, runs, heads } = ops.state;
        let [tokens, width] = [dy.shape()[0], dy.shape()[1]];
        let scale = ((width / heads) as f32).sqrt().recip();
        let mut dall = zeros(tokens * 3 * width);
        let parts = side_by_side(runs.into_iter(), |state| &state.run, &mut dall, 3 * width);
        parts.for_each(
            |Part { run: RunState { run, q, k, v, shares, mask }, tokens, out, .. }| {
                let at = layout_of(&run, heads, width, [0, 1]);
                let dy = by_head(at.take(rows_of(values(&dy), tokens, width), None, 1.0), &at);
                let mut put = |part: usize, factor: f32, found: &Plain| {
                    layout_of(&run, heads, width, [part, 3]).put(values(found), factor, out);
                };
                let taken = dropped(&shares, mask.as_deref());
                put(2, 1.0, &matmul(transposed(taken), dy.clone()));
                let mut ds = matmul(dy, transposed(v));
                if let Some(mask) = &mask {
                    kernel_encoder::multiply(values_mut(&mut ds), mask);
                }
                softmax::softmax_backward(values(&shares), values_mut(&mut ds), run.length);
                put(1, 1.0, &matmul(transposed(ds.clone()), q));
                put(0, scale, &matmul(ds, k));
            },
        );
        let [x_node, wq, wk, wv, bq, bk, bv] = ops.parents;
        let part = |number: usize| number * width..(number + 1) * width;
        let slice = |x: &Plain, rows: Range<usize>| {
            dense(Flex::float_slice(x.clone(), &[Slice::from(rows)]))
        };
        let db = kernel_encoder::sum_rows(&dall, 3 * width);
        for (number, node) in [bq, bk, bv].into_iter().enumerate() {
            if let Some(node) = node {
                let db = db[part(number)].to_vec();
                grads.register::<Flex>(node.id, tensor(db, [width]));
            }
        }
        let dall = tensor(dall, [tokens, 3 * width]);
        let nodes = [wq, wk, wv];
        let needed = [x_node.is_some(), nodes.iter().any(Option::is_some)];
        let [dx, dw] = derivatives(needed, (x, weight), dall);
        if let Some(dw) = dw {
            for (number, node) in nodes.into_iter().enumerate() {
                if let Some(node) = node {
                    grads.register::<Flex>(node.id, slice(&dw, part(number)));
                }
            }
        }
        if let (Some(node), Some(dx)) = (x_node, dx) {
            grads.register::<Flex>(node.id, dx);
        }
    }
}
