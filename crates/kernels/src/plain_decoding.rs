//! Decoding with a cache as plain tensor operations, for every device and float type.

use std::ops::Range;

use burn::tensor::Tensor;

use crate::cached::{Cached, PromptKeys};
use crate::host::{host_tensor, indices};
use crate::mask::first_key;
use crate::plain::{soft_cap, softmax};
use crate::shape::AttentionShape;

/// Columns there is room for at first, and that are given back at a time.
const ROOM: usize = 32;

/// Keys and values by sequence, head and column.
///
/// Every step fills the next column of all sequences, so that a token is written in one operation; what
/// lies before the column that a sequence began in is not its own, and masked.
#[derive(Debug)]
pub(crate) struct TensorCache {
    shape: AttentionShape,
    /// Keys and values, `[sequences, kv_heads, room, head_dim]`; `None` without sequences.
    pair: Option<[Tensor<4>; 2]>,
    /// The column of the first token of each sequence.
    first: Vec<usize>,
    columns: usize,
    /// Of the device and the type of keys and values.
    like: Tensor<2>,
}

impl TensorCache {
    pub(crate) fn new(shape: AttentionShape, like: &Tensor<2>) -> Self {
        Self { shape, pair: None, first: Vec::new(), columns: 0, like: like.clone() }
    }

    fn zeros(&self, sequences: usize, room: usize) -> Tensor<4> {
        let shape = [sequences, self.shape.kv_heads, room, self.shape.head_dim];
        Tensor::zeros(shape, (&self.like.device(), self.like.dtype()))
    }

    /// Fills the next column and returns all keys and values.
    fn append(&mut self, new: [Tensor<3>; 2]) -> [Tensor<4>; 2] {
        let (column, sequences) = (self.columns, self.first.len());
        self.columns += 1;
        let pair = self.pair.take();
        let mut pair = pair.unwrap_or_else(|| [ROOM; 2].map(|room| self.zeros(sequences, room)));
        for (cache, new) in pair.iter_mut().zip(new) {
            let [_, kv, room, dim] = cache.dims();
            if column == room {
                let more = self.zeros(sequences, room);
                cache.inplace(|cache| Tensor::cat(vec![cache, more], 2));
            }
            let ranges = [0..sequences, 0..kv, column..column + 1, 0..dim];
            cache.inplace(|cache| cache.slice_assign(ranges, new.unsqueeze_dim(2)));
        }
        self.pair.insert(pair).clone()
    }

    /// `[1, members * group, prompt and own]` for members that do not see the first so many of their
    /// prompt's positions and of their own columns; `None` if all see all.
    fn mask(&self, bounds: &[[usize; 2]], [prompt, own]: [usize; 2]) -> Option<Tensor<3>> {
        if bounds.iter().all(|bounds| *bounds == [0, 0]) {
            return None;
        }
        let width = prompt + own;
        let mut mask = Vec::with_capacity(bounds.len() * self.shape.group * width);
        for [of_prompt, of_own] in bounds {
            let hidden: [Range<usize>; 2] = [0..*of_prompt, prompt..prompt + of_own];
            let row = (0..width).map(|at| {
                if hidden.iter().any(|range| range.contains(&at)) { f32::NEG_INFINITY } else { 0.0 }
            });
            let row: Vec<f32> = row.collect();
            (0..self.shape.group).for_each(|_| mask.extend_from_slice(&row));
        }
        let shape = [1, bounds.len() * self.shape.group, width];
        Some(host_tensor(mask, shape, &self.like))
    }
}

impl Cached for TensorCache {
    fn add(&mut self, sequences: usize) {
        if sequences == 0 {
            return;
        }
        let room = self.pair.as_ref().map_or(ROOM, |[k, _]| k.dims()[2]);
        let new = self.zeros(sequences, room);
        self.pair = Some(match self.pair.take() {
            Some(pair) => pair.map(|x| Tensor::cat(vec![x, new.clone()], 0)),
            None => [new.clone(), new],
        });
        self.first.resize(self.first.len() + sequences, self.columns);
    }

    fn keep(&mut self, places: &[u32]) {
        self.first = places.iter().map(|&place| self.first[place as usize]).collect();
        // Columns that belong to nobody any more.
        let unused = self.first.iter().min().map_or(self.columns, |first| first / ROOM * ROOM);
        self.columns -= unused;
        for first in &mut self.first {
            *first -= unused;
        }
        let kept = indices(places, &self.like.device());
        let pair = self.pair.take().filter(|_| !places.is_empty());
        self.pair = pair.map(|pair| {
            pair.map(|x| {
                let room = x.dims()[2];
                let x = x.select(0, kept.clone());
                if unused == 0 { x } else { x.slice_dim(2, unused..room) }
            })
        });
    }

    fn replace(&mut self, sequence: usize, k: Tensor<3>, v: Tensor<3>) {
        let [tokens, kv, dim] = k.dims();
        let first = self.first[sequence];
        let ranges = [sequence..sequence + 1, 0..kv, first..first + tokens, 0..dim];
        if let Some(pair) = self.pair.as_mut().filter(|_| tokens > 0) {
            for (cache, rows) in pair.iter_mut().zip([k, v]) {
                let rows = rows.swap_dims(0, 1).unsqueeze::<4>();
                cache.inplace(|cache| cache.slice_assign(ranges.clone(), rows));
            }
        }
    }

    fn attend(
        &mut self,
        [q, k, v]: [Tensor<3>; 3],
        prompts: &[PromptKeys<'_>],
        window: Option<usize>,
    ) -> Tensor<2> {
        let AttentionShape { kv_heads: kv, group, head_dim: dim, softcap } = self.shape;
        let sequences = self.first.len();
        let [k, v] = self.append([k, v]);
        // The first column that each sequence sees.
        let visible: Vec<usize> = self
            .first
            .iter()
            .map(|first| first + first_key(self.columns - 1 - first, window))
            .collect();
        let own = visible.iter().copied().min().unwrap_or(0)..self.columns;
        let part = |x: Tensor<4>| x.slice_dim(2, own.clone());
        let (k, v) = (part(k), part(v));
        let q = q.reshape([sequences, kv, group, dim]);
        let own_scores = q.clone().matmul(k.transpose());

        let mut prompt_parts = Vec::with_capacity(prompts.len());
        let mut own_probabilities = Vec::with_capacity(prompts.len());
        for PromptKeys { members, k, v, filled } in prompts {
            let count = members.len();
            let steps = members.clone().map(|member| self.columns - 1 - self.first[member]);
            let seen: Vec<usize> =
                steps.map(|step| first_key(filled + step, window).min(*filled)).collect();
            let from = seen.iter().copied().min().unwrap_or(0);
            let split = filled - from;
            // Sequence, kv head, group, entry -> kv head, sequence and group, entry: all samples
            // of a prompt meet its keys in one product.
            let fold = |x: Tensor<4>, width: usize| -> Tensor<3> {
                x.slice_dim(0, members.clone()).swap_dims(0, 1).reshape([kv, count * group, width])
            };
            let unfold = |x: Tensor<3>, width: usize| -> Tensor<4> {
                x.reshape([kv, count, group, width]).swap_dims(0, 1)
            };
            let by_head = |x: &Tensor<3>| x.clone().slice_dim(0, from..*filled).swap_dims(0, 1);
            let (keys, values) = (by_head(k), by_head(v));
            let scores = Tensor::cat(
                vec![
                    fold(q.clone(), dim).matmul(keys.transpose()),
                    fold(own_scores.clone(), own.len()),
                ],
                2,
            );
            let mut scores = soft_cap(scores, softcap);
            let bounds: Vec<[usize; 2]> = seen
                .iter()
                .zip(&visible[members.clone()])
                .map(|(seen, visible)| [seen - from, visible - own.start])
                .collect();
            if let Some(mask) = self.mask(&bounds, [split, own.len()]) {
                scores = scores.add(mask);
            }
            let probabilities = softmax(scores);
            let of_prompt = probabilities.clone().slice_dim(2, 0..split);
            prompt_parts.push(unfold(of_prompt.matmul(values), dim));
            let of_own = probabilities.slice_dim(2, split..split + own.len());
            own_probabilities.push(unfold(of_own, own.len()));
        }
        let prompt_part = Tensor::cat(prompt_parts, 0);
        let own_part = Tensor::cat(own_probabilities, 0).matmul(v);
        prompt_part.add(own_part).reshape([sequences, kv * group * dim])
    }
}
