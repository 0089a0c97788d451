//! CSV with the columns of the widely used sample of 10,000 reviews.

use std::cell::Cell;
use std::io::{self, Read};
use std::path::Path;
use std::rc::Rc;

use super::bytes::Opened;
use super::fields::{self, RawReview, categories_of};
use super::left_out::{LineProblem, Reason};
use crate::error::SentimentError;
use crate::review::BusinessMetadata;

/// The columns that are read; `text` is required, and so is `stars` unless rows are to be predicted.
/// `id` is used where there is no `review_id`.
pub const CSV_COLUMNS: [&str; 13] = [
    "business_id",
    "date",
    "review_id",
    "stars",
    "text",
    "user_id",
    "cool",
    "useful",
    "funny",
    "categories",
    "latitude",
    "longitude",
    "id",
];

/// Longest record in bytes; in a longer one a quotation mark is most likely missing.
const LONGEST_RECORD: u64 = 1 << 20;

/// The reviews of a CSV file, each with its line.
pub(crate) struct CsvRows {
    reader: csv::Reader<Bounded>,
    record: csv::ByteRecord,
    /// Bytes read since the last record.
    since: Rc<Cell<u64>>,
    /// Where each of [`CSV_COLUMNS`] is in a record.
    columns: [Option<usize>; CSV_COLUMNS.len()],
    width: usize,
    failure: Option<io::Error>,
}

impl CsvRows {
    /// Reads the header, which must have the columns `required`.
    pub(crate) fn new(
        source: Opened,
        path: &Path,
        required: &[&str],
    ) -> Result<Self, SentimentError> {
        let since = Rc::new(Cell::new(0));
        let bounded = Bounded { source, since: Rc::clone(&since) };
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(bounded);
        let failed = |error: csv::Error| SentimentError::io("read", path)(error.into());
        let header = reader.byte_headers().map_err(failed)?.clone();
        since.set(0);
        let name = |bytes: &[u8]| {
            let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
            String::from_utf8_lossy(bytes).trim().to_lowercase()
        };
        let found: Vec<String> = header.iter().map(name).collect();
        let index_of = |column: &str| found.iter().position(|name| name == column);
        for column in required {
            if index_of(column).is_none() {
                return Err(SentimentError::MissingColumn {
                    path: path.to_owned(),
                    column: (*column).to_owned(),
                    found: if found.is_empty() { "none".to_owned() } else { found.join(", ") },
                });
            }
        }
        Ok(Self {
            columns: CSV_COLUMNS.map(index_of),
            width: header.len(),
            reader,
            record: csv::ByteRecord::new(),
            since,
            failure: None,
        })
    }

    /// The I/O error that ended the rows early, if there was one.
    pub(crate) fn io_error(&mut self) -> Option<io::Error> {
        self.failure.take()
    }

    fn row(&self) -> Result<RawReview, LineProblem> {
        if self.record.len() != self.width {
            let message = format!(
                "the record has {} fields, and the header {}; is a quotation mark missing?",
                self.record.len(),
                self.width
            );
            return Err(LineProblem::new(Reason::Malformed, message));
        }
        let text = |column: &str| -> Result<Option<&str>, LineProblem> {
            let column_index = CSV_COLUMNS.iter().position(|name| *name == column);
            let Some(bytes) =
                column_index.and_then(|i| self.columns[i]).and_then(|i| self.record.get(i))
            else {
                return Ok(None);
            };
            let text = std::str::from_utf8(bytes).map_err(|error| {
                let byte = error.valid_up_to() + 1;
                let message = format!(
                    "column `{column}`: byte {byte} is not valid UTF-8; save the file as UTF-8"
                );
                LineProblem::new(Reason::Encoding, message)
            })?;
            Ok(Some(text).filter(|text| !text.is_empty()))
        };
        let owned = |column| Ok::<_, LineProblem>(text(column)?.unwrap_or_default().to_owned());
        let number = |column: &str| match text(column)? {
            None => Ok(None),
            Some(found) => {
                let number = found.trim().parse::<f64>().ok().filter(|number| number.is_finite());
                let wrong = || {
                    LineProblem::new(
                        Reason::WrongType,
                        format!("column `{column}`: expected a number"),
                    )
                };
                number.map(Some).ok_or_else(wrong)
            }
        };
        let whole = |column| Ok::<_, LineProblem>(number(column)?.map(|number| number as i64));
        Ok(RawReview {
            id: match owned("review_id")? {
                id if id.is_empty() => owned("id")?,
                id => id,
            },
            business_id: owned("business_id")?,
            user_id: owned("user_id")?,
            text: owned("text")?,
            stars: number("stars")?.map(fields::stars_of).transpose()?,
            date: text("date")?.map(fields::date_field).transpose()?,
            useful: whole("useful")?,
            funny: whole("funny")?,
            cool: whole("cool")?,
            metadata: BusinessMetadata {
                categories: text("categories")?.map(categories_of).unwrap_or_default(),
                latitude: number("latitude")?,
                longitude: number("longitude")?,
                price: None,
            },
        })
    }
}

impl Iterator for CsvRows {
    /// The line, counted from 1, and the review or why it cannot be used.
    type Item = (u64, Result<RawReview, LineProblem>);

    fn next(&mut self) -> Option<Self::Item> {
        let read = self.reader.read_byte_record(&mut self.record);
        self.since.set(0);
        match read {
            Ok(false) => None,
            Ok(true) => {
                let line = self.record.position().map_or(0, csv::Position::line);
                Some((line, self.row()))
            }
            Err(error) => {
                self.failure = Some(error.into());
                None
            }
        }
    }
}

/// A source that fails when a record has more than [`LONGEST_RECORD`] bytes.
struct Bounded {
    source: Opened,
    since: Rc<Cell<u64>>,
}

impl Read for Bounded {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.since.get() > LONGEST_RECORD {
            let message = format!(
                "a record has more than {LONGEST_RECORD} bytes; is a quotation mark missing?"
            );
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        let count = self.source.read(out)?;
        self.since.set(self.since.get() + count as u64);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(bytes: &[u8]) -> Result<CsvRows, SentimentError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("yelp.csv");
        std::fs::write(&path, bytes).unwrap();
        CsvRows::new(Opened::open(&path).unwrap(), &path, &["text", "stars"])
    }

    #[test]
    fn the_samples_columns_in_any_order() {
        let text = "business_id,date,review_id,stars,text,type,user_id,cool,useful,funny\n\
            b1,2011-01-26,r1,5,\"Good, \"\"really\"\"\nand cheap\",review,u1,2,5,0\n\
            b1,2011-01-27,r2,3,Fine,review,u2,0,0\n";
        let mut rows = rows(text.as_bytes()).unwrap();
        let (line, row) = rows.next().unwrap();
        let row = row.unwrap();
        assert_eq!((line, row.stars, row.useful), (2, Some(5), Some(5)));
        assert_eq!(row.text, "Good, \"really\"\nand cheap");
        let (line, row) = rows.next().unwrap();
        assert_eq!((line, row.unwrap_err().reason), (4, Reason::Malformed));
        assert!(rows.next().is_none());
    }

    #[test]
    fn the_column_id_replaces_a_missing_review_id() {
        let names = |text: &str| {
            rows(text.as_bytes()).unwrap().map(|(_, row)| row.unwrap().id).collect::<Vec<_>>()
        };
        assert_eq!(names("id,text,stars\na,Good,5\n"), ["a"]);
        assert_eq!(names("id,review_id,text,stars\na,r,Good,5\nb,,Good,5\n"), ["r", "b"]);
    }

    #[test]
    fn a_wrong_column_names_the_columns_found() {
        let error = rows(b"id,review,rating\n1,Good,5\n").err().unwrap().to_string();
        assert!(error.contains("`text`") && error.contains("id, review, rating"), "{error}");
    }

    #[test]
    fn a_missing_quotation_mark_does_not_read_the_whole_file() {
        let mut text = b"text,stars\n\"never closed,5\n".to_vec();
        text.extend(std::iter::repeat_n(b"Good,5\n", 400_000).flatten());
        let mut rows = rows(&text).unwrap();
        assert!(rows.next().is_none());
        assert!(rows.io_error().unwrap().to_string().contains("quotation mark missing"));
    }

    #[test]
    fn invalid_utf8_and_invalid_numbers_are_named() {
        let mut rows = rows(b"text,stars\nGo\xffd,5\nGood,five\nGood,5\n").unwrap();
        let reasons: Vec<_> =
            rows.by_ref().map(|(line, row)| (line, row.err().map(|p| p.reason))).collect();
        assert_eq!(reasons, [(2, Some(Reason::Encoding)), (3, Some(Reason::WrongType)), (4, None)]);
    }
}
