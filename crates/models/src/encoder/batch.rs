//! Rectangular batches: token ids, token types and the attention mask.

use std::sync::Arc;

use bestof_kernels::{KeyedRow, Run, host_tensor};
use burn::tensor::Tensor;

use super::config::EncoderConfig;
use super::error::EncoderError;

/// Rows of tokens, padded to one length, with token types and an attention mask.
///
/// ```
/// use bestof_models::encoder::EncoderBatch;
///
/// let batch = EncoderBatch::pad(&[vec![101, 7592, 102], vec![101, 102]], 0)?;
/// assert_eq!((batch.rows(), batch.length()), (2, 3));
/// assert_eq!(batch.mask(), [true, true, true, true, true, false]);
/// # Ok::<(), bestof_models::encoder::EncoderError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncoderBatch {
    length: usize,
    ids: Vec<u32>,
    types: Vec<u32>,
    mask: Vec<bool>,
    keys: Vec<u64>,
}

impl EncoderBatch {
    /// Rows padded on the right with `pad_token_id`, which the mask hides; every token has type 0.
    ///
    /// # Errors
    /// [`EncoderError::EmptyRow`] for a row without tokens, or if there are no rows.
    pub fn pad<R: AsRef<[u32]>>(rows: &[R], pad_token_id: u32) -> Result<Self, EncoderError> {
        let length = rows.iter().map(|row| row.as_ref().len()).max().unwrap_or(0);
        let mut ids = Vec::with_capacity(rows.len() * length);
        let mut mask = Vec::with_capacity(rows.len() * length);
        for (index, row) in rows.iter().enumerate() {
            ids.extend(row.as_ref());
            ids.resize((index + 1) * length, pad_token_id);
            mask.resize(index * length + row.as_ref().len(), true);
            mask.resize((index + 1) * length, false);
        }
        Self::from_flat(length, ids, mask)
    }

    /// `ids` and `mask` of rows of `length` tokens, row by row; no token attends to one whose
    /// `mask` is false.
    ///
    /// # Errors
    /// [`EncoderError::EmptyRow`] for a row whose mask is all false, or if there are no rows;
    /// [`EncoderError::Ragged`] if `ids` is no multiple of `length` or `mask` has another length.
    pub fn from_flat(length: usize, ids: Vec<u32>, mask: Vec<bool>) -> Result<Self, EncoderError> {
        if length == 0 || ids.is_empty() {
            return Err(EncoderError::EmptyRow { row: 0 });
        }
        if !ids.len().is_multiple_of(length) {
            let (row, found) = (ids.len() / length, ids.len() % length);
            return Err(EncoderError::Ragged { row, what: "token ids", found, expected: length });
        }
        if mask.len() != ids.len() {
            let (found, expected) = (mask.len(), ids.len());
            return Err(EncoderError::Ragged { row: 0, what: "mask values", found, expected });
        }
        if let Some(row) = mask.chunks(length).position(|row| !row.contains(&true)) {
            return Err(EncoderError::EmptyRow { row });
        }
        let keys = (0..(ids.len() / length) as u64).collect();
        Ok(Self { length, types: vec![0; ids.len()], ids, mask, keys })
    }

    /// The batch with these token types, one list per row; shorter lists are padded with type 0.
    ///
    /// # Errors
    /// [`EncoderError::Ragged`] unless there is one list per row, which reaches at least to the last
    /// unmasked token of the row and at most to its end.
    pub fn with_types<R: AsRef<[u32]>>(mut self, rows: &[R]) -> Result<Self, EncoderError> {
        let what = "token types";
        if rows.len() != self.rows() {
            let (row, found) = (rows.len().min(self.rows()), 0);
            return Err(EncoderError::Ragged { row, what, found, expected: self.length });
        }
        for (row, types) in rows.iter().enumerate() {
            let (types, span) = (types.as_ref(), row * self.length..(row + 1) * self.length);
            let count = self.mask[span.clone()].iter().rposition(|m| *m).map_or(0, |last| last + 1);
            if types.len() < count || types.len() > self.length {
                let found = types.len();
                return Err(EncoderError::Ragged { row, what, found, expected: count });
            }
            let stored = &mut self.types[span];
            stored.fill(0);
            stored[..types.len()].copy_from_slice(types);
        }
        Ok(self)
    }

    /// The batch with a key for each row, by which its dropout masks are drawn: a row with the same key has the
    /// same masks in any batch. By default rows have their numbers.
    ///
    /// # Errors
    /// [`EncoderError::Ragged`] unless there is one key per row.
    pub fn with_keys(mut self, keys: &[u64]) -> Result<Self, EncoderError> {
        let (found, expected) = (keys.len(), self.rows());
        if found != expected {
            return Err(EncoderError::Ragged { row: 0, what: "keys", found, expected });
        }
        keys.clone_into(&mut self.keys);
        Ok(self)
    }

    /// The number of rows, at least 1.
    pub fn rows(&self) -> usize {
        self.ids.len() / self.length
    }

    /// Tokens per row, padding included.
    pub fn length(&self) -> usize {
        self.length
    }

    /// The token ids, `[rows * length]`, row by row.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// The token types, `[rows * length]`, row by row.
    pub fn types(&self) -> &[u32] {
        &self.types
    }

    /// The attention mask, `[rows * length]`, row by row: false for hidden tokens such as padding.
    pub fn mask(&self) -> &[bool] {
        &self.mask
    }

    /// The mean over each row's unmasked tokens, `[batch, hidden]`, of hidden states
    /// `[batch, seq, hidden]`: the sentence vector of sentence-transformers.
    ///
    /// # Panics
    /// If the shape of `hidden` is not that of this batch.
    pub fn mean_pool(&self, hidden: Tensor<3>) -> Tensor<2> {
        let [rows, length, width] = hidden.dims();
        assert_eq!([rows, length], [self.rows(), self.length], "hidden states of another batch");
        let weights = self
            .mask
            .chunks(length)
            .flat_map(|row| {
                let weight = 1.0 / row.iter().filter(|unmasked| **unmasked).count() as f32;
                row.iter().map(move |unmasked| if *unmasked { weight } else { 0.0 })
            })
            .collect();
        let weights: Tensor<3> = host_tensor(weights, [rows, 1, length], &hidden);
        weights.matmul(hidden).reshape([rows, width])
    }

    /// The number of tokens of each row up to its last unmasked one; only these are computed.
    pub fn token_counts(&self) -> Vec<usize> {
        let count = |row: &[bool]| row.iter().rposition(|m| *m).map_or(0, |last| last + 1);
        self.mask.chunks(self.length).map(count).collect()
    }

    /// The tokens that are computed, concatenated row by row.
    pub(crate) fn packed(&self, config: &EncoderConfig) -> Packed {
        let counts = self.token_counts();
        let keyed = |(&key, &tokens)| KeyedRow { key, tokens };
        let rows = self.keys.iter().zip(&counts).map(keyed).collect();
        let mut packed = Packed { counts, rows, ..Packed::default() };
        for (row, &count) in packed.counts.iter().enumerate() {
            let span = row * self.length..row * self.length + count;
            packed.ids.extend(&self.ids[span.clone()]);
            packed.types.extend(&self.types[span.clone()]);
            let mask = &self.mask[span.clone()];
            packed.mask.extend(mask);
            packed.positions.extend(positions(&self.ids[span], config));
            let unmasked = !mask.contains(&false);
            match packed.runs.last_mut() {
                Some(run)
                    if unmasked
                        && run.keys.is_none()
                        && run.length == count
                        && run.rows < MAX_ROWS_PER_RUN =>
                {
                    run.rows += 1;
                }
                _ => {
                    let score = |unmasked: &bool| if *unmasked { 0.0 } else { MASKED_SCORE };
                    let keys = (!unmasked).then(|| mask.iter().map(score).collect());
                    packed.runs.push(Run { rows: 1, length: count, keys });
                }
            }
        }
        packed
    }

    /// Checks length, ids and types against the sizes of the embedding tables.
    pub(crate) fn check(&self, config: &EncoderConfig) -> Result<(), EncoderError> {
        if self.length > config.max_tokens() {
            return Err(EncoderError::TooLong { found: self.length, max: config.max_tokens() });
        }
        let row_and_position = |index: usize| (index / self.length, index % self.length);
        if let Some(index) = self.ids.iter().position(|&id| id as usize >= config.vocab_size) {
            let (row, position) = row_and_position(index);
            let (token, vocab_size) = (self.ids[index], config.vocab_size);
            return Err(EncoderError::TokenOutOfRange { token, row, position, vocab_size });
        }
        // Families without token types have one kind of token.
        let types = config.type_vocab_size.max(1);
        if let Some(index) = self.types.iter().position(|&ty| ty as usize >= types) {
            let (row, position) = row_and_position(index);
            let (found, type_vocab_size) = (self.types[index], types);
            return Err(EncoderError::TypeOutOfRange { found, row, position, type_vocab_size });
        }
        Ok(())
    }
}

/// The tokens of a batch without the padding at the end of each row.
#[derive(Debug, Clone, Default)]
pub(crate) struct Packed {
    pub(crate) ids: Vec<u32>,
    pub(crate) types: Vec<u32>,
    pub(crate) positions: Vec<u32>,
    pub(crate) counts: Vec<usize>,
    pub(crate) mask: Vec<bool>,
    pub(crate) runs: Vec<Run>,
    /// The rows with the keys of their dropout masks.
    pub(crate) rows: Arc<[KeyedRow]>,
}

/// The positions of the tokens of a row, from 0; RoBERTa's from one behind the padding token's id, which
/// is the position of every padding token.
fn positions(ids: &[u32], config: &EncoderConfig) -> Vec<u32> {
    if config.first_position() == 0 {
        return (0..ids.len() as u32).collect();
    }
    let pad = config.pad_token_id;
    let next = ids.iter().scan(pad, |last, &id| {
        *last += u32::from(id != pad);
        Some(if id == pad { pad } else { *last })
    });
    next.collect()
}

/// The most rows whose attention is computed together; larger runs cost memory and gain no speed.
const MAX_ROWS_PER_RUN: usize = 8;

/// The score of a masked key, so low that its exponential is 0; finite, as some devices lack
/// infinity.
pub(crate) const MASKED_SCORE: f32 = -1e30;

#[cfg(test)]
mod tests {
    use super::*;
    use bestof_kernels::host_values;
    use burn::tensor::Device;

    #[test]
    fn wrong_lengths_are_refused_with_their_row() {
        let pad = |rows: &[Vec<u32>]| EncoderBatch::pad(rows, 0);
        assert!(matches!(pad(&[]), Err(EncoderError::EmptyRow { row: 0 })));
        assert!(matches!(pad(&[vec![1], vec![]]), Err(EncoderError::EmptyRow { row: 1 })));
        let flat = EncoderBatch::from_flat(2, vec![1, 2, 3], vec![true; 3]);
        assert!(matches!(flat, Err(EncoderError::Ragged { row: 1, found: 1, expected: 2, .. })));
        let flat = EncoderBatch::from_flat(2, vec![1, 2], vec![true]);
        assert!(matches!(flat, Err(EncoderError::Ragged { found: 1, expected: 2, .. })));
        let batch = pad(&[vec![1, 2, 3], vec![1, 2]]).unwrap();
        let short = batch.clone().with_types(&[vec![0, 0, 1], vec![0]]);
        assert!(matches!(short, Err(EncoderError::Ragged { row: 1, found: 1, expected: 2, .. })));
        assert!(batch.clone().with_types(&[vec![0, 0, 1]]).is_err());
        let types = batch.with_types(&[vec![0, 0, 1], vec![0, 1]]).unwrap();
        assert_eq!(types.types(), [0, 0, 1, 0, 1, 0]);
    }

    #[test]
    fn ids_types_and_length_are_checked() {
        let config = EncoderConfig { vocab_size: 10, max_positions: 3, ..EncoderConfig::default() };
        let batch = |ids: Vec<u32>| EncoderBatch::pad(&[vec![1], ids], 0).unwrap();
        assert!(batch(vec![9, 9, 9]).check(&config).is_ok());
        let error = batch(vec![1, 2, 3, 4]).check(&config).unwrap_err();
        assert!(matches!(error, EncoderError::TooLong { found: 4, max: 3 }));
        let error = batch(vec![1, 10]).check(&config).unwrap_err();
        let (row, position) = (1, 1);
        assert!(
            matches!(error, EncoderError::TokenOutOfRange { token: 10, row: r, position: p, .. } if (r, p) == (row, position))
        );
        let typed = batch(vec![1, 2]).with_types(&[vec![0], vec![0, 2]]).unwrap();
        assert!(matches!(typed.check(&config), Err(EncoderError::TypeOutOfRange { found: 2, .. })));
    }

    #[test]
    fn the_mean_ignores_padding() {
        let batch = EncoderBatch::pad(&[vec![5, 6], vec![7]], 0).unwrap();
        let hidden = [[[1.0, 2.0], [3.0, 5.0]], [[7.0, 8.0], [100.0, 100.0]]];
        let mean = batch.mean_pool(Tensor::from_data(hidden, &Device::flex()));
        assert_eq!(host_values(mean), [2.0, 3.5, 7.0, 8.0]);
    }
}
