//! How much of everything: minutes on two cores, or a real model.

use std::path::PathBuf;

use super::documents::alphabet;
use crate::SmallLlama;

/// Lengths that are measured, in contexts of the base model.
pub(super) const TIMES: [usize; 4] = [1, 2, 4, 8];
/// Length of the rows that extended models are trained on, in contexts of the base model: as in the
/// paper, whose model of 2,048 positions is trained on windows of 4,096 whatever the factor.
pub(super) const TRAINED_TIMES: usize = 2;
/// Where in the document the answer stands.
pub(super) const DEPTHS: [f64; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];

/// A training run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Training {
    pub(super) rows: usize,
    pub(super) steps: usize,
    pub(super) batch: usize,
    pub(super) rate: f64,
}

/// Everything that has a size.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Size {
    /// A real model's folder; `None` makes a small one.
    pub(super) model: Option<PathBuf>,
    pub(super) shape: SmallLlama,
    /// The base model's longest sequence.
    pub(super) context: usize,
    /// How the small model is taught.
    pub(super) taught: Training,
    /// The training after the extension.
    pub(super) extended: Training,
    /// Questions for each length and depth.
    pub(super) cases: usize,
    /// Longest answer in tokens.
    pub(super) answer: usize,
    /// Texts that perplexity is measured on, and tokens at the end of each that count.
    pub(super) texts: usize,
    pub(super) scored: usize,
}

impl Size {
    /// The small model.
    pub(super) fn small() -> Self {
        Self {
            model: None,
            shape: SmallLlama {
                alphabet: alphabet(),
                width: 64,
                inner: 128,
                layers: 2,
                heads: 2,
                context: 64,
                // The slowest of 16 pairs turns as far in 64 tokens as that of LLaMA's 64 in 2,048.
                rope_theta: 393.0,
                // One over the root of the width: with 0.02 nothing is learned for a long time.
                initializer_range: 0.125,
            },
            context: 64,
            taught: Training { rows: 96_000, steps: 3000, batch: 32, rate: 2e-3 },
            extended: Training { rows: 2000, steps: 120, batch: 16, rate: 1e-3 },
            cases: 20,
            answer: 1,
            texts: 16,
            scored: 64,
        }
    }

    /// SmolLM2-135M by LoRA, with the paper's lines.
    pub(super) fn full() -> Self {
        Self {
            model: Some(PathBuf::from("models/smollm2-135m-instruct")),
            context: 8192,
            extended: Training { rows: 256, steps: 100, batch: 2, rate: 2e-4 },
            cases: 4,
            answer: 35,
            texts: 8,
            scored: 512,
            ..Self::small()
        }
    }

    /// The lengths that are measured.
    pub(super) fn lengths(&self) -> [usize; 4] {
        TIMES.map(|times| times * self.context)
    }

    /// Tokens of the longest row of training after the extension.
    pub(super) fn trained_length(&self) -> usize {
        TRAINED_TIMES * self.context
    }

    /// The longest sequence that is ever seen.
    pub(super) fn longest(&self) -> usize {
        self.lengths()[TIMES.len() - 1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_pair_turns_as_far_as_llamas() {
        let size = Size::small();
        let turn =
            |theta: f64, head: f64, context: usize| theta.powf(2.0 / head - 1.0) * context as f64;
        let head = (size.shape.width / size.shape.heads) as f64;
        let (ours, llamas) =
            (turn(size.shape.rope_theta, head, size.context), turn(10_000.0, 128.0, 2048));
        assert!((ours / llamas - 1.0).abs() < 0.01, "{ours} {llamas}");
    }
}
