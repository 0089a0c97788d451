//! One record of a file.

use super::field::Fields;
use super::json::Json;
use super::problem::RowProblem;
use super::row::Row;

/// A record with its line, or why it is none.
pub(super) type Next = (usize, Result<Record, RowProblem>);

/// The columns of one row in their order.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Record {
    /// An object of JSON, or a record of a table with types.
    Typed(Vec<(String, Json)>),
    /// A record of a table in which everything is text.
    Untyped(Vec<(String, Json)>),
    /// A value that is no object.
    Other(Json),
}

impl Record {
    /// A record of a JSON value.
    pub(super) fn of(value: Json) -> Self {
        match value {
            Json::Object(values) => Self::Typed(values),
            other => Self::Other(other),
        }
    }

    /// The row that the record is.
    pub(super) fn into_row<R: Row>(self) -> Result<R, RowProblem> {
        match self {
            Self::Typed(values) => R::from_fields(Fields::ordered(values)),
            Self::Untyped(values) => R::from_fields(Fields::untyped(values)),
            Self::Other(value) => {
                Err(RowProblem::NotAnObject { found: value.in_words(), expected: R::SHAPE })
            }
        }
    }

    /// The columns; none of what is no object.
    pub(super) fn columns_mut(&mut self) -> Option<&mut Vec<(String, Json)>> {
        match self {
            Self::Typed(values) | Self::Untyped(values) => Some(values),
            Self::Other(_) => None,
        }
    }
}
