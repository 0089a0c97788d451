//! Rectangular batches: token ids, token types, and which of them are padding.

use burn::tensor::Tensor;

use super::config::BertConfig;
use super::error::BertError;
use bestof_kernels::Run;
use bestof_kernels::host_tensor;

/// Rows of tokens of one length, and which of the tokens are to be seen.
///
/// ```
/// use bestof_models::bert::BertBatch;
///
/// let batch = BertBatch::pad(&[vec![101, 7592, 102], vec![101, 102]], 0)?;
/// assert_eq!((batch.rows(), batch.length()), (2, 3));
/// assert_eq!(batch.mask(), [true, true, true, true, true, false]);
/// # Ok::<(), bestof_models::bert::BertError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BertBatch {
    length: usize,
    ids: Vec<u32>,
    types: Vec<u32>,
    mask: Vec<bool>,
}

impl BertBatch {
    /// Rows filled up on the right with `pad_token_id`, which is not seen; all of token type 0.
    ///
    /// # Errors
    /// [`BertError::EmptyRow`] for a row without tokens, or for no rows.
    pub fn pad<R: AsRef<[u32]>>(rows: &[R], pad_token_id: u32) -> Result<Self, BertError> {
        let length = rows.iter().map(|row| row.as_ref().len()).max().unwrap_or(0);
        let mut ids = Vec::with_capacity(rows.len() * length);
        let mut mask = Vec::with_capacity(rows.len() * length);
        for (at, row) in rows.iter().enumerate() {
            ids.extend(row.as_ref());
            ids.resize((at + 1) * length, pad_token_id);
            mask.resize(at * length + row.as_ref().len(), true);
            mask.resize((at + 1) * length, false);
        }
        Self::from_flat(length, ids, mask)
    }

    /// Rows of `length` tokens, one behind the other; where `mask` is false, the token is not seen.
    ///
    /// # Errors
    /// [`BertError::EmptyRow`] for a row without seen tokens, or for no rows;
    /// [`BertError::Ragged`] if the numbers do not fit.
    pub fn from_flat(length: usize, ids: Vec<u32>, mask: Vec<bool>) -> Result<Self, BertError> {
        if length == 0 || ids.is_empty() {
            return Err(BertError::EmptyRow { row: 0 });
        }
        if !ids.len().is_multiple_of(length) {
            let (row, found) = (ids.len() / length, ids.len() % length);
            return Err(BertError::Ragged { row, what: "token ids", found, expected: length });
        }
        if mask.len() != ids.len() {
            let (found, expected) = (mask.len(), ids.len());
            return Err(BertError::Ragged { row: 0, what: "mask values", found, expected });
        }
        if let Some(row) = mask.chunks(length).position(|row| row.iter().all(|seen| !seen)) {
            return Err(BertError::EmptyRow { row });
        }
        Ok(Self { length, types: vec![0; ids.len()], ids, mask })
    }

    /// The batch with these token types, a row each; rows are filled up with type 0.
    ///
    /// # Errors
    /// [`BertError::Ragged`] unless there is a row each, and in it a type for each seen token.
    pub fn with_types<R: AsRef<[u32]>>(mut self, rows: &[R]) -> Result<Self, BertError> {
        let what = "token types";
        if rows.len() != self.rows() {
            let (row, found) = (rows.len().min(self.rows()), 0);
            return Err(BertError::Ragged { row, what, found, expected: self.length });
        }
        for (at, types) in rows.iter().enumerate() {
            let (types, span) = (types.as_ref(), at * self.length..(at + 1) * self.length);
            let seen = self.mask[span.clone()].iter().rposition(|seen| *seen).map_or(0, |p| p + 1);
            if types.len() < seen || types.len() > self.length {
                let found = types.len();
                return Err(BertError::Ragged { row: at, what, found, expected: seen });
            }
            let row = &mut self.types[span];
            row.fill(0);
            row[..types.len()].copy_from_slice(types);
        }
        Ok(self)
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.ids.len() / self.length
    }

    /// Tokens in a row, padding included.
    pub fn length(&self) -> usize {
        self.length
    }

    /// The token ids, row by row.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// The token types, row by row.
    pub fn types(&self) -> &[u32] {
        &self.types
    }

    /// Which tokens are seen, row by row.
    pub fn mask(&self) -> &[bool] {
        &self.mask
    }

    /// The mean of each row's seen tokens, `[batch, hidden]`, of hidden states
    /// `[batch, seq, hidden]`: the sentence vector of sentence-transformers.
    ///
    /// # Panics
    /// If `hidden` is not of this batch.
    pub fn mean_pool(&self, hidden: Tensor<3>) -> Tensor<2> {
        let [rows, length, width] = hidden.dims();
        assert_eq!([rows, length], [self.rows(), self.length], "hidden states of another batch");
        let shares = self
            .mask
            .chunks(length)
            .flat_map(|row| {
                let share = 1.0 / row.iter().filter(|seen| **seen).count() as f32;
                row.iter().map(move |seen| if *seen { share } else { 0.0 })
            })
            .collect();
        let shares: Tensor<3> = host_tensor(shares, [rows, 1, length], &hidden);
        shares.matmul(hidden).reshape([rows, width])
    }

    /// The number of tokens of each row up to its last seen one: what is computed.
    pub fn token_counts(&self) -> Vec<usize> {
        let last = |row: &[bool]| row.iter().rposition(|seen| *seen).map_or(0, |at| at + 1);
        self.mask.chunks(self.length).map(last).collect()
    }

    /// The tokens that are computed, one behind the other.
    pub(crate) fn packed(&self) -> Packed {
        let counts = self.token_counts();
        let mut packed = Packed { counts, ..Packed::default() };
        for (row, &count) in packed.counts.iter().enumerate() {
            let span = row * self.length..row * self.length + count;
            packed.ids.extend(&self.ids[span.clone()]);
            packed.types.extend(&self.types[span.clone()]);
            packed.positions.extend(0..count as u32);
            let seen = &self.mask[span];
            let whole = seen.iter().all(|seen| *seen);
            match packed.runs.last_mut() {
                Some(run)
                    if whole
                        && run.keys.is_none()
                        && run.length == count
                        && run.rows < ROWS_A_RUN =>
                {
                    run.rows += 1;
                }
                _ => {
                    let score = |seen: &bool| if *seen { 0.0 } else { HIDDEN };
                    let keys = (!whole).then(|| seen.iter().map(score).collect());
                    packed.runs.push(Run { rows: 1, length: count, keys });
                }
            }
        }
        packed
    }

    /// Checks length, ids and types against the tables they are looked up in.
    pub(crate) fn check(&self, config: &BertConfig) -> Result<(), BertError> {
        if self.length > config.max_positions {
            return Err(BertError::TooLong { found: self.length, max: config.max_positions });
        }
        let place = |at: usize| (at / self.length, at % self.length);
        if let Some(at) = self.ids.iter().position(|&id| id as usize >= config.vocab_size) {
            let (row, position) = place(at);
            let (token, vocab_size) = (self.ids[at], config.vocab_size);
            return Err(BertError::TokenOutOfRange { token, row, position, vocab_size });
        }
        if let Some(at) = self.types.iter().position(|&ty| ty as usize >= config.type_vocab_size) {
            let (row, position) = place(at);
            let (found, type_vocab_size) = (self.types[at], config.type_vocab_size);
            return Err(BertError::TypeOutOfRange { found, row, position, type_vocab_size });
        }
        Ok(())
    }
}

/// The tokens of a batch without the padding behind them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Packed {
    pub(crate) ids: Vec<u32>,
    pub(crate) types: Vec<u32>,
    pub(crate) positions: Vec<u32>,
    pub(crate) counts: Vec<usize>,
    pub(crate) runs: Vec<Run>,
}

/// Rows whose attention is computed together: more would only take memory.
const ROWS_A_RUN: usize = 8;

/// Far below any score, so that its exponential is 0; finite, since some devices have no infinity.
const HIDDEN: f32 = -1e30;

#[cfg(test)]
mod tests {
    use super::*;
    use bestof_kernels::host_values;
    use burn::tensor::Device;

    #[test]
    fn wrong_numbers_are_refused_with_their_row() {
        let pad = |rows: &[Vec<u32>]| BertBatch::pad(rows, 0);
        assert!(matches!(pad(&[]), Err(BertError::EmptyRow { row: 0 })));
        assert!(matches!(pad(&[vec![1], vec![]]), Err(BertError::EmptyRow { row: 1 })));
        let flat = BertBatch::from_flat(2, vec![1, 2, 3], vec![true; 3]);
        assert!(matches!(flat, Err(BertError::Ragged { row: 1, found: 1, expected: 2, .. })));
        let flat = BertBatch::from_flat(2, vec![1, 2], vec![true]);
        assert!(matches!(flat, Err(BertError::Ragged { found: 1, expected: 2, .. })));
        let batch = pad(&[vec![1, 2, 3], vec![1, 2]]).unwrap();
        let short = batch.clone().with_types(&[vec![0, 0, 1], vec![0]]);
        assert!(matches!(short, Err(BertError::Ragged { row: 1, found: 1, expected: 2, .. })));
        assert!(batch.clone().with_types(&[vec![0, 0, 1]]).is_err());
        let types = batch.with_types(&[vec![0, 0, 1], vec![0, 1]]).unwrap();
        assert_eq!(types.types(), [0, 0, 1, 0, 1, 0]);
    }

    #[test]
    fn ids_types_and_length_are_checked() {
        let config = BertConfig { vocab_size: 10, max_positions: 3, ..BertConfig::default() };
        let batch = |ids: Vec<u32>| BertBatch::pad(&[vec![1], ids], 0).unwrap();
        assert!(batch(vec![9, 9, 9]).check(&config).is_ok());
        let error = batch(vec![1, 2, 3, 4]).check(&config).unwrap_err();
        assert!(matches!(error, BertError::TooLong { found: 4, max: 3 }));
        let error = batch(vec![1, 10]).check(&config).unwrap_err();
        let (row, position) = (1, 1);
        assert!(
            matches!(error, BertError::TokenOutOfRange { token: 10, row: r, position: p, .. } if (r, p) == (row, position))
        );
        let typed = batch(vec![1, 2]).with_types(&[vec![0], vec![0, 2]]).unwrap();
        assert!(matches!(typed.check(&config), Err(BertError::TypeOutOfRange { found: 2, .. })));
    }

    #[test]
    fn the_mean_leaves_padding_out() {
        let batch = BertBatch::pad(&[vec![5, 6], vec![7]], 0).unwrap();
        let hidden = [[[1.0, 2.0], [3.0, 5.0]], [[7.0, 8.0], [100.0, 100.0]]];
        let mean = batch.mean_pool(Tensor::from_data(hidden, &Device::flex()));
        assert_eq!(host_values(mean), [2.0, 3.5, 7.0, 8.0]);
    }
}
