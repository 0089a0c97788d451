//! Dates that cannot be read, in rows that are used all the same.

use serde::{Deserialize, Serialize};

/// How many rows have a date that cannot be read, and the first of them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct UnreadDates {
    /// The number of rows.
    pub count: u64,
    /// Line, counted from 1, and date of the first.
    pub first: Option<(u64, String)>,
}

impl UnreadDates {
    /// Counts a row with this date.
    pub(crate) fn push(&mut self, line: u64, found: String) {
        self.count += 1;
        self.first.get_or_insert((line, found));
    }

    /// A sentence about them among `rows` rows, if there are any.
    pub fn note(&self, rows: u64) -> Option<String> {
        let (line, found) = self.first.as_ref()?;
        Some(format!(
            "{} of {rows} reviews have a date that cannot be read (line {line}: {found:?}), expected YYYY-MM-DD; \
             they are kept, their date is unknown",
            self.count
        ))
    }
}
