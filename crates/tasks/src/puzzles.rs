//! Tasks with checkable answers, from a seed: Countdown, chains of sums, grids with one rule.
//!
//! Like the word problems of [`crate::arithmetic`], a puzzle depends on the settings and its
//! number alone, and training and held-out puzzles never meet: a hash of what makes the puzzle
//! decides its part.

mod chain_sum;
mod countdown;
mod grid_rule;
mod task;

pub use chain_sum::ChainSums;
pub use countdown::CountdownPuzzles;
pub use grid_rule::{GridRule, GridRules};
pub use task::{Level, MAX_PUZZLES, PuzzleTask};

use std::collections::HashSet;

use crate::arithmetic::{ArithmeticError, Split};
use crate::draw::{Draw, split_of};
use crate::rows::AnswerRow;
use crate::verify::VerifierKind;

/// Puzzles begun for one place in the sequence before it is given up.
const ATTEMPTS: u64 = 200;

/// Why puzzles cannot be drawn.
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
    /// A word problem that could not be drawn.
    #[error(transparent)]
    Arithmetic(#[from] ArithmeticError),
    /// More puzzles than could be found without repeating one.
    #[error("only {found} different puzzles found, {wanted} wanted; allow larger ones")]
    TooFew {
        /// How many there are.
        found: usize,
        /// How many were asked for.
        wanted: usize,
    },
}

/// A sequence of puzzles from a seed.
pub trait PuzzleSource {
    /// The verifier that judges answers to these puzzles.
    fn verifier(&self) -> VerifierKind;

    /// The seed and the part the puzzles are drawn from.
    fn seed_and_split(&self) -> (u64, Split);

    /// One puzzle, or `None` when this attempt came to nothing; with the key that makes it the
    /// same puzzle as another.
    fn attempt(&self, draw: &mut Draw) -> Option<(AnswerRow, String)>;

    /// Puzzle number `index`, or `None` in the rare case that no attempt came out right.
    fn puzzle(&self, index: u64) -> Option<AnswerRow> {
        let (seed, split) = self.seed_and_split();
        let mut draw = Draw::new(seed, index);
        (0..ATTEMPTS)
            .filter_map(|_| self.attempt(&mut draw))
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
            return Err(PuzzleError::TooFew { found: rows.len(), wanted: count });
        }
        Ok(rows)
    }
}
