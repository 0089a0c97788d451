//! Long documents cut into windows that overlap, each a row to train on.

use std::path::Path;
use std::sync::Arc;

use bestof_tasks::rows::{
    Content, FileRows, ReadOptions, RowsError, SupervisedRow, TextRow, holds_rows,
};

use super::load::each_row;
use super::{
    Boundary, DataError, DataReport, DropReason, EncodedCompletion, Encoder, Loaded, Refusal,
};

/// How documents are cut.
///
/// Source: the released fine-tuning script of Giraffe (Pal et al. 2023, arXiv:2308.10882): texts
/// without beginning and end tokens, windows that overlap by half.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextWindows {
    /// Tokens of a window.
    pub length: usize,
    /// Tokens by which windows move.
    pub stride: usize,
}

impl TextWindows {
    /// Begin and end of each window over `n` tokens.
    ///
    /// ```text
    /// begins 0, stride, 2 stride, ... below max(1, n - stride)
    /// ```
    ///
    /// The last window ends with the document and may be shorter; nothing is padded.
    pub fn over(self, n: usize) -> Vec<(usize, usize)> {
        let stride = self.stride.clamp(1, self.length.max(1));
        (0..n.saturating_sub(stride).max(1))
            .step_by(stride)
            .map(|begin| (begin, (begin + self.length).min(n)))
            .collect()
    }
}

/// The windows of the documents of a file, and its completions as they are.
///
/// A file of rows, by the ending of its name or as Parquet, holds `{"text"}`, whose texts are cut, or
/// `{"prompt", "completion"}` and conversations, which `encoder` encodes whole; any other file is one
/// document of plain text. A window is a row of its own: nothing attends across documents or
/// windows.
///
/// # Errors
/// As [`super::load_supervised`].
pub fn load_windows(
    path: &Path,
    encoder: &Encoder<'_>,
    windows: TextWindows,
    options: &ReadOptions,
) -> Result<Loaded<EncodedCompletion>, DataError> {
    let (mut items, mut lines, mut files) = (Vec::new(), Vec::new(), Vec::new());
    let mut keep = |(file, line): (&Arc<Path>, usize),
                    rows: Vec<EncodedCompletion>,
                    report: &mut DataReport| {
        let cut_apart = rows.iter().any(|row| row.boundary == Boundary::Separate);
        report.keep(cut_apart, rows.iter().any(|row| row.truncated));
        lines.extend(rows.iter().map(|_| line));
        files.extend(rows.iter().map(|_| Arc::clone(file)));
        items.extend(rows);
    };
    let failed = |source| RowsError::Io { action: "read", path: path.to_owned(), source };
    let report = if holds_rows(path).map_err(failed)? {
        let read = FileRows::open(path, options)?;
        each_row(read, path, options, |place, row: SupervisedRow, report| {
            let rows = match &row {
                SupervisedRow::Text(TextRow { text: Content::Text(text), .. }) => {
                    cut(text, encoder, windows)?
                }
                _ => vec![encoder.encode_supervised(&row)?],
            };
            keep(place, rows, report);
            Ok(())
        })?
    } else {
        let mut report = DataReport::new(path);
        report.rows = 1;
        let text = bestof_files::read_text(path).map_err(failed)?;
        match cut(&text, encoder, windows) {
            Ok(rows) => keep((&path.into(), 1), rows, &mut report),
            Err(Refusal::Dropped(reason)) => report.drop_row(1, reason),
            Err(Refusal::Tokenizer(source)) => {
                let (file, source) = (path.to_owned(), Box::new(source));
                return Err(DataError::Tokenizer { file, line: 1, source });
            }
            Err(Refusal::Bad(_) | Refusal::NoChatTemplate) => {
                unreachable!("plain text is no row and no conversation")
            }
        }
        report
    };
    if items.is_empty() {
        return Err(DataError::NothingLeft { file: path.to_owned(), report: Box::new(report) });
    }
    Ok(Loaded { items, lines, files, report })
}

/// The windows of one document; the first token of each is not predicted.
fn cut(
    text: &str,
    encoder: &Encoder<'_>,
    windows: TextWindows,
) -> Result<Vec<EncodedCompletion>, Refusal> {
    let ids = encoder.tokenizer().encode(text, false).map_err(Refusal::Tokenizer)?;
    let size = encoder.options().vocab_size.unwrap_or(usize::MAX);
    if ids.iter().any(|&id| id as usize >= size) {
        return Err(DropReason::BeyondVocabulary.into());
    }
    let rows: Vec<EncodedCompletion> = windows
        .over(ids.len())
        .into_iter()
        .filter(|(begin, end)| end - begin > 1)
        .map(|(begin, end)| EncodedCompletion {
            prompt_ids: vec![ids[begin]],
            completion_ids: ids[begin + 1..end].to_vec(),
            boundary: Boundary::Joint,
            skipped: Vec::new(),
            truncated: false,
        })
        .collect();
    if rows.is_empty() { Err(DropReason::EmptyCompletion.into()) } else { Ok(rows) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_begin_where_the_released_script_begins_them() {
        let over = |length, stride, n| TextWindows { length, stride }.over(n);
        assert_eq!(over(4, 2, 10), [(0, 4), (2, 6), (4, 8), (6, 10)]);
        assert_eq!(over(4, 2, 9), [(0, 4), (2, 6), (4, 8), (6, 9)]);
        assert_eq!(over(4, 4, 9), [(0, 4), (4, 8)], "the script leaves a short tail out");
        assert_eq!(over(8, 4, 3), [(0, 3)]);
        assert_eq!(over(8, 4, 0), [(0, 0)]);
        for (length, stride, n) in [(7, 3, 40), (16, 8, 100), (5, 1, 12)] {
            let windows = over(length, stride, n);
            assert_eq!(windows[0].0, 0);
            assert_eq!(windows.last().unwrap().1, n, "overlapping windows reach the end");
            assert!(windows.windows(2).all(|pair| pair[1].0 < pair[0].1));
        }
    }
}
