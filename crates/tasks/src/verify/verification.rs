//! What a verifier says about a completion.

use std::fmt::Debug;
use std::ops::RangeInclusive;

/// What a verifier found out about a completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VerificationOutcome {
    /// The answer is right.
    Right,
    /// The answer is right in part.
    Partial,
    /// The answer is wrong.
    Wrong,
    /// No answer could be read.
    CannotTell,
    /// The check itself failed: the program crashed, or its reply could not be read.
    Failed,
    /// The check did not end in time.
    TimedOut,
}

impl VerificationOutcome {
    /// Whether the check failed or timed out, so that nothing is known about the completion.
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::TimedOut)
    }
}

/// The result of verifying one completion.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Verification {
    /// The reward, within [`Verifier::range`]; its lower end unless something is right.
    pub reward: f64,
    /// What was found.
    pub outcome: VerificationOutcome,
    /// Why, for a reader.
    pub reason: String,
    /// What was read as the completion's answer, shortened, if anything was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extracted: Option<String>,
}

/// Most characters of an answer that a verification repeats.
const MAX_EXTRACTED: usize = 200;

impl Verification {
    fn new(reward: f64, outcome: VerificationOutcome, reason: impl Into<String>) -> Self {
        Self { reward, outcome, reason: reason.into(), extracted: None }
    }

    /// Reward 1.
    pub fn right(reason: impl Into<String>) -> Self {
        Self::new(1.0, VerificationOutcome::Right, reason)
    }

    /// Reward 0.
    pub fn wrong(reason: impl Into<String>) -> Self {
        Self::new(0.0, VerificationOutcome::Wrong, reason)
    }

    /// Reward 0, because no answer could be read.
    pub fn cannot_tell(reason: impl Into<String>) -> Self {
        Self::new(0.0, VerificationOutcome::CannotTell, reason)
    }

    /// A reward between 0 and 1; 1 is right, 0 is wrong.
    pub fn partial(share: f64, reason: impl Into<String>) -> Self {
        let reward = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
        let outcome = match reward {
            1.0 => VerificationOutcome::Right,
            0.0 => VerificationOutcome::Wrong,
            _ => VerificationOutcome::Partial,
        };
        Self::new(reward, outcome, reason)
    }
}

impl Verification {
    /// The same, with what was read as the answer.
    #[must_use]
    pub fn reading(self, answer: impl std::fmt::Display) -> Self {
        let answer = answer.to_string();
        let shown: String = answer.trim().chars().take(MAX_EXTRACTED).collect();
        Self { extracted: Some(shown).filter(|shown| !shown.is_empty()), ..self }
    }

    /// The common result of a completion's different answers; they are a hedge if their results
    /// differ.
    pub(super) fn common(results: impl IntoIterator<Item = Self>) -> Self {
        let results: Vec<Self> = results.into_iter().collect();
        let Some(first) = results.first() else {
            return Self::cannot_tell("no answer in the completion");
        };
        let same = |result: &Self| {
            result.outcome == first.outcome && result.reward.total_cmp(&first.reward).is_eq()
        };
        if results.iter().all(same) {
            return first.clone();
        }
        let read: Vec<&str> =
            results.iter().filter_map(|result| result.extracted.as_deref()).collect();
        Self::cannot_tell("several different answers are given").reading(read.join("; "))
    }
}

/// Judges completions of one problem. No completion makes it panic or run without bound.
pub trait Verifier: Debug + Send + Sync {
    /// Lowest and highest reward.
    fn range(&self) -> RangeInclusive<f64> {
        0.0..=1.0
    }

    /// Verifies one completion.
    fn verify(&self, completion: &str) -> Verification;
}

/// Why no verifier can be built for a row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifierError {
    /// An answer of a kind that the verifier cannot compare with.
    #[error("answer {found:?} is not {expected}; choose another verifier or fix the row")]
    Answer {
        /// The answer.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A field that the verifier needs is missing or has the wrong type.
    #[error("field `{field}` is missing or not {expected}; fields present: {}", present.join(", "))]
    Field {
        /// The field.
        field: &'static str,
        /// What it should hold.
        expected: &'static str,
        /// The extra fields of the row.
        present: Vec<String>,
    },
    /// Settings with which a program cannot be run.
    #[error("{what}")]
    Program {
        /// What is wrong and how to fix it.
        what: &'static str,
    },
}
