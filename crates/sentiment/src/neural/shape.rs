//! Which parameters a model has.

use super::settings::{SentimentSection, Weighting};
use super::task::Task;

/// Everything that determines the parameters of a model and their shapes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ModelShape {
    pub(super) settings: SentimentSection,
    /// Meta features of a review.
    pub(super) meta_features: usize,
    /// Size of the vocabulary of CNN and HAN, the unknown word included; 0 for pretrained encoders.
    pub(super) words: usize,
}

impl ModelShape {
    /// Whether meta features are an input.
    pub(super) fn joint(&self) -> bool {
        self.settings.kind.is_joint()
    }

    /// Whether the lexicon score is a target beside the labels.
    pub(super) fn multi_task(&self) -> bool {
        self.settings.kind.is_multi_task()
    }

    /// The tasks, those of the labels first.
    pub(super) fn tasks(&self) -> Vec<Task> {
        Task::all(self.settings.labels, self.multi_task())
    }

    /// Whether the weights of the tasks are learned.
    pub(super) fn learns_weights(&self) -> bool {
        self.tasks().len() > 1 && self.settings.weighting == Weighting::Learned
    }
}
