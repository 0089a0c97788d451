//! The inputs of a forward pass over several reviews.

use burn::tensor::{Device, Tensor};

use super::encoded::EncodedReview;
use super::shape::ModelShape;
use super::tokenizer::EncodedText;
use bestof_kernels::{Dropout, KeyedRow, constant};

/// The inputs of some reviews.
#[derive(Debug, Clone)]
pub(super) struct Batch {
    pub(super) texts: TextBatch,
    /// `[rows, features]`, for models with meta features.
    pub(super) meta: Option<Tensor<2>>,
}

/// Concatenated token ids with the lengths that divide them into sentences and texts.
#[derive(Debug, Clone, Default)]
pub(super) struct TextBatch {
    pub(super) ids: Vec<u32>,
    /// Tokens of each sentence, over all texts.
    pub(super) sentences: Vec<usize>,
    /// Sentences of each text.
    pub(super) texts: Vec<usize>,
    /// Of each text the key of its dropout masks.
    pub(super) keys: Vec<u64>,
}

impl Batch {
    pub(super) fn new<'r>(
        rows: impl IntoIterator<Item = &'r EncodedReview>,
        shape: &ModelShape,
        device: &Device,
    ) -> Self {
        let rows: Vec<&EncodedReview> = rows.into_iter().collect();
        let meta = shape.joint().then(|| {
            let values: Vec<f32> = rows.iter().flat_map(|row| &row.meta).copied().collect();
            constant(values, [rows.len(), shape.meta_features], device)
        });
        Self { texts: TextBatch::new(rows.iter().map(|row| &row.text)), meta }
    }

    /// The batch with a key for each text, by which its dropout masks are drawn.
    pub(super) fn with_keys(mut self, keys: Vec<u64>) -> Self {
        self.texts.keys = keys;
        self
    }
}

impl TextBatch {
    pub(super) fn new<'t>(texts: impl IntoIterator<Item = &'t EncodedText>) -> Self {
        let mut batch = Self::default();
        for text in texts {
            batch.ids.extend(&text.ids);
            batch.sentences.extend(text.sentences.iter().map(|tokens| *tokens as usize));
            batch.keys.push(batch.texts.len() as u64);
            batch.texts.push(text.sentences.len());
        }
        batch
    }

    /// Dropout of one vector per text; `keys` are the seed and numbers that tell it from others.
    pub(super) fn dropout(&self, probability: f64, keys: [u64; 3]) -> Dropout {
        let rows = self.keys.iter().map(|&key| KeyedRow { key, tokens: 1 }).collect();
        Dropout { probability, keys, rows }
    }

    /// The token ids of each text.
    pub(super) fn rows(&self) -> Vec<&[u32]> {
        let (mut ids, mut sentences) = (self.ids.as_slice(), self.sentences.as_slice());
        let mut rows = Vec::with_capacity(self.texts.len());
        for &count in &self.texts {
            let (of_text, later) = sentences.split_at(count);
            let (row, rest) = ids.split_at(of_text.iter().sum());
            rows.push(row);
            (ids, sentences) = (rest, later);
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_the_texts_that_were_concatenated() {
        let text = |ids: &[u32], sentences: &[u32]| EncodedText {
            ids: ids.to_vec(),
            sentences: sentences.to_vec(),
        };
        let texts = [text(&[1, 2, 3], &[2, 1]), text(&[4], &[1]), text(&[5, 6], &[2])];
        let batch = TextBatch::new(&texts);
        assert_eq!(
            (batch.sentences.as_slice(), &batch.texts[..]),
            (&[2, 1, 1, 2][..], &[2, 1, 1][..])
        );
        assert_eq!(batch.rows(), [&[1, 2, 3][..], &[4], &[5, 6]]);
    }
}
