//! Sizes of the experiment: minutes on two cores, or a pretrained encoder.

use std::path::PathBuf;

use bestof_sentiment::model::Architecture;

use crate::{Options, SmallBert};

/// Where BERT starts from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Encoder {
    /// Random weights, and the words of the training rows.
    Small(SmallBert),
    /// A pretrained model's folder.
    Pretrained(PathBuf),
}

/// How long a neural model learns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Schedule {
    pub(super) epochs: f64,
    pub(super) learning_rate: f64,
}

/// Everything that has a size.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Settings {
    /// Repetitions, each with its own reviews, split and weights, unless the user says how many.
    pub(super) seeds: usize,
    /// Reviews that are made up, where none are given; about seven in eight are of restaurants.
    pub(super) reviews: u64,
    /// Reviews of the user's own that are kept.
    pub(super) limit: usize,
    /// Terms of the classical models.
    pub(super) terms: usize,
    /// Tokens of a text that BERT and CNN read.
    pub(super) length: usize,
    pub(super) encoder: Encoder,
    pub(super) bert: Schedule,
    pub(super) cnn: Schedule,
    pub(super) han: Schedule,
    /// Width of the word vectors of CNN and HAN.
    pub(super) word_width: usize,
    /// Filters of the CNN.
    pub(super) filters: usize,
    /// Width of each direction of the HAN.
    pub(super) hidden_width: usize,
    /// Width of meta encoder and joint layer.
    pub(super) joint_width: usize,
}

impl Settings {
    pub(super) fn of(options: &Options) -> Self {
        let small = Self {
            seeds: 6,
            reviews: 3000,
            limit: 2600,
            terms: 300,
            length: 64,
            encoder: Encoder::Small(SmallBert {
                width: 64,
                inner: 128,
                layers: 2,
                heads: 4,
                context: 64,
                words: 2000,
            }),
            bert: Schedule { epochs: 8.0, learning_rate: 1e-3 },
            cnn: Schedule { epochs: 5.0, learning_rate: 2e-3 },
            han: Schedule { epochs: 5.0, learning_rate: 3e-3 },
            word_width: 50,
            filters: 64,
            hidden_width: 25,
            joint_width: 64,
        };
        // Words that a model of a few thousand reviews has seen do not carry real texts.
        let pretrained = Self {
            encoder: Encoder::Pretrained(PathBuf::from("models/minilm-l6-v2")),
            bert: Schedule { epochs: 3.0, learning_rate: 5e-5 },
            // MiniLM takes forty seconds a training on two cores, and there are four a seed.
            seeds: 3,
            ..small.clone()
        };
        match (options.full, options.data.is_some()) {
            (false, false) => small,
            (false, true) => {
                Self { bert: Schedule { epochs: 1.0, learning_rate: 1e-4 }, ..pretrained }
            }
            (true, _) => Self {
                reviews: 20_000,
                limit: 36_692,
                terms: 1000,
                length: 128,
                word_width: 100,
                filters: 256,
                hidden_width: 50,
                joint_width: 256,
                ..pretrained
            },
        }
    }

    pub(super) fn schedule(&self, architecture: Architecture) -> Schedule {
        match architecture {
            Architecture::Bert => self.bert,
            Architecture::Cnn => self.cnn,
            Architecture::Han => self.han,
        }
    }
}
