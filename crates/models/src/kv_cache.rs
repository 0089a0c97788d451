//! Keys and values of a prompt, which its samples share.

use std::ops::Range;

use bestof_kernels::{CausalMasks, PromptKeys, attention};
use burn::tensor::Tensor;

use crate::block::attention::Heads;
use crate::config::DecoderConfig;

/// The keys and values of a prompt in one layer, `[positions, kv_heads, head_dim]`.
#[derive(Debug)]
pub(crate) struct PromptLayer {
    k: Tensor<3>,
    v: Tensor<3>,
    filled: usize,
}

impl PromptLayer {
    /// Room for `positions`.
    pub(crate) fn new(config: &DecoderConfig, positions: usize, like: &Tensor<2>) -> Self {
        let shape = [positions, config.num_kv_heads, config.head_dim];
        let zeros = || Tensor::zeros(shape, (&like.device(), like.dtype()));
        Self { k: zeros(), v: zeros(), filled: 0 }
    }

    /// The first `prompt` positions, and the keys and values of the others.
    pub(crate) fn split(self, prompt: usize) -> (Self, OwnTokens) {
        let part = |x: &Tensor<3>, from: usize, to: usize| x.clone().slice_dim(0, from..to);
        let Self { k, v, filled } = &self;
        let own = (part(k, prompt, *filled), part(v, prompt, *filled));
        (Self { k: part(k, 0, prompt), v: part(v, 0, prompt), filled: prompt }, own)
    }

    /// Adds the next rows and returns what they take from all rows up to themselves,
    /// `[rows, heads * head_dim]`.
    pub(crate) fn extend(
        &mut self,
        heads: Heads,
        masks: &CausalMasks,
        config: &DecoderConfig,
    ) -> Tensor<2> {
        let [rows, ..] = heads.q.dims();
        let start = self.filled;
        let span = start..start + rows;
        self.filled = span.end;
        append(&mut self.k, heads.k, &span);
        append(&mut self.v, heads.v, &span);
        let mut blocks = masks.blocks(span);
        for block in &mut blocks {
            block.rows = block.rows.start - start..block.rows.end - start;
        }
        attention(heads.q, self.k.clone(), self.v.clone(), &blocks, config.attention())
    }

    /// What the sequences at these places of a batch see of it.
    pub(crate) fn seen_by(&self, members: Range<usize>) -> PromptKeys<'_> {
        PromptKeys { members, k: &self.k, v: &self.v, filled: self.filled }
    }
}

/// Keys and values of consecutive tokens of one sequence.
pub(crate) type OwnTokens = (Tensor<3>, Tensor<3>);

/// Writes `rows` where they belong; in place as long as nobody else holds the cache.
fn append(cache: &mut Tensor<3>, rows: Tensor<3>, span: &Range<usize>) {
    let [_, heads, dim] = cache.dims();
    cache.inplace(|cache| cache.slice_assign([span.clone(), 0..heads, 0..dim], rows));
}
