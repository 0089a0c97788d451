//! The interface of every trained model.

use super::card::ModelCard;
use crate::attribution::{Attribution, AttributionTarget};
use crate::dataset::Example;
use crate::error::SentimentError;
use crate::features::FeatureSpec;
use crate::predictions::Predictions;

/// A trained model of any kind.
pub trait Predictor {
    /// The description in its folder.
    fn card(&self) -> &ModelCard;

    /// The columns and scalers of its meta features.
    fn features(&self) -> &FeatureSpec;

    /// The answers to `examples`, of which text and meta features are read.
    ///
    /// # Errors
    /// Rows with other features than the model's.
    fn predict(&self, examples: &[Example]) -> Result<Predictions, SentimentError>;

    /// The contribution of each word of `example` to an answer, by an integral over `points` points;
    /// `None` from kinds without gradients.
    ///
    /// # Errors
    /// An answer that the model does not give, or features that are not the model's.
    fn explain(
        &self,
        _example: &Example,
        _target: AttributionTarget,
        _points: usize,
    ) -> Result<Option<Attribution>, SentimentError> {
        Ok(None)
    }
}
