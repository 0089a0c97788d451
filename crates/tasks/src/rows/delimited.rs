//! The records of a table in text, whatever their columns mean.

use std::cell::RefCell;
use std::io::{self, Read};
use std::rc::Rc;

use super::record_lines::RecordLines;

/// What separates fields: commas, or what spreadsheets of other languages write.
const DELIMITERS: [u8; 3] = *b",;\t";

/// The records of a CSV source, one at a time, each with the line on which it begins.
///
/// ```
/// use bestof_tasks::rows::DelimitedRecords;
///
/// let mut records = DelimitedRecords::new(&b"text;stars\n\"two\nlines\";5\nthird;4\n"[..], b';', 100);
/// let mut lines = Vec::new();
/// while let Some(line) = records.advance()? {
///     lines.push((line, records.cells().count()));
/// }
/// assert_eq!(lines, [(1, 2), (2, 2), (4, 2)]);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct DelimitedRecords<B: Read> {
    reader: csv::Reader<Bounded<B>>,
    record: csv::ByteRecord,
    seen: Rc<RefCell<RecordLines>>,
}

impl<B: Read> std::fmt::Debug for DelimitedRecords<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DelimitedRecords").field("record", &self.record).finish_non_exhaustive()
    }
}

impl<B: Read> DelimitedRecords<B> {
    /// Of a source whose fields are separated by `delimiter`; a record of more than `max_bytes` is an
    /// error, since a quotation mark is most likely missing.
    pub fn new(source: B, delimiter: u8, max_bytes: u64) -> Self {
        let seen = Rc::new(RefCell::new(RecordLines::default()));
        let bounded = Bounded { source, seen: Rc::clone(&seen), max_bytes };
        let reader = csv::ReaderBuilder::new()
            .flexible(true)
            .has_headers(false)
            .delimiter(delimiter)
            .from_reader(bounded);
        Self { reader, record: csv::ByteRecord::new(), seen }
    }

    /// Reads the next record and gives the line, from 1, on which it begins; `None` at the end.
    ///
    /// # Errors
    /// The source cannot be read, or the record is too long.
    pub fn advance(&mut self) -> io::Result<Option<u64>> {
        let read = self.reader.read_byte_record(&mut self.record);
        let mut seen = self.seen.borrow_mut();
        seen.record_ended();
        if !read.map_err(io::Error::from)? {
            return Ok(None);
        }
        let start = self.record.position().map_or(0, csv::Position::byte);
        Ok(Some(seen.line_at(start)))
    }

    /// The fields of the record that was read last.
    pub fn cells(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.record.iter()
    }

    /// One of them.
    pub fn cell(&self, index: usize) -> Option<&[u8]> {
        self.record.get(index)
    }
}

/// The delimiter with which the first line has the highest score, and the score; of equals commas, then
/// semicolons.
///
/// ```
/// use bestof_tasks::rows::delimiter_of;
///
/// assert_eq!(delimiter_of(b"text;stars\nGood, really;5\n", |fields| fields.len()), (b';', 2));
/// ```
pub fn delimiter_of<S: Ord>(start: &[u8], score: impl Fn(&[&str]) -> S) -> (u8, S) {
    let end = start.iter().position(|byte| b"\r\n".contains(byte)).unwrap_or(start.len());
    let line = String::from_utf8_lossy(&start[..end]);
    let line = line.trim_start_matches('\u{feff}');
    let scored = |delimiter: u8| {
        let fields = line.split(char::from(delimiter)).map(|name| name.trim_matches('"'));
        (delimiter, score(&fields.collect::<Vec<_>>()))
    };
    let [first, others @ ..] = DELIMITERS;
    others.into_iter().map(scored).fold(
        scored(first),
        |best, other| {
            if other.1 > best.1 { other } else { best }
        },
    )
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
