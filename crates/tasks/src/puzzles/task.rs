//! Puzzles by name and level, as a command line names them.

use std::str::FromStr;

use super::{ChainSums, CountdownPuzzles, GridRules, PuzzleError, PuzzleSource};
use crate::arithmetic::{ArithmeticConfig, ArithmeticProblems, NumberSize, WordProblem};
use crate::rng::Split;
use crate::rows::AnswerRow;
use crate::verify::VerifierKind;

/// Largest number of puzzles in one call.
pub const MAX_PUZZLES: usize = 10_000_000;

/// Difficulty of puzzles, from 1 to 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Level(u8);

impl Level {
    /// A level from 1 to 5.
    ///
    /// # Errors
    /// [`PuzzleError::Setting`] for another number.
    pub fn new(level: u8) -> Result<Self, PuzzleError> {
        if (1..=5).contains(&level) {
            Ok(Self(level))
        } else {
            let found = level.to_string();
            Err(PuzzleError::Setting { setting: "level", found, expected: "1 to 5" })
        }
    }

    /// The entry of a table of five.
    fn pick<T: Clone>(self, table: &[T; 5]) -> T {
        table[usize::from(self.0 - 1)].clone()
    }
}

/// A kind of puzzle.
///
/// ```text
/// level         1           2            3             4             5
/// countdown     3 to 10     3 to 20      3-4 to 50     4-5 to 99     5-6 to 99      (numbers, largest)
/// chain-sum     2-3, 1      2-4, 1-2     3-5, 1-3      4-7, 2-4      5-10, 3-6      (terms, digits)
/// grid          2-3         3-4          3-6           5-10          8-15           (side)
/// arithmetic    1 small     1-2 small    2-4 medium    3-5 medium    4-6 large      (steps, numbers)
/// ```
///
/// ```
/// use bestof_tasks::rng::Split;
/// use bestof_tasks::puzzles::{Level, PuzzleTask};
///
/// let task: PuzzleTask = "countdown".parse()?;
/// let rows = task.take(3, 7, Split::Train, Level::new(2)?)?;
/// let verifier = task.verifier().for_row(&rows[0])?;
/// assert_eq!(verifier.verify(&rows[0].answer).reward, 1.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PuzzleTask {
    /// [`CountdownPuzzles`]
    Countdown,
    /// [`ChainSums`]
    ChainSum,
    /// [`GridRules`]
    Grid,
    /// Word problems of [`ArithmeticProblems`], to be answered with a number.
    Arithmetic,
}

impl PuzzleTask {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Countdown, Self::ChainSum, Self::Grid, Self::Arithmetic];

    /// The name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Countdown => "countdown",
            Self::ChainSum => "chain-sum",
            Self::Grid => "grid",
            Self::Arithmetic => "arithmetic",
        }
    }

    /// The verifier that judges answers.
    pub const fn verifier(self) -> VerifierKind {
        match self {
            Self::Countdown => VerifierKind::Countdown,
            Self::ChainSum | Self::Arithmetic => VerifierKind::Number,
            Self::Grid => VerifierKind::Grid,
        }
    }

    /// The first `count` puzzles of a seed, no two with the same prompt.
    ///
    /// # Errors
    /// [`PuzzleError::Setting`] above [`MAX_PUZZLES`], [`PuzzleError::TooFew`] if there are fewer.
    pub fn take(
        self,
        count: usize,
        seed: u64,
        split: Split,
        level: Level,
    ) -> Result<Vec<AnswerRow>, PuzzleError> {
        if count > MAX_PUZZLES {
            let found = count.to_string();
            return Err(PuzzleError::Setting {
                setting: "count",
                found,
                expected: "at most 10000000",
            });
        }
        match self {
            Self::Countdown => {
                let numbers = level.pick(&[3..=3, 3..=3, 3..=4, 4..=5, 5..=6]);
                let largest = level.pick(&[10, 20, 50, 99, 99]);
                CountdownPuzzles::new(seed, split, numbers, largest)?.take_distinct(count)
            }
            Self::ChainSum => {
                let terms = level.pick(&[2..=3, 2..=4, 3..=5, 4..=7, 5..=10]);
                let digits = level.pick(&[1..=1, 1..=2, 1..=3, 2..=4, 3..=6]);
                ChainSums::new(seed, split, terms, digits)?.take_distinct(count)
            }
            Self::Grid => {
                let side = level.pick(&[2..=3, 3..=4, 3..=6, 5..=10, 8..=15]);
                GridRules::new(seed, split, side)?.take_distinct(count)
            }
            Self::Arithmetic => {
                let steps = level.pick(&[1..=1, 1..=2, 2..=4, 3..=5, 4..=6]);
                let size = level.pick(&[
                    NumberSize::Small,
                    NumberSize::Small,
                    NumberSize::Medium,
                    NumberSize::Medium,
                    NumberSize::Large,
                ]);
                let config = ArithmeticConfig { seed, steps, size, split };
                let problems = ArithmeticProblems::new(config)?.take_distinct(count)?;
                Ok(problems.iter().map(answer_row).collect())
            }
        }
    }
}

fn answer_row(problem: &WordProblem) -> AnswerRow {
    let prompt = format!("{} Give the final answer as a number.", problem.question);
    AnswerRow::new(prompt, problem.answer.to_string())
}

impl FromStr for PuzzleTask {
    type Err = PuzzleError;

    fn from_str(name: &str) -> Result<Self, PuzzleError> {
        Self::ALL.into_iter().find(|task| task.name() == name).ok_or_else(|| PuzzleError::Setting {
            setting: "task",
            found: name.to_owned(),
            expected: "countdown, chain-sum, grid or arithmetic",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_has_answers_its_verifier_accepts_at_every_level() {
        for task in PuzzleTask::ALL {
            for level in (1..=5).map(|level| Level::new(level).unwrap()) {
                for split in [Split::Train, Split::HeldOut] {
                    let rows = task.take(5, 3, split, level).unwrap();
                    assert_eq!(rows.len(), 5);
                    for row in &rows {
                        let verifier = task.verifier().for_row(row).unwrap();
                        assert_eq!(verifier.verify(&row.answer).reward, 1.0, "{task:?} {row:?}");
                    }
                }
            }
            assert_eq!(task.name().parse(), Ok(task));
        }
    }

    #[test]
    fn what_cannot_be_made_is_refused() {
        assert!(Level::new(0).is_err() && Level::new(6).is_err());
        assert!("sudoku".parse::<PuzzleTask>().is_err());
        let level = Level::new(1).unwrap();
        let beyond = PuzzleTask::Grid.take(MAX_PUZZLES + 1, 0, Split::Train, level).unwrap_err();
        assert!(beyond.to_string().contains("10000001"), "{beyond}");
        let many = PuzzleTask::ChainSum.take(100_000, 0, Split::Train, level).unwrap_err();
        assert!(matches!(many, PuzzleError::TooFew { .. }), "{many}");
    }
}
