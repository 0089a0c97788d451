//! Files of rows to lists of token ids, with an account of every row that is not among them.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use bestof_losses::Label;
use bestof_tasks::rows::{
    BadRow, DataRow, LabelledRow, OnBadRow, PreferenceRow, ReadOptions, Row, RowProblem, RowReader,
    RowsError, SupervisedRow,
};

use super::{
    Boundary, DataError, DataReport, EncodedCompletion, EncodedLabelled, EncodedPair, EncodedRow,
    Encoder, Refusal,
};

/// The usable rows of a file.
#[derive(Debug, Clone)]
pub struct Loaded<T> {
    /// The rows in the file's order.
    pub items: Vec<T>,
    /// The line of each row, from 1.
    pub lines: Vec<usize>,
    /// What became of the other lines.
    pub report: DataReport,
}

/// The pairs of a file.
///
/// # Errors
/// [`DataError::Rows`] if the file cannot be read or, under [`OnBadRow::Refuse`], has bad lines;
/// [`DataError::NothingLeft`] if every row was dropped.
pub fn load_pairs(
    path: &Path,
    encoder: &Encoder<'_>,
    options: &ReadOptions,
) -> Result<Loaded<EncodedPair>, DataError> {
    load_pairs_from(open(path)?, path, encoder, options)
}

/// The pairs of `source`; `name` stands for it in messages. As [`load_pairs`].
pub fn load_pairs_from(
    source: impl BufRead,
    name: &Path,
    encoder: &Encoder<'_>,
    options: &ReadOptions,
) -> Result<Loaded<EncodedPair>, DataError> {
    collect(source, name, options, |row: PreferenceRow| encode_pair(encoder, &row))
}

/// The labelled completions of a file.
///
/// # Errors
/// As [`load_pairs`].
pub fn load_labelled(
    path: &Path,
    encoder: &Encoder<'_>,
    options: &ReadOptions,
) -> Result<Loaded<EncodedLabelled>, DataError> {
    load_labelled_from(open(path)?, path, encoder, options)
}

/// The labelled completions of `source`. As [`load_labelled`].
pub fn load_labelled_from(
    source: impl BufRead,
    name: &Path,
    encoder: &Encoder<'_>,
    options: &ReadOptions,
) -> Result<Loaded<EncodedLabelled>, DataError> {
    collect(source, name, options, |row: LabelledRow| {
        let kept = kept_completion(encoder.encode_completion(&row.prompt, &row.completion)?);
        let label = if row.label { Label::Desirable } else { Label::Undesirable };
        Ok(kept.map(|completion| EncodedLabelled { completion, label }))
    })
}

/// The completions and running texts of a file, for supervised training.
///
/// # Errors
/// As [`load_pairs`].
pub fn load_supervised(
    path: &Path,
    encoder: &Encoder<'_>,
    options: &ReadOptions,
) -> Result<Loaded<EncodedCompletion>, DataError> {
    load_supervised_from(open(path)?, path, encoder, options)
}

/// The completions and running texts of `source`. As [`load_supervised`].
pub fn load_supervised_from(
    source: impl BufRead,
    name: &Path,
    encoder: &Encoder<'_>,
    options: &ReadOptions,
) -> Result<Loaded<EncodedCompletion>, DataError> {
    collect(source, name, options, |row: SupervisedRow| encode_supervised(encoder, &row))
}

/// The pairs, completions and running texts of a file, in their order: what can be scored.
///
/// # Errors
/// As [`load_pairs`].
pub fn load_rows(
    path: &Path,
    encoder: &Encoder<'_>,
    options: &ReadOptions,
) -> Result<Loaded<EncodedRow>, DataError> {
    load_rows_from(open(path)?, path, encoder, options)
}

/// The pairs, completions and running texts of `source`. As [`load_rows`].
pub fn load_rows_from(
    source: impl BufRead,
    name: &Path,
    encoder: &Encoder<'_>,
    options: &ReadOptions,
) -> Result<Loaded<EncodedRow>, DataError> {
    collect(source, name, options, |row: DataRow| match row {
        DataRow::Pair(row) => encode_pair(encoder, &row).map(|kept| kept.map(EncodedRow::Pair)),
        DataRow::Supervised(row) => {
            encode_supervised(encoder, &row).map(|kept| kept.map(EncodedRow::Completion))
        }
        DataRow::Answer(_) => Err(Refusal::Bad(RowProblem::Inconsistent {
            field: "answer".to_owned(),
            found: "the answer a verifier looks for".to_owned(),
            expected: "a completion to score: `completion`, `chosen` and `rejected`, or `text`"
                .to_owned(),
        })),
    })
}

/// The rows of a file in any shape, each made into what `encode` makes of it.
pub(crate) fn load_each<R: Row, T>(
    path: &Path,
    options: &ReadOptions,
    encode: impl Fn(R) -> Result<T, Refusal>,
) -> Result<Loaded<T>, DataError> {
    let kept = |row| Ok(Kept { item: encode(row)?, separate: false, truncated: false });
    collect(open(path)?, path, options, kept)
}

/// An encoded row, and what to count of it.
struct Kept<T> {
    item: T,
    separate: bool,
    truncated: bool,
}

impl<T> Kept<T> {
    fn map<U>(self, into: impl FnOnce(T) -> U) -> Kept<U> {
        Kept { item: into(self.item), separate: self.separate, truncated: self.truncated }
    }
}

fn encode_pair(encoder: &Encoder<'_>, row: &PreferenceRow) -> Result<Kept<EncodedPair>, Refusal> {
    let item = encoder.encode_pair(&row.prompt, &row.chosen, &row.rejected)?;
    Ok(Kept { truncated: item.truncated, separate: item.has_separate_boundary(), item })
}

fn encode_supervised(
    encoder: &Encoder<'_>,
    row: &SupervisedRow,
) -> Result<Kept<EncodedCompletion>, Refusal> {
    encoder.encode_supervised(row).map(kept_completion)
}

fn kept_completion(item: EncodedCompletion) -> Kept<EncodedCompletion> {
    Kept { truncated: item.truncated, separate: item.boundary == Boundary::Separate, item }
}

fn collect<R: Row, T>(
    source: impl BufRead,
    name: &Path,
    options: &ReadOptions,
    encode: impl Fn(R) -> Result<Kept<T>, Refusal>,
) -> Result<Loaded<T>, DataError> {
    let (mut items, mut lines) = (Vec::new(), Vec::new());
    let report = each_row(source, name, options, |line, row, report| {
        let kept = encode(row)?;
        report.keep(kept.separate, kept.truncated);
        items.push(kept.item);
        lines.push(line);
        Ok(())
    })?;
    if items.is_empty() && options.limit != Some(0) {
        return Err(DataError::NothingLeft { file: name.to_owned(), report: Box::new(report) });
    }
    Ok(Loaded { items, lines, report })
}

pub(super) fn open(path: &Path) -> Result<BufReader<File>, DataError> {
    let opened = File::open(path).and_then(|file| {
        if file.metadata()?.is_dir() {
            return Err(std::io::ErrorKind::IsADirectory.into());
        }
        Ok(file)
    });
    let file =
        opened.map_err(|source| RowsError::Io { action: "open", path: path.to_owned(), source })?;
    Ok(BufReader::with_capacity(1 << 16, file))
}

/// Gives every row of `source` to `visit` and accounts for those that it refuses.
///
/// One row is in memory at a time; `visit` counts the rows it keeps.
pub(super) fn each_row<R: Row>(
    source: impl BufRead,
    name: &Path,
    options: &ReadOptions,
    mut visit: impl FnMut(usize, R, &mut DataReport) -> Result<(), Refusal>,
) -> Result<DataReport, DataError> {
    let mut reader = RowReader::<_, R>::new(source, options);
    let mut report = DataReport::new(name);
    let file = || name.to_owned();
    while options.limit.is_none_or(|limit| report.kept < limit) {
        let Some(next) = reader.next() else { break };
        report.rows += 1;
        let (line, row) = match next {
            Ok(row) => row,
            Err(bad) => {
                report.bad_row(bad);
                continue;
            }
        };
        match visit(line, row, &mut report) {
            Ok(()) => {}
            Err(Refusal::Dropped(reason)) => report.drop_row(line, reason),
            Err(Refusal::Bad(problem)) => report.bad_row(BadRow { line, problem }),
            Err(Refusal::NoChatTemplate) => {
                return Err(DataError::NoChatTemplate { file: file(), line });
            }
            Err(Refusal::Tokenizer(source)) => {
                return Err(DataError::Tokenizer { file: file(), line, source: Box::new(source) });
            }
        }
    }
    if let Some(source) = reader.io_error() {
        return Err(RowsError::Io { action: "read", path: file(), source }.into());
    }
    report.bad.total = report.rows;
    if options.on_bad_row == OnBadRow::Refuse && !report.bad.is_empty() {
        return Err(RowsError::Bad(report.bad).into());
    }
    if report.rows == 0 && options.limit != Some(0) {
        return Err(RowsError::NoRows { path: file(), expected: R::SHAPE }.into());
    }
    Ok(report)
}
