//! Files of rows to lists of token ids, with an account of every row that is not among them.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use bestof_losses::Label;
use bestof_tasks::rows::{
    BadRow, DataRow, FileRows, LabelledRow, OnBadRow, PreferenceRow, ReadOptions, Row, RowProblem,
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
    /// The line of each row, from 1; of Parquet files the row.
    pub lines: Vec<usize>,
    /// The file of each row.
    pub files: Vec<Arc<Path>>,
    /// What became of the other lines.
    pub report: DataReport,
}

/// The pairs of a file in any [format](bestof_tasks::rows), of a folder of them or a pattern.
///
/// # Errors
/// [`DataError::Rows`] if the file cannot be read or, under [`OnBadRow::Refuse`], has bad lines;
/// [`DataError::NothingLeft`] if every row was dropped.
pub fn load_pairs(
    path: &Path,
    encoder: &Encoder<'_>,
    options: &ReadOptions,
) -> Result<Loaded<EncodedPair>, DataError> {
    collect(FileRows::open(path, options)?, path, options, pair(encoder))
}

/// The pairs of `source`; `name` stands for it in messages. As [`load_pairs`].
pub fn load_pairs_from(
    source: impl Read,
    name: &Path,
    encoder: &Encoder<'_>,
    options: &ReadOptions,
) -> Result<Loaded<EncodedPair>, DataError> {
    collect(FileRows::of_source(source, name, options)?, name, options, pair(encoder))
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
    collect(FileRows::open(path, options)?, path, options, labelled(encoder))
}

/// The labelled completions of `source`. As [`load_labelled`].
pub fn load_labelled_from(
    source: impl Read,
    name: &Path,
    encoder: &Encoder<'_>,
    options: &ReadOptions,
) -> Result<Loaded<EncodedLabelled>, DataError> {
    collect(FileRows::of_source(source, name, options)?, name, options, labelled(encoder))
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
    collect(FileRows::open(path, options)?, path, options, supervised(encoder))
}

/// The completions and running texts of `source`. As [`load_supervised`].
pub fn load_supervised_from(
    source: impl Read,
    name: &Path,
    encoder: &Encoder<'_>,
    options: &ReadOptions,
) -> Result<Loaded<EncodedCompletion>, DataError> {
    collect(FileRows::of_source(source, name, options)?, name, options, supervised(encoder))
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
    collect(FileRows::open(path, options)?, path, options, any_row(encoder))
}

/// The pairs, completions and running texts of `source`. As [`load_rows`].
pub fn load_rows_from(
    source: impl Read,
    name: &Path,
    encoder: &Encoder<'_>,
    options: &ReadOptions,
) -> Result<Loaded<EncodedRow>, DataError> {
    collect(FileRows::of_source(source, name, options)?, name, options, any_row(encoder))
}

/// The rows of a file in any shape, each made into what `encode` makes of it.
pub(crate) fn load_each<R: Row, T>(
    path: &Path,
    options: &ReadOptions,
    encode: impl Fn(R) -> Result<T, Refusal>,
) -> Result<Loaded<T>, DataError> {
    let kept = |row| Ok(Kept { item: encode(row)?, separate: false, truncated: false });
    collect(FileRows::open(path, options)?, path, options, kept)
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
    let encoder = encoder.for_row(&row.template)?;
    let item = encoder.encode_pair(&row.prompt, &row.chosen, &row.rejected)?;
    Ok(Kept { truncated: item.truncated, separate: item.has_separate_boundary(), item })
}

fn encode_labelled(
    encoder: &Encoder<'_>,
    row: &LabelledRow,
) -> Result<Kept<EncodedCompletion>, Refusal> {
    let encoder = encoder.for_row(&row.template)?;
    encoder.encode_completion(&row.prompt, &row.completion).map(kept_completion)
}

fn pair<'e>(
    encoder: &'e Encoder<'_>,
) -> impl Fn(PreferenceRow) -> Result<Kept<EncodedPair>, Refusal> + 'e {
    move |row| encode_pair(encoder, &row)
}

fn labelled<'e>(
    encoder: &'e Encoder<'_>,
) -> impl Fn(LabelledRow) -> Result<Kept<EncodedLabelled>, Refusal> + 'e {
    move |row| {
        let label = if row.label { Label::Desirable } else { Label::Undesirable };
        let kept = encode_labelled(encoder, &row)?;
        Ok(kept.map(|completion| EncodedLabelled { completion, label }))
    }
}

fn supervised<'e>(
    encoder: &'e Encoder<'_>,
) -> impl Fn(SupervisedRow) -> Result<Kept<EncodedCompletion>, Refusal> + 'e {
    move |row| encoder.encode_supervised(&row).map(kept_completion)
}

fn any_row<'e>(
    encoder: &'e Encoder<'_>,
) -> impl Fn(DataRow) -> Result<Kept<EncodedRow>, Refusal> + 'e {
    move |row| match row {
        DataRow::Pair(row) => encode_pair(encoder, &row).map(|kept| kept.map(EncodedRow::Pair)),
        DataRow::Labelled(row) => {
            encode_labelled(encoder, &row).map(|kept| kept.map(EncodedRow::Completion))
        }
        DataRow::Supervised(row) => {
            let kept = encoder.encode_supervised(&row).map(kept_completion)?;
            Ok(kept.map(EncodedRow::Completion))
        }
        DataRow::Answer(_) => Err(Refusal::Bad(RowProblem::Inconsistent {
            field: "answer".to_owned(),
            found: "the answer a verifier looks for".to_owned(),
            expected: "a completion to score: `completion`, `chosen` and `rejected`, or `text`"
                .to_owned(),
        })),
    }
}

fn kept_completion(item: EncodedCompletion) -> Kept<EncodedCompletion> {
    Kept { truncated: item.truncated, separate: item.boundary == Boundary::Separate, item }
}

fn collect<R: Row, T>(
    rows: FileRows<'_, R>,
    name: &Path,
    options: &ReadOptions,
    encode: impl Fn(R) -> Result<Kept<T>, Refusal>,
) -> Result<Loaded<T>, DataError> {
    let (mut items, mut lines, mut files) = (Vec::new(), Vec::new(), Vec::new());
    let report = each_row(rows, name, options, |(file, line), row, report| {
        let kept = encode(row)?;
        report.keep(kept.separate, kept.truncated);
        push(&mut items, kept.item);
        push(&mut lines, line);
        push(&mut files, Arc::clone(file));
        Ok(())
    })?;
    if items.is_empty() && options.limit != Some(0) {
        return Err(DataError::NothingLeft { file: name.to_owned(), report: Box::new(report) });
    }
    Ok(Loaded { items, lines, files, report })
}

/// A list that doubles would hold room for a million rows that a file of a million and one does not have.
fn push<T>(list: &mut Vec<T>, item: T) {
    if list.len() == list.capacity() {
        list.reserve_exact(list.len() / 8 + 64);
    }
    list.push(item);
}

/// Gives every row to `visit` and accounts for those that it refuses.
///
/// One row is in memory at a time; `visit` counts the rows it keeps.
pub(super) fn each_row<R: Row>(
    mut rows: FileRows<'_, R>,
    name: &Path,
    options: &ReadOptions,
    mut visit: impl FnMut((&Arc<Path>, usize), R, &mut DataReport) -> Result<(), Refusal>,
) -> Result<DataReport, DataError> {
    let mut report = DataReport::new(name);
    while options.limit.is_none_or(|limit| report.kept < limit) {
        let Some(next) = rows.next() else { break };
        report.rows += 1;
        let (line, row) = match next {
            Ok(row) => row,
            Err(bad) => {
                report.bad_row(bad);
                continue;
            }
        };
        let place = Arc::clone(rows.file());
        let file = || place.to_path_buf();
        match visit((&place, line), row, &mut report) {
            Ok(()) => {}
            Err(Refusal::Dropped(reason)) => report.drop_row(line, reason),
            Err(Refusal::Bad(problem)) => {
                let file = (*place != *name).then(|| Arc::clone(&place));
                report.bad_row(BadRow { line, problem, file });
            }
            Err(Refusal::NoChatTemplate) => {
                return Err(DataError::NoChatTemplate { file: file(), line });
            }
            Err(Refusal::Tokenizer(source)) => {
                return Err(DataError::Tokenizer { file: file(), line, source: Box::new(source) });
            }
        }
    }
    rows.finish()?;
    report.bad.total = report.rows;
    if options.on_bad_row == OnBadRow::Refuse && !report.bad.is_empty() {
        return Err(RowsError::Bad(report.bad).into());
    }
    if report.rows == 0 && options.limit != Some(0) {
        return Err(RowsError::NoRows { path: name.to_owned(), expected: R::SHAPE }.into());
    }
    Ok(report)
}
