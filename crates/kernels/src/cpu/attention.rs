//! Attention over blocks of queries, with its backward pass.
//!
//! The weights of attention are kept for the backward pass where a row sees few keys, and computed
//! again where it sees many: what is kept grows with the number of rows, not with its square.

use std::ops::Range;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::ops::FloatTensorOps;
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::{Shape, Slice, Tensor};

use super::fresh::zeros;
use super::matmul::{matmul, transposed};
use super::softmax;
use super::{
    NoCheckpointing, Plain, Route, dense, from_plain, from_traced, plain, tensor, traced, values,
    values_mut,
};
use crate::shape::{AttentionBlock, AttentionShape};

/// Most keys a block may have for its weights to be kept for the backward pass.
pub(crate) const KEPT_KEYS: usize = 512;

/// A block of queries and keys. Masks are views of one band; they are made dense one at a time.
#[derive(Debug, Clone)]
struct Tile {
    rows: Range<usize>,
    keys: Range<usize>,
    mask: Option<Plain>,
}

#[derive(Debug, Clone)]
struct AttentionState {
    q: Plain,
    k: Plain,
    v: Plain,
    tiles: Vec<Tile>,
    /// Of each tile its weights, unless they are to be computed again.
    weights: Vec<Option<Weights>>,
    shape: AttentionShape,
}

/// What a block's softmax made of its scores, `[kv_heads, group * rows, keys]`.
#[derive(Debug, Clone)]
struct Weights {
    p: Plain,
    /// The scores after the soft cap, if there is one.
    capped: Option<Plain>,
}

pub(crate) fn attention(
    route: Route,
    q: Tensor<3>,
    k: Tensor<3>,
    v: Tensor<3>,
    blocks: &[AttentionBlock],
    shape: AttentionShape,
    kept_keys: usize,
) -> Tensor<2> {
    let tiles: Vec<Tile> = blocks
        .iter()
        .map(|block| Tile {
            rows: block.rows.clone(),
            keys: block.keys.clone(),
            mask: block.mask.clone().map(plain),
        })
        .collect();
    if route == Route::Plain {
        let (q, k, v) = (plain(q), plain(k), plain(v));
        return from_plain(attend(&q, &k, &v, &tiles, shape, &mut |_, _| ()));
    }
    let (q, q_node) = traced(q).into_parts();
    let (k, k_node) = traced(k).into_parts();
    let (v, v_node) = traced(v).into_parts();
    let prepared =
        Attention.prepare::<NoCheckpointing>([q_node, k_node, v_node]).compute_bound().stateful();
    match prepared {
        OpsKind::Tracked(prep) => {
            let mut weights = Vec::with_capacity(tiles.len());
            let y = attend(&q, &k, &v, &tiles, shape, &mut |tile, found| {
                weights.push((tile.keys.len() <= kept_keys).then_some(found));
            });
            from_traced(prep.finish(AttentionState { q, k, v, tiles, weights, shape }, y))
        }
        OpsKind::UnTracked(prep) => {
            from_traced(prep.finish(attend(&q, &k, &v, &tiles, shape, &mut |_, _| ())))
        }
    }
}

/// Rows of `[rows, heads, dim]` as `[kv_heads, group * rows, dim]`, dense.
fn by_kv_head(x: &Plain, rows: &Range<usize>, shape: AttentionShape, group: usize) -> Plain {
    let (kv, dim) = (shape.kv_heads, shape.head_dim);
    let count = rows.len();
    let x = Flex::float_slice(x.clone(), &[Slice::from(rows.clone())]);
    let x = Flex::float_reshape(x, Shape::new([count, kv, group, dim]));
    let x = Flex::float_permute(x, &[1, 2, 0, 3]);
    Flex::float_reshape(x, Shape::new([kv, group * count, dim]))
}

/// `[kv_heads, group * rows, dim]` back as `[rows, kv_heads * group * dim]`, dense.
fn by_row(x: Plain, count: usize, shape: AttentionShape, group: usize) -> Plain {
    let (kv, dim) = (shape.kv_heads, shape.head_dim);
    let x = Flex::float_reshape(x, Shape::new([kv, group, count, dim]));
    let x = Flex::float_permute(x, &[2, 0, 1, 3]);
    Flex::float_reshape(x, Shape::new([count, kv * group * dim]))
}

/// The weights of a block, from its queries and keys by head.
fn weigh(q: Plain, k: Plain, tile: &Tile, shape: AttentionShape) -> Weights {
    let mut scores = matmul(q, transposed(k));
    let capped = shape.softcap.map(|cap| {
        softmax::soft_cap(values_mut(&mut scores), cap as f32);
        scores.clone()
    });
    let mask = tile.mask.clone().map(dense);
    let mask = mask.as_ref().map(|mask| (values(mask), tile.rows.len()));
    softmax::softmax(values_mut(&mut scores), tile.keys.len(), mask);
    Weights { p: scores, capped }
}

/// The attention of all tiles, `[queries, heads * dim]`; `keep` is given what the backward pass
/// needs.
fn attend(
    q: &Plain,
    k: &Plain,
    v: &Plain,
    tiles: &[Tile],
    shape: AttentionShape,
    keep: &mut dyn FnMut(&Tile, Weights),
) -> Plain {
    let mut parts = Vec::with_capacity(tiles.len());
    for tile in tiles {
        let q = by_kv_head(q, &tile.rows, shape, shape.group);
        let k = by_kv_head(k, &tile.keys, shape, 1);
        let v = by_kv_head(v, &tile.keys, shape, 1);
        let weights = weigh(q, k, tile, shape);
        let y = matmul(weights.p.clone(), v);
        keep(tile, weights);
        parts.push(by_row(y, tile.rows.len(), shape, shape.group));
    }
    Flex::float_cat(parts, 0)
}

#[derive(Debug)]
struct Attention;

impl Backward<Flex, 3> for Attention {
    type State = AttentionState;

    fn backward(self, ops: Ops<AttentionState, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = dense(grads.consume::<Flex>(&ops.node));
        let AttentionState { q, k, v, tiles, weights, shape } = ops.state;
        let heads = Shape::new([dy.shape()[0], shape.kv_heads * shape.group, shape.head_dim]);
        let dy = Flex::float_reshape(dy, heads.clone());
        let mut dq = Vec::with_capacity(tiles.len());
        let mut dk = Sum::new(&k);
        let mut dv = Sum::new(&v);
        for (tile, weights) in tiles.iter().zip(weights) {
            let dy = by_kv_head(&dy, &tile.rows, shape, shape.group);
            let q = by_kv_head(&q, &tile.rows, shape, shape.group);
            let k = by_kv_head(&k, &tile.keys, shape, 1);
            let v = by_kv_head(&v, &tile.keys, shape, 1);
            let Weights { p, capped } =
                weights.unwrap_or_else(|| weigh(q.clone(), k.clone(), tile, shape));
            let mut ds = matmul(dy.clone(), transposed(v));
            dv.add(matmul(transposed(p.clone()), dy), &tile.keys, shape);
            softmax::softmax_backward(values(&p), values_mut(&mut ds), tile.keys.len());
            if let (Some(capped), Some(cap)) = (capped, shape.softcap) {
                softmax::soft_cap_backward(values(&capped), values_mut(&mut ds), cap as f32);
            }
            dk.add(matmul(transposed(ds.clone()), q), &tile.keys, shape);
            let rows = tile.rows.len();
            dq.push(by_row(matmul(ds, k), rows, shape, shape.group));
        }
        let [q_node, k_node, v_node] = ops.parents;
        if let Some(node) = q_node {
            grads.register::<Flex>(node.id, Flex::float_reshape(Flex::float_cat(dq, 0), heads));
        }
        if let Some(node) = k_node {
            grads.register::<Flex>(node.id, dk.total);
        }
        if let Some(node) = v_node {
            grads.register::<Flex>(node.id, dv.total);
        }
    }
}

/// Gradients of keys or values, which several tiles look at.
struct Sum {
    total: Plain,
}

impl Sum {
    fn new(like: &Plain) -> Self {
        let shape = like.shape();
        Self { total: tensor(zeros(shape.num_elements()), shape.to_vec()) }
    }

    /// Adds `[kv_heads, keys, dim]` at the route of the keys.
    fn add(&mut self, part: Plain, keys: &Range<usize>, shape: AttentionShape) {
        let part = by_row(part, keys.len(), shape, 1);
        let width = shape.kv_heads * shape.head_dim;
        let total = &mut values_mut(&mut self.total)[keys.start * width..keys.end * width];
        for (total, part) in total.iter_mut().zip(values(&part)) {
            *total += part;
        }
    }
}
