//! What can be wrong with rows, in messages that say how to fix it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bestof_files::FileKind;

use super::json::Json;

/// Number of bad rows that a report lists.
const LISTED: usize = 20;

/// What is wrong with one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RowProblem {
    /// Bytes that are not UTF-8.
    #[error("byte {byte} is not valid UTF-8{}; save the file as UTF-8", if *utf16 { " (it looks like UTF-16)" } else { "" })]
    InvalidUtf8 {
        /// Position of the first bad byte in the line, counted from 1.
        byte: usize,
        /// Whether the line begins like UTF-16 text.
        utf16: bool,
    },
    /// A line longer than the limit.
    #[error("the line has more than {limit} bytes; split it, or raise the limit")]
    TooLong {
        /// The limit, in bytes.
        limit: usize,
    },
    /// Text that is not JSON.
    #[error("not valid JSON at column {column}: {message}")]
    NotJson {
        /// Column of the failure, counted from 1.
        column: usize,
        /// The message of the JSON reader.
        message: String,
    },
    /// JSON that is not an object.
    #[error("found {found}, expected an object {expected} on a line of its own")]
    NotAnObject {
        /// What the line holds.
        found: String,
        /// The shape of a row.
        expected: &'static str,
    },
    /// A record of a table with more or fewer fields than its header.
    #[error(
        "the record has {found} fields, and the header {expected}; is a quotation mark missing?"
    )]
    Width {
        /// Fields of the record.
        found: usize,
        /// Columns of the header.
        expected: usize,
    },
    /// A missing field.
    #[error(
        "field `{field}` is missing, expected {expected}; fields present: {}{}",
        list(present),
        nearest.as_ref().map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
    )]
    MissingField {
        /// The expected field.
        field: String,
        /// What it should hold.
        expected: &'static str,
        /// The fields the line has.
        present: Vec<String>,
        /// The present field with the most similar name, if one is similar.
        nearest: Option<String>,
    },
    /// A field of the wrong type.
    #[error("field `{field}`: found {found}, expected {expected}")]
    WrongType {
        /// Path of the field (`prompt[2].role`).
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
    /// A column that means something and that the shape of the row has no place for.
    #[error(
        "field `{field}` would be ignored: it is {meaning}, which rows of {shape} do not have; \
         rename or remove it (in a run, `data.columns` does either)"
    )]
    UnusedField {
        /// The column.
        field: String,
        /// What columns of this name mean.
        meaning: &'static str,
        /// The shape as which the row is read.
        shape: &'static str,
    },
    /// A key of a message that nothing reads.
    #[error("field `{field}` would be ignored: no chat template is given such a key; {advice}")]
    UnusedKey {
        /// Path of the key (`messages[2].weigth`).
        field: String,
        /// What to do about it.
        advice: String,
    },
    /// Fields of the right types that contradict each other.
    #[error("field `{field}`: found {found}, expected {expected}")]
    Inconsistent {
        /// The field.
        field: String,
        /// What it holds.
        found: String,
        /// What the other fields require.
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
            | Self::UnusedKey { field, .. }
            | Self::Inconsistent { field, .. } => *field = format!("{path}.{field}"),
            _ => {}
        }
        self
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// A line that is not a valid row, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRow {
    /// Line in the file, counted from 1; in a Parquet file the row.
    pub line: usize,
    /// What is wrong.
    pub problem: RowProblem,
    /// The file, where several are read as one.
    pub file: Option<Arc<Path>>,
}

/// The bad lines of a file: all are counted, the first twenty are listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRows {
    /// The file.
    pub file: PathBuf,
    /// The first bad lines.
    pub listed: Vec<BadRow>,
    /// Number of bad lines.
    pub count: usize,
    /// Number of rows read, bad ones included.
    pub total: usize,
}

impl BadRows {
    /// A report without bad lines.
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
            let file = bad.file.as_deref().unwrap_or(&self.file).display();
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
    /// An error of the operating system.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was attempted: `open`, `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// Bad lines.
    #[error(
        "{0}\n  fix these lines, or leave them out: `data.skip_bad_rows = true` in a run, --skip-bad-rows elsewhere"
    )]
    Bad(BadRows),
    /// A file of another kind.
    #[error("{} holds no rows that can be read: it is {kind}", path.display())]
    OtherKind {
        /// The file.
        path: PathBuf,
        /// What it is.
        kind: FileKind,
    },
    /// A file whose reader was left out of the build.
    #[error(
        "{} is {}, and this program was built without the feature `{feature}` of bestof-tasks, which bestof has by \
         default: build it with that, or {}",
        path.display(),
        kind.name(),
        kind.advice()
    )]
    LeftOut {
        /// The file.
        path: PathBuf,
        /// What it is.
        kind: FileKind,
        /// The feature that reads it.
        feature: &'static str,
    },
    /// A Parquet file that cannot be read.
    #[cfg(feature = "parquet")]
    #[error("{} begins as a Parquet file and cannot be read as one: {source}; is it whole?", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: parquet::errors::ParquetError,
    },
    /// A Parquet file in a compression that is not read.
    #[cfg(feature = "parquet")]
    #[error(
        "{} is a Parquet file compressed with {codec}; write it with snappy, gzip or zstd, in Python with \
         `pandas.read_parquet(FILE).to_parquet(OUT)`",
        path.display()
    )]
    Codec {
        /// The file.
        path: PathBuf,
        /// Its compression.
        codec: String,
    },
    /// A table whose header cannot be used.
    #[error("{}: {problem}", path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A folder or a pattern without a file of rows.
    #[error(
        "{} is a folder or a pattern without a file of rows; files that end in {endings} are read, gzip and Zstandard of them too",
        path.display()
    )]
    NoFiles {
        /// The folder or pattern.
        path: PathBuf,
        /// The endings of files that are read.
        endings: String,
    },
    /// A pattern that is none.
    #[error("{} is no pattern of file names: {source}", path.display())]
    Pattern {
        /// The pattern.
        path: PathBuf,
        /// What is wrong with it.
        source: glob::PatternError,
    },
    /// A column that no row has.
    #[error(
        "{}: no row has the column `{column}`, which is to be read as `{name}`; columns: {}",
        path.display(),
        list(present)
    )]
    NoColumn {
        /// The file.
        path: PathBuf,
        /// The column that was named.
        column: String,
        /// What it is to be read as.
        name: String,
        /// The columns of the first row.
        present: Vec<String>,
    },
    /// A file without rows.
    #[error("{} holds no rows; expected one {expected} per line", path.display())]
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
        /// The error of the JSON writer.
        source: serde_json::Error,
    },
}

/// The problem of a field that holds `value` instead of `expected`.
pub(crate) fn wrong_type(
    field: &str,
    value: &(impl Clone + Into<Json>),
    expected: &'static str,
) -> RowProblem {
    let found = value.clone().into().in_words();
    RowProblem::WrongType { field: field.to_owned(), found, expected }
}
