//! Questions and documents of a data file, in bounded memory.

use std::io::Read;
use std::path::Path;

use super::item::QaItem;
use super::matching::Answer;
use super::row::QaRow;
use crate::rng::{Split, split_of};
use crate::rows::{BadRows, FileRows, OnBadRow, ReadOptions, Row, RowsError};
use crate::setters::setters;

/// How much of a data file is kept in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolOptions {
    /// How lines are read; its limit is not used.
    pub rows: ReadOptions,
    /// Largest number of items.
    pub max_items: usize,
    /// Largest size of all documents together, in bytes.
    pub max_bytes: usize,
    /// Largest size of one document, in bytes; of longer ones the part around the answer is kept.
    pub max_document_bytes: usize,
}

setters!(PoolOptions {
    rows: ReadOptions,
    max_items: usize,
    max_bytes: usize,
    max_document_bytes: usize
});

impl Default for PoolOptions {
    fn default() -> Self {
        Self {
            rows: ReadOptions::default(),
            max_items: 20_000,
            max_bytes: 256 << 20,
            max_document_bytes: 4 << 20,
        }
    }
}

/// The items of a data file, or the first of them.
#[derive(Debug, Clone)]
pub struct QaPool {
    /// The items, in the file's order.
    pub items: Vec<QaItem>,
    /// Bad lines; empty unless they are skipped.
    pub bad_rows: BadRows,
    /// Number of documents of which only a part was kept.
    pub narrowed: usize,
    /// Whether the file has more items than were kept.
    pub cut_short: bool,
}

impl QaPool {
    /// The items of the file, or the files, at `path`, in any format of rows.
    ///
    /// # Errors
    /// [`RowsError::Bad`] with every bad line unless they are skipped, [`RowsError::NoRows`], a file that
    /// cannot be read.
    pub fn read(path: &Path, options: &PoolOptions) -> Result<Self, RowsError> {
        Self::of(FileRows::open(path, &options.rows)?, path, options)
    }

    /// The items of `source`, read line by line; `name` stands for it in errors.
    ///
    /// ```
    /// use bestof_tasks::long_context::qa::{PoolOptions, QaPool};
    ///
    /// let lines = r#"{"question": "Who built it?", "answer": "Ilvane Torsk", "document": "The hall was built by Ilvane Torsk."}"#;
    /// let pool = QaPool::read_from(lines.as_bytes(), "qa.jsonl".as_ref(), &PoolOptions::default())?;
    /// assert_eq!(pool.items[0].answers, ["Ilvane Torsk"]);
    /// # Ok::<(), bestof_tasks::rows::RowsError>(())
    /// ```
    pub fn read_from(
        source: impl Read,
        name: &Path,
        options: &PoolOptions,
    ) -> Result<Self, RowsError> {
        Self::of(FileRows::of_source(source, name, &options.rows)?, name, options)
    }

    fn of(
        mut reader: FileRows<'_, QaRow>,
        name: &Path,
        options: &PoolOptions,
    ) -> Result<Self, RowsError> {
        let mut pool = Self {
            items: Vec::new(),
            bad_rows: BadRows::none(name.to_owned()),
            narrowed: 0,
            cut_short: false,
        };
        let mut bytes = 0;
        for read in reader.by_ref() {
            let (line, row) = match read {
                Ok(read) => read,
                Err(bad) => {
                    pool.bad_rows.push(bad);
                    continue;
                }
            };
            let (document, narrowed) =
                narrow(row.document, &row.answers, options.max_document_bytes);
            if pool.items.len() >= options.max_items || bytes + document.len() > options.max_bytes {
                pool.cut_short = true;
                break;
            }
            bytes += document.len();
            pool.narrowed += usize::from(narrowed);
            let QaRow { title, question, answers, .. } = row;
            pool.items.push(QaItem { item: line, title, question, answers, document });
        }
        reader.finish()?;
        pool.bad_rows.total = pool.items.len() + pool.bad_rows.count;
        if options.rows.on_bad_row == OnBadRow::Refuse && !pool.bad_rows.is_empty() {
            return Err(RowsError::Bad(pool.bad_rows));
        }
        if pool.items.is_empty() && pool.bad_rows.is_empty() && !pool.cut_short {
            return Err(RowsError::NoRows { path: name.to_owned(), expected: QaRow::SHAPE });
        }
        Ok(pool)
    }

    /// The items of one split, decided by a hash of the title (or of the document if it has none):
    /// the two splits share no document.
    #[must_use]
    pub fn part(mut self, split: Split) -> Self {
        self.items
            .retain(|item| split_of(item.title.as_deref().unwrap_or(&item.document)) == split);
        self
    }
}

/// The document, or `limit` bytes of whole characters around the first answer in it.
fn narrow(mut document: String, answers: &[String], limit: usize) -> (String, bool) {
    if document.len() <= limit {
        return (document, false);
    }
    let found = answers
        .iter()
        .find_map(|answer| Answer::new(answer).occurrences(&document).into_iter().next())
        .unwrap_or(0..0);
    let mut start = found.start.saturating_sub(limit.saturating_sub(found.len()) / 2);
    start = start.min(document.len() - limit);
    let mut end = start + limit;
    while !document.is_char_boundary(start) {
        start += 1;
    }
    while !document.is_char_boundary(end) {
        end -= 1;
    }
    document.truncate(end.max(start));
    (document.split_off(start.min(document.len())), true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(lines: &str, options: &PoolOptions) -> Result<QaPool, RowsError> {
        QaPool::read_from(lines.as_bytes(), "qa.jsonl".as_ref(), options)
    }

    #[test]
    fn bounds_are_kept_and_said() {
        let line = |n: usize| {
            format!(r#"{{"question":"Q","answer":"A{n}","document":"{} A{n} x"}}"#, "y ".repeat(50))
        };
        let lines: Vec<String> = (0..10).map(line).collect();
        let lines = lines.join("\n");
        let options = PoolOptions { max_items: 3, ..PoolOptions::default() };
        let pool = read(&lines, &options).unwrap();
        assert_eq!((pool.items.len(), pool.cut_short), (3, true));
        let options = PoolOptions { max_bytes: 450, ..PoolOptions::default() };
        let pool = read(&lines, &options).unwrap();
        assert_eq!((pool.items.len(), pool.cut_short), (4, true));
        let options = PoolOptions { max_document_bytes: 20, ..PoolOptions::default() };
        let pool = read(&lines, &options).unwrap();
        assert_eq!((pool.items.len(), pool.narrowed, pool.cut_short), (10, 10, false));
        assert!(pool.items.iter().all(|item| item.document.contains(&item.answers[0])));
    }

    #[test]
    fn bad_lines_are_refused_or_listed() {
        let lines = "{\"question\":\"Q\",\"answer\":\"A\",\"document\":\"A\"}\n{\"question\":1}\n";
        let error = read(lines, &PoolOptions::default()).unwrap_err().to_string();
        assert!(error.contains("qa.jsonl:2: field `question`: found the number 1"), "{error}");
        let rows = ReadOptions { on_bad_row: OnBadRow::Skip, ..ReadOptions::default() };
        let pool = read(lines, &PoolOptions { rows, ..PoolOptions::default() }).unwrap();
        assert_eq!((pool.items.len(), pool.bad_rows.count, pool.bad_rows.total), (1, 1, 2));
        assert!(matches!(read("\n", &PoolOptions::default()), Err(RowsError::NoRows { .. })));
    }

    #[test]
    fn parts_share_no_document() {
        let lines: Vec<String> = (0..200)
            .map(|n| {
                format!(r#"{{"question":"Q{n}","answer":"A","document":"A","title":"T{}"}}"#, n / 2)
            })
            .collect();
        let pool = read(&lines.join("\n"), &PoolOptions::default()).unwrap();
        let titles = |split| -> Vec<_> {
            pool.clone().part(split).items.into_iter().map(|item| item.title).collect()
        };
        let (train, held_out) = (titles(Split::Train), titles(Split::HeldOut));
        assert_eq!(train.len() + held_out.len(), 200);
        assert!(!held_out.is_empty() && held_out.iter().all(|title| !train.contains(title)));
    }

    proptest! {
        #[test]
        fn narrowing_keeps_the_answer(before in "[aé ]{0,60}", after in "[aé ]{0,60}", limit in 6_usize..80) {
            let document = format!("{before} XYZ {after}");
            let length = document.len();
            let (kept, narrowed) = narrow(document.clone(), &["XYZ".to_owned()], limit);
            prop_assert!(kept.len() <= limit.max(length.min(limit)) && document.contains(&kept));
            prop_assert_eq!(narrowed, length > limit);
            prop_assert!(kept.contains("XYZ"));
        }
    }
}
