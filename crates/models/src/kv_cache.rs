//! Keys and values of what was computed before: a prompt's, shared by its samples, and each
//! sample's own.

use std::ops::Range;

use bestof_kernels::{CausalMasks, attention, first_key, soft_cap, softmax};
use burn::tensor::Tensor;

use crate::block::attention::Heads;
use crate::config::DecoderConfig;

/// Keys and values of one layer.
#[derive(Debug, Clone)]
struct Pair<const D: usize> {
    k: Tensor<D>,
    v: Tensor<D>,
}

/// The keys and values of a prompt in one layer, `[positions, kv_heads, head_dim]`.
#[derive(Debug)]
pub(crate) struct PromptLayer {
    pair: Pair<3>,
    filled: usize,
}

impl PromptLayer {
    /// Room for `positions`.
    pub(crate) fn new(config: &DecoderConfig, positions: usize, like: &Tensor<2>) -> Self {
        let shape = [positions, config.num_kv_heads, config.head_dim];
        let zeros = || Tensor::zeros(shape, (&like.device(), like.dtype()));
        Self { pair: Pair { k: zeros(), v: zeros() }, filled: 0 }
    }

    /// The first `prompt` positions, and the keys and values of the others.
    pub(crate) fn split(self, prompt: usize) -> (Self, OwnTokens) {
        let part = |x: &Tensor<3>, from: usize, to: usize| x.clone().slice_dim(0, from..to);
        let Pair { k, v } = &self.pair;
        let own = (part(k, prompt, self.filled), part(v, prompt, self.filled));
        let pair = Pair { k: part(k, 0, prompt), v: part(v, 0, prompt) };
        (Self { pair, filled: prompt }, own)
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
        append(&mut self.pair.k, heads.k, 0, &span);
        append(&mut self.pair.v, heads.v, 0, &span);
        let mut blocks = masks.blocks(span);
        for block in &mut blocks {
            block.rows = block.rows.start - start..block.rows.end - start;
        }
        let Pair { k, v } = self.pair.clone();
        attention(heads.q, k, v, &blocks, config.attention())
    }
}

/// Keys and values of consecutive tokens of one sequence.
pub(crate) type OwnTokens = (Tensor<3>, Tensor<3>);

/// Writes `rows` where they belong; in place as long as nobody else holds the cache.
fn append<const D: usize>(cache: &mut Tensor<D>, rows: Tensor<D>, dim: usize, span: &Range<usize>) {
    let mut ranges: [Range<usize>; D] = cache.dims().map(|size| 0..size);
    ranges[dim] = span.clone();
    cache.inplace(|cache| cache.slice_assign(ranges, rows));
}

/// The keys and values of the sequences being decoded, in one layer,
/// `[sequences, kv_heads, steps, head_dim]`.
#[derive(Debug)]
pub(crate) struct SuffixLayer {
    pair: Pair<4>,
}

/// Steps there is room for at first.
const FIRST_STEPS: usize = 32;

/// Sequences that continue the same prompt: a range of the batch.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) members: Range<usize>,
    pub(crate) prompt: usize,
}

impl SuffixLayer {
    /// Room for the first steps of `sequences`.
    pub(crate) fn new(config: &DecoderConfig, sequences: usize, like: &Tensor<2>) -> Self {
        let shape = [sequences, config.num_kv_heads, FIRST_STEPS, config.head_dim];
        let zeros = || Tensor::zeros(shape, (&like.device(), like.dtype()));
        Self { pair: Pair { k: zeros(), v: zeros() } }
    }

    /// Keeps the sequences at these indices of the batch only.
    pub(crate) fn keep(&mut self, kept: &Tensor<1, burn::tensor::Int>) {
        self.pair.k.inplace(|k| k.select(0, kept.clone()));
        self.pair.v.inplace(|v| v.select(0, kept.clone()));
    }

    /// Puts the first steps of one sequence in place of those that are there.
    pub(crate) fn replace(&mut self, sequence: usize, own: OwnTokens) {
        let [steps, kv, dim] = own.0.dims();
        if steps == 0 {
            return;
        }
        let ranges = [sequence..sequence + 1, 0..kv, 0..steps, 0..dim];
        let by_head = |x: Tensor<3>| x.swap_dims(0, 1).unsqueeze::<4>();
        for (cache, rows) in [(&mut self.pair.k, own.0), (&mut self.pair.v, own.1)] {
            let rows = by_head(rows);
            cache.inplace(|cache| cache.slice_assign(ranges.clone(), rows));
        }
    }

    /// Adds the keys and values of step `step` and returns what each sequence takes from its
    /// prompt and its own steps, `[sequences, heads * head_dim]`.
    pub(crate) fn step(
        &mut self,
        heads: Heads,
        step: usize,
        groups: &[Group],
        prompts: &[PromptLayer],
        window: Option<usize>,
        config: &DecoderConfig,
    ) -> Tensor<2> {
        let (group, kv, dim) = (config.group_size(), config.num_kv_heads, config.head_dim);
        let [sequences, ..] = heads.q.dims();
        self.make_room(step);
        append(&mut self.pair.k, heads.k.unsqueeze_dim(2), 2, &(step..step + 1));
        append(&mut self.pair.v, heads.v.unsqueeze_dim(2), 2, &(step..step + 1));
        let own = first_key(step, window)..step + 1;
        let k = self.pair.k.clone().slice_dim(2, own.clone());
        let v = self.pair.v.clone().slice_dim(2, own.clone());
        let q = heads.q.reshape([sequences, kv, group, dim]);
        let own_scores = q.clone().matmul(k.transpose());

        let mut prompt_parts = Vec::with_capacity(groups.len());
        let mut own_probabilities = Vec::with_capacity(groups.len());
        for Group { members, prompt } in groups {
            let count = members.len();
            let prompt = &prompts[*prompt];
            let seen = first_key(prompt.filled + step, window).min(prompt.filled)..prompt.filled;
            // Sequence, kv head, group, entry -> kv head, sequence and group, entry: all samples
            // of a prompt meet its keys in one product.
            let fold = |x: Tensor<4>, width: usize| -> Tensor<3> {
                x.slice_dim(0, members.clone()).swap_dims(0, 1).reshape([kv, count * group, width])
            };
            let unfold = |x: Tensor<3>, width: usize| -> Tensor<4> {
                x.reshape([kv, count, group, width]).swap_dims(0, 1)
            };
            let by_head = |x: &Tensor<3>| x.clone().slice_dim(0, seen.clone()).swap_dims(0, 1);
            let (keys, values) = (by_head(&prompt.pair.k), by_head(&prompt.pair.v));
            let scores = Tensor::cat(
                vec![
                    fold(q.clone(), dim).matmul(keys.transpose()),
                    fold(own_scores.clone(), own.len()),
                ],
                2,
            );
            let probabilities = softmax(soft_cap(scores, config.attention_softcap));
            let split = seen.len();
            let of_prompt = probabilities.clone().slice_dim(2, 0..split);
            prompt_parts.push(unfold(of_prompt.matmul(values), dim));
            let of_own = probabilities.slice_dim(2, split..split + own.len());
            own_probabilities.push(unfold(of_own, own.len()));
        }
        let prompt_part = Tensor::cat(prompt_parts, 0);
        let own_part = Tensor::cat(own_probabilities, 0).matmul(v);
        prompt_part.add(own_part).reshape([sequences, kv * group * dim])
    }

    fn make_room(&mut self, step: usize) {
        let [sequences, kv, room, dim] = self.pair.k.dims();
        if step < room {
            return;
        }
        let more = [sequences, kv, room, dim];
        for x in [&mut self.pair.k, &mut self.pair.v] {
            let zeros = Tensor::zeros(more, (&x.device(), x.dtype()));
            x.inplace(|x| Tensor::cat(vec![x, zeros], 2));
        }
    }
}
