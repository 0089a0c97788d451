//! Completions of prompts cut into trees and packed into forests.

use std::collections::BTreeMap;

use bestof_models::{CausalLm, SequenceSpan};
use burn::module::Module;

use super::parts::{ReinforceRun, Weighted};
use crate::forward::{PackedForest, RowSequence, pack_keyed, part_key};

/// Completions of one prompt that go through the model in one tree.
#[derive(Debug)]
pub(super) struct Piece {
    /// The key of their prompt in the step.
    pub(super) slot: usize,
    pub(super) rollouts: Vec<usize>,
    /// Of what is drawn for it.
    key: u64,
}

/// Completions of some prompts in forests.
#[derive(Debug)]
pub(super) struct Pieces {
    pieces: Vec<Piece>,
    /// Rows of these are numbers of pieces.
    pub(super) forests: Vec<PackedForest>,
}

/// Where a completion is in a forest.
#[derive(Debug, Clone, Copy)]
pub(super) struct Located<'a> {
    pub(super) slot: usize,
    /// Its number among those of its prompt.
    pub(super) rollout: usize,
    pub(super) span: &'a SequenceSpan,
}

impl Pieces {
    /// The completions of one of the forests.
    pub(super) fn located<'a>(
        &'a self,
        part: &'a PackedForest,
    ) -> impl Iterator<Item = Located<'a>> {
        part.rows.iter().flat_map(|(number, spans)| {
            let Piece { slot, rollouts, .. } = &self.pieces[*number];
            let of = |(&rollout, span)| Located { slot: *slot, rollout, span };
            rollouts.iter().zip(spans).map(of)
        })
    }
}

impl<M: CausalLm + Module> ReinforceRun<M> {
    /// Packs the completions of these prompts that `taken` says, prompts without any left out.
    /// A completion without tokens has nothing to compute.
    pub(super) fn pieces(
        &self,
        slots: &[usize],
        groups: &BTreeMap<usize, Weighted>,
        taken: impl Fn(&Weighted, usize) -> bool,
    ) -> Pieces {
        let mut pieces = Vec::new();
        for slot in slots {
            self.cut(*slot, &groups[slot], &taken, &mut pieces);
        }
        let numbers: Vec<usize> = (0..pieces.len()).collect();
        let max_tokens = self.parts.settings.max_tokens;
        let sequences = |number: usize| {
            let Piece { slot, rollouts, .. } = &pieces[number];
            let group = &groups[slot].group;
            let prompt = &self.parts.train.items[group.row].prompt_ids;
            let of = |rollout: &usize| RowSequence {
                tokens: [prompt.as_slice(), &group.rollouts[*rollout].ids].concat(),
                completion_start: prompt.len(),
            };
            rollouts.iter().map(of).collect()
        };
        let key = |number: usize| pieces[number].key;
        let mut forests = pack_keyed(&self.parts.model, &numbers, max_tokens, sequences, key);
        for (number, spans) in forests.iter_mut().flat_map(|part| &mut part.rows) {
            let Piece { slot, rollouts, .. } = &pieces[*number];
            for (rollout, span) in rollouts.iter().zip(spans) {
                let rollout = &groups[slot].group.rollouts[*rollout];
                // What an environment said is context, and no target.
                let mut at = 0..;
                span.targets.retain(|_| at.next().is_some_and(|at| rollout.is_drawn(at)));
            }
        }
        Pieces { pieces, forests }
    }

    /// Cuts a prompt's completions into trees within the token budget.
    fn cut(
        &self,
        slot: usize,
        weighted: &Weighted,
        taken: &impl Fn(&Weighted, usize) -> bool,
        pieces: &mut Vec<Piece>,
    ) {
        let prompt = self.parts.train.items[weighted.group.row].prompt_ids.len();
        let budget = self.parts.settings.max_tokens;
        // Parts of a prompt are told apart in higher bits than those of a row's trees.
        let first = pieces.len();
        let empty = |part: usize| Piece {
            slot,
            rollouts: Vec::new(),
            key: slot as u64 ^ part_key(0, part << 8),
        };
        let mut piece = empty(0);
        // What is shared is counted once for each tree that `pack` will make of the piece.
        let (mut tokens, mut keys) = (0, Vec::new());
        for (number, rollout) in weighted.group.rollouts.iter().enumerate() {
            if rollout.ids.is_empty() || !taken(weighted, number) {
                continue;
            }
            let key = self.parts.model.length_key(prompt + rollout.ids.len());
            let needed =
                |keys: &[usize]| rollout.ids.len() + if keys.contains(&key) { 0 } else { prompt };
            if !piece.rollouts.is_empty() && tokens + needed(&keys) > budget {
                let next = empty(pieces.len() + 1 - first);
                pieces.push(std::mem::replace(&mut piece, next));
                (tokens, keys) = (0, Vec::new());
            }
            tokens += needed(&keys);
            if !keys.contains(&key) {
                keys.push(key);
            }
            piece.rollouts.push(number);
        }
        if !piece.rollouts.is_empty() {
            pieces.push(piece);
        }
    }
}

/// The values of a completion's tokens, out of those of its forest.
pub(super) fn values(span: &SequenceSpan, of_forest: &[f64]) -> Vec<f64> {
    span.targets.iter().map(|&at| of_forest[at]).collect()
}
