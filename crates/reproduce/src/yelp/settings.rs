//! Sizes of the experiment: the table on two cores, or on a GPU.

use std::path::PathBuf;

use bestof_sentiment::model::Architecture;

use crate::{Options, ReproduceError, SmallBert};

/// Where BERT starts from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Encoder {
    /// Random weights, and the words of the training rows.
    Small(SmallBert),
    /// A pretrained model's folder.
    Pretrained(PathBuf),
}

impl Encoder {
    /// # Errors
    /// A pretrained model that is not there.
    pub(super) fn check(&self) -> Result<(), ReproduceError> {
        match self {
            Self::Pretrained(path) if !path.is_dir() => {
                Err(ReproduceError::NoEncoder { path: path.clone() })
            }
            _ => Ok(()),
        }
    }
}

/// How long a neural model learns at most, and how fast.
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
    /// Businesses that they are of.
    pub(super) businesses: u32,
    /// Reviews of the user's own that are kept.
    pub(super) limit: usize,
    /// Most rows that train and that validate; a sample is taken of more. All test rows are used.
    pub(super) train: usize,
    pub(super) validation: usize,
    /// Factors of the planted meta effects at which the small models are trained again.
    pub(super) strengths: &'static [f64],
    /// Terms of the classical models.
    pub(super) terms: usize,
    /// Tokens of a text that BERT and CNN read.
    pub(super) length: usize,
    /// Sentences of a review and words of a sentence that HAN reads.
    pub(super) sentences: [usize; 2],
    pub(super) encoder: Encoder,
    pub(super) bert: Schedule,
    pub(super) cnn: Schedule,
    pub(super) han: Schedule,
    /// Evaluations an epoch on the validation rows, and how many in a row without a lower loss end a run.
    pub(super) evaluations: usize,
    pub(super) patience: u64,
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
        let usual = Self {
            seeds: 3,
            reviews: 5000,
            businesses: 80,
            limit: 4300,
            train: 1100,
            validation: 200,
            strengths: &[0.0, 2.0],
            terms: 300,
            length: 96,
            sentences: [13, 28],
            encoder: Encoder::Pretrained(PathBuf::from("models/minilm-l6-v2")),
            bert: Schedule { epochs: 5.0, learning_rate: 1e-4 },
            cnn: Schedule { epochs: 10.0, learning_rate: 2e-3 },
            han: Schedule { epochs: 10.0, learning_rate: 3e-3 },
            evaluations: 2,
            patience: 4,
            word_width: 50,
            filters: 64,
            hidden_width: 25,
            joint_width: 64,
        };
        let sized = if options.full {
            Self {
                reviews: 42_000,
                businesses: 400,
                limit: 36_692,
                train: usize::MAX,
                validation: usize::MAX,
                terms: 1000,
                length: 128,
                bert: Schedule { epochs: 3.0, learning_rate: 5e-5 },
                word_width: 100,
                filters: 256,
                hidden_width: 50,
                joint_width: 256,
                ..usual
            }
        } else {
            usual
        };
        if options.pretrained {
            return sized;
        }
        let small =
            SmallBert { width: 64, inner: 128, layers: 2, heads: 4, context: 128, words: 2000 };
        let bert = Schedule { epochs: 8.0, learning_rate: 1e-3 };
        Self { encoder: Encoder::Small(small), bert, ..sized }
    }

    pub(super) fn schedule(&self, architecture: Architecture) -> Schedule {
        match architecture {
            Architecture::Bert => self.bert,
            Architecture::Cnn => self.cnn,
            Architecture::Han => self.han,
        }
    }
}
