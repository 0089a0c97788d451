//! The numbers of rows that are not zero.

use super::matrix::Matrix;

/// Rows of which only the numbers other than 0 are kept, with their columns.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SparseRows {
    width: usize,
    /// Row `i` is `entries[starts[i]..starts[i + 1]]`.
    starts: Vec<usize>,
    entries: Vec<(u32, f32)>,
}

impl SparseRows {
    /// Of rows that are `width` wide.
    pub(super) fn new<'r>(rows: impl Iterator<Item = &'r [f32]>, width: usize) -> Self {
        let (mut starts, mut entries) = (vec![0], Vec::new());
        for row in rows {
            let values = (0..).zip(row).filter(|(_, value)| **value != 0.0);
            entries.extend(values.map(|(column, value)| (column, *value)));
            starts.push(entries.len());
        }
        Self { width, starts, entries }
    }

    /// Of a matrix.
    pub(super) fn of(x: &Matrix) -> Self {
        Self::new((0..x.rows()).map(|row| x.row(row)), x.width())
    }

    /// Number of rows.
    pub(super) fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// Number of columns.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// The columns of a row, ascending, each with its value.
    pub(super) fn row(&self, index: usize) -> &[(u32, f32)] {
        &self.entries[self.starts[index]..self.starts[index + 1]]
    }

    /// All rows, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[(u32, f32)]> {
        self.starts.windows(2).map(|ends| &self.entries[ends[0]..ends[1]])
    }
}
