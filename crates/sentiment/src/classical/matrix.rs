//! Dense matrices.

use std::sync::Arc;

use crate::error::SentimentError;

/// Most numbers of a matrix: 4 GiB.
const LARGEST: usize = 1 << 30;

/// Rows of equal width, row-major; what copies them shares their numbers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Matrix {
    width: usize,
    values: Arc<Vec<f32>>,
}

impl Matrix {
    /// A matrix of zeros.
    ///
    /// # Errors
    /// [`SentimentError::TooLarge`] beyond 4 GiB.
    pub(super) fn zeros(rows: usize, width: usize) -> Result<Self, SentimentError> {
        match rows.checked_mul(width) {
            Some(count) if count <= LARGEST => {
                Ok(Self { width, values: Arc::new(vec![0.0; count]) })
            }
            _ => Err(SentimentError::TooLarge { rows, width, largest: LARGEST }),
        }
    }

    /// A matrix of `rows`, which have equal widths.
    #[cfg(test)]
    pub(super) fn from_rows(rows: &[Vec<f32>]) -> Result<Self, SentimentError> {
        let width = rows.first().map_or(0, Vec::len);
        let mut matrix = Self::zeros(rows.len(), width)?;
        for (index, row) in rows.iter().enumerate() {
            if row.len() != width {
                return Err(SentimentError::Width { found: row.len(), expected: width });
            }
            matrix.row_mut(index).copy_from_slice(row);
        }
        Ok(matrix)
    }

    /// Number of rows; 0 for rows without columns.
    pub(super) fn rows(&self) -> usize {
        self.values.len().checked_div(self.width).unwrap_or(0)
    }

    /// Number of columns.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// One row.
    pub(super) fn row(&self, index: usize) -> &[f32] {
        &self.values[index * self.width..(index + 1) * self.width]
    }

    /// One row, mutable.
    pub(super) fn row_mut(&mut self, index: usize) -> &mut [f32] {
        let span = index * self.width..(index + 1) * self.width;
        &mut Arc::make_mut(&mut self.values)[span]
    }

    /// The rows of these indices, in their order.
    #[must_use]
    pub(super) fn select(&self, indices: &[usize]) -> Self {
        let values = indices.iter().flat_map(|&index| self.row(index)).copied().collect();
        Self { width: self.width, values: Arc::new(values) }
    }

    /// All numbers, row-major.
    pub(super) fn values(&self) -> &Arc<Vec<f32>> {
        &self.values
    }

    /// Refuses rows of another width.
    pub(super) fn expect_width(&self, expected: usize) -> Result<(), SentimentError> {
        if self.width == expected || self.values.is_empty() {
            Ok(())
        } else {
            Err(SentimentError::Width { found: self.width, expected })
        }
    }
}
