//! What a run tells whoever watches it; the library itself prints nothing.

use std::time::Duration;

use crate::displacement::DisplacementWarning;

/// One step as shown to a watcher.
#[derive(Debug, Clone, PartialEq)]
pub struct StepProgress {
    /// Optimiser steps done.
    pub step: u64,
    /// Steps of the whole run.
    pub total_steps: u64,
    /// Passes over the data, with fraction.
    pub epoch: f64,
    /// Loss of this step.
    pub loss: f64,
    /// Tokens computed a second in this step.
    pub tokens_per_second: f64,
    /// Time left at the pace since the start.
    pub time_left: Duration,
}

/// Hears what happens in a run. Every method does nothing unless overridden.
pub trait Progress {
    /// Reference log-probabilities, or an evaluation: `done` of `total` rows of `what`.
    fn rows(&mut self, what: &str, done: usize, total: usize) {
        let _ = (what, done, total);
    }

    /// An optimiser step was made.
    fn step(&mut self, progress: &StepProgress) {
        let _ = progress;
    }

    /// An evaluation after `step` steps gave these numbers.
    fn evaluated(&mut self, step: u64, metrics: &[(String, f64)]) {
        let _ = (step, metrics);
    }

    /// A checkpoint of `step` is whole.
    fn saved(&mut self, step: u64) {
        let _ = step;
    }

    /// Chosen answers are losing probability.
    fn displaced(&mut self, warning: &DisplacementWarning) {
        tracing::warn!("{warning}");
    }

    /// Something the user should know, as a damaged checkpoint that was passed over.
    fn notice(&mut self, text: &str) {
        let _ = text;
    }

    /// Whether steps are being made from now on, so that the run is asked after each whether it
    /// [`wants_stop`](Self::wants_stop).
    fn stepping(&mut self, stepping: bool) {
        let _ = stepping;
    }

    /// Whether the run should stop after this step, saved so that it can be resumed. With several ranks it is enough if
    /// one of them wants to.
    fn wants_stop(&mut self) -> bool {
        false
    }
}

/// Hears everything and does nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {}
