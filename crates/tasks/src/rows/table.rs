//! The records of a table in text: CSV, with commas, semicolons or tabs.

use std::cell::RefCell;
use std::io::{self, BufRead, Read};
use std::path::Path;
use std::rc::Rc;

use super::columns::Meaning;
use super::json::Json;
use super::problem::{RowProblem, RowsError};
use super::record::{Next, Record};
use super::record_lines::RecordLines;

/// What separates fields: commas, or what spreadsheets of other languages write.
const DELIMITERS: [u8; 3] = *b",;\t";

/// The records of a table, one at a time; its first line names the columns.
pub(super) struct Table<B: Read> {
    reader: csv::Reader<Bounded<B>>,
    record: csv::ByteRecord,
    seen: Rc<RefCell<RecordLines>>,
    columns: Vec<String>,
}

impl<B: BufRead> Table<B> {
    pub(super) fn open(
        source: B,
        delimiter: u8,
        max_bytes: usize,
        path: &Path,
    ) -> Result<Self, RowsError> {
        let seen = Rc::new(RefCell::new(RecordLines::default()));
        let bounded = Bounded { source, seen: Rc::clone(&seen), max_bytes: max_bytes as u64 };
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .has_headers(false)
            .delimiter(delimiter)
            .from_reader(bounded);
        let mut record = csv::ByteRecord::new();
        let read = reader.read_byte_record(&mut record);
        read.map_err(|error| RowsError::Io {
            action: "read",
            path: path.to_owned(),
            source: error.into(),
        })?;
        seen.borrow_mut().record_ended();
        let name =
            |cell| String::from_utf8_lossy(cell).trim().trim_start_matches('\u{feff}').to_owned();
        let columns: Vec<String> = record.iter().map(name).collect();
        for (place, column) in columns.iter().enumerate() {
            if !column.is_empty() && columns[..place].contains(column) {
                let problem =
                    format!("two columns are called `{column}`; rename one in the header");
                return Err(RowsError::Header { path: path.to_owned(), problem });
            }
        }
        Ok(Self { reader, record, seen, columns })
    }

    /// The next record with the line on which it begins.
    pub(super) fn advance(&mut self) -> io::Result<Option<Next>> {
        let read = self.reader.read_byte_record(&mut self.record);
        self.seen.borrow_mut().record_ended();
        if !read.map_err(io::Error::from)? {
            return Ok(None);
        }
        let start = self.record.position().map_or(0, csv::Position::byte);
        let line = self.seen.borrow_mut().line_at(start) as usize;
        Ok(Some((line, self.columns_of_record())))
    }

    fn columns_of_record(&self) -> Result<Record, RowProblem> {
        let (found, expected) = (self.record.len(), self.columns.len());
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
            .zip(&self.record)
            .map(cell)
            .collect::<Result<_, _>>()
            .map(Record::Untyped)
    }
}

/// What separates the fields of a text, if it is a table by the ending of its name, or by a first line
/// that names at least two columns of which one has a meaning.
pub(super) fn delimiter_of(start: &[u8], name: &Path) -> Option<u8> {
    let endings = super::files::endings_of(name);
    let ends = |ending| endings.as_deref() == Some(ending);
    if ends("tsv") {
        return Some(b'\t');
    }
    let end = start.iter().position(|byte| b"\r\n".contains(byte)).unwrap_or(start.len());
    let line = String::from_utf8_lossy(&start[..end]);
    let line = line.trim_start_matches('\u{feff}');
    let fields =
        |delimiter: u8| line.split(char::from(delimiter)).map(|name| name.trim_matches('"'));
    let known = |delimiter| fields(delimiter).filter(|name| Meaning::of(name).is_some()).count();
    // Of equals the first: `max_by_key` would take the last.
    let best = DELIMITERS
        .into_iter()
        .rev()
        .max_by_key(|&delimiter| (known(delimiter), fields(delimiter).count()))?;
    let is_header = known(best) > 0 && fields(best).count() > 1;
    (ends("csv") || is_header).then_some(best)
}

/// A source that fails when a record is too long.
struct Bounded<B> {
    source: B,
    seen: Rc<RefCell<RecordLines>>,
    max_bytes: u64,
}

impl<B: Read> Read for Bounded<B> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.seen.borrow().bytes_of_record() > self.max_bytes {
            let message = format!(
                "a record has more than {} bytes; is a quotation mark missing?",
                self.max_bytes
            );
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        let count = self.source.read(out)?;
        self.seen.borrow_mut().take(&out[..count]);
        Ok(count)
    }
}
