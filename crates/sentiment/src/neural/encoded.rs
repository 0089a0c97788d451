//! Reviews as numbers, and how they are batched by length.

use bestof_files::Sha256Hasher;

use super::shape::ModelShape;
use super::task::Task;
use super::tokenizer::{EncodedText, ReviewTokenizer};
use crate::dataset::Example;
use crate::error::SentimentError;
use crate::model::Labels;

/// The inputs and targets of one review.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct EncodedReview {
    pub(super) text: EncodedText,
    /// Scaled meta features; empty for models of text alone.
    pub(super) meta: Vec<f32>,
    /// Class of the stars, 0 to 4; not read if the model learns two classes only.
    pub(super) stars: usize,
    pub(super) positive: bool,
    /// The standardised lexicon score.
    pub(super) sentiment: f32,
}

impl EncodedReview {
    /// The inputs of an example, checked against the model; its targets are left at 0.
    pub(super) fn inputs(
        example: &Example,
        tokenizer: &ReviewTokenizer,
        shape: &ModelShape,
    ) -> Result<Self, SentimentError> {
        let row = example.row;
        if shape.joint() && example.meta.len() != shape.meta_features {
            let (found, expected) = (example.meta.len(), shape.meta_features);
            return Err(SentimentError::FeatureCount { row, found, expected });
        }
        let meta = if shape.joint() { example.meta.clone() } else { Vec::new() };
        if let Some(value) = meta.iter().copied().find(|value| !value.is_finite()) {
            return Err(SentimentError::NotFinite { row, what: "a meta feature", value });
        }
        let text = tokenizer.encode(&example.text)?;
        Ok(Self { text, meta, stars: 0, positive: false, sentiment: 0.0 })
    }

    /// The inputs and targets of an example.
    pub(super) fn labelled(
        example: &Example,
        tokenizer: &ReviewTokenizer,
        shape: &ModelShape,
    ) -> Result<Self, SentimentError> {
        let (row, stars) = (example.row, example.stars);
        if shape.settings.labels != Labels::Binary && !(1..=5).contains(&stars) {
            return Err(SentimentError::Stars { row, stars });
        }
        let sentiment = example.sentiment;
        if shape.multi_task() && !sentiment.is_finite() {
            return Err(SentimentError::NotFinite { row, what: "the score", value: sentiment });
        }
        let inputs = Self::inputs(example, tokenizer, shape)?;
        let stars = usize::from(stars).saturating_sub(1);
        Ok(Self { stars, positive: example.positive, sentiment, ..inputs })
    }

    /// The review's class in `task`; `None` for a regression.
    pub(super) fn class(&self, task: Task) -> Option<usize> {
        match task {
            Task::Stars => Some(self.stars),
            Task::Binary => Some(usize::from(self.positive)),
            Task::Sentiment => None,
        }
    }

    /// Number of tokens of the text.
    pub(super) fn tokens(&self) -> usize {
        self.text.ids.len()
    }
}

/// SHA-256 of all inputs and targets, as lower-case hex.
pub(super) fn fingerprint<'a>(sets: impl IntoIterator<Item = &'a [EncodedReview]>) -> String {
    let mut hash = Sha256Hasher::new();
    for set in sets {
        hash.update((set.len() as u64).to_le_bytes());
        for row in set {
            for list in [&row.text.ids, &row.text.sentences] {
                hash.update((list.len() as u64).to_le_bytes());
                for value in list {
                    hash.update(value.to_le_bytes());
                }
            }
            for value in row.meta.iter().chain([&row.sentiment]) {
                hash.update(value.to_bits().to_le_bytes());
            }
            hash.update([row.stars as u8, u8::from(row.positive)]);
        }
    }
    hash.hex()
}

/// `rows` in batches of at most `batch` rows and `max_tokens` tokens, short texts first, so that the
/// texts of a batch are of similar length. A longer row is a batch of its own.
pub(super) fn by_length(
    rows: &[usize],
    tokens: impl Fn(usize) -> usize,
    batch: usize,
    max_tokens: usize,
) -> Vec<Vec<usize>> {
    let mut sorted = rows.to_vec();
    sorted.sort_by_key(|&row| tokens(row));
    let mut batches: Vec<Vec<usize>> = Vec::new();
    let mut held = 0;
    for row in sorted {
        let more = tokens(row);
        match batches.last_mut() {
            Some(last) if last.len() < batch && held + more <= max_tokens => {
                last.push(row);
                held += more;
            }
            _ => {
                batches.push(vec![row]);
                held = more;
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn batches_hold_every_row_once_within_their_limits(
            lengths in prop::collection::vec(1_usize..40, 1..60),
            batch in 1_usize..9,
            max_tokens in 1_usize..100,
        ) {
            let rows: Vec<usize> = (0..lengths.len()).collect();
            let batches = by_length(&rows, |row| lengths[row], batch, max_tokens);
            let mut all: Vec<usize> = batches.iter().flatten().copied().collect();
            prop_assert!(all.iter().map(|&row| lengths[row]).is_sorted());
            all.sort_unstable();
            prop_assert_eq!(all, rows);
            for rows in &batches {
                let tokens: usize = rows.iter().map(|&row| lengths[row]).sum();
                prop_assert!(rows.len() <= batch && (tokens <= max_tokens || rows.len() == 1));
            }
        }
    }
}
