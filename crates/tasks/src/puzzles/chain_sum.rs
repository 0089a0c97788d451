//! Chains of additions and subtractions.

use std::fmt::Write;
use std::ops::RangeInclusive;

use super::{PuzzleError, PuzzleSource};
use crate::rng::SeededRng;
use crate::rng::Split;
use crate::rows::AnswerRow;
use crate::verify::VerifierKind;

/// Sums such as `4 - 1 - 7`, to be worked out.
///
/// ```
/// use bestof_tasks::rng::Split;
/// use bestof_tasks::puzzles::{ChainSums, PuzzleSource};
///
/// let sums = ChainSums::new(1, Split::Train, 2..=4, 1..=2)?;
/// let row = sums.puzzle(0).unwrap();
/// let verifier = sums.verifier().for_row(&row)?;
/// assert_eq!(verifier.verify(&format!("It is {}.", row.answer)).reward, 1.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct ChainSums {
    seed: u64,
    split: Split,
    terms: RangeInclusive<usize>,
    digits: RangeInclusive<u32>,
}

impl ChainSums {
    /// Sums with this many terms (2 to 20) of this many digits (1 to 9).
    pub fn new(
        seed: u64,
        split: Split,
        terms: RangeInclusive<usize>,
        digits: RangeInclusive<u32>,
    ) -> Result<Self, PuzzleError> {
        if terms.is_empty() || *terms.start() < 2 || *terms.end() > 20 {
            let found = format!("{terms:?}");
            return Err(PuzzleError::Setting {
                setting: "terms",
                found,
                expected: "a range within 2..=20",
            });
        }
        if digits.is_empty() || *digits.start() < 1 || *digits.end() > 9 {
            let found = format!("{digits:?}");
            return Err(PuzzleError::Setting {
                setting: "digits",
                found,
                expected: "a range within 1..=9",
            });
        }
        Ok(Self { seed, split, terms, digits })
    }
}

impl PuzzleSource for ChainSums {
    fn verifier(&self) -> VerifierKind {
        VerifierKind::Number
    }

    fn seed_and_split(&self) -> (u64, Split) {
        (self.seed, self.split)
    }

    fn attempt(&self, rng: &mut SeededRng) -> Option<(AnswerRow, String)> {
        let terms = self.terms.start() + rng.index(self.terms.end() - self.terms.start() + 1);
        let (low, high) = (i64::from(*self.digits.start()), i64::from(*self.digits.end()));
        let digits = rng.between(low, high) as u32;
        let mut term = || {
            rng.between(
                if digits == 1 { 1 } else { 10_i64.pow(digits - 1) },
                10_i64.pow(digits) - 1,
            )
        };
        let numbers: Vec<i64> = (0..terms).map(|_| term()).collect();
        let (mut text, mut sum) = (numbers[0].to_string(), numbers[0]);
        for number in &numbers[1..] {
            let minus = rng.one_in(2);
            sum += if minus { -number } else { *number };
            let _ = write!(text, " {} {number}", if minus { '-' } else { '+' });
        }
        let prompt = format!("What is {text}? Give the final answer as a number.");
        Some((AnswerRow::new(prompt, sum.to_string()), text))
    }
}
