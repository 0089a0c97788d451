//! Rows of data sets: JSON lines in the shapes TRL uses.
//!
//! A row is one JSON object on one line. Values are plain strings or lists of chat messages.
//! Fields a shape does not name are kept in `extra` and written back unchanged.

mod content;
mod field;
mod problem;
mod reader;
mod row;
mod shapes;
mod writer;

pub use content::{ChatMessage, Content};
pub use field::Fields;
pub(crate) use field::wrong_type;
pub use problem::{BadRow, BadRows, RowProblem, RowsError};
pub use reader::{OnBadRow, ReadOptions, RowReader, Rows, read_rows, read_rows_from};
pub use row::Row;
pub use shapes::{
    AnswerRow, CompletionRow, DataRow, LabelledRow, PreferenceRow, SupervisedRow, TextRow,
};
pub use writer::{write_beside, write_rows};
