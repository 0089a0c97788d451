//! What the heads return.

use burn::tensor::Tensor;
use burn::tensor::activation::softmax;

use crate::predictions::{Predictions, STARS};
use bestof_kernels::host_values;

/// The outputs of the heads that a model has.
#[derive(Debug, Clone)]
pub(super) struct Outputs {
    /// Logits, `[rows, 5]`.
    pub(super) stars: Option<Tensor<2>>,
    /// Logits, `[rows, 2]`.
    pub(super) binary: Option<Tensor<2>>,
    /// The standardised score, `[rows]`.
    pub(super) sentiment: Option<Tensor<1>>,
}

impl Outputs {
    /// Logits as probabilities. Without a binary head, the probability of a positive review is that
    /// of four and five stars.
    pub(super) fn into_predictions(self) -> Predictions {
        let probabilities = |logits: Tensor<2>| host_values(softmax(logits, 1));
        let stars = self.stars.map(|logits| probabilities(logits).as_chunks::<STARS>().0.to_vec());
        let positive = match self.binary {
            Some(logits) => Some(probabilities(logits).chunks_exact(2).map(|row| row[1]).collect()),
            None => stars.as_ref().map(|rows| rows.iter().map(|row| row[3] + row[4]).collect()),
        };
        Predictions { stars, positive, sentiment: self.sentiment.map(host_values) }
    }
}
