//! The records of a CSV file.

use std::io::{self, BufRead};
use std::path::Path;

use bestof_tasks::rows::{DelimitedRecords, delimiter_of};

use super::bytes::Opened;
use super::columns::Columns;
use super::left_out::{LineProblem, Reason};
use crate::error::SentimentError;

/// Longest record in bytes; in a longer one a quotation mark is most likely missing.
const LONGEST_RECORD: u64 = 1 << 20;

/// What makes most known names of the first line, or else a class and a text.
fn delimiter(start: &[u8], stars: bool) -> u8 {
    let score = |fields: &[&str]| {
        let row: Vec<String> = fields.iter().map(|&cell| cell.to_owned()).collect();
        (Columns::known(fields.iter()), Columns::without_header(&row, stars).is_some())
    };
    delimiter_of(start, score).0
}

/// The records of a CSV file, one at a time.
pub(super) struct CsvRecords {
    records: DelimitedRecords<Opened>,
    width: usize,
    /// The line of the record that was read to open the file and is a row, not given yet.
    pending: Option<u64>,
    failure: Option<io::Error>,
}

impl CsvRecords {
    /// Opens the file and finds its columns; they are in the first line, or it has none.
    pub(super) fn open(
        mut source: Opened,
        path: &Path,
        stars: bool,
    ) -> Result<(Self, Columns), SentimentError> {
        let failed = SentimentError::io("read", path);
        let start = source.fill_buf().map_err(SentimentError::io("read", path))?;
        let delimiter = delimiter(start, stars);
        let mut records = DelimitedRecords::new(source, delimiter, LONGEST_RECORD);
        let line = records.advance().map_err(failed)?;
        let first: Vec<String> =
            records.cells().map(|cell| String::from_utf8_lossy(cell).into_owned()).collect();
        let pending = line.filter(|_| Columns::is_row(&first));
        let columns = if pending.is_some() {
            let start = first.join(",").chars().take(60).collect();
            Columns::without_header(&first, stars)
                .ok_or_else(|| SentimentError::NoHeader { path: path.to_owned(), start })?
        } else {
            Columns::of_header(first, path, stars)?
        };
        let width = records.cells().len();
        Ok((Self { records, width, pending, failure: None }, columns))
    }

    /// The I/O error that ended the records early, if there was one.
    pub(super) fn io_error(&mut self) -> Option<io::Error> {
        self.failure.take()
    }

    /// Reads the next record: the line on which it begins, and whether it can be used.
    pub(super) fn advance(&mut self) -> Option<(u64, Result<(), LineProblem>)> {
        let line = match self.pending.take() {
            Some(line) => line,
            None => match self.records.advance() {
                Ok(line) => line?,
                Err(error) => {
                    self.failure = Some(error);
                    return None;
                }
            },
        };
        let (found, width) = (self.records.cells().len(), self.width);
        let fits = if found == width {
            Ok(())
        } else {
            let message = format!(
                "the record has {found} fields, and the first line {width}; is a quotation mark missing?"
            );
            Err(LineProblem::new(Reason::Malformed, message))
        };
        Some((line, fits))
    }

    /// The text of a field; `None` if it is empty.
    pub(super) fn cell(&self, index: usize, column: &str) -> Result<Option<&str>, LineProblem> {
        let Some(bytes) = self.records.cell(index) else { return Ok(None) };
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let byte = error.valid_up_to() + 1;
            let message = format!(
                "column `{column}`: byte {byte} is not valid UTF-8; save the file as UTF-8"
            );
            LineProblem::new(Reason::Encoding, message)
        })?;
        Ok(Some(text).filter(|text| !text.is_empty()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_under_every_line_end() {
        // A blank line before the last record, a quoted field over three lines.
        let unix = "text,stars\n\"a\n\nb\",5\nc,4\n\nd,3\n";
        for text in [unix.to_owned(), unix.replace('\n', "\r\n"), unix.replace('\n', "\r")] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("y.csv");
            std::fs::write(&path, &text).unwrap();
            let (mut rows, _) =
                CsvRecords::open(Opened::open(&path).unwrap(), &path, true).unwrap();
            let lines: Vec<u64> = std::iter::from_fn(|| Some(rows.advance()?.0)).collect();
            assert_eq!(lines, [2, 5, 7], "{text:?}");
        }
    }

    #[test]
    fn spreadsheets_write_semicolons() {
        let delimiter = |start: &[u8]| delimiter(start, true);
        assert_eq!(delimiter(b"text;stars\r\nGood;5"), b';');
        assert_eq!(delimiter(b"text\tstars\n"), b'\t');
        assert_eq!(delimiter(b"x;y,5\n"), b',');
        assert_eq!(delimiter(b"Good, I think\t5\n"), b'\t');
    }
}
