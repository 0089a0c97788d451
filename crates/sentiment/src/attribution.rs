//! How much each input adds to an answer.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// The answer that is attributed to the inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttributionTarget {
    /// The probability of this many stars, 1 to 5.
    Stars(u8),
    /// The probability of four or five stars.
    Positive,
    /// The standardised sentiment score.
    Sentiment,
}

/// A word and its contribution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WordAttribution {
    /// Byte range in the text.
    pub range: Range<usize>,
    /// Contribution in the unit of the answer; negative if the word lowers it.
    pub value: f64,
}

/// The contributions of all inputs to one answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Attribution {
    /// The words that were read, in the order of the text.
    pub words: Vec<WordAttribution>,
    /// Contribution of the special tokens at both ends.
    pub marks: f64,
    /// Contribution of each meta feature, in the order of the features; empty for models of text
    /// alone.
    pub meta: Vec<f64>,
    /// The answer, `f(x)`.
    pub value: f64,
    /// The answer to the baseline, `f(x')`: no words, mean meta features.
    pub baseline: f64,
}

impl Attribution {
    /// Sum of all contributions.
    pub fn sum(&self) -> f64 {
        self.words.iter().map(|word| word.value).sum::<f64>()
            + self.marks
            + self.meta.iter().sum::<f64>()
    }

    /// [`Attribution::sum`] minus `f(x) - f(x')`: the error of the numerical integral, which falls
    /// with the number of its points.
    pub fn gap(&self) -> f64 {
        self.sum() - (self.value - self.baseline)
    }
}
