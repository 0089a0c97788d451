//! Sizes of the experiment: half an hour on two cores, or a real model.

use std::path::PathBuf;

use bestof_trainer::reinforce::OffPolicyWeights;

use super::arm::{Arm, N};
use super::kind::{ALPHABET, Kind};
use crate::{Options, SmallLlama};

/// The shape of the small model.
pub(super) const SHAPE: SmallLlama = SmallLlama {
    alphabet: ALPHABET,
    width: 64,
    inner: 192,
    layers: 3,
    heads: 4,
    context: 64,
    rope_theta: 10_000.0,
    initializer_range: 0.02,
};

/// Everything that has a size.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Settings {
    /// What is compared, in the order of tables.
    pub(super) arms: &'static [Arm],
    /// The arm that every gain has to be there over.
    pub(super) against: Arm,
    /// A real model's folder; `None` makes a small one.
    pub(super) model: Option<PathBuf>,
    /// Puzzles whose solutions are often found, and those whose seldom are.
    pub(super) kinds: [Kind; 2],
    /// Demonstrations of the supervised run, and how often one is right.
    pub(super) demonstrations: usize,
    pub(super) right_every: usize,
    pub(super) epochs: f64,
    /// Validation and held-out puzzles of each kind.
    pub(super) validation: usize,
    pub(super) held_out: usize,
    /// Completions of each validation and held-out prompt.
    pub(super) samples: usize,
    /// Policy-gradient steps, and prompts of each; no prompt comes twice.
    pub(super) steps: usize,
    pub(super) prompts: usize,
    /// Learning rates of `k = 1`, with and without a bonus. An arm with several is compared at the
    /// one chosen on the validation puzzles.
    pub(super) rates: &'static [f64],
    /// Learning rates of the other arms.
    pub(super) other_rates: &'static [f64],
    /// What a nat of entropy is worth where there is a bonus.
    pub(super) entropy_bonus: f64,
    /// Step at which the annealed `k` becomes 1, as a share of all.
    pub(super) annealed_at: f64,
}

impl Settings {
    pub(super) fn of(options: &Options) -> Self {
        let small = Self {
            arms: &Arm::WAYS,
            against: Arm::One,
            model: None,
            kinds: [Kind { numbers: 3, largest: 18 }, Kind { numbers: 4, largest: 9 }],
            demonstrations: 8192,
            right_every: 2,
            epochs: 4.0,
            validation: 64,
            held_out: 256,
            samples: 64,
            steps: 750,
            prompts: 16,
            rates: &[3e-5, 1e-4, 3e-4],
            other_rates: &[3e-4],
            entropy_bonus: 0.001,
            annealed_at: 0.6,
        };
        if options.full {
            let model = Some(PathBuf::from("models/smollm2-135m-instruct"));
            return Self { model, other_rates: &[1e-4], ..small };
        }
        small
    }

    /// A third of the batches, each for several updates, with every arm at two learning rates.
    pub(super) fn of_updates(options: &Options) -> Self {
        Self {
            arms: &Arm::UPDATES,
            against: Arm::Several(OffPolicyWeights::OwnRatio),
            steps: 250,
            other_rates: &[1e-4, 3e-4],
            ..Self::of(options)
        }
    }

    /// Everything that a run with this training depends on, in words.
    pub(super) fn made_with(&self, training: &str) -> String {
        format!("n = {N}\n{self:?}\n{SHAPE:?}\n{training}")
    }

    /// The step from which the annealed `k` is 1.
    pub(super) fn switch(&self) -> usize {
        (self.steps as f64 * self.annealed_at).round() as usize
    }

    /// Training puzzles of each kind: as many as the steps ask for.
    pub(super) fn train(&self) -> [usize; 2] {
        let all = self.steps * self.prompts;
        [all.div_ceil(2), all / 2]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_differ_are_told_apart() {
        let settings = Settings::of(&Options::new("out"));
        let longer = Settings { steps: settings.steps + 1, ..settings.clone() };
        assert_ne!(settings.made_with("a"), longer.made_with("a"));
        assert_ne!(settings.made_with("a"), settings.made_with("b"));
    }
}
