//! Documents no case is made from: counted by reason, the first ones listed.

use std::collections::BTreeMap;
use std::fmt;

/// Skips of one report that are listed one by one.
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
    /// None of the answers stands in the document, letter for letter and as whole words.
    #[error("no answer occurs in its document")]
    AnswerNotInDocument,
    /// The question gives the answer away.
    #[error("the question holds the answer")]
    QuestionHoldsAnswer,
    /// The altered task needs a number, written in digits, and nothing else.
    #[error("the answer is not a number")]
    NotNumeric,
    /// Every number that could take the answer's place stands in the document or the question.
    #[error("no number is free to take the answer's place")]
    NoReplacement,
    /// The old number stands beside the answer in a form that is not altered: in words, or inside
    /// a word such as `1960s`.
    #[error("the old number remains beside the answer, in words or inside a word")]
    OldNumberRemains,
    /// The sentence with the answer and the question do not fit.
    #[error("question and answering sentence need {needed} tokens")]
    LongerThanTarget {
        /// Tokens of the shortest prompt.
        needed: usize,
    },
    /// The answering sentence is so long that the answer leaves the wanted tenth of the document.
    #[error("the answering sentence is too long for the answer to stand in the wanted tenth")]
    OutOfBand,
    /// Two pieces of text beside each other spell the answer a second time.
    #[error("the text around it spells the answer a second time")]
    StrayAnswer,
    /// No text is left to reach the wanted length: all of it holds the answer.
    #[error("all text to pad with holds the answer")]
    NoPadding,
}

/// One document, or one document in one cell, that was passed over.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Skip {
    /// Line in the data file counted from 1, or number of the invented document.
    pub item: usize,
    /// The wanted length in tokens, where the reason depends on it.
    pub length: Option<usize>,
    /// Why.
    pub reason: SkipReason,
}

/// Everything that was passed over.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Skips {
    /// The first twenty.
    pub listed: Vec<Skip>,
    /// How many there are of each reason, in words.
    pub counts: BTreeMap<String, usize>,
}

impl Skips {
    /// How many there are.
    pub fn total(&self) -> usize {
        self.counts.values().sum()
    }

    /// `true` when nothing was passed over.
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
        write!(f, "{} documents passed over", self.total())?;
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
