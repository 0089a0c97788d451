//! The rows of a Parquet file, as the hub publishes tables.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use bestof_files::guarded;
use bestof_tasks::rows::open_parquet;
use jiff::{Timestamp, civil, tz::TimeZone};
use parquet::errors::ParquetError;
use parquet::file::reader::FileReader;
use parquet::record::reader::RowIter;
use parquet::record::{Field, Row};

use super::columns::Columns;
use super::left_out::{LineProblem, Reason};
use crate::error::SentimentError;

/// The rows of a Parquet file, one at a time.
pub(super) struct ParquetRecords {
    rows: RowIter<'static>,
    row: Option<Row>,
    cells: Vec<Option<String>>,
    count: u64,
    failure: Option<io::Error>,
}

impl ParquetRecords {
    /// Whether a file begins as Parquet files do.
    pub(super) fn is_one(path: &Path) -> bool {
        let mut magic = [0; 4];
        File::open(path).and_then(|mut file| file.read_exact(&mut magic)).is_ok()
            && &magic == b"PAR1"
    }

    /// Opens the file and finds its columns.
    pub(super) fn open(path: &Path, stars: bool) -> Result<(Self, Columns), SentimentError> {
        let failed = |source| SentimentError::Table { path: path.to_owned(), source };
        let file = File::open(path).map_err(SentimentError::io("open", path))?;
        let reader = guarded(|| open_parquet(file))
            .unwrap_or_else(|said| Err(gave_up(&said)))
            .map_err(failed)?;
        let schema = reader.metadata().file_metadata().schema();
        let header = schema.get_fields().iter().map(|field| field.name().to_owned()).collect();
        let columns = Columns::of_header(header, path, stars)?;
        let rows = reader.into_iter();
        Ok((Self { rows, row: None, cells: Vec::new(), count: 0, failure: None }, columns))
    }

    /// The error that ended the rows early, if there was one.
    pub(super) fn io_error(&mut self) -> Option<io::Error> {
        self.failure.take()
    }

    /// Reads the next row: its number, counted from 1.
    pub(super) fn advance(&mut self) -> Option<(u64, Result<(), LineProblem>)> {
        let next = guarded(|| self.rows.next());
        match next.unwrap_or_else(|said| Some(Err(gave_up(&said))))? {
            Ok(row) => {
                self.cells = row.get_column_iter().map(|(_, field)| text_of(field)).collect();
                self.row = Some(row);
                self.count += 1;
                Some((self.count, Ok(())))
            }
            Err(error) => {
                self.failure = Some(io::Error::other(error));
                None
            }
        }
    }

    /// The text of a field; `None` if it is null or empty.
    pub(super) fn cell(&self, index: usize, column: &str) -> Result<Option<&str>, LineProblem> {
        let text = self.cells.get(index).and_then(Option::as_deref);
        if text.is_some() {
            return Ok(text.filter(|text| !text.is_empty()));
        }
        let field = self.row.as_ref().and_then(|row| row.get_column_iter().nth(index));
        match field {
            None | Some((_, Field::Null)) => Ok(None),
            Some(_) => {
                let message = format!("column `{column}`: expected a text, a number or a date");
                Err(LineProblem::new(Reason::WrongType, message))
            }
        }
    }
}

/// The reader takes lengths inside pages on trust.
fn gave_up(said: &str) -> ParquetError {
    ParquetError::General(format!("its pages are damaged ({said})"))
}

/// A value as a CSV file would have it; `None` for null and for values of other kinds.
fn text_of(field: &Field) -> Option<String> {
    let time = |time: Result<Timestamp, jiff::Error>| {
        Some(time.ok()?.to_zoned(TimeZone::UTC).datetime().to_string())
    };
    match field {
        Field::Str(text) => Some(text.clone()),
        Field::ListInternal(list) => {
            let items: Option<Vec<String>> = list.elements().iter().map(text_of).collect();
            Some(items?.join(","))
        }
        Field::Date(days) => {
            let epoch = civil::date(1970, 1, 1);
            let day = epoch.checked_add(jiff::Span::new().try_days(*days).ok()?).ok()?;
            Some(day.to_string())
        }
        Field::TimestampMillis(at) => time(Timestamp::from_millisecond(*at)),
        Field::TimestampMicros(at) => time(Timestamp::from_microsecond(*at)),
        Field::Byte(_)
        | Field::Short(_)
        | Field::Int(_)
        | Field::Long(_)
        | Field::UByte(_)
        | Field::UShort(_)
        | Field::UInt(_)
        | Field::ULong(_)
        | Field::Float(_)
        | Field::Double(_) => Some(field.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parquet::data_type::{ByteArray, ByteArrayType, Int32Type, Int64Type};
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    use super::*;
    use crate::source::TableRows;

    #[test]
    fn a_table_of_the_hub_is_read_row_by_row() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("0000.parquet");
        let schema = "message rows { required int64 label; optional binary text (UTF8); \
                      optional int32 date (DATE); }";
        let schema = Arc::new(parse_message_type(schema).unwrap());
        let file = File::create(&path).unwrap();
        let mut writer = SerializedFileWriter::new(file, schema, Arc::default()).unwrap();
        let mut group = writer.next_row_group().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<Int64Type>().write_batch(&[0, 4, 2], None, None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let texts = ["Bad", "Good"].map(ByteArray::from);
        column.typed::<ByteArrayType>().write_batch(&texts, Some(&[1, 1, 0]), None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        // 18,262 days after 1970-01-01 is 2020-01-01.
        column.typed::<Int32Type>().write_batch(&[18_262], Some(&[1, 0, 0]), None).unwrap();
        column.close().unwrap();
        group.close().unwrap();
        writer.close().unwrap();

        assert!(ParquetRecords::is_one(&path) && TableRows::is_one(&path));
        let rows = TableRows::open(&path, true).unwrap();
        let rows: Vec<_> = rows.map(|(line, row)| (line, row.unwrap())).collect();
        let stars: Vec<_> =
            rows.iter().map(|(line, row)| (*line, row.label.unwrap().stars())).collect();
        assert_eq!(stars, [(1, 1), (2, 5), (3, 3)]);
        assert_eq!(rows.iter().map(|(_, row)| &*row.text).collect::<Vec<_>>(), ["Bad", "Good", ""]);
        assert_eq!((rows[0].1.date, rows[1].1.date), (Some(18_262 * 86_400), None));
    }
}
