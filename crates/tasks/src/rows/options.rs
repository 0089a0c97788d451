//! How files of rows are read.

use crate::setters::setters;

/// What to do about bad lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnBadRow {
    /// Read to the end, then fail with a report of all of them.
    #[default]
    Refuse,
    /// Leave them out and report them with the rows.
    Skip,
}

/// How a file is read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadOptions {
    /// Longest line, element of a JSON array or record of a table accepted, in bytes.
    pub max_line_bytes: usize,
    /// What to do about bad lines.
    pub on_bad_row: OnBadRow,
    /// Stop after this many good rows.
    pub limit: Option<usize>,
    /// What columns of the files are to be called: `(name, column)`. They take the place of columns that
    /// have the name already; an empty column leaves the one with the name out.
    pub columns: Vec<(String, String)>,
}

setters!(ReadOptions {
    max_line_bytes: usize,
    on_bad_row: OnBadRow,
    limit: Option<usize>,
    columns: Vec<(String, String)>,
});

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            max_line_bytes: 16 << 20,
            on_bad_row: OnBadRow::Refuse,
            limit: None,
            columns: Vec::new(),
        }
    }
}
