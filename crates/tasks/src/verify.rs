//! Verifiers: a completion in, a reward in a stated range out, with the reason.
//!
//! A verifier is made for one question, from its answer. What it cannot judge it says so about,
//! and that pays the least of its range: an unreadable answer is never worth trying for.

mod choice;
mod countdown;
mod grid;
mod math;
mod number;
mod program;
mod quantity;
mod text;

pub use choice::ChoiceVerifier;
pub use countdown::{CountdownReward, CountdownVerifier};
pub use grid::{GridReward, GridVerifier};
pub use math::MathVerifier;
pub use number::NumberVerifier;
pub use program::{ProgramLimits, ProgramVerifier};
pub use text::{TextMatch, TextVerifier};

use std::fmt::Debug;
use std::ops::RangeInclusive;

use serde_json::Value;

use crate::rows::AnswerRow;

/// What a verifier found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The answer is right.
    Right,
    /// The answer is right in part.
    Partial,
    /// The answer is wrong.
    Wrong,
    /// No answer could be read.
    CannotTell,
    /// The check itself failed: the program crashed, or its reply was no judgement.
    Failed,
    /// The check did not end in time.
    TimedOut,
}

impl Outcome {
    /// Whether the check failed, so that nothing is known about the completion.
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::TimedOut)
    }
}

/// A verifier's judgement of one completion.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Verdict {
    /// The reward, within the verifier's range; its lower end unless something is right.
    pub reward: f64,
    /// What was found.
    pub outcome: Outcome,
    /// Why, in words.
    pub reason: String,
}

impl Verdict {
    /// Full reward of the range `0..=1`.
    pub fn right(reason: impl Into<String>) -> Self {
        Self { reward: 1.0, outcome: Outcome::Right, reason: reason.into() }
    }

    /// No reward.
    pub fn wrong(reason: impl Into<String>) -> Self {
        Self { reward: 0.0, outcome: Outcome::Wrong, reason: reason.into() }
    }

    /// No reward, because nothing could be judged.
    pub fn cannot_tell(reason: impl Into<String>) -> Self {
        Self { reward: 0.0, outcome: Outcome::CannotTell, reason: reason.into() }
    }

    /// A share of the range `0..=1`; full and no share are right and wrong.
    pub fn partial(share: f64, reason: impl Into<String>) -> Self {
        let reward = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
        let outcome = match reward {
            1.0 => Outcome::Right,
            0.0 => Outcome::Wrong,
            _ => Outcome::Partial,
        };
        Self { reward, outcome, reason: reason.into() }
    }
}

/// Judges completions of one question. No completion makes it panic or run without bound.
pub trait Verifier: Debug + Send + Sync {
    /// Least and greatest reward.
    fn range(&self) -> RangeInclusive<f64> {
        0.0..=1.0
    }

    /// The judgement of `completion`.
    fn verify(&self, completion: &str) -> Verdict;
}

/// Why no verifier can be made for a row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifierError {
    /// An answer of another kind than the verifier compares with.
    #[error("answer {found:?} is not {expected}; choose another verifier or mend the row")]
    Answer {
        /// The answer.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A field the verifier needs.
    #[error("field `{field}` is missing or not {expected}; fields present: {}", present.join(", "))]
    Field {
        /// The field.
        field: &'static str,
        /// What it should hold.
        expected: &'static str,
        /// The extra fields of the row.
        present: Vec<String>,
    },
    /// A program that cannot be run as asked.
    #[error("{what}")]
    Program {
        /// What is wrong and how to mend it.
        what: &'static str,
    },
}

/// Which built-in verifier judges the completions of a data file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VerifierKind {
    /// [`NumberVerifier`]: equal numbers.
    Number,
    /// [`MathVerifier`]: equal expressions.
    Math,
    /// [`TextVerifier`] that forgives case, spaces and punctuation.
    Text,
    /// [`TextVerifier`] that forgives nothing.
    ExactText,
    /// [`ChoiceVerifier`]: the letter of an option.
    Choice,
    /// [`GridVerifier`]: share of cells that are right.
    Grid,
    /// [`CountdownVerifier`]: hit or miss; needs the fields `numbers` and `target`.
    Countdown,
    /// [`CountdownVerifier`] that pays for coming near.
    CountdownNear,
}

impl VerifierKind {
    /// The verifier of this kind for a row.
    ///
    /// ```
    /// use bestof_tasks::rows::{AnswerRow, ReadOptions, read_rows_from};
    /// use bestof_tasks::verify::{Outcome, VerifierKind};
    ///
    /// let line = r#"{"prompt": "What is 6 * 7?", "answer": "42"}"#;
    /// let options = ReadOptions::default();
    /// let row = &read_rows_from::<AnswerRow>(line.as_bytes(), "a.jsonl".as_ref(), &options)?.rows[0];
    /// let verifier = VerifierKind::Number.for_row(row)?;
    /// assert_eq!(verifier.verify("6 * 7 = 42").reward, 1.0);
    /// assert_eq!(verifier.verify("I do not know").outcome, Outcome::CannotTell);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn for_row(self, row: &AnswerRow) -> Result<Box<dyn Verifier>, VerifierError> {
        let answer = row.answer.as_str();
        Ok(match self {
            Self::Number => Box::new(NumberVerifier::new(answer)?),
            Self::Math => Box::new(MathVerifier::new(answer)?),
            Self::Text => Box::new(TextVerifier::new(answer, TextMatch::Normalised)),
            Self::ExactText => Box::new(TextVerifier::new(answer, TextMatch::Exact)),
            Self::Choice => Box::new(ChoiceVerifier::new(answer)?),
            Self::Grid => Box::new(GridVerifier::from_text(answer, GridReward::Cells)?),
            Self::Countdown => Box::new(countdown(row, CountdownReward::HitOrMiss)?),
            Self::CountdownNear => Box::new(countdown(row, CountdownReward::Nearness)?),
        })
    }
}

fn countdown(row: &AnswerRow, reward: CountdownReward) -> Result<CountdownVerifier, VerifierError> {
    let missing = |field, expected| {
        let mut present: Vec<String> = row.extra.keys().cloned().collect();
        present.sort_unstable();
        VerifierError::Field { field, expected, present }
    };
    let target = row.extra.get("target").and_then(Value::as_i64);
    let numbers = row
        .extra
        .get("numbers")
        .and_then(Value::as_array)
        .and_then(|numbers| numbers.iter().map(Value::as_i64).collect::<Option<Vec<i64>>>());
    Ok(CountdownVerifier::new(
        &numbers.ok_or_else(|| missing("numbers", "a list of whole numbers"))?,
        target.ok_or_else(|| missing("target", "a whole number"))?,
        reward,
    ))
}
