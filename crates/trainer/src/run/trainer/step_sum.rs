//! The sums of an update's micro-batches.

use burn::module::Module;

use crate::gradients::NamedGradients;
use crate::metric::MetricSums;
use crate::run::Accumulated;

/// What the micro-batches of an update gave together.
#[derive(Default)]
pub(super) struct StepSum {
    pub(super) gradients: NamedGradients,
    pub(super) metrics: MetricSums,
    pub(super) tokens: u64,
}

impl StepSum {
    pub(super) fn add<M: Module>(&mut self, model: &M, part: Accumulated) {
        self.gradients.accumulate(model, part.gradients);
        self.metrics.merge(&part.metrics);
        self.tokens += part.tokens;
    }
}
