//! Reading the data set's files, JSON lines, CSV or Parquet, row by row; rows that cannot be used are counted by
//! reason, and the first ones listed.

mod bytes;
mod columns;
mod csv_rows;
mod fields;
mod json_rows;
mod labels;
mod left_out;
mod parquet_rows;
mod table;
mod unread_dates;

pub use columns::COLUMNS;

pub(crate) use columns::PART;
pub use left_out::{LeftOut, Reason, UnusedRow};
pub use unread_dates::UnreadDates;

pub(crate) use bytes::Opened;
pub(crate) use fields::RawReview;
pub(crate) use json_rows::{BusinessLine, FromLine, JsonRows, ReviewLine, UserLine};
pub(crate) use labels::Label;
pub(crate) use left_out::LineProblem;
pub(crate) use table::TableRows;
