//! The rows of models, in memory and in a prepared folder.

mod columns;
mod prepared;

pub use prepared::{Prepared, Restaurant};

pub(crate) use prepared::PreparedWriter;

use crate::features::{FeatureSpec, Scaler};
use crate::lexicon::{LEXICON, score};
use crate::review::{UNKNOWN_STARS, is_positive};

/// The inputs and targets of one review.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Example {
    /// The line of the source on which the review begins, counted from 1.
    pub row: u64,
    /// The text.
    pub text: String,
    /// The scaled meta features, `[features.width()]`, in the order of the columns.
    pub meta: Vec<f32>,
    /// 1 to 5; 0 in every row of a table of two classes, which has no stars.
    pub stars: u8,
    /// Whether the review has four or five stars, or the class says that it is positive.
    pub positive: bool,
    /// The lexicon score of the text, standardised with [`FeatureSpec::sentiment`]; a target, never an
    /// input.
    pub sentiment: f32,
    /// The score before standardisation, -5 to 5.
    pub sentiment_raw: f32,
    /// Index of the restaurant, the same in every part of a prepared folder.
    pub business: u32,
}

/// The parts into which rows are split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// For fitting models, scalers and vocabularies.
    Train,
    /// For choices: the best checkpoint, when to stop.
    Validation,
    /// For the reported figures, used once.
    Test,
}

impl Part {
    /// Training, validation and test.
    pub const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    /// The part of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|part| part.as_str() == name)
    }

    /// The name, and the stem of the part's file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

/// Rows with the description of their meta features.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// The rows.
    pub examples: Vec<Example>,
    /// The description of [`Example::meta`].
    pub features: FeatureSpec,
}

impl Dataset {
    /// Texts with their stars, 1 to 5, without meta features. The stars of rows to predict are ignored.
    pub fn from_texts<T: Into<String>>(rows: impl IntoIterator<Item = (T, u8)>) -> Self {
        let example = |(row, (text, stars)): (u64, (T, u8))| {
            let text = text.into();
            let sentiment_raw = score(&text);
            let positive = is_positive(stars);
            Example { row, text, stars, positive, sentiment_raw, ..Example::default() }
        };
        let mut examples: Vec<Example> = (1..).zip(rows).map(example).collect();
        let scaler = Scaler::fit(examples.iter().map(|row| f64::from(row.sentiment_raw)));
        for example in &mut examples {
            example.sentiment = scaler.scale(f64::from(example.sentiment_raw)) as f32;
        }
        let mut features = FeatureSpec::new(Vec::new(), scaler, LEXICON);
        features.fitted_on = examples.len() as u64;
        Self { examples, features }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.examples.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.examples.is_empty()
    }

    /// Whether the rows have stars, and not two classes only.
    pub fn has_stars(&self) -> bool {
        self.examples.iter().any(|example| example.stars != UNKNOWN_STARS)
    }

    /// The standardised score of every row.
    pub(crate) fn sentiment(&self) -> Vec<f32> {
        self.examples.iter().map(|example| example.sentiment).collect()
    }

    /// Number of rows of each restaurant, by its index.
    pub(crate) fn training_counts(&self) -> Vec<u64> {
        let mut counts = Vec::new();
        for example in &self.examples {
            let business = example.business as usize;
            if counts.len() <= business {
                counts.resize(business + 1, 0);
            }
            counts[business] += 1;
        }
        counts
    }
}
