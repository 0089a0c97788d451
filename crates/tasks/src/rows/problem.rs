//! What can be wrong with rows, in words that say how to mend it.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Rows of one report that are printed one by one.
const LISTED: usize = 20;

/// What is wrong with one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RowProblem {
    /// Bytes that are no UTF-8.
    #[error("byte {byte} is not valid UTF-8{}; save the file as UTF-8", if *utf16 { " (it looks like UTF-16)" } else { "" })]
    InvalidUtf8 {
        /// Place of the first bad byte in the line, counted from 1.
        byte: usize,
        /// Whether the line begins like UTF-16 text.
        utf16: bool,
    },
    /// A line longer than the reader accepts.
    #[error("the line has more than {limit} bytes; split it, or raise the limit")]
    TooLong {
        /// The reader's bound.
        limit: usize,
    },
    /// Text that is no JSON.
    #[error("not valid JSON at column {column}: {message}")]
    NotJson {
        /// Column of the failure, counted from 1.
        column: usize,
        /// The JSON reader's words.
        message: String,
    },
    /// JSON that is no object.
    #[error("found {found}, expected an object {expected} on a line of its own")]
    NotAnObject {
        /// What the line holds.
        found: String,
        /// The shape of a row.
        expected: &'static str,
    },
    /// A field that is not there.
    #[error(
        "field `{field}` is missing, expected {expected}; fields present: {}{}",
        list(present),
        nearest.as_ref().map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
    )]
    MissingField {
        /// The field asked for.
        field: String,
        /// What it should hold.
        expected: &'static str,
        /// The fields the line has.
        present: Vec<String>,
        /// The field whose name is nearest, if one is near.
        nearest: Option<String>,
    },
    /// A field of another type.
    #[error("field `{field}`: found {found}, expected {expected}")]
    WrongType {
        /// The field, with its place in lists (`prompt[2].role`).
        field: String,
        /// What it holds.
        found: String,
        /// What it should hold.
        expected: &'static str,
    },
    /// A field without any text.
    #[error("field `{field}` is empty; give it text or remove the row")]
    Empty {
        /// The field.
        field: String,
    },
    /// Well-typed fields that contradict each other.
    #[error("field `{field}`: found {found}, expected {expected}")]
    Inconsistent {
        /// The field.
        field: String,
        /// What it holds.
        found: String,
        /// What the other fields ask for.
        expected: String,
    },
}

impl RowProblem {
    /// The same problem, in a field inside `path`.
    pub(crate) fn inside(mut self, path: &str) -> Self {
        match &mut self {
            Self::MissingField { field, .. }
            | Self::WrongType { field, .. }
            | Self::Empty { field }
            | Self::Inconsistent { field, .. } => *field = format!("{path}.{field}"),
            _ => {}
        }
        self
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// One line that is no row, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRow {
    /// Line in the file, counted from 1.
    pub line: usize,
    /// What is wrong.
    pub problem: RowProblem,
}

/// Every bad line of one file: the first ones in full, all of them counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRows {
    /// The file.
    pub file: PathBuf,
    /// The first bad lines.
    pub listed: Vec<BadRow>,
    /// How many bad lines there are.
    pub count: usize,
    /// How many lines were rows or bad rows.
    pub total: usize,
}

impl BadRows {
    /// A report without any bad line.
    pub(crate) fn none(file: PathBuf) -> Self {
        Self { file, listed: Vec::new(), count: 0, total: 0 }
    }

    /// Counts a bad line and lists it if it is among the first twenty.
    pub(crate) fn push(&mut self, bad: BadRow) {
        self.count += 1;
        if self.listed.len() < LISTED {
            self.listed.push(bad);
        }
    }

    /// `true` when no line was bad.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl fmt::Display for BadRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        write!(f, "{file}: {} of {} rows cannot be used", self.count, self.total)?;
        for bad in &self.listed {
            write!(f, "\n  {file}:{}: {}", bad.line, bad.problem)?;
        }
        if self.count > self.listed.len() {
            write!(f, "\n  and {} more", self.count - self.listed.len())?;
        }
        Ok(())
    }
}

/// Why a file of rows cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RowsError {
    /// The operating system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The operating system's words.
        source: io::Error,
    },
    /// Lines that are no rows.
    #[error("{0}\n  mend these lines, or skip them with --skip-bad-rows")]
    Bad(BadRows),
    /// A file without rows.
    #[error("{} holds no rows; expected one {expected} a line", path.display())]
    NoRows {
        /// The file.
        path: PathBuf,
        /// The shape of a row.
        expected: &'static str,
    },
    /// A row that cannot be written as JSON.
    #[error("row {row} for {} cannot be written as JSON: {source}", path.display())]
    NotWritable {
        /// The file.
        path: PathBuf,
        /// The row, counted from 1.
        row: usize,
        /// The JSON writer's words.
        source: serde_json::Error,
    },
}
