//! Countdown in few characters, and demonstrations that are seldom right.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use bestof_tasks::puzzles::{CountdownPuzzles, PuzzleSource};
use bestof_tasks::rng::Split;
use bestof_tasks::rows::{AnswerRow, CompletionRow};

use crate::ReproduceError;

/// What prompts and expressions are written with.
pub(super) const ALPHABET: &str = "0123456789+-*/()>, \n";

/// How many numbers a puzzle has, and how large they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) numbers: RangeInclusive<usize>,
    pub(super) largest: i64,
}

/// Puzzles of a kind, no two alike. The parts of `split` share none, whatever the seed.
pub(super) fn puzzles(
    kind: &Kind,
    count: usize,
    seed: u64,
    split: Split,
) -> Result<Vec<AnswerRow>, ReproduceError> {
    let source = CountdownPuzzles::new(seed, split, kind.numbers.clone(), kind.largest)?;
    Ok(source.take_distinct(count)?.into_iter().map(short).collect())
}

/// The puzzle as `3 7 5 > 16` and a line break, its solution without spaces.
fn short(row: AnswerRow) -> AnswerRow {
    let numbers: Vec<String> =
        row.extra["numbers"].as_array().into_iter().flatten().map(ToString::to_string).collect();
    let prompt = format!("{} > {}\n", numbers.join(" "), row.extra["target"]);
    AnswerRow { prompt: prompt.into(), answer: row.answer.replace(' ', ""), extra: row.extra }
}

/// Demonstrations as `{"prompt", "completion"}`: one in `right_every` puzzles with its solution,
/// the others with the solution of a puzzle of another target, so that what is learned is to use
/// the numbers once each, and the target only a little.
pub(super) fn demonstrations(puzzles: &[AnswerRow], right_every: usize) -> Vec<CompletionRow> {
    let target = |row: &AnswerRow| row.extra["target"].as_i64().unwrap_or_default();
    puzzles
        .iter()
        .enumerate()
        .map(|(at, row)| {
            let shown = if at % right_every == 0 {
                target(row)
            } else {
                target(&puzzles[(at + 1) % puzzles.len()])
            };
            let text = row.prompt.last_text();
            let numbers = text.split_once('>').map_or(text, |(numbers, _)| numbers);
            CompletionRow::new(format!("{numbers}> {shown}\n"), row.answer.as_str())
        })
        .collect()
}

/// Puzzles that are in none of the other sets, by prompt.
pub(super) fn without(puzzles: Vec<AnswerRow>, others: &[CompletionRow]) -> Vec<AnswerRow> {
    let shown: HashSet<&str> = others.iter().map(|row| row.prompt.last_text()).collect();
    puzzles.into_iter().filter(|row| !shown.contains(row.prompt.last_text())).collect()
}

#[cfg(test)]
mod tests {
    use bestof_tasks::verify::VerifierKind;

    use super::*;

    #[test]
    fn solutions_are_accepted_and_demonstrations_seldom_are() {
        let kind = Kind { numbers: 3..=4, largest: 9 };
        let rows = puzzles(&kind, 200, 3, Split::Train).unwrap();
        let reward = |row: &AnswerRow, text: &str| {
            VerifierKind::Countdown.for_row(row).unwrap().verify(text).reward
        };
        for row in &rows {
            assert_eq!(reward(row, &row.answer), 1.0, "{row:?}");
            let prompt = row.prompt.last_text();
            assert!(prompt.chars().chain(row.answer.chars()).all(|c| ALPHABET.contains(c)));
        }
        let shown = demonstrations(&rows, 4);
        let as_shown = shown
            .iter()
            .zip(&rows)
            .filter(|(demonstration, row)| demonstration.prompt == row.prompt);
        // Every fourth keeps its target; few others have the same by chance.
        assert!((50..70).contains(&as_shown.count()));
        let held_out = puzzles(&kind, 200, 3, Split::HeldOut).unwrap();
        let apart = without(held_out.clone(), &shown);
        assert_eq!(apart.len(), held_out.len(), "the parts of a split share no puzzle");
        assert_eq!(without(rows.clone(), &shown).len(), 200 - as_count(&rows, &shown));
    }

    fn as_count(rows: &[AnswerRow], shown: &[CompletionRow]) -> usize {
        let is_shown = |row: &&AnswerRow| shown.iter().any(|other| other.prompt == row.prompt);
        rows.iter().filter(is_shown).count()
    }
}
