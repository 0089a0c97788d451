//! Rows that were left out: counted by reason, the first ones listed.

use std::collections::BTreeMap;
use std::fmt;

use bestof_tasks::rows::RowProblem;
use serde::{Deserialize, Serialize};

/// Most rows that are listed.
const LISTED: usize = 20;

/// Why a row was not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// Not a JSON object, or a CSV record of another length than the header.
    Malformed,
    /// Not UTF-8.
    Encoding,
    /// A missing field.
    MissingField,
    /// A field of another type, or not a date or number.
    WrongType,
    /// Stars outside 1 to 5.
    Stars,
    /// A class other than 0 and 1 in a table of two classes.
    Class,
    /// No text.
    EmptyText,
    /// A line or a text beyond the limit.
    TooLong,
    /// An id that an earlier row of the file has.
    Duplicate,
    /// A review of a business that is not in the business file.
    UnknownBusiness,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "malformed",
            Self::Encoding => "wrong encoding",
            Self::MissingField => "missing field",
            Self::WrongType => "wrong type",
            Self::Stars => "stars outside 1 to 5",
            Self::Class => "class other than 0 and 1",
            Self::EmptyText => "empty text",
            Self::TooLong => "too long",
            Self::Duplicate => "duplicated id",
            Self::UnknownBusiness => "unknown business",
        })
    }
}

/// A row that was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnusedRow {
    /// Its line, counted from 1.
    pub line: u64,
    /// Why it was left out.
    pub reason: Reason,
    /// The reason in words, with the value found.
    pub message: String,
}

/// The rows of one file that were left out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LeftOut {
    /// Number of rows by reason.
    pub counts: BTreeMap<Reason, u64>,
    /// The first twenty rows.
    pub first: Vec<UnusedRow>,
}

impl LeftOut {
    /// Counts a row, and lists it if it is among the first twenty.
    pub(crate) fn push(&mut self, line: u64, reason: Reason, message: impl Into<String>) {
        *self.counts.entry(reason).or_default() += 1;
        if self.first.len() < LISTED {
            self.first.push(UnusedRow { line, reason, message: message.into() });
        }
    }

    /// Number of rows.
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    /// Whether every row was used.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    pub(crate) fn push_problem(&mut self, line: u64, problem: &LineProblem) {
        self.push(line, problem.reason, problem.message.clone());
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts: Vec<String> =
            self.counts.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        write!(f, "{} rows left out: {}", self.total(), counts.join(", "))?;
        for row in &self.first {
            write!(f, "\n  line {}: {}", row.line, row.message)?;
        }
        let more = self.total() - self.first.len() as u64;
        if more > 0 { write!(f, "\n  and {more} more") } else { Ok(()) }
    }
}

/// Why a row cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LineProblem {
    pub(crate) reason: Reason,
    pub(crate) message: String,
}

impl LineProblem {
    pub(crate) fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

impl From<RowProblem> for LineProblem {
    fn from(problem: RowProblem) -> Self {
        let reason = match &problem {
            RowProblem::InvalidUtf8 { .. } => Reason::Encoding,
            RowProblem::TooLong { .. } => Reason::TooLong,
            RowProblem::MissingField { .. } => Reason::MissingField,
            RowProblem::WrongType { .. } => Reason::WrongType,
            RowProblem::Empty { .. } => Reason::EmptyText,
            _ => Reason::Malformed,
        };
        Self::new(reason, problem.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_all_and_lists_twenty() {
        let mut left_out = LeftOut::default();
        for line in 1..=30 {
            let reason = if line % 3 == 0 { Reason::Stars } else { Reason::Malformed };
            left_out.push(line, reason, format!("row {line}"));
        }
        assert_eq!((left_out.total(), left_out.first.len()), (30, 20));
        let text = left_out.to_string();
        assert!(
            text.starts_with("30 rows left out: 20 malformed, 10 stars outside 1 to 5"),
            "{text}"
        );
        assert!(text.ends_with("line 20: row 20\n  and 10 more"), "{text}");
    }
}
