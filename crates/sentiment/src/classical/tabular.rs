//! The interface of the classical models.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::matrix::Matrix;
use crate::error::SentimentError;

/// A model that assigns each row of numbers a probability for each class.
pub(super) trait TabularClassifier: Sized + Serialize + DeserializeOwned {
    /// Default for the most rows it is fitted on, by what training was measured to cost (`docs/yelp.md`);
    /// `None` for no limit, where that grows with the rows and no faster.
    const MAX_ROWS: Option<usize>;

    /// Fits the model to rows with labels `y`, one per row, in `0..classes`; each class occurs.
    fn fit(x: &Matrix, y: &[u8], classes: usize, seed: u64) -> Result<Self, SentimentError>;

    /// Probabilities `[rows][classes]`, each row with a sum of 1.
    fn predict_proba(&self, x: &Matrix) -> Result<Vec<Vec<f32>>, SentimentError>;

    /// Refuses a model, read from a file, that is not of rows of `width` numbers and of `classes`
    /// classes.
    fn check(&self, width: usize, classes: usize) -> Result<(), SentimentError>;
}
