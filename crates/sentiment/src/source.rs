//! Reading the data set's files, JSON lines or CSV, row by row; rows that cannot be used are counted by
//! reason, and the first ones listed.

mod bytes;
mod csv_rows;
mod fields;
mod json_rows;
mod left_out;

pub use csv_rows::CSV_COLUMNS;
pub use left_out::{LeftOut, Reason, UnusedRow};

pub(crate) use bytes::Opened;
pub(crate) use csv_rows::CsvRows;
pub(crate) use fields::RawReview;
pub(crate) use json_rows::{BusinessLine, FromLine, JsonRows, ReviewLine, UserLine};
pub(crate) use left_out::LineProblem;
