//! The rows of a Parquet file.

use std::fs::File;
use std::io;
use std::path::Path;

use bestof_files::guarded;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::reader::FileReader;
use parquet::record::Field;
use parquet::record::reader::RowIter;
use serde_json::{Number, Value};

use super::json::Json;
use super::parquet_bounds::open_parquet;
use super::problem::RowsError;
use super::record::{Next, Record};

/// The rows of a Parquet file, one at a time.
pub(super) struct ParquetRecords {
    rows: RowIter<'static>,
    count: usize,
}

impl ParquetRecords {
    pub(super) fn open(file: File, path: &Path) -> Result<Self, RowsError> {
        let failed = |source| RowsError::Parquet { path: path.to_owned(), source };
        let reader = guarded(|| open_parquet(file))
            .unwrap_or_else(|said| Err(gave_up(&said)))
            .map_err(failed)?;
        for column in reader.metadata().row_groups().iter().flat_map(RowGroupMetaData::columns) {
            let codec = column.compression();
            if !is_read(codec) {
                // Without its level.
                let codec = codec.to_string().split('(').next().unwrap_or_default().to_lowercase();
                let path = path.to_owned();
                return Err(RowsError::Codec { path, codec });
            }
        }
        Ok(Self { rows: reader.into_iter(), count: 0 })
    }

    /// The next row with its number, counted from 1.
    pub(super) fn advance(&mut self) -> io::Result<Option<Next>> {
        let next = guarded(|| self.rows.next());
        let Some(row) = next.unwrap_or_else(|said| Some(Err(gave_up(&said)))) else {
            return Ok(None);
        };
        self.count += 1;
        let columns = row.map_err(io::Error::other)?.into_columns();
        let columns = columns.into_iter().map(|(name, field)| (name, without_nulls(json(field))));
        Ok(Some((self.count, Ok(Record::Typed(columns.collect())))))
    }
}

/// The reader takes lengths inside pages on trust.
fn gave_up(said: &str) -> ParquetError {
    ParquetError::General(format!("its pages are damaged ({said})"))
}

fn is_read(codec: Compression) -> bool {
    matches!(
        codec,
        Compression::UNCOMPRESSED
            | Compression::SNAPPY
            | Compression::GZIP(_)
            | Compression::ZSTD(_)
    )
}

fn json(field: Field) -> Json {
    let float = |value: f64| Number::from_f64(value).map_or(Value::Null, Value::Number);
    Json::Plain(match field {
        Field::Null => Value::Null,
        Field::Bool(value) => value.into(),
        Field::Byte(value) => value.into(),
        Field::Short(value) => value.into(),
        Field::Int(value) => value.into(),
        Field::Long(value) => value.into(),
        Field::UByte(value) => value.into(),
        Field::UShort(value) => value.into(),
        Field::UInt(value) => value.into(),
        Field::ULong(value) => value.into(),
        Field::Float16(value) => float(value.into()),
        Field::Float(value) => float(value.into()),
        Field::Double(value) => float(value),
        Field::Str(text) => text.into(),
        // Older writers do not say that their bytes are text.
        Field::Bytes(bytes) => match std::str::from_utf8(bytes.data()) {
            Ok(text) => text.into(),
            // No text, so that a column that has to be one is refused.
            Err(_) => serde_json::json!({ "bytes": bytes.len() }),
        },
        Field::Group(row) => {
            let columns = row.into_columns().into_iter();
            return Json::Object(columns.map(|(name, field)| (name, json(field))).collect());
        }
        Field::ListInternal(list) => {
            return Json::List(list.elements().iter().cloned().map(json).collect());
        }
        Field::MapInternal(map) => {
            let entry = |(key, value): &(Field, Field)| {
                let key = match json(key.clone()) {
                    Json::Plain(Value::String(text)) => text,
                    other => Value::from(other).to_string(),
                };
                (key, json(value.clone()))
            };
            return Json::Object(map.entries().iter().map(entry).collect());
        }
        Field::Decimal(_)
        | Field::Date(_)
        | Field::TimeMillis(_)
        | Field::TimeMicros(_)
        | Field::TimestampMillis(_)
        | Field::TimestampMicros(_) => field.to_string().into(),
    })
}

/// The value without the fields that are `null`, at any depth: tables give every row every field.
fn without_nulls(value: Json) -> Json {
    match value {
        Json::Object(fields) => {
            let fields = fields.into_iter().filter(|(_, value)| !value.is_null());
            Json::Object(fields.map(|(key, value)| (key, without_nulls(value))).collect())
        }
        Json::List(items) => Json::List(items.into_iter().map(without_nulls).collect()),
        plain @ Json::Plain(_) => plain,
    }
}
