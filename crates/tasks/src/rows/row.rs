//! What a type needs in order to be read from a line.

use super::field::Fields;
use super::problem::RowProblem;

/// A shape that lines of a file can have.
pub trait Row: Sized {
    /// What a row of this shape looks like, for error messages.
    const SHAPE: &'static str;

    /// The row that the fields of a line make, or the first problem with them.
    fn from_fields(fields: Fields) -> Result<Self, RowProblem>;
}
