//! A part as a Parquet file: one column per field and one per feature.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical};
use parquet::column::reader::ColumnReader;
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DataType, FloatType, Int32Type, Int64Type,
};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::Type;

use super::Example;
use crate::error::SentimentError;
use crate::features::FeatureSpec;

/// Rows of a row group: the writer holds one in memory.
const GROUP: usize = 8192;

/// Prefix of the names of feature columns.
const META: &str = "meta:";

/// The other columns, in the order of the file.
const FIELDS: [(&str, Physical); 7] = [
    ("row", Physical::INT64),
    ("business", Physical::INT32),
    ("stars", Physical::INT32),
    ("positive", Physical::BOOLEAN),
    ("sentiment", Physical::FLOAT),
    ("sentiment_raw", Physical::FLOAT),
    ("text", Physical::BYTE_ARRAY),
];

/// Writes rows one by one into a Parquet file, which is complete after [`PartWriter::finish`].
pub(super) struct PartWriter {
    writer: SerializedFileWriter<File>,
    rows: Vec<Example>,
    width: usize,
}

impl PartWriter {
    pub(super) fn create(path: &Path, features: &FeatureSpec) -> Result<Self, SentimentError> {
        let failed = |source| SentimentError::parquet("write", path, source);
        let file = File::create(path).map_err(SentimentError::io("create", path))?;
        let schema = schema(features).map_err(failed)?;
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let writer = SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties))
            .map_err(failed)?;
        Ok(Self { writer, rows: Vec::new(), width: features.width() })
    }

    pub(super) fn push(&mut self, example: Example) -> Result<(), ParquetError> {
        self.rows.push(example);
        if self.rows.len() == GROUP { self.flush() } else { Ok(()) }
    }

    pub(super) fn finish(mut self) -> Result<(), ParquetError> {
        self.flush()?;
        self.writer.close().map(|_| ())
    }

    fn flush(&mut self) -> Result<(), ParquetError> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let rows = &self.rows;
        let mut group = self.writer.next_row_group()?;
        write::<Int64Type>(&mut group, rows.iter().map(|e| e.row as i64))?;
        write::<Int32Type>(&mut group, rows.iter().map(|e| e.business as i32))?;
        write::<Int32Type>(&mut group, rows.iter().map(|e| i32::from(e.stars)))?;
        write::<BoolType>(&mut group, rows.iter().map(|e| e.positive))?;
        write::<FloatType>(&mut group, rows.iter().map(|e| e.sentiment))?;
        write::<FloatType>(&mut group, rows.iter().map(|e| e.sentiment_raw))?;
        write::<ByteArrayType>(&mut group, rows.iter().map(|e| ByteArray::from(e.text.as_str())))?;
        for column in 0..self.width {
            let value = |e: &Example| e.meta.get(column).copied().unwrap_or(0.0);
            write::<FloatType>(&mut group, rows.iter().map(value))?;
        }
        group.close()?;
        self.rows.clear();
        Ok(())
    }
}

fn schema(features: &FeatureSpec) -> Result<Type, ParquetError> {
    let field = |name: &str, physical: Physical| {
        let text = physical == Physical::BYTE_ARRAY;
        Type::primitive_type_builder(name, physical)
            .with_repetition(Repetition::REQUIRED)
            .with_logical_type(text.then_some(LogicalType::String))
            .build()
            .map(Arc::new)
    };
    let fixed = FIELDS.iter().map(|(name, physical)| field(name, *physical));
    let meta =
        features.names().into_iter().map(|name| field(&(META.to_owned() + &name), Physical::FLOAT));
    let fields = fixed.chain(meta).collect::<Result<Vec<_>, _>>()?;
    Type::group_type_builder("reviews").with_fields(fields).build()
}

fn write<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, File>,
    values: impl Iterator<Item = T::T>,
) -> Result<(), ParquetError> {
    let values: Vec<T::T> = values.collect();
    let missing = || ParquetError::General("the schema has no further column".to_owned());
    let mut column = group.next_column()?.ok_or_else(missing)?;
    column.typed::<T>().write_batch(&values, None, None)?;
    column.close()
}

/// The rows of a part's file.
pub(super) fn read_part(
    path: &Path,
    features: &FeatureSpec,
) -> Result<Vec<Example>, SentimentError> {
    let failed = |source| SentimentError::parquet("read", path, source);
    let file = File::open(path).map_err(SentimentError::io("open", path))?;
    let reader = SerializedFileReader::new(file).map_err(failed)?;
    let found: Vec<(String, Physical)> = reader
        .metadata()
        .file_metadata()
        .schema_descr()
        .columns()
        .iter()
        .map(|column| (column.name().to_owned(), column.physical_type()))
        .collect();
    let fields = FIELDS.iter().map(|(name, physical)| ((*name).to_owned(), *physical));
    let meta = features.names().into_iter().map(|name| (META.to_owned() + &name, Physical::FLOAT));
    for column in fields.chain(meta) {
        if !found.contains(&column) {
            return Err(SentimentError::MissingColumn {
                path: path.to_owned(),
                column: column.0,
                found: found.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", "),
            });
        }
    }
    let index_of = |name: &str| found.iter().position(|(found, _)| found == name).unwrap_or(0);
    let mut rows = Vec::new();
    for group in 0..reader.num_row_groups() {
        let group = reader.get_row_group(group).map_err(failed)?;
        read_group(&*group, features, &index_of, &mut rows).map_err(failed)?;
    }
    Ok(rows)
}

fn read_group(
    group: &dyn RowGroupReader,
    features: &FeatureSpec,
    index_of: &dyn Fn(&str) -> usize,
    rows: &mut Vec<Example>,
) -> Result<(), ParquetError> {
    let column = |name: &str| group.get_column_reader(index_of(name));
    let row = read::<Int64Type>(column("row")?)?;
    let business = read::<Int32Type>(column("business")?)?;
    let stars = read::<Int32Type>(column("stars")?)?;
    let positive = read::<BoolType>(column("positive")?)?;
    let sentiment = read::<FloatType>(column("sentiment")?)?;
    let raw = read::<FloatType>(column("sentiment_raw")?)?;
    let text = read::<ByteArrayType>(column("text")?)?;
    let names = features.names().into_iter().map(|name| META.to_owned() + &name);
    let meta =
        names.map(|name| read::<FloatType>(column(&name)?)).collect::<Result<Vec<_>, _>>()?;
    let fixed =
        [business.len(), stars.len(), positive.len(), sentiment.len(), raw.len(), text.len()];
    let mut lengths = fixed.into_iter().chain(meta.iter().map(Vec::len));
    if !lengths.all(|length| length == row.len()) {
        return Err(ParquetError::General("the columns have different lengths".to_owned()));
    }
    for (index, text) in text.iter().enumerate() {
        let stars = u8::try_from(stars[index]).ok().filter(|stars| (0..=5).contains(stars));
        let outside = || ParquetError::General("a row has stars outside 0 to 5".to_owned());
        rows.push(Example {
            row: row[index] as u64,
            text: text.as_utf8()?.to_owned(),
            meta: meta.iter().map(|column| column[index]).collect(),
            stars: stars.ok_or_else(outside)?,
            positive: positive[index],
            sentiment: sentiment[index],
            sentiment_raw: raw[index],
            business: business[index] as u32,
        });
    }
    Ok(())
}

/// The values of a column without nulls.
fn read<T: DataType>(column: ColumnReader) -> Result<Vec<T::T>, ParquetError> {
    let other = || ParquetError::General("a column has another type".to_owned());
    let mut column = T::get_column_reader(column).ok_or_else(other)?;
    let mut values = Vec::new();
    // Read in pieces: a damaged count in the file must not decide how much memory is allocated.
    while column.read_records(GROUP, None, None, &mut values)?.0 > 0 {}
    Ok(values)
}
