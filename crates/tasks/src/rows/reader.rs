//! Reading rows line by line, with a bound on the length of a line.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::field::{Fields, describe};
use super::problem::{BadRow, BadRows, RowProblem, RowsError};
use super::row::Row;
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
    /// Longest line accepted, in bytes.
    pub max_line_bytes: usize,
    /// What to do about bad lines.
    pub on_bad_row: OnBadRow,
    /// Stop after this many good rows.
    pub limit: Option<usize>,
}

setters!(ReadOptions { max_line_bytes: usize, on_bad_row: OnBadRow, limit: Option<usize> });

impl Default for ReadOptions {
    fn default() -> Self {
        Self { max_line_bytes: 16 << 20, on_bad_row: OnBadRow::Refuse, limit: None }
    }
}

/// The rows of a file, their lines, and the lines left out.
#[derive(Debug, Clone)]
pub struct Rows<R> {
    /// The rows, in the file's order.
    pub rows: Vec<R>,
    /// The line of each row, counted from 1.
    pub lines: Vec<usize>,
    /// The lines left out; empty unless bad rows are skipped.
    pub skipped: BadRows,
}

/// Iterator over the rows of a source: `(line, row)`, or a bad line.
///
/// Blank lines, a byte order mark and carriage returns before a line's end are skipped.
/// A read error ends the iteration and is kept for [`RowReader::io_error`].
#[derive(Debug)]
pub struct RowReader<B, R> {
    source: B,
    max_line_bytes: usize,
    line: usize,
    failure: Option<io::Error>,
    buffer: Vec<u8>,
    shape: PhantomData<fn() -> R>,
}

impl<B: BufRead, R: Row> RowReader<B, R> {
    /// Reader of rows from `source`.
    pub fn new(source: B, options: &ReadOptions) -> Self {
        Self {
            source,
            max_line_bytes: options.max_line_bytes,
            line: 0,
            failure: None,
            buffer: Vec::new(),
            shape: PhantomData,
        }
    }

    /// The read error that ended the iteration early, if one did.
    pub fn io_error(&mut self) -> Option<io::Error> {
        self.failure.take()
    }

    /// Fills the buffer with the next line; `Ok(None)` at the end, `Ok(Some(false))` for a line
    /// that is too long and was skipped.
    fn next_line(&mut self) -> io::Result<Option<bool>> {
        self.buffer.clear();
        let mut fits = true;
        loop {
            let available = match self.source.fill_buf() {
                Ok(available) => available,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if available.is_empty() {
                let ended = self.buffer.is_empty() && fits;
                return Ok(if ended { None } else { Some(fits) });
            }
            let end = available.iter().position(|&byte| byte == b'\n');
            let piece = &available[..end.unwrap_or(available.len())];
            fits = fits && self.buffer.len() + piece.len() <= self.max_line_bytes;
            if fits {
                self.buffer.extend_from_slice(piece);
            }
            let consumed = piece.len() + usize::from(end.is_some());
            self.source.consume(consumed);
            if end.is_some() {
                return Ok(Some(fits));
            }
        }
    }

    fn parse(&self) -> Result<Option<R>, RowProblem> {
        let mut bytes = self.buffer.as_slice();
        if self.line == 1 {
            bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        }
        let text = std::str::from_utf8(bytes).map_err(|error| RowProblem::InvalidUtf8 {
            byte: error.valid_up_to() + 1,
            utf16: bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff"),
        })?;
        let text = text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        let value: Value = serde_json::from_str(text).map_err(|error| RowProblem::NotJson {
            column: error.column(),
            message: without_position(&error),
        })?;
        match value {
            Value::Object(values) => R::from_fields(Fields::new(values)).map(Some),
            other => Err(RowProblem::NotAnObject { found: describe(&other), expected: R::SHAPE }),
        }
    }
}

/// The JSON reader's message without its own line number, which is always 1 here.
fn without_position(error: &serde_json::Error) -> String {
    let message = error.to_string();
    message.rsplit_once(" at line ").map_or(message.clone(), |(start, _)| start.to_owned())
}

impl<B: BufRead, R: Row> Iterator for RowReader<B, R> {
    type Item = Result<(usize, R), BadRow>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let fits = match self.next_line() {
                Ok(line) => line?,
                Err(error) => {
                    self.failure = Some(error);
                    return None;
                }
            };
            self.line += 1;
            let line = self.line;
            if !fits {
                let problem = RowProblem::TooLong { limit: self.max_line_bytes };
                return Some(Err(BadRow { line, problem }));
            }
            match self.parse() {
                Ok(None) => {}
                Ok(Some(row)) => return Some(Ok((line, row))),
                Err(problem) => return Some(Err(BadRow { line, problem })),
            }
        }
    }
}

/// The rows of the file at `path`.
///
/// # Errors
/// [`RowsError::Bad`] with every bad line unless they are skipped, [`RowsError::NoRows`] for a
/// file without rows.
pub fn read_rows<R: Row>(path: &Path, options: &ReadOptions) -> Result<Rows<R>, RowsError> {
    let file = File::open(path).map_err(|source| RowsError::Io {
        action: "open",
        path: path.to_owned(),
        source,
    })?;
    read_rows_from(BufReader::with_capacity(1 << 16, file), path, options)
}

/// The rows of `source`; `name` stands for it in errors.
///
/// ```
/// use bestof_tasks::rows::{PreferenceRow, ReadOptions, read_rows_from};
///
/// let lines = r#"{"prompt": "2 + 2 =", "chosen": " 4", "rejected": " 5"}"#;
/// let read = read_rows_from::<PreferenceRow>(
///     lines.as_bytes(),
///     "pairs.jsonl".as_ref(),
///     &ReadOptions::default(),
/// )?;
/// assert_eq!(read.rows[0].chosen.last_text(), " 4");
/// # Ok::<(), bestof_tasks::rows::RowsError>(())
/// ```
pub fn read_rows_from<R: Row>(
    source: impl BufRead,
    name: &Path,
    options: &ReadOptions,
) -> Result<Rows<R>, RowsError> {
    let path = PathBuf::from(name);
    let mut reader = RowReader::<_, R>::new(source, options);
    let mut skipped = BadRows::none(path.clone());
    let (mut rows, mut lines) = (Vec::new(), Vec::new());
    while options.limit.is_none_or(|limit| rows.len() < limit) {
        match reader.next() {
            None => break,
            Some(Ok((line, row))) => {
                rows.push(row);
                lines.push(line);
            }
            Some(Err(bad)) => skipped.push(bad),
        }
    }
    if let Some(source) = reader.io_error() {
        return Err(RowsError::Io { action: "read", path, source });
    }
    skipped.total = rows.len() + skipped.count;
    if options.on_bad_row == OnBadRow::Refuse && !skipped.is_empty() {
        return Err(RowsError::Bad(skipped));
    }
    if rows.is_empty() && skipped.is_empty() && options.limit != Some(0) {
        return Err(RowsError::NoRows { path, expected: R::SHAPE });
    }
    Ok(Rows { rows, lines, skipped })
}
