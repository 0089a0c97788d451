//! Reading rows one by one.

use std::io::{self, BufRead, Read};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use super::file_rows::FileRows;
use super::lines::Lines;
use super::options::{OnBadRow, ReadOptions};
use super::problem::{BadRow, BadRows, RowsError};
use super::record::Record;
use super::row::Row;

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

/// Iterator over the rows of a source of JSON lines: `(line, row)`, or a bad line.
///
/// Blank lines, a byte order mark and carriage returns before a line's end are skipped.
/// A read error ends the iteration and is kept for [`RowReader::io_error`]. [`FileRows`](super::FileRows)
/// reads the other formats too.
#[derive(Debug)]
pub struct RowReader<B, R> {
    lines: Lines<B>,
    failure: Option<io::Error>,
    shape: PhantomData<fn() -> R>,
}

impl<B: BufRead, R: Row> RowReader<B, R> {
    /// Reader of rows from `source`.
    pub fn new(source: B, options: &ReadOptions) -> Self {
        let lines = Lines::new(source, options.max_line_bytes);
        Self { lines, failure: None, shape: PhantomData }
    }

    /// The read error that ended the iteration early, if one did.
    pub fn io_error(&mut self) -> Option<io::Error> {
        self.failure.take()
    }
}

impl<B: BufRead, R: Row> Iterator for RowReader<B, R> {
    type Item = Result<(usize, R), BadRow>;

    fn next(&mut self) -> Option<Self::Item> {
        let (line, record) = match self.lines.advance() {
            Ok(next) => next?,
            Err(error) => {
                self.failure = Some(error);
                return None;
            }
        };
        let row = record.and_then(Record::into_row::<R>);
        Some(row.map(|row| (line, row)).map_err(|problem| BadRow { line, problem, file: None }))
    }
}

/// The rows of the files at `path`: a file in any [format](super), a folder of them or a pattern.
///
/// # Errors
/// [`RowsError::Bad`] with every bad line unless they are skipped, [`RowsError::NoRows`] for a
/// file without rows.
pub fn read_rows<R: Row>(path: &Path, options: &ReadOptions) -> Result<Rows<R>, RowsError> {
    collect(FileRows::open(path, options)?, path, options)
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
    source: impl Read,
    name: &Path,
    options: &ReadOptions,
) -> Result<Rows<R>, RowsError> {
    collect(FileRows::of_source(source, name, options)?, name, options)
}

fn collect<R: Row>(
    mut reader: FileRows<'_, R>,
    name: &Path,
    options: &ReadOptions,
) -> Result<Rows<R>, RowsError> {
    let path = PathBuf::from(name);
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
    reader.finish()?;
    skipped.total = rows.len() + skipped.count;
    if options.on_bad_row == OnBadRow::Refuse && !skipped.is_empty() {
        return Err(RowsError::Bad(skipped));
    }
    if rows.is_empty() && skipped.is_empty() && options.limit != Some(0) {
        return Err(RowsError::NoRows { path, expected: R::SHAPE });
    }
    Ok(Rows { rows, lines, skipped })
}
