//! Rows of data sets, in the shapes TRL uses and under the names that public data sets give them.
//!
//! A row is an object of JSON, or a record of a table. Values are plain strings or lists of chat
//! messages. A column that means something and would not be used is refused by name; others are kept
//! in `extra` and written back.
//!
//! # Formats
//! JSON lines, a JSON array, CSV or Parquet, told apart by their first bytes, and gzip or Zstandard of each;
//! a folder of such files or a pattern stands for all of them. One row is in memory at a time.

mod any_shape;
mod array;
mod columns;
mod content;
mod delimited;
mod field;
mod file_rows;
mod files;
mod json;
mod lines;
mod message;
mod options;
#[cfg(feature = "parquet")]
mod parquet_bounds;
#[cfg(feature = "parquet")]
mod parquet_rows;
mod parts;
mod problem;
mod reader;
mod record;
mod record_lines;
mod records;
mod row;
mod shapes;
mod table;
#[cfg(feature = "parquet")]
mod thrift;
mod writer;

pub use any_shape::{DataRow, SupervisedRow};
pub(crate) use columns::Meaning;
pub use columns::known_columns;
pub use content::{Content, TemplateFields};
pub use delimited::{DelimitedRecords, delimiter_of};
pub use field::Fields;
pub use file_rows::{FileRows, first_row};
pub use files::{holds_rows, row_files};
pub use json::Json;
pub use message::ChatMessage;
pub(crate) use message::read_messages;
pub use options::{OnBadRow, ReadOptions};
#[cfg(feature = "parquet")]
pub use parquet_bounds::open_parquet;
pub(crate) use problem::wrong_type;
pub use problem::{BadRow, BadRows, RowProblem, RowsError};
pub use reader::{RowReader, Rows, read_rows, read_rows_from};
pub use row::Row;
pub use shapes::{AnswerRow, CompletionRow, LabelledRow, PreferenceRow, TextRow};
pub use writer::{write_beside, write_rows};
