//! The records of a table in text: CSV, with commas, semicolons or tabs.

use std::io::{self, Read};
use std::path::Path;

use super::columns::Meaning;
use super::delimited::{DelimitedRecords, delimiter_of};
use super::json::Json;
use super::problem::{RowProblem, RowsError};
use super::record::{Next, Record};

/// The records of a table, one at a time; its first line names the columns.
pub(super) struct Table<B: Read> {
    records: DelimitedRecords<B>,
    columns: Vec<String>,
}

impl<B: Read> Table<B> {
    pub(super) fn open(
        source: B,
        delimiter: u8,
        max_bytes: usize,
        path: &Path,
    ) -> Result<Self, RowsError> {
        let mut records = DelimitedRecords::new(source, delimiter, max_bytes as u64);
        let failed = |source| RowsError::Io { action: "read", path: path.to_owned(), source };
        records.advance().map_err(failed)?;
        let name =
            |cell| String::from_utf8_lossy(cell).trim().trim_start_matches('\u{feff}').to_owned();
        let columns: Vec<String> = records.cells().map(name).collect();
        for (place, column) in columns.iter().enumerate() {
            if !column.is_empty() && columns[..place].contains(column) {
                let problem =
                    format!("two columns are called `{column}`; rename one in the header");
                return Err(RowsError::Header { path: path.to_owned(), problem });
            }
        }
        Ok(Self { records, columns })
    }

    /// The next record with the line on which it begins.
    pub(super) fn advance(&mut self) -> io::Result<Option<Next>> {
        let Some(line) = self.records.advance()? else { return Ok(None) };
        Ok(Some((line as usize, self.columns_of_record())))
    }

    fn columns_of_record(&self) -> Result<Record, RowProblem> {
        let (found, expected) = (self.records.cells().len(), self.columns.len());
        if found != expected {
            return Err(RowProblem::Width { found, expected });
        }
        let cell = |(column, cell): (&String, &[u8])| {
            let text = std::str::from_utf8(cell).map_err(|error| RowProblem::InvalidUtf8 {
                byte: error.valid_up_to() + 1,
                utf16: false,
            })?;
            Ok((column.clone(), Json::text(text)))
        };
        self.columns
            .iter()
            .zip(self.records.cells())
            .map(cell)
            .collect::<Result<_, _>>()
            .map(Record::Untyped)
    }
}

/// What separates the fields of a text, if it is a table by the ending of its name, or by a first line
/// that names at least two columns of which one has a meaning.
pub(super) fn delimiter_of_table(start: &[u8], name: &Path) -> Option<u8> {
    let endings = super::files::endings_of(name);
    let ends = |ending| endings.as_deref() == Some(ending);
    if ends("tsv") {
        return Some(b'\t');
    }
    let known = |fields: &[&str]| fields.iter().filter(|name| Meaning::of(name).is_some()).count();
    let (best, (known, fields)) = delimiter_of(start, |fields| (known(fields), fields.len()));
    let is_header = known > 0 && fields > 1;
    (ends("csv") || is_header).then_some(best)
}
