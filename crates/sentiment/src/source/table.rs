//! Reviews of one table, CSV or Parquet.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::rc::Rc;

use super::bytes::Opened;
use super::columns::{Columns, PART};
use super::csv_rows::CsvRecords;
use super::fields::{RawReview, categories_of, date_or_unread};
use super::labels::{Label, StarCoding, stars_in};
use super::left_out::{LineProblem, Reason};
use super::parquet_rows::ParquetRecords;
use crate::error::SentimentError;
use crate::review::BusinessMetadata;

/// The reviews of a table, each with its line, or with its row in a Parquet file.
pub(crate) struct TableRows {
    records: Records,
    columns: Columns,
    position: Rc<Cell<u64>>,
}

enum Records {
    Csv(CsvRecords),
    Parquet(ParquetRecords),
}

impl TableRows {
    /// Opens a table; `stars` says whether rows must have them.
    ///
    /// A column of classes is read once before, because only all of its values tell what they mean.
    pub(crate) fn open(path: &Path, stars: bool) -> Result<Self, SentimentError> {
        let mut rows = Self::start(path, stars)?;
        if let Some((index, name)) = rows.columns.label() {
            let mut numbers = BTreeSet::new();
            while rows.advance().is_some() {
                let number = rows.cell(index, &name).ok().flatten().and_then(stars_in);
                // Others are listed with their rows.
                numbers.extend((0_i64..=5).find(|&known| number == Some(known as f64)));
            }
            if let Some(source) = rows.io_error() {
                return Err(SentimentError::io("read", path)(source));
            }
            let coding = StarCoding::of(&numbers, &name, path)?;
            rows = Self::start(path, stars)?;
            rows.columns.coding = coding;
        }
        Ok(rows)
    }

    /// Whether a file is a table, and not JSON lines: Parquet by its first bytes, CSV by its name.
    pub(crate) fn is_one(path: &Path) -> bool {
        let named =
            |ending| path.extension().is_some_and(|found| found.eq_ignore_ascii_case(ending));
        named("csv") || named("tsv") || ParquetRecords::is_one(path)
    }

    fn start(path: &Path, stars: bool) -> Result<Self, SentimentError> {
        if ParquetRecords::is_one(path) {
            let (records, columns) = ParquetRecords::open(path, stars)?;
            return Ok(Self {
                records: Records::Parquet(records),
                columns,
                position: Rc::default(),
            });
        }
        let opened = Opened::open(path)?;
        let position = opened.position();
        let (records, columns) = CsvRecords::open(opened, path, stars)?;
        Ok(Self { records: Records::Csv(records), columns, position })
    }

    /// How the columns are read.
    pub(crate) fn columns(&self) -> &Columns {
        &self.columns
    }

    /// The number of bytes read so far, kept up to date for CSV.
    pub(crate) fn position(&self) -> Rc<Cell<u64>> {
        Rc::clone(&self.position)
    }

    /// The I/O error that ended the rows early, if there was one.
    pub(crate) fn io_error(&mut self) -> Option<io::Error> {
        match &mut self.records {
            Records::Csv(records) => records.io_error(),
            Records::Parquet(records) => records.io_error(),
        }
    }

    fn advance(&mut self) -> Option<(u64, Result<(), LineProblem>)> {
        match &mut self.records {
            Records::Csv(records) => records.advance(),
            Records::Parquet(records) => records.advance(),
        }
    }

    fn cell(&self, index: usize, column: &str) -> Result<Option<&str>, LineProblem> {
        match &self.records {
            Records::Csv(records) => records.cell(index, column),
            Records::Parquet(records) => records.cell(index, column),
        }
    }

    fn text(&self, column: &str) -> Result<Option<&str>, LineProblem> {
        self.columns.index_of(column).map_or(Ok(None), |index| self.cell(index, column))
    }

    fn label(&self) -> Result<Option<Label>, LineProblem> {
        let Some(index) = self.columns.stars() else { return Ok(None) };
        let Some(text) = self.cell(index, "stars")? else { return Ok(None) };
        let number = stars_in(text).ok_or_else(|| not_a_number("stars", text))?;
        self.columns.coding.label(number).map(Some)
    }

    fn number(&self, column: &str) -> Result<Option<f64>, LineProblem> {
        let Some(text) = self.text(column)? else { return Ok(None) };
        let number = text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
        number.map(Some).ok_or_else(|| not_a_number(column, text))
    }

    fn row(&self) -> Result<RawReview, LineProblem> {
        let owned =
            |column| Ok::<_, LineProblem>(self.text(column)?.unwrap_or_default().to_owned());
        let whole = |column| Ok::<_, LineProblem>(self.number(column)?.map(|number| number as i64));
        let (date, unread_date) = date_or_unread(self.text("date")?);
        Ok(RawReview {
            id: match owned("review_id")? {
                id if id.is_empty() => owned("id")?,
                id => id,
            },
            business_id: owned("business_id")?,
            user_id: owned("user_id")?,
            text: owned("text")?,
            label: self.label()?,
            date,
            unread_date,
            useful: whole("useful")?,
            funny: whole("funny")?,
            cool: whole("cool")?,
            part: owned(PART)?.trim().to_owned(),
            city: owned("city")?,
            metadata: BusinessMetadata {
                categories: self.text("categories")?.map(categories_of).unwrap_or_default(),
                latitude: self.number("latitude")?,
                longitude: self.number("longitude")?,
                price: None,
            },
        })
    }
}

fn not_a_number(column: &str, text: &str) -> LineProblem {
    let start: String = text.chars().take(24).collect();
    LineProblem::new(
        Reason::WrongType,
        format!("column `{column}`: found {start:?}, expected a number"),
    )
}

impl Iterator for TableRows {
    /// The line, counted from 1, and the review or why it cannot be used.
    type Item = (u64, Result<RawReview, LineProblem>);

    fn next(&mut self) -> Option<Self::Item> {
        let (line, fits) = self.advance()?;
        Some((line, fits.and_then(|()| self.row())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(bytes: &[u8]) -> Result<TableRows, SentimentError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("yelp.csv");
        std::fs::write(&path, bytes).unwrap();
        TableRows::open(&path, true)
    }

    #[test]
    fn the_samples_columns_in_any_order() {
        let text = "business_id,date,review_id,stars,text,type,user_id,cool,useful,funny\n\
            b1,2011-01-26,r1,5,\"Good, \"\"really\"\"\nand cheap\",review,u1,2,5,0\n\
            b1,2011-01-27,r2,3,Fine,review,u2,0,0\n";
        let mut rows = rows(text.as_bytes()).unwrap();
        let (line, row) = rows.next().unwrap();
        let row = row.unwrap();
        assert_eq!((line, row.label, row.useful), (2, Some(Label::Stars(5)), Some(5)));
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

    #[test]
    fn classes_become_stars() {
        let stars = |text: &str| {
            let rows = rows(text.as_bytes()).unwrap();
            rows.map(|(_, row)| row.unwrap().label.unwrap().stars()).collect::<Vec<_>>()
        };
        assert_eq!(stars("label,text\n0,Bad\n4,Good\n"), [1, 5]);
        assert_eq!(stars("label,text\n1,Bad\n5,Good\n"), [1, 5]);
        assert_eq!(stars("\"5\",\"Good\"\n\"1\",\"Bad\"\n"), [5, 1]);
        assert_eq!(stars("text,label\nBad,1 star\nGood,5 stars\n"), [1, 5]);
        let error = rows(b"label,text\n2,Bad\n3,Good\n").err().unwrap().to_string();
        assert!(error.contains("2, 3") && error.contains("unclear"), "{error}");
        let error = rows(b"b1,2012-01-01,5,Good\n").err().unwrap().to_string();
        assert!(error.contains("no header") && error.contains("b1,2012-01-01"), "{error}");
    }

    #[test]
    fn two_classes_have_no_stars() {
        let labels = |text: &str| {
            let rows = rows(text.as_bytes()).unwrap();
            rows.map(|(_, row)| row.map(|row| row.label.unwrap())).collect::<Vec<_>>()
        };
        let both = [Ok(Label::Positive(false)), Ok(Label::Positive(true))];
        assert_eq!(labels("label,text\n0,Bad\n1,Good\n"), both);
        // No header, tabs, and commas in the text.
        assert_eq!(labels("Bad, very bad\t0\nGood, I think\t1\n"), both);
        let found = labels("label,text\n0,Bad\n1,Good\n7,Fine\n");
        assert!(found[2].as_ref().unwrap_err().message.contains("is 7"), "{found:?}");
    }

    #[test]
    fn dates_of_other_forms_leave_the_row() {
        let mut rows = rows(b"text,stars,date\nGood,5,1/10/2010\nGood,5,2010-01-10\n").unwrap();
        let row = rows.next().unwrap().1.unwrap();
        assert_eq!((row.date, row.unread_date.as_deref()), (None, Some("1/10/2010")));
        assert!(rows.next().unwrap().1.unwrap().date.is_some());
    }
}
