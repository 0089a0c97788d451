//! How much of everything.

use std::path::PathBuf;

/// The training of the extended model.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Training {
    /// Optimiser steps, each on one window of its own.
    pub(super) steps: usize,
    /// Tokens of the shortest and of the longest window; the others lie evenly between.
    pub(super) windows: [usize; 2],
    /// Lookups in a window of a model that converses; others learn one.
    pub(super) lookups: usize,
    /// Learning rate.
    pub(super) rate: f64,
}

/// Records of each length where the user does not say.
pub(super) const RECORDS: usize = 3;

/// Everything that has a size but the number of records.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Settings {
    /// The model's folder.
    pub(super) model: PathBuf,
    /// Tokens of the longest sequence about a record, the shortest first: that one lies within the
    /// length that the model was trained for, the others beyond.
    pub(super) lengths: [usize; 3],
    /// Questions about a record.
    pub(super) questions: usize,
    /// Values that each of them chooses from.
    pub(super) choices: usize,
    /// The training of the extended model.
    pub(super) training: Training,
}

impl Settings {
    /// SmolLM2-135M-Instruct, which was trained for 8,192 tokens: some hours of one processor.
    pub(super) fn smollm2() -> Self {
        Self {
            model: PathBuf::from("models/smollm2-135m-instruct"),
            lengths: [6_000, 12_000, 16_000],
            questions: 24,
            choices: 10,
            training: Training { steps: 8, windows: [10_000, 12_000], lookups: 30, rate: 1e-3 },
        }
    }

    /// Tokens of each window, the shortest first.
    pub(super) fn windows(&self) -> Vec<usize> {
        let Training { steps, windows: [shortest, longest], .. } = self.training;
        let gaps = steps.saturating_sub(1).max(1);
        (0..steps).map(|step| shortest + (longest - shortest) * step / gaps).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_lie_evenly_between_the_shortest_and_the_longest() {
        let mut settings = Settings::smollm2();
        settings.training.steps = 3;
        assert_eq!(settings.windows(), [10_000, 11_000, 12_000]);
        settings.training.steps = 1;
        assert_eq!(settings.windows(), [10_000]);
    }
}
