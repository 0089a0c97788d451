//! Documents from which no case can be made: counted by reason, the first ones listed.

use std::collections::BTreeMap;
use std::fmt;

/// Number of skips that a report lists.
const LISTED: usize = 20;

/// Why no case is made from a document.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, thiserror::Error,
)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SkipReason {
    /// A row without any answer.
    #[error("the row has no answer")]
    NoAnswer,
    /// None of the answers occurs in the document, exactly and as whole words.
    #[error("no answer occurs in its document")]
    AnswerNotInDocument,
    /// The question contains the answer.
    #[error("the question contains the answer")]
    QuestionHoldsAnswer,
    /// The altered task needs a number, written in digits, and nothing else.
    #[error("the answer is not a number")]
    NotNumeric,
    /// Every possible replacement occurs in the document or the question.
    #[error("every possible replacement number already occurs")]
    NoReplacement,
    /// The answering sentence holds the old number in a form that is not altered: in words, or
    /// inside a word such as `1960s`.
    #[error("the old number remains beside the answer, in words or inside a word")]
    OldNumberRemains,
    /// The answering sentence and the question do not fit.
    #[error("question and answering sentence need {needed} tokens")]
    LongerThanTarget {
        /// Tokens of the shortest prompt.
        needed: usize,
    },
    /// The answering sentence is so long that the answer is outside the requested tenth of the
    /// document.
    #[error("the answering sentence is too long for the answer to be in the requested tenth")]
    OutOfBand,
    /// Two adjacent sentences together form the answer a second time.
    #[error("the surrounding text forms the answer a second time")]
    StrayAnswer,
    /// No text is left to pad with: all of it contains the answer.
    #[error("all text to pad with contains the answer")]
    NoPadding,
}

/// A document that was skipped, or skipped in one cell.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Skip {
    /// Line in the data file counted from 1, or index of the invented document.
    pub item: usize,
    /// The requested length in tokens, if the reason depends on it.
    pub length: Option<usize>,
    /// Why.
    pub reason: SkipReason,
}

/// All documents that were skipped.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Skips {
    /// The first twenty skips.
    pub listed: Vec<Skip>,
    /// Number of skips by reason.
    pub counts: BTreeMap<String, usize>,
}

impl Skips {
    /// Number of skips.
    pub fn total(&self) -> usize {
        self.counts.values().sum()
    }

    /// Whether nothing was skipped.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    pub(super) fn push(&mut self, skip: Skip) {
        let kind = match &skip.reason {
            SkipReason::LongerThanTarget { .. } => "the shortest prompt is too long".to_owned(),
            reason => reason.to_string(),
        };
        *self.counts.entry(kind).or_default() += 1;
        if self.listed.len() < LISTED {
            self.listed.push(skip);
        }
    }
}

impl fmt::Display for Skips {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} documents skipped", self.total())?;
        for (reason, count) in &self.counts {
            write!(f, "\n  {count} × {reason}")?;
        }
        for skip in &self.listed {
            write!(f, "\n  document {}", skip.item)?;
            if let Some(length) = skip.length {
                write!(f, " in {length} tokens")?;
            }
            write!(f, ": {}", skip.reason)?;
        }
        if self.total() > self.listed.len() {
            write!(f, "\n  and {} more", self.total() - self.listed.len())?;
        }
        Ok(())
    }
}
