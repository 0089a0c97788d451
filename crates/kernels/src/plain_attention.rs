//! Attention as tensor operations, a block of rows at a time, for every device and float type.
//!
//! burn's own fused attention is not used: it ignores the scale of the scores and additive masks, it
//! needs kernels chosen by timing, of which those on matrix units round f32 to f16, and with automatic
//! differentiation it falls back to the scores of all rows and keys at once.

use std::ops::Range;

use burn::tensor::Tensor;

use crate::custom::{AnyTensor, Inputs};
use crate::plain::{soft_cap, softmax, widened};
use crate::shape::{AttentionBlock, AttentionShape};

pub(crate) fn attention(
    q: Tensor<3>,
    k: Tensor<3>,
    v: Tensor<3>,
    blocks: &[AttentionBlock],
    shape: AttentionShape,
) -> Tensor<2> {
    let mut inputs = Inputs::new();
    let tracked = [inputs.add(&q), inputs.add(&k), inputs.add(&v)];
    let pass = Pass { q: q.inner(), k: by_head(k.inner()), v: by_head(v.inner()), shape };
    let parts = blocks.iter().map(|block| pass.forward(block)).collect();
    let blocks = blocks.to_vec();
    inputs.differentiable(Tensor::cat(parts, 0), move |by_output: Tensor<2>| {
        let gradients = pass.backward(&blocks, &by_output);
        let wanted = gradients.into_iter().zip(tracked);
        wanted.map(|(gradient, tracked)| tracked.then(|| AnyTensor::from(gradient))).collect()
    })
}

/// Row, head, entry to head, row, entry, or back.
fn by_head(x: Tensor<3>) -> Tensor<3> {
    x.swap_dims(0, 1)
}

/// The inputs of a call, without a graph.
struct Pass {
    /// `[queries, heads, head_dim]`
    q: Tensor<3>,
    /// `[kv_heads, keys, head_dim]`
    k: Tensor<3>,
    /// `[kv_heads, keys, head_dim]`
    v: Tensor<3>,
    shape: AttentionShape,
}

/// The scores of a block.
struct Scores {
    /// `cap(q k^T)`, if there is a cap, `[kv_heads, group * rows, keys]`
    capped: Option<Tensor<3>>,
    /// `softmax(cap(q k^T) + mask)`, of the same shape
    weights: Tensor<3>,
}

impl Pass {
    /// Some rows of `[rows, heads * head_dim]` or `[rows, heads, head_dim]`, as
    /// `[kv_heads, group * rows, head_dim]`: all query heads of a key head meet its keys in one
    /// product.
    fn fold<const D: usize>(&self, x: &Tensor<D>, rows: &Range<usize>) -> Tensor<3> {
        let AttentionShape { kv_heads: kv, group, head_dim: dim, .. } = self.shape;
        let x = x.clone().slice_dim(0, rows.clone());
        let x: Tensor<4> = x.reshape([rows.len(), kv, group, dim]);
        x.permute([1, 2, 0, 3]).reshape([kv, group * rows.len(), dim])
    }

    /// The reverse, `[rows, heads * head_dim]`.
    fn unfold(&self, x: Tensor<3>, rows: usize) -> Tensor<2> {
        let AttentionShape { kv_heads: kv, group, head_dim: dim, .. } = self.shape;
        let x: Tensor<4> = x.reshape([kv, group, rows, dim]);
        x.permute([2, 0, 1, 3]).reshape([rows, kv * group * dim])
    }

    /// Scores and weights are f32 where the inputs are narrower.
    fn scores(&self, q: Tensor<3>, k: Tensor<3>, block: &AttentionBlock) -> Scores {
        let AttentionShape { kv_heads: kv, group, softcap, .. } = self.shape;
        let scores = soft_cap(widened(q.matmul(k.transpose())), softcap);
        let capped = softcap.map(|_| scores.clone());
        let seen = match &block.mask {
            Some(mask) => {
                let (rows, keys) = (block.rows.len(), block.keys.len());
                let scores: Tensor<4> = scores.reshape([kv, group, rows, keys]);
                let mask = widened(mask.clone()).unsqueeze();
                scores.add(mask).reshape([kv, group * rows, keys])
            }
            None => scores,
        };
        Scores { capped, weights: softmax(seen) }
    }

    /// What the rows of a block take, `[rows, heads * head_dim]`.
    fn forward(&self, block: &AttentionBlock) -> Tensor<2> {
        let q = self.fold(&self.q, &block.rows);
        let k = self.k.clone().slice_dim(1, block.keys.clone());
        let v = self.v.clone().slice_dim(1, block.keys.clone());
        let weights = self.scores(q, k, block).weights.cast(v.dtype());
        self.unfold(weights.matmul(v), block.rows.len())
    }

    /// The derivatives by queries, keys and values, in the shapes of the call's inputs. With weights
    /// `p`, scores `s` and the derivative `d` by the output:
    ///
    /// ```text
    /// dv = p^T d      dp = d v^T      ds = p (dp - sum_keys p dp) (1 - (s / c)^2)
    /// dq = ds k       dk = ds^T q
    /// ```
    fn backward(&self, blocks: &[AttentionBlock], by_output: &Tensor<2>) -> [Tensor<3>; 3] {
        let (mut dk, mut dv) = (self.k.zeros_like(), self.v.zeros_like());
        let mut dq = Vec::with_capacity(blocks.len());
        for block in blocks {
            let (q, d) = (self.fold(&self.q, &block.rows), self.fold(by_output, &block.rows));
            let k = self.k.clone().slice_dim(1, block.keys.clone());
            let v = self.v.clone().slice_dim(1, block.keys.clone());
            let dtype = q.dtype();
            let Scores { capped, weights: p } = self.scores(q.clone(), k.clone(), block);
            let dp = widened(d.clone().matmul(v.transpose()));
            add_rows(&mut dv, p.clone().cast(dtype).transpose().matmul(d), &block.keys);
            let ds = dp.clone().sub(p.clone().mul(dp).sum_dim(2)).mul(p);
            let ds = match self.shape.softcap.zip(capped) {
                Some((cap, s)) => ds.mul(s.div_scalar(cap).square().neg().add_scalar(1.0)),
                None => ds,
            };
            let ds = ds.cast(dtype);
            dq.push(self.unfold(ds.clone().matmul(k), block.rows.len()));
            add_rows(&mut dk, ds.transpose().matmul(q), &block.keys);
        }
        let dq = Tensor::cat(dq, 0).reshape(self.q.dims());
        [dq, by_head(dk), by_head(dv)]
    }
}

/// Adds to some rows of `[heads, rows, entries]`.
fn add_rows(total: &mut Tensor<3>, part: Tensor<3>, rows: &Range<usize>) {
    let [heads, _, width] = total.dims();
    let range = [0..heads, rows.clone(), 0..width];
    total.inplace(|total| {
        let sum = total.clone().slice(range.clone()).add(part);
        total.slice_assign(range, sum)
    });
}
