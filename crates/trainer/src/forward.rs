//! Cutting a micro-batch into forests that fit a token budget.

use std::borrow::Cow;

use bestof_kernels::host_values;
use bestof_models::{
    CausalLm, ForestBuilder, ForwardOptions, ModelError, Sequence, SequenceSpan, TokenForest,
};
use burn::module::Module;

/// A forest, the rows in it, and where the log-probabilities of each row's sequences are.
#[derive(Debug)]
pub(crate) struct PackedForest {
    pub(crate) forest: TokenForest,
    /// Row with the span of each of its sequences.
    pub(crate) rows: Vec<(usize, Vec<SequenceSpan>)>,
}

/// One sequence of a row: all its tokens, and where the completion begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RowSequence {
    pub(crate) tokens: Vec<u32>,
    pub(crate) completion_start: usize,
}

/// Log-probabilities of a forest's targets without dropout: those of the training pass if that had none.
pub(crate) fn without_dropout<'a, M: CausalLm + Module>(
    model: &M,
    part: &PackedForest,
    dropout: bool,
    trained: &'a [f32],
) -> Result<Cow<'a, [f32]>, ModelError> {
    if !dropout {
        return Ok(Cow::Borrowed(trained));
    }
    let logps = model.valid().token_logps(&part.forest, &ForwardOptions::default())?;
    Ok(Cow::Owned(host_values(logps)))
}

/// Packs rows into forests of at most `budget` tokens. A row larger than that gets its own.
///
/// The sequences of a row are one tree, or several if `model` computes positions by their lengths
/// ([`CausalLm::length_key`]): then each is computed as it is alone.
///
/// The order of rows is kept and each forest takes as many as fit, so the cut depends on nothing else. What is
/// drawn for a row in training is a function of its number, and not of the forest it is in.
pub(crate) fn pack<M: CausalLm + ?Sized>(
    model: &M,
    rows: &[usize],
    budget: usize,
    sequences_of: impl Fn(usize) -> Vec<RowSequence>,
) -> Vec<PackedForest> {
    pack_keyed(model, rows, budget, sequences_of, |row| row as u64)
}

/// As [`pack`], with a key for what is drawn for each row.
pub(crate) fn pack_keyed<M: CausalLm + ?Sized>(
    model: &M,
    rows: &[usize],
    budget: usize,
    sequences_of: impl Fn(usize) -> Vec<RowSequence>,
    key_of: impl Fn(usize) -> u64,
) -> Vec<PackedForest> {
    let mut packed = Vec::new();
    let mut builder = ForestBuilder::new();
    let mut members = Vec::new();
    for &row in rows {
        let sequences = sequences_of(row);
        let trees = by_length_key(model, &sequences);
        let mut alone = ForestBuilder::new();
        add_row(&mut alone, key_of(row), &sequences, &trees);
        if !members.is_empty() && builder.token_count() + alone.token_count() > budget {
            let full = std::mem::take(&mut builder);
            packed.push(PackedForest { forest: full.finish(), rows: std::mem::take(&mut members) });
        }
        members.push((row, add_row(&mut builder, key_of(row), &sequences, &trees)));
    }
    if !members.is_empty() {
        packed.push(PackedForest { forest: builder.finish(), rows: members });
    }
    packed
}

/// The numbers of the sequences that may share a tree, tree by tree.
fn by_length_key<M: CausalLm + ?Sized>(model: &M, sequences: &[RowSequence]) -> Vec<Vec<usize>> {
    let mut trees: Vec<(usize, Vec<usize>)> = Vec::new();
    for (number, sequence) in sequences.iter().enumerate() {
        let key = model.length_key(sequence.tokens.len());
        match trees.iter_mut().find(|(of, _)| *of == key) {
            Some((_, members)) => members.push(number),
            None => trees.push((key, vec![number])),
        }
    }
    trees.into_iter().map(|(_, members)| members).collect()
}

/// The key of a part of what has this key: the key itself for the first.
pub(crate) fn part_key(key: u64, part: usize) -> u64 {
    key ^ (part as u64) << 40
}

/// Adds the trees of a row; the spans are in the order of its sequences.
fn add_row(
    builder: &mut ForestBuilder,
    key: u64,
    sequences: &[RowSequence],
    trees: &[Vec<usize>],
) -> Vec<SequenceSpan> {
    let mut spans = vec![SequenceSpan::default(); sequences.len()];
    for (number, members) in trees.iter().enumerate() {
        let key = part_key(key, number);
        let group: Vec<Sequence<'_>> = members
            .iter()
            .map(|&number| &sequences[number])
            .map(|s| Sequence { tokens: &s.tokens, completion_start: s.completion_start })
            .collect();
        for (&number, span) in members.iter().zip(builder.add_keyed_group(key, &group)) {
            spans[number] = span;
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toy::Toy;

    fn sequences(row: usize) -> Vec<RowSequence> {
        // Row r: two answers of r tokens after a shared prompt of two; the tree has 2 + 2 r tokens.
        let answer = |first: u32| [vec![1, 2], vec![first; row]].concat();
        [answer(3), answer(4)]
            .into_iter()
            .map(|tokens| RowSequence { tokens, completion_start: 2 })
            .collect()
    }

    #[test]
    fn forests_stay_under_the_budget_and_keep_the_order() {
        let rows = [1, 2, 3, 1, 9, 1];
        let packed = pack(&Toy::new(), &rows, 12, sequences);
        let cut: Vec<Vec<usize>> =
            packed.iter().map(|p| p.rows.iter().map(|(row, _)| *row).collect()).collect();
        assert_eq!(cut, [vec![1, 2], vec![3, 1], vec![9], vec![1]]);
        for part in &packed {
            assert!(part.forest.token_count() <= 12 || part.rows.len() == 1);
            for (row, spans) in &part.rows {
                assert_eq!([spans[0].len(), spans[1].len()], [*row, *row]);
            }
        }
    }

    #[test]
    fn sequences_of_other_lengths_get_trees_of_their_own_where_the_model_asks_for_it() {
        let mut model = Toy::new();
        model.long_from = 5;
        // Two of three tokens and one of five, the long one between them.
        let sequences = |_: usize| -> Vec<RowSequence> {
            [&[1, 2, 3][..], &[1, 2, 3, 4, 5], &[1, 2, 6]]
                .map(|tokens| RowSequence { tokens: tokens.to_vec(), completion_start: 2 })
                .to_vec()
        };
        let packed = pack(&model, &[0, 1], 12, sequences);
        assert_eq!(packed.len(), 2, "nine tokens each, of which none are shared between trees");
        let part = &packed[0];
        assert_eq!((part.forest.lengths(0), part.forest.lengths(1)), (&[3][..], &[5][..]));
        let tokens: Vec<Vec<u32>> = part.rows[0]
            .1
            .iter()
            .map(|span| {
                let targets = span.targets.iter().map(|at| part.forest.targets()[*at]);
                targets.map(|at| part.forest.trees()[at.tree].tokens()[at.node]).collect()
            })
            .collect();
        assert_eq!(tokens, [vec![3], vec![3, 4, 5], vec![6]], "spans in the order of the row");
        assert_eq!(pack(&Toy::new(), &[0, 1], 12, sequences).len(), 1, "six tokens each");
    }
}
