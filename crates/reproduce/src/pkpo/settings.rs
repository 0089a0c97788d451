//! Sizes of the experiment: minutes on two cores, or a real model.

use std::path::PathBuf;

use super::puzzles::{ALPHABET, Kind};
use crate::{Options, SmallLlama};

/// Completions of a prompt in training, as in the paper.
pub(super) const N: usize = 16;
/// The fixed `k`, and where the annealed one begins, as in the paper.
pub(super) const K: usize = 8;

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
    /// A real model's folder; `None` makes a small one.
    pub(super) model: Option<PathBuf>,
    /// Puzzles whose solutions are often found, and those whose seldom are.
    pub(super) kinds: [Kind; 2],
    /// Demonstrations of the supervised run, and how often one is right.
    pub(super) demonstrations: usize,
    pub(super) right_every: usize,
    pub(super) epochs: f64,
    /// Training and held-out puzzles of each kind.
    pub(super) train: usize,
    pub(super) held_out: usize,
    /// Completions of each held-out prompt at the end.
    pub(super) samples: usize,
    /// Policy-gradient steps, and prompts of each.
    pub(super) steps: usize,
    pub(super) prompts: usize,
    pub(super) learning_rate: f64,
    /// Step at which the annealed `k` becomes 1, as a share of all.
    pub(super) annealed_at: f64,
}

impl Settings {
    pub(super) fn of(options: &Options) -> Self {
        let small = Self {
            model: None,
            kinds: [Kind { numbers: 3..=3, largest: 9 }, Kind { numbers: 4..=4, largest: 9 }],
            demonstrations: 8192,
            right_every: 4,
            epochs: 4.0,
            train: 96,
            held_out: 64,
            samples: 32,
            steps: 300,
            prompts: 16,
            learning_rate: 3e-4,
            annealed_at: 0.6,
        };
        if options.full {
            let model = Some(PathBuf::from("models/smollm2-135m-instruct"));
            return Self { model, learning_rate: 1e-4, ..small };
        }
        small
    }

    /// The step from which the annealed `k` is 1.
    pub(super) fn switch(&self) -> usize {
        (self.steps as f64 * self.annealed_at).round() as usize
    }
}
