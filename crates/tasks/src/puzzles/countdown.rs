//! Countdown: reach a target with all of the given numbers.

use std::ops::RangeInclusive;

use serde_json::{Map, json};

use super::{PuzzleError, PuzzleSource};
use crate::rng::SeededRng;
use crate::rng::Split;
use crate::rows::AnswerRow;
use crate::verify::VerifierKind;

/// Countdown puzzles that have a solution with whole, positive numbers on the way.
///
/// The answer of a row is one solution; the verifier reads its fields `numbers` and `target`.
///
/// ```
/// use bestof_tasks::rng::Split;
/// use bestof_tasks::puzzles::{CountdownPuzzles, PuzzleSource};
///
/// let puzzles = CountdownPuzzles::new(1, Split::Train, 3..=4, 99)?;
/// let row = puzzles.puzzle(0).unwrap();
/// let verifier = puzzles.verifier().for_row(&row)?;
/// assert_eq!(verifier.verify(&row.answer).reward, 1.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct CountdownPuzzles {
    seed: u64,
    split: Split,
    count: RangeInclusive<usize>,
    largest: i64,
}

/// A partial solution: its value, its text, and the operator applied last, if any.
struct Term {
    value: i64,
    text: String,
    operator: Option<char>,
}

impl CountdownPuzzles {
    /// Puzzles with this many numbers (2 to 8) from 1 to `largest` (5 to 1000), targets up to 999.
    pub fn new(
        seed: u64,
        split: Split,
        count: RangeInclusive<usize>,
        largest: i64,
    ) -> Result<Self, PuzzleError> {
        if count.is_empty() || *count.start() < 2 || *count.end() > 8 {
            let found = format!("{count:?}");
            return Err(PuzzleError::Setting {
                setting: "count",
                found,
                expected: "a range within 2..=8",
            });
        }
        if !(5..=1000).contains(&largest) {
            let found = largest.to_string();
            return Err(PuzzleError::Setting { setting: "largest", found, expected: "5 to 1000" });
        }
        Ok(Self { seed, split, count, largest })
    }
}

impl PuzzleSource for CountdownPuzzles {
    fn verifier(&self) -> VerifierKind {
        VerifierKind::Countdown
    }

    fn seed_and_split(&self) -> (u64, Split) {
        (self.seed, self.split)
    }

    fn attempt(&self, rng: &mut SeededRng) -> Option<(AnswerRow, String)> {
        let count = self.count.start() + rng.index(self.count.end() - self.count.start() + 1);
        let numbers: Vec<i64> = (0..count).map(|_| rng.between(1, self.largest)).collect();
        let mut terms: Vec<Term> = numbers
            .iter()
            .map(|number| Term { value: *number, text: number.to_string(), operator: None })
            .collect();
        while terms.len() > 1 {
            let left = terms.swap_remove(rng.index(terms.len()));
            let right = terms.swap_remove(rng.index(terms.len()));
            terms.push(join(left, right, rng)?);
        }
        let solution = terms.pop()?;
        let target = solution.value;
        if !(1..=999).contains(&target) || numbers.contains(&target) {
            return None;
        }
        let listed: Vec<String> = numbers.iter().map(ToString::to_string).collect();
        let prompt = format!(
            "Use each of the numbers {} exactly once, with + - * / and brackets, to reach {target}. \
             Answer with the expression only.",
            listed.join(", ")
        );
        let mut sorted = numbers.clone();
        sorted.sort_unstable();
        let extra: Map<_, _> =
            [("numbers".to_owned(), json!(numbers)), ("target".to_owned(), json!(target))]
                .into_iter()
                .collect();
        let row = AnswerRow { extra, ..AnswerRow::new(prompt, solution.text) };
        Some((row, format!("{sorted:?}{target}")))
    }
}

/// Both terms joined by an operator that keeps the value whole, positive and below 10,000.
fn join(left: Term, right: Term, rng: &mut SeededRng) -> Option<Term> {
    let (a, b) = (left.value, right.value);
    let choices: Vec<(char, i64)> = [
        ('+', Some(a + b)),
        ('-', (a > b).then_some(a - b)),
        ('*', (a > 1 && b > 1).then_some(a * b)),
        ('/', (b > 1 && a % b == 0).then_some(a / b)),
    ]
    .into_iter()
    .filter_map(|(operator, value)| Some((operator, value.filter(|value| *value < 10_000)?)))
    .collect();
    let &(operator, value) = rng.choose(&choices)?;
    let tight = matches!(operator, '*' | '/');
    let bracketed = |term: Term, second: bool| {
        let needed = match term.operator {
            None => false,
            Some('+' | '-') => tight || (second && operator == '-'),
            Some(_) => second && operator == '/',
        };
        if needed { format!("({})", term.text) } else { term.text }
    };
    let text = format!("{} {operator} {}", bracketed(left, false), bracketed(right, true));
    Some(Term { value, text, operator: Some(operator) })
}
