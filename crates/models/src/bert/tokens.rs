//! Hidden states of the tokens of a batch, one behind the other.

use burn::tensor::Tensor;

use bestof_kernels::host_tensor;
use bestof_kernels::indices;

/// The hidden states of a batch's tokens, row by row, without the padding behind a row.
#[derive(Debug, Clone)]
pub struct BertTokens {
    /// `[tokens, hidden]`
    pub states: Tensor<2>,
    pub(crate) counts: Vec<usize>,
    pub(crate) seen: Vec<bool>,
}

impl BertTokens {
    /// The number of tokens of each row.
    pub fn counts(&self) -> &[usize] {
        &self.counts
    }

    /// Where each row starts.
    fn starts(&self) -> impl Iterator<Item = usize> {
        self.counts.iter().scan(0, |next, count| {
            let start = *next;
            *next += count;
            Some(start)
        })
    }

    /// The first token of each row, `[rows, hidden]`.
    pub fn first(&self) -> Tensor<2> {
        let starts: Vec<u32> = self.starts().map(|start| start as u32).collect();
        self.states.clone().select(0, indices(&starts, &self.states.device()))
    }

    /// The mean of each row's seen tokens, `[rows, hidden]`: the sentence vector of
    /// sentence-transformers.
    pub fn mean(&self) -> Tensor<2> {
        let tokens = self.seen.len();
        let mut shares = vec![0.0; self.counts.len() * tokens];
        for (row, (start, count)) in self.starts().zip(&self.counts).enumerate() {
            let seen = &self.seen[start..start + count];
            let share = 1.0 / seen.iter().filter(|seen| **seen).count() as f32;
            for (to, seen) in shares[row * tokens + start..].iter_mut().zip(seen) {
                *to = if *seen { share } else { 0.0 };
            }
        }
        let shares: Tensor<2> = host_tensor(shares, [self.counts.len(), tokens], &self.states);
        shares.matmul(self.states.clone())
    }

    /// The states as rows of `length` tokens, `[rows, length, hidden]`, 0 where there is none.
    pub(crate) fn padded(&self, length: usize) -> Tensor<3> {
        let ([tokens, width], rows) = (self.states.dims(), self.counts.len());
        if tokens == rows * length {
            return self.states.clone().reshape([rows, length, width]);
        }
        let mut from = Vec::with_capacity(rows * length);
        for (row, (start, count)) in self.starts().zip(&self.counts).enumerate() {
            from.extend(start as u32..(start + count) as u32);
            // Behind the last token lies a row of zeros.
            from.resize((row + 1) * length, tokens as u32);
        }
        let zeros = host_tensor(vec![0.0; width], [1, width], &self.states);
        let states = Tensor::cat(vec![self.states.clone(), zeros], 0);
        let from = indices(&from, &states.device());
        states.select(0, from).reshape([rows, length, width])
    }
}
