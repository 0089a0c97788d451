//! The rows of files in any format, one at a time.

use std::collections::VecDeque;
use std::io::Read;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::field::Fields;
use super::files::row_files;
use super::options::ReadOptions;
use super::problem::{BadRow, RowProblem, RowsError};
use super::record::Record;
use super::records::Records;
use super::row::Row;

/// Iterator over the rows of a file, or of several: `(line, row)`, or a bad line.
///
/// What a file is shows in its first bytes: JSON lines, a JSON array, CSV, Parquet, and gzip or
/// Zstandard of each. One row is in memory at a time. What ends the rows early is kept for
/// [`FileRows::finish`].
pub struct FileRows<'s, R> {
    records: Option<Records<'s>>,
    file: Arc<Path>,
    waiting: VecDeque<PathBuf>,
    several: bool,
    options: ReadOptions,
    failure: Option<RowsError>,
    /// Columns of the first row.
    first: Option<Vec<String>>,
    /// Whether each column of the options was in some row.
    found: Vec<bool>,
    ended: bool,
    shape: PhantomData<fn() -> R>,
}

impl<R> std::fmt::Debug for FileRows<'_, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileRows").field("file", &self.file).finish_non_exhaustive()
    }
}

impl<'s, R: Row> FileRows<'s, R> {
    /// The rows at `path`: a file, a folder of them or a pattern.
    ///
    /// # Errors
    /// There is no such file, it cannot be read, or it is of a kind that holds no rows.
    pub fn open(path: &Path, options: &ReadOptions) -> Result<Self, RowsError> {
        let mut waiting = VecDeque::from(row_files(path)?);
        let several = waiting.len() > 1;
        let first = waiting.pop_front().unwrap_or_else(|| path.to_owned());
        let records = Records::open(&first, options)?;
        Ok(Self { waiting, several, ..Self::new(records, &first, options) })
    }

    /// The rows of a source; `name` stands for it in messages.
    ///
    /// # Errors
    /// As [`FileRows::open`].
    pub fn of_source(
        source: impl Read + 's,
        name: &Path,
        options: &ReadOptions,
    ) -> Result<Self, RowsError> {
        Ok(Self::new(Records::of_source(source, name, options)?, name, options))
    }

    fn new(records: Records<'s>, file: &Path, options: &ReadOptions) -> Self {
        Self {
            records: Some(records),
            file: file.into(),
            waiting: VecDeque::new(),
            several: false,
            options: options.clone(),
            failure: None,
            first: None,
            found: vec![false; options.columns.len()],
            ended: false,
            shape: PhantomData,
        }
    }

    /// The file of the row given last.
    pub fn file(&self) -> &Arc<Path> {
        &self.file
    }

    /// What ended the rows early, or a column of the options that no row has.
    ///
    /// # Errors
    /// Either of them.
    pub fn finish(&mut self) -> Result<(), RowsError> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        let missing = self.found.iter().position(|found| !found);
        match (missing.filter(|_| self.ended), &self.first) {
            (Some(missing), Some(first)) => {
                let (name, column) = self.options.columns[missing].clone();
                // A column that is to be left out has only its own name.
                let (name, column) =
                    if column.is_empty() { (String::new(), name) } else { (name, column) };
                let (path, present) = (self.file.to_path_buf(), first.clone());
                Err(RowsError::NoColumn { path, column, name, present })
            }
            _ => Ok(()),
        }
    }

    fn next_record(&mut self) -> Option<(usize, Result<Record, RowProblem>)> {
        loop {
            match self.records.as_mut()?.advance() {
                Ok(Some(next)) => return Some(next),
                Ok(None) => {
                    let Some(file) = self.waiting.pop_front() else {
                        self.ended = true;
                        return None;
                    };
                    self.file = file.as_path().into();
                    match Records::open(&file, &self.options) {
                        Ok(records) => self.records = Some(records),
                        Err(failure) => self.fail(failure),
                    }
                }
                Err(source) => {
                    let path = self.file.to_path_buf();
                    self.fail(RowsError::Io { action: "read", path, source });
                }
            }
        }
    }

    fn fail(&mut self, failure: RowsError) {
        self.records = None;
        self.failure = Some(failure);
    }

    /// Renames the columns of a record as the options say.
    fn rename(&mut self, record: &mut Record) {
        let Some(columns) = record.columns_mut() else { return };
        self.first.get_or_insert_with(|| columns.iter().map(|(name, _)| name.clone()).collect());
        let mut renamed = Vec::new();
        for ((name, column), found) in self.options.columns.iter().zip(&mut self.found) {
            let wanted = if column.is_empty() { name } else { column };
            let place = columns.iter().position(|(present, _)| present == wanted);
            if let Some(place) = place {
                *found = true;
                let (_, value) = columns.remove(place);
                if !column.is_empty() {
                    renamed.push((name.clone(), value));
                }
            }
        }
        columns.retain(|(present, _)| !renamed.iter().any(|(name, _)| name == present));
        columns.extend(renamed);
    }
}

impl<R: Row> Iterator for FileRows<'_, R> {
    type Item = Result<(usize, R), BadRow>;

    fn next(&mut self) -> Option<Self::Item> {
        let (line, record) = self.next_record()?;
        let row = record.and_then(|mut record| {
            self.rename(&mut record);
            record.into_row::<R>()
        });
        let file = || self.several.then(|| Arc::clone(&self.file));
        Some(row.map(|row| (line, row)).map_err(|problem| BadRow { line, problem, file: file() }))
    }
}

/// The first row at `path` as it stands; empty if there is no row.
///
/// # Errors
/// As [`FileRows::open`].
pub fn first_row(path: &Path, options: &ReadOptions) -> Result<Map<String, Value>, RowsError> {
    let mut rows = FileRows::<AsItStands>::open(path, options)?;
    let found = rows.by_ref().find_map(Result::ok);
    rows.finish()?;
    Ok(found.map(|(_, row)| row.0).unwrap_or_default())
}

struct AsItStands(Map<String, Value>);

impl Row for AsItStands {
    const SHAPE: &'static str = "{...}";

    fn from_fields(fields: Fields) -> Result<Self, RowProblem> {
        Ok(Self(fields.rest()))
    }
}
