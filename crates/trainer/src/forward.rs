//! Cutting a micro-batch into forests that fit a token budget.

use bestof_models::{ForestBuilder, Sequence, SequenceSpan, TokenForest};

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

/// Packs rows, each a tree, into forests of at most `budget` tokens. A row larger than that gets its own.
///
/// The order of rows is kept and each forest takes as many as fit, so the cut depends on nothing else.
pub(crate) fn pack(
    rows: &[usize],
    budget: usize,
    sequences_of: impl Fn(usize) -> Vec<RowSequence>,
) -> Vec<PackedForest> {
    let mut packed = Vec::new();
    let mut builder = ForestBuilder::new();
    let mut members = Vec::new();
    for &row in rows {
        let sequences = sequences_of(row);
        let group: Vec<Sequence<'_>> = sequences
            .iter()
            .map(|s| Sequence { tokens: &s.tokens, completion_start: s.completion_start })
            .collect();
        if !members.is_empty() && builder.token_count() + tree_size(&group) > budget {
            let full = std::mem::take(&mut builder);
            packed.push(PackedForest { forest: full.finish(), rows: std::mem::take(&mut members) });
        }
        members.push((row, builder.add_group(&group)));
    }
    if !members.is_empty() {
        packed.push(PackedForest { forest: builder.finish(), rows: members });
    }
    packed
}

fn tree_size(group: &[Sequence<'_>]) -> usize {
    let mut alone = ForestBuilder::new();
    alone.add_group(group);
    alone.token_count()
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let packed = pack(&rows, 12, sequences);
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
}
