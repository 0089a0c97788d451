//! The records of a CSV file.

use std::cell::RefCell;
use std::io::{self, BufRead, Read};
use std::path::Path;
use std::rc::Rc;

use bestof_tasks::rows::RecordLines;

use super::bytes::Opened;
use super::columns::Columns;
use super::left_out::{LineProblem, Reason};
use crate::error::SentimentError;

/// Longest record in bytes; in a longer one a quotation mark is most likely missing.
const LONGEST_RECORD: u64 = 1 << 20;

/// What separates fields: commas, or what spreadsheets of other languages write.
const DELIMITERS: [u8; 3] = *b",;\t";

/// The records of a CSV file, one at a time.
pub(super) struct CsvRecords {
    reader: csv::Reader<Bounded>,
    record: csv::ByteRecord,
    seen: Rc<RefCell<RecordLines>>,
    width: usize,
    /// Whether `record` is the first line, which is a row and not read yet.
    pending: bool,
    failure: Option<io::Error>,
}

impl CsvRecords {
    /// Opens the file and finds its columns; they are in the first line, or it has none.
    pub(super) fn open(
        mut source: Opened,
        path: &Path,
        stars: bool,
    ) -> Result<(Self, Columns), SentimentError> {
        let start = source.fill_buf().map_err(SentimentError::io("read", path))?;
        let delimiter = delimiter_of(start);
        let seen = Rc::new(RefCell::new(RecordLines::default()));
        let bounded = Bounded { source, seen: Rc::clone(&seen) };
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .has_headers(false)
            .delimiter(delimiter)
            .from_reader(bounded);
        let mut record = csv::ByteRecord::new();
        let failed = |error: csv::Error| SentimentError::io("read", path)(error.into());
        reader.read_byte_record(&mut record).map_err(failed)?;
        seen.borrow_mut().record_ended();
        let first: Vec<String> =
            record.iter().map(|cell| String::from_utf8_lossy(cell).into_owned()).collect();
        let pending = Columns::is_row(&first);
        let columns = if pending {
            let start = first.join(",").chars().take(60).collect();
            Columns::without_header(&first, stars)
                .ok_or_else(|| SentimentError::NoHeader { path: path.to_owned(), start })?
        } else {
            Columns::of_header(first, path, stars)?
        };
        let width = record.len();
        Ok((Self { reader, record, seen, width, pending, failure: None }, columns))
    }

    /// The I/O error that ended the records early, if there was one.
    pub(super) fn io_error(&mut self) -> Option<io::Error> {
        self.failure.take()
    }

    /// Reads the next record: the line on which it begins, and whether it can be used.
    pub(super) fn advance(&mut self) -> Option<(u64, Result<(), LineProblem>)> {
        if !std::mem::take(&mut self.pending) {
            let read = self.reader.read_byte_record(&mut self.record);
            self.seen.borrow_mut().record_ended();
            match read {
                Ok(false) => return None,
                Ok(true) => {}
                Err(error) => {
                    self.failure = Some(error.into());
                    return None;
                }
            }
        }
        let start = self.record.position().map_or(0, csv::Position::byte);
        let line = self.seen.borrow_mut().line_at(start);
        let (found, width) = (self.record.len(), self.width);
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
        let Some(bytes) = self.record.get(index) else { return Ok(None) };
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

/// The delimiter that makes most known names of the first line.
fn delimiter_of(start: &[u8]) -> u8 {
    let end = start.iter().position(|byte| b"\r\n".contains(byte)).unwrap_or(start.len());
    let line = String::from_utf8_lossy(&start[..end]);
    let known = |delimiter: u8| {
        Columns::known(line.split(char::from(delimiter)).map(|name| name.trim_matches('"')))
    };
    // Of equals the first: `max_by_key` would take the last.
    DELIMITERS.into_iter().rev().max_by_key(|&delimiter| known(delimiter)).unwrap_or(b',')
}

/// A source that fails when a record has more than [`LONGEST_RECORD`] bytes.
struct Bounded {
    source: Opened,
    seen: Rc<RefCell<RecordLines>>,
}

impl Read for Bounded {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.seen.borrow().bytes_of_record() > LONGEST_RECORD {
            let message = format!(
                "a record has more than {LONGEST_RECORD} bytes; is a quotation mark missing?"
            );
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        let count = self.source.read(out)?;
        self.seen.borrow_mut().take(&out[..count]);
        Ok(count)
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
        assert_eq!(delimiter_of(b"text;stars\r\nGood;5"), b';');
        assert_eq!(delimiter_of(b"text\tstars\n"), b'\t');
        assert_eq!(delimiter_of(b"5;x,Good\n"), b',');
    }
}
