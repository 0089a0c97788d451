//! Generated tasks with checkable answers: Countdown, chains of sums, grids that follow one rule.
//!
//! Like the word problems of [`crate::arithmetic`], a puzzle depends only on the settings and its
//! index, and training and held-out puzzles never overlap: a hash of what defines the puzzle
//! decides its split.

mod chain_sum;
mod countdown;
mod grid_rule;
mod task;

pub use chain_sum::ChainSums;
pub use countdown::CountdownPuzzles;
pub use grid_rule::{GridRule, GridRules};
pub use task::{Level, MAX_PUZZLES, PuzzleTask};

use std::collections::HashSet;

use crate::arithmetic::ArithmeticError;
use crate::rng::{SeededRng, Split, split_of};
use crate::rows::AnswerRow;
use crate::verify::VerifierKind;

/// Attempts at one puzzle before its index is skipped.
const ATTEMPTS: u64 = 200;

/// Why puzzles cannot be generated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PuzzleError {
    /// A setting outside its range.
    #[error("{setting} is {found}, expected {expected}")]
    Setting {
        /// The setting.
        setting: &'static str,
        /// Its value.
        found: String,
        /// What it may be.
        expected: &'static str,
    },
    /// Word problems that cannot be generated.
    #[error(transparent)]
    Arithmetic(#[from] ArithmeticError),
    /// More puzzles than could be found without repeating one.
    #[error("only {found} different puzzles found, {requested} requested; allow larger ones")]
    TooFew {
        /// Number found.
        found: usize,
        /// Number requested.
        requested: usize,
    },
}

/// An endless sequence of puzzles, the same for the same seed.
pub trait PuzzleSource {
    /// The verifier that judges answers to these puzzles.
    fn verifier(&self) -> VerifierKind;

    /// The seed and the split of the puzzles.
    fn seed_and_split(&self) -> (u64, Split);

    /// One attempt at a puzzle, with its key: puzzles with equal keys are the same. `None` if the
    /// attempt failed.
    fn attempt(&self, rng: &mut SeededRng) -> Option<(AnswerRow, String)>;

    /// Puzzle number `index`, or `None` in the rare case that no attempt succeeded.
    fn puzzle(&self, index: u64) -> Option<AnswerRow> {
        let (seed, split) = self.seed_and_split();
        let mut rng = SeededRng::new(seed, index);
        (0..ATTEMPTS)
            .filter_map(|_| self.attempt(&mut rng))
            .find(|(_, key)| split_of(key) == split)
            .map(|(row, _)| row)
    }

    /// The first `count` puzzles, no two with the same prompt.
    fn take_distinct(&self, count: usize) -> Result<Vec<AnswerRow>, PuzzleError> {
        let mut seen = HashSet::new();
        let limit = (count as u64).saturating_mul(20).saturating_add(200);
        let rows: Vec<AnswerRow> = (0..limit)
            .filter_map(|index| self.puzzle(index))
            .filter(|row| seen.insert(row.prompt.last_text().to_owned()))
            .take(count)
            .collect();
        if rows.len() < count {
            return Err(PuzzleError::TooFew { found: rows.len(), requested: count });
        }
        Ok(rows)
    }
}
