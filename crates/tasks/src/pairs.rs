//! Preference pairs in the manner of DPOP (arXiv 2402.13228, section 5).
//!
//! Two kinds: worked solutions against the same solutions with one intermediate result corrupted
//! (the paper's `MetaMath` set: a small edit distance), and right against wrong options of
//! multiple-choice questions (its ARC and HellaSwag sets: a large one).

mod choice;
mod corrupted;
mod prompt;

pub use choice::choice_pairs;
pub use corrupted::{WorkedItem, corrupted_pairs};
pub use prompt::{PromptForm, PromptStyle};

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::Value;

use crate::distance::EditDistance;
use crate::rows::{Content, PreferenceRow};
use crate::setters::setters;
use crate::worked::Annotations;

/// How pairs are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PairOptions {
    /// Seed of the corruptions and of the worked examples; a row's pair depends only on it and on
    /// the row's index in the file.
    pub seed: u64,
    /// Number of worked examples before every question, taken from other rows.
    pub shots: usize,
    /// Plain text or chat messages.
    pub form: PromptForm,
    /// Whether calculator annotations are kept or removed.
    pub annotations: Annotations,
}

setters!(PairOptions { seed: u64, shots: usize, form: PromptForm, annotations: Annotations });

/// A preference pair and how it was made.
#[derive(Debug, Clone, PartialEq)]
pub struct PreferencePair {
    /// What is asked, worked examples included.
    pub prompt: Content,
    /// The right completion.
    pub chosen: Content,
    /// The wrong completion.
    pub rejected: Content,
    /// Name of the row that the pair was built from.
    pub id: String,
    /// Edit distance between chosen and rejected, without the prompt.
    pub distance: EditDistance,
    /// What was changed.
    pub change: Change,
}

/// The further fields of a pair's row.
#[derive(Serialize)]
struct Origin<'a> {
    id: &'a str,
    #[serde(flatten)]
    distance: EditDistance,
    #[serde(flatten)]
    change: &'a Change,
}

impl PreferencePair {
    /// The pair as a row of a data file, its origin among the further fields.
    pub fn to_row(&self) -> PreferenceRow {
        let origin = Origin { id: &self.id, distance: self.distance, change: &self.change };
        let extra = match serde_json::to_value(origin) {
            Ok(Value::Object(fields)) => fields,
            _ => serde_json::Map::new(),
        };
        let row =
            PreferenceRow::new(self.prompt.clone(), self.chosen.clone(), self.rejected.clone());
        PreferenceRow { extra, ..row }
    }
}

/// What makes the rejected completion wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Change {
    /// One intermediate result was replaced.
    Result {
        /// Which of the solution's results, counted from 1.
        corrupted_step: usize,
        /// How many results the solution has.
        steps: usize,
        /// The result as it was.
        before: String,
        /// The result as it is now.
        after: String,
    },
    /// The right option was replaced by a wrong one.
    Option {
        /// Index of the wrong option.
        wrong_option: usize,
        /// Index of the right option.
        right_option: usize,
    },
}

/// Why no pair can be made from a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Unusable {
    /// No final answer was found.
    #[error("no final answer")]
    NoFinalAnswer,
    /// No calculation result was found.
    #[error("no calculation")]
    NoCalculation,
    /// All results equal the final answer.
    #[error("no intermediate result")]
    NoIntermediateResult,
    /// None of the results is a plain number.
    #[error("no result that can be corrupted")]
    NotCorruptible,
    /// A wrong option has the right one's text.
    #[error("a wrong option equals the right one")]
    EqualOptions,
    /// Only one option.
    #[error("no wrong option")]
    NoWrongOption,
    /// A text too long for the edit distance.
    #[error("longer than {} characters", MAX_CHARACTERS)]
    TooLong,
    /// No text.
    #[error("empty text")]
    EmptyText,
}

/// Longest completion that is compared, in bytes.
pub(crate) const MAX_CHARACTERS: usize = 20_000;

/// Why no pairs at all can be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PairError {
    /// Too few rows for the worked examples.
    #[error("{shots} worked examples need at least {} rows, found {rows}; ask for fewer", shots.saturating_add(1))]
    TooFewRows {
        /// Number of worked examples requested.
        shots: usize,
        /// Number of rows.
        rows: usize,
    },
}

/// The pairs of a data set, and the rows from which none could be made.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PairSet {
    /// The pairs, in the rows' order.
    pub pairs: Vec<PreferencePair>,
    /// Rows (or options) without a pair, and why.
    pub unusable: Vec<(String, Unusable)>,
    /// Number of rows.
    pub rows: usize,
}

impl PairSet {
    /// Mean edit distance of the pairs; `None` without pairs.
    pub fn mean_distance(&self) -> Option<EditDistance> {
        let count = self.pairs.len() as f64;
        let mean = |part: fn(&EditDistance) -> f64| {
            self.pairs.iter().map(|pair| part(&pair.distance)).sum::<f64>() / count
        };
        (!self.pairs.is_empty())
            .then(|| EditDistance { words: mean(|d| d.words), characters: mean(|d| d.characters) })
    }

    /// Number of unusable rows for each reason.
    pub fn unusable_by_reason(&self) -> BTreeMap<Unusable, usize> {
        let mut counts = BTreeMap::new();
        for (_, reason) in &self.unusable {
            *counts.entry(*reason).or_insert(0) += 1;
        }
        counts
    }
}

impl fmt::Display for PairSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} pairs from {} rows", self.pairs.len(), self.rows)?;
        if let Some(mean) = self.mean_distance() {
            let (words, characters) = (100.0 * mean.words, 100.0 * mean.characters);
            write!(f, "; mean edit distance {words:.2}% of words, {characters:.2}% of characters")?;
        }
        for (reason, count) in self.unusable_by_reason() {
            write!(f, "\n  {count} without a pair: {reason}")?;
        }
        Ok(())
    }
}
