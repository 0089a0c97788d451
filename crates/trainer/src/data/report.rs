//! An account of what became of the lines of a file.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use bestof_tasks::rows::{BadRow, BadRows};
use serde::Serialize;

use super::DropReason;

/// Bad rows that are printed one by one.
const LISTED: usize = 20;

/// Lines that are remembered for each reason.
const LINES_LISTED: usize = 5;

/// How often a reason led to a row being dropped, and where first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DropCount {
    /// Rows.
    pub count: usize,
    /// The first lines, from 1.
    pub first_lines: Vec<usize>,
}

/// What became of the lines of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataReport {
    /// The file.
    pub file: PathBuf,
    /// Lines that are not blank.
    pub rows: usize,
    /// Rows that were kept.
    pub kept: usize,
    /// Rows that were dropped, by reason.
    pub drops: BTreeMap<DropReason, DropCount>,
    /// Kept rows with a completion that had to be encoded apart from its prompt.
    pub boundary_rows: usize,
    /// Kept rows that were cut to the maximum length.
    pub truncated_rows: usize,
    /// Lines that are no rows, where these are skipped.
    pub bad: BadRows,
}

impl DataReport {
    pub(crate) fn new(file: &Path) -> Self {
        let bad = BadRows { file: file.to_owned(), listed: Vec::new(), count: 0, total: 0 };
        Self {
            file: file.to_owned(),
            rows: 0,
            kept: 0,
            drops: BTreeMap::new(),
            boundary_rows: 0,
            truncated_rows: 0,
            bad,
        }
    }

    /// Rows that were dropped, for whatever reason; bad lines are counted in [`bad`](Self::bad).
    pub fn dropped(&self) -> usize {
        self.drops.values().map(|drop| drop.count).sum()
    }

    pub(super) fn drop_row(&mut self, line: usize, reason: DropReason) {
        let drop = self.drops.entry(reason).or_default();
        drop.count += 1;
        if drop.first_lines.len() < LINES_LISTED {
            drop.first_lines.push(line);
        }
    }

    pub(super) fn bad_row(&mut self, bad: BadRow) {
        self.bad.count += 1;
        if self.bad.listed.len() < LISTED {
            self.bad.listed.push(bad);
        }
    }

    pub(super) fn keep(&mut self, separate_boundary: bool, truncated: bool) {
        self.kept += 1;
        self.boundary_rows += usize::from(separate_boundary);
        self.truncated_rows += usize::from(truncated);
    }
}

impl fmt::Display for DataReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} rows kept", self.kept, self.rows)?;
        for (reason, drop) in &self.drops {
            let lines: Vec<String> = drop.first_lines.iter().map(ToString::to_string).collect();
            let dots = if drop.count > lines.len() { ", ..." } else { "" };
            write!(f, "\n  {} dropped: {reason} (line {}{dots})", drop.count, lines.join(", "))?;
        }
        if self.truncated_rows > 0 {
            write!(f, "\n  {} cut to the maximum length", self.truncated_rows)?;
        }
        if self.boundary_rows > 0 {
            write!(
                f,
                "\n  {} with a completion encoded apart, since the tokenizer merges it with the prompt's end",
                self.boundary_rows
            )?;
        }
        if !self.bad.is_empty() {
            write!(f, "\n{}", self.bad)?;
        }
        Ok(())
    }
}
