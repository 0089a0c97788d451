//! Hidden states of the tokens of a batch, without padding.

use burn::tensor::Tensor;

use std::sync::Arc;

use bestof_kernels::{Dropout, KeyedRow, host_tensor, indices};

/// The hidden states of a batch's tokens, concatenated row by row without the padding at their
/// ends.
#[derive(Debug, Clone)]
pub struct EncoderTokens {
    /// `[tokens, hidden]`
    pub states: Tensor<2>,
    pub(crate) counts: Vec<usize>,
    /// The attention mask, `[tokens]`.
    pub(crate) mask: Vec<bool>,
    /// The rows with the keys of their dropout masks.
    pub(crate) rows: Arc<[KeyedRow]>,
}

impl EncoderTokens {
    /// The number of tokens of each row, padding at its end excluded.
    pub fn counts(&self) -> &[usize] {
        &self.counts
    }

    /// The index in `states` at which each row starts.
    fn starts(&self) -> impl Iterator<Item = usize> {
        self.counts.iter().scan(0, |next, count| {
            let start = *next;
            *next += count;
            Some(start)
        })
    }

    /// Dropout of one vector per row, such as a pooler's input; `slot` tells it from others.
    pub(super) fn row_dropout(&self, probability: f64, seed: u64, slot: u64) -> Dropout {
        let rows = self.rows.iter().map(|row| KeyedRow { tokens: 1, ..*row }).collect();
        Dropout { probability, keys: [seed, slot, 0], rows }
    }

    /// The hidden state of each row's first token, `[rows, hidden]`.
    pub fn first(&self) -> Tensor<2> {
        let starts: Vec<u32> = self.starts().map(|start| start as u32).collect();
        self.states.clone().select(0, indices(&starts, &self.states.device()))
    }

    /// The mean over each row's unmasked tokens, `[rows, hidden]`: the sentence vector of
    /// sentence-transformers.
    pub fn mean(&self) -> Tensor<2> {
        let tokens = self.mask.len();
        let mut weights = vec![0.0; self.counts.len() * tokens];
        for (row, (start, count)) in self.starts().zip(&self.counts).enumerate() {
            let mask = &self.mask[start..start + count];
            let mean = 1.0 / mask.iter().filter(|unmasked| **unmasked).count() as f32;
            for (weight, unmasked) in weights[row * tokens + start..].iter_mut().zip(mask) {
                *weight = if *unmasked { mean } else { 0.0 };
            }
        }
        let weights: Tensor<2> = host_tensor(weights, [self.counts.len(), tokens], &self.states);
        weights.matmul(self.states.clone())
    }

    /// The states padded to `length` tokens per row, `[rows, length, hidden]`; padding is 0.
    pub(crate) fn padded(&self, length: usize) -> Tensor<3> {
        let ([tokens, width], rows) = (self.states.dims(), self.counts.len());
        if tokens == rows * length {
            return self.states.clone().reshape([rows, length, width]);
        }
        let mut sources = Vec::with_capacity(rows * length);
        for (row, (start, count)) in self.starts().zip(&self.counts).enumerate() {
            sources.extend(start as u32..(start + count) as u32);
            // Index `tokens` is the row of zeros that is appended below.
            sources.resize((row + 1) * length, tokens as u32);
        }
        let zeros = host_tensor(vec![0.0; width], [1, width], &self.states);
        let states = Tensor::cat(vec![self.states.clone(), zeros], 0);
        let sources = indices(&sources, &states.device());
        states.select(0, sources).reshape([rows, length, width])
    }
}
