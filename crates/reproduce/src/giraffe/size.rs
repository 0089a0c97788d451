//! How much of everything: half an hour on two cores.

use super::documents::{ALPHABET, Between};
use crate::SmallLlama;

/// Lengths that are measured, in contexts of the base model.
pub(super) const TIMES: [usize; 4] = [1, 2, 4, 8];

/// Rows of one kind that are learned until they can be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lesson {
    /// Most tokens of a row.
    pub(super) length: usize,
    pub(super) between: Between,
}

/// A training after the extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Extending {
    /// Most tokens of a row, in contexts of the base model.
    pub(super) times: usize,
    pub(super) steps: usize,
}

/// Everything that has a size.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Size {
    pub(super) shape: SmallLlama,
    /// What the base model learns first, in this order.
    pub(super) lessons: Vec<Lesson>,
    /// Share of the values' tokens that have to be predicted before the next lesson begins.
    pub(super) passed_at: f64,
    /// Steps after which a base model that has not passed its lessons is given up.
    pub(super) most_steps: usize,
    /// Steps on rows of its whole context after the lessons, the learning rate falling to 0.
    pub(super) last_steps: usize,
    /// Share of the values' tokens that have to be predicted over the last steps.
    pub(super) learned_at: f64,
    pub(super) rate: f64,
    /// Tokens of a batch.
    pub(super) batch: usize,
    /// The training after the extension, and its learning rate.
    pub(super) extended: Extending,
    pub(super) extended_rate: f64,
    /// Other trainings, of linear scaling and its strongest rivals.
    pub(super) further: Vec<Extending>,
    /// Documents of each length that questions are asked about.
    pub(super) documents: usize,
    /// Texts that perplexity is measured on, and tokens at the end of each that count.
    pub(super) texts: usize,
    pub(super) scored: usize,
}

impl Size {
    pub(super) fn small() -> Self {
        let lessons = |lengths: &[usize], between| -> Vec<Lesson> {
            lengths.iter().map(|&length| Lesson { length, between }).collect()
        };
        Self {
            shape: SmallLlama {
                alphabet: ALPHABET,
                width: 64,
                inner: 128,
                layers: 3,
                heads: 4,
                context: 128,
                rope_theta: 10_000.0,
                // One over the root of the width: with 0.02 nothing is learned for a long time.
                initializer_range: 0.125,
            },
            lessons: [
                lessons(&[20, 32, 48], Between::Nothing),
                lessons(&[64, 96, 128], Between::Text),
            ]
            .concat(),
            passed_at: 0.9,
            most_steps: 5000,
            last_steps: 1000,
            learned_at: 0.95,
            rate: 2e-3,
            batch: 1024,
            extended: Extending { times: 2, steps: 600 },
            extended_rate: 1e-3,
            // A third and twice of the steps, twice and four times the length.
            further: [(2, 200), (2, 1200), (4, 600), (8, 600)]
                .map(|(times, steps)| Extending { times, steps })
                .to_vec(),
            documents: 8,
            texts: 8,
            scored: 64,
        }
    }

    /// The base model's longest sequence.
    pub(super) fn context(&self) -> usize {
        self.shape.context
    }

    /// The lengths that are measured.
    pub(super) fn lengths(&self) -> [usize; TIMES.len()] {
        TIMES.map(|times| times * self.context())
    }

    /// The longest sequence that is ever seen.
    pub(super) fn longest(&self) -> usize {
        self.lengths()[TIMES.len() - 1]
    }
}
