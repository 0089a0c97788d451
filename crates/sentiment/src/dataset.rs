//! Rows as models take them, in memory.

use crate::features::FeatureSpec;

/// One review as a model takes it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Example {
    /// Where the review stood in the source, counted from 0 over all its rows.
    pub row: u64,
    /// The text as it was written.
    pub text: String,
    /// The scaled features, `[features.width()]`, in the order of the columns.
    pub meta: Vec<f32>,
    /// Stars given, 1 to 5.
    pub stars: u8,
    /// The label of four and five stars.
    pub positive: bool,
    /// The lexicon's score of the text, standardised with [`FeatureSpec::sentiment`]. A target
    /// and never an input.
    pub sentiment: f32,
    /// The score in the lexicon's own unit, -5 to 5.
    pub sentiment_raw: f32,
    /// Number of the restaurant, the same in every part of a prepared folder.
    pub business: u32,
}

/// The three parts rows are dealt out to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// What models are fitted on, and scalers and vocabularies too.
    Train,
    /// What choices are made on: the best checkpoint, when to stop.
    Validation,
    /// What is reported, looked at once.
    Test,
}

impl Part {
    /// All three, in the order of a run.
    pub const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    /// The name, and the stem of the part's file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

/// Rows with the description of their features.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// The rows.
    pub examples: Vec<Example>,
    /// What the numbers of [`Example::meta`] are.
    pub features: FeatureSpec,
}

impl Dataset {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.examples.len()
    }

    /// `true` without rows.
    pub fn is_empty(&self) -> bool {
        self.examples.is_empty()
    }

    /// The stars of every row, 1 to 5.
    pub fn stars(&self) -> Vec<u8> {
        self.examples.iter().map(|example| example.stars).collect()
    }

    /// The binary label of every row.
    pub fn positive(&self) -> Vec<bool> {
        self.examples.iter().map(|example| example.positive).collect()
    }

    /// The standardised score of every row.
    pub fn sentiment(&self) -> Vec<f32> {
        self.examples.iter().map(|example| example.sentiment).collect()
    }
}
