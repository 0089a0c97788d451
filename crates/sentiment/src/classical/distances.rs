//! Squared distances of one row to many, from the columns that are not zero.

/// Rows by their columns: `|q - x|^2` is `|q|^2 + |x|^2 - 2 q x`, and the product with all rows needs the
/// columns of `q` alone.
pub(super) struct Distances {
    /// Of each column the rows with a value other than zero.
    columns: Vec<Vec<(u32, f32)>>,
    squares: Vec<f64>,
}

impl Distances {
    /// Distances to `rows`, which are `width` wide.
    pub(super) fn new<'r>(rows: impl Iterator<Item = &'r [f32]>, width: usize) -> Self {
        let mut distances = Self { columns: vec![Vec::new(); width], squares: Vec::new() };
        for row in rows {
            let index = distances.squares.len() as u32;
            for (column, &value) in distances.columns.iter_mut().zip(row) {
                if value != 0.0 {
                    column.push((index, value));
                }
            }
            distances.squares.push(square(row));
        }
        distances
    }

    /// The squared distance of `row` to each of the rows, at least 0.
    pub(super) fn of(&self, row: &[f32]) -> Vec<f64> {
        let own = square(row);
        let mut found: Vec<f64> = self.squares.iter().map(|square| own + square).collect();
        for (&value, column) in row.iter().zip(&self.columns).filter(|(value, _)| **value != 0.0) {
            let twice = 2.0 * f64::from(value);
            for &(other, its) in column {
                found[other as usize] -= twice * f64::from(its);
            }
        }
        for distance in &mut found {
            *distance = distance.max(0.0);
        }
        found
    }
}

fn square(row: &[f32]) -> f64 {
    row.iter().map(|&value| f64::from(value) * f64::from(value)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_by_hand() {
        let rows = [[0.0, 1.0, 0.0], [3.0, 0.0, 0.0], [0.0, -2.0, 2.0]];
        let distances = Distances::new(rows.iter().map(<[f32; 3]>::as_slice), 3);
        assert_eq!(distances.of(&[0.0, 2.0, 0.0]), [1.0, 13.0, 20.0]);
        assert_eq!(distances.of(&[0.0; 3]), [1.0, 9.0, 8.0]);
    }
}
