//! Which values are dropped in training.

use std::sync::Arc;

use crate::random::{dropout_mask, dropout_masks};

/// A row of a batch: the key of what is drawn for it, and how many tokens it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyedRow {
    /// The same key gives the same draws, whatever rows are beside it.
    pub key: u64,
    /// Its tokens.
    pub tokens: usize,
}

/// Values that are set to 0 with a probability; the others are divided by what is left of 1, which
/// preserves the mean.
///
/// Every row has a stream of its own, so that what is dropped of it does not depend on the batch, or on the
/// process, that it is computed in.
///
/// Source: Srivastava et al. 2014, JMLR 15:1929, section 10 (scaled in training, not in inference).
///
/// ```
/// use bestof_kernels::{Dropout, KeyedRow};
///
/// let of = |keys: &[u64]| Dropout {
///     probability: 0.5,
///     keys: [1, 2, 3],
///     rows: keys.iter().map(|&key| KeyedRow { key, tokens: 4 }).collect(),
/// };
/// let both = of(&[7, 9]).mask(10);
/// assert_eq!(both[40..], of(&[9]).mask(10));
/// assert_ne!(both[40..], both[..40]);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Dropout {
    /// In (0, 1).
    pub probability: f64,
    /// The seed, then numbers that tell this application of dropout from others.
    pub keys: [u64; 3],
    /// The rows, in the order of their tokens.
    pub rows: Arc<[KeyedRow]>,
}

impl Dropout {
    /// What the values of all tokens are multiplied by, `[tokens, width]` row by row.
    pub fn mask(&self, width: usize) -> Vec<f32> {
        self.masks(self.rows.iter().map(|row| (row, row.tokens * width)))
    }

    /// What so many values of each row are multiplied by, row by row.
    pub(crate) fn masks<'a>(&self, rows: impl Iterator<Item = (&'a KeyedRow, usize)>) -> Vec<f32> {
        let [a, b, c] = self.keys;
        let lists: Vec<_> = rows.map(|(row, count)| ([a, b, c, row.key, 0], count)).collect();
        let lists: Vec<_> = lists.iter().map(|(keys, count)| (&keys[..], *count)).collect();
        dropout_masks(self.probability, &lists)
    }

    /// What `count` values of one row are multiplied by; `part` tells several such lists apart.
    pub fn row_mask(&self, row: &KeyedRow, part: u64, count: usize) -> Vec<f32> {
        let [a, b, c] = self.keys;
        dropout_mask(count, self.probability, &[a, b, c, row.key, part])
    }
}
