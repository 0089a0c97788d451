//! The built-in verifiers by name, made for the rows of a data file.

use serde_json::Value;

use super::choice::ChoiceVerifier;
use super::countdown::{CountdownReward, CountdownVerifier};
use super::grid::{GridReward, GridVerifier};
use super::math::MathVerifier;
use super::number::NumberVerifier;
use super::text::{TextMatch, TextVerifier};
use super::verification::{Verifier, VerifierError};
use crate::rows::AnswerRow;

/// A built-in verifier, by its name on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VerifierKind {
    /// [`NumberVerifier`]: equal numbers.
    Number,
    /// [`MathVerifier`]: equal expressions.
    Math,
    /// [`TextVerifier`] that ignores case, spaces and punctuation.
    Text,
    /// [`TextVerifier`] that compares exactly.
    ExactText,
    /// [`ChoiceVerifier`]: the letter of an option.
    Choice,
    /// [`GridVerifier`]: the share of right cells.
    Grid,
    /// [`CountdownVerifier`], reward 0 or 1; needs the fields `numbers` and `target`.
    Countdown,
    /// [`CountdownVerifier`] with a reward for near misses.
    CountdownNear,
}

impl VerifierKind {
    /// The verifier of this kind for a row.
    ///
    /// ```
    /// use bestof_tasks::rows::{AnswerRow, ReadOptions, read_rows_from};
    /// use bestof_tasks::verify::{VerificationOutcome, VerifierKind};
    ///
    /// let line = r#"{"prompt": "What is 6 * 7?", "answer": "42"}"#;
    /// let options = ReadOptions::default();
    /// let row = &read_rows_from::<AnswerRow>(line.as_bytes(), "a.jsonl".as_ref(), &options)?.rows[0];
    /// let verifier = VerifierKind::Number.for_row(row)?;
    /// assert_eq!(verifier.verify("6 * 7 = 42").reward, 1.0);
    /// assert_eq!(verifier.verify("I do not know").outcome, VerificationOutcome::CannotTell);
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
