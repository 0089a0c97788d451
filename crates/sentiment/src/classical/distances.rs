//! Squared distances of rows to many others, from the columns that are not zero.

use super::matrix::Matrix;
use super::sparse::SparseRows;

/// Rows that are compared with the others at a time: what they have in a column lies side by side, so that one
/// number of another row is multiplied with all of theirs at once.
pub(super) const LANES: usize = 16;

/// The rows that others are compared with: `|q - x|^2` is `|q|^2 + |x|^2 - 2 q x`, and the product needs the
/// columns of `x` alone.
pub(super) struct Distances {
    rows: SparseRows,
    squares: Vec<f64>,
}

impl Distances {
    /// Distances to `rows`, which are `width` wide.
    pub(super) fn new<'r>(rows: impl Iterator<Item = &'r [f32]>, width: usize) -> Self {
        let rows = SparseRows::new(rows, width);
        let squares = rows.iter().map(|row| square(row.iter().map(|(_, value)| value))).collect();
        Self { rows, squares }
    }

    /// Calls `each` with the index of each of the rows, ascending, and its squared distances, at least 0, to the rows
    /// of `x` from `first` on; those past its end are rows of zeros.
    pub(super) fn of(&self, x: &Matrix, first: usize, mut each: impl FnMut(usize, &[f64; LANES])) {
        let mut columns = vec![[0.0; LANES]; self.rows.width()];
        let mut own = [0.0; LANES];
        for (lane, row) in (first..x.rows()).take(LANES).enumerate() {
            for (column, &value) in columns.iter_mut().zip(x.row(row)) {
                column[lane] = f64::from(value);
            }
            own[lane] = square(x.row(row).iter());
        }
        for (index, (row, square)) in self.rows.iter().zip(&self.squares).enumerate() {
            let products = products(row, &columns);
            let far = |lane: usize| f64::max(0.0, own[lane] + square - 2.0 * products[lane]);
            each(index, &std::array::from_fn(far));
        }
    }
}

/// The products of a row with those that have `columns`.
fn products(row: &[(u32, f32)], columns: &[[f64; LANES]]) -> [f64; LANES] {
    row.iter().fold([0.0; LANES], |sums, &(column, value)| {
        let (value, others) = (f64::from(value), &columns[column as usize]);
        std::array::from_fn(|lane| sums[lane] + value * others[lane])
    })
}

fn square<'v>(values: impl Iterator<Item = &'v f32>) -> f64 {
    values.map(|&value| f64::from(value) * f64::from(value)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_by_hand() {
        let rows = [[0.0, 1.0, 0.0], [3.0, 0.0, 0.0], [0.0, -2.0, 2.0]];
        let distances = Distances::new(rows.iter().map(<[f32; 3]>::as_slice), 3);
        let mut asked = vec![vec![0.0, 2.0, 0.0]; LANES];
        asked.extend([vec![0.0; 3], vec![3.0, 0.0, 1.0]]);
        let asked = Matrix::from_rows(&asked).unwrap();
        let found = |first: usize, lane: usize| {
            let mut found = Vec::new();
            distances.of(&asked, first, |index, far| {
                assert_eq!(index, found.len());
                found.push(far[lane]);
            });
            found
        };
        for lane in 0..LANES {
            assert_eq!(found(0, lane), [1.0, 13.0, 20.0]);
        }
        assert_eq!(found(LANES, 0), [1.0, 9.0, 8.0]);
        assert_eq!(found(LANES, 1), [11.0, 1.0, 14.0]);
    }
}
