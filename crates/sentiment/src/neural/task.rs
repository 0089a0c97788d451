//! The tasks a model learns.

use crate::model::Labels;
use crate::predictions::STARS;

/// A quantity that a head predicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Task {
    /// One to five stars, by cross-entropy.
    Stars,
    /// Positive or not, by cross-entropy.
    Binary,
    /// The standardised lexicon score, by squared error.
    Sentiment,
}

impl Task {
    /// The tasks of a model, those of the labels first.
    pub(super) fn all(labels: Labels, multi_task: bool) -> Vec<Self> {
        let mut tasks = match labels {
            Labels::Stars => vec![Self::Stars],
            Labels::Binary => vec![Self::Binary],
            Labels::Both => vec![Self::Stars, Self::Binary],
        };
        if multi_task {
            tasks.push(Self::Sentiment);
        }
        tasks
    }

    /// The prefix of the head's parameters.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Stars => "stars",
            Self::Binary => "binary",
            Self::Sentiment => "sentiment",
        }
    }

    /// The metric of its loss.
    pub(super) fn loss_name(self) -> &'static str {
        match self {
            Self::Stars => "stars_loss",
            Self::Binary => "binary_loss",
            Self::Sentiment => "sentiment_loss",
        }
    }

    /// The metric of its log-variance.
    pub(super) fn log_variance_name(self) -> &'static str {
        match self {
            Self::Stars => "log_variance/stars",
            Self::Binary => "log_variance/binary",
            Self::Sentiment => "log_variance/sentiment",
        }
    }

    /// Number of classes; 0 for a regression.
    pub(super) fn classes(self) -> usize {
        match self {
            Self::Stars => STARS,
            Self::Binary => 2,
            Self::Sentiment => 0,
        }
    }
}
