//! The predictions of a model of any kind.

use serde::{Deserialize, Serialize};

use crate::dataset::Example;
use crate::error::SentimentError;
use crate::review::MAX_STARS;

/// Number of star classes.
pub(crate) const STARS: usize = MAX_STARS as usize;

/// The predictions of a model: one entry per row for each head that it has.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Predictions {
    /// Probabilities of one to five stars, each row with a sum of 1.
    pub stars: Option<Vec<[f32; STARS]>>,
    /// Probability of four or five stars, or of class 1 of two.
    pub positive: Option<Vec<f32>>,
    /// Sentiment score, standardised as in [`crate::Example::sentiment`].
    pub sentiment: Option<Vec<f32>>,
}

impl Predictions {
    /// Number of rows.
    pub fn len(&self) -> usize {
        let stars = self.stars.as_ref().map(Vec::len);
        let positive = self.positive.as_ref().map(Vec::len);
        stars.or(positive).or(self.sentiment.as_ref().map(Vec::len)).unwrap_or(0)
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The most probable number of stars of each row, 1 to 5; the lowest of equals.
    pub fn star_labels(&self) -> Option<Vec<u8>> {
        let label = |row: &[f32; STARS]| likeliest(row) as u8 + 1;
        self.stars.as_ref().map(|rows| rows.iter().map(label).collect())
    }

    /// Whether the probability of a positive review is at least 0.5, for each row.
    pub fn positive_labels(&self) -> Option<Vec<bool>> {
        self.positive.as_ref().map(|rows| rows.iter().map(|&p| p >= 0.5).collect())
    }

    /// The same, of which every number is one; `rows` are those that were predicted.
    ///
    /// # Errors
    /// [`SentimentError::NotFinite`] with the first row whose probability or score is NaN or infinite.
    pub fn checked(self, rows: &[Example]) -> Result<Self, SentimentError> {
        let check =
            |what: &'static str, values: &mut dyn Iterator<Item = f32>, width: usize| match values
                .enumerate()
                .find(|(_, value)| !value.is_finite())
            {
                None => Ok(()),
                Some((at, value)) => {
                    let row = rows.get(at / width).map_or(0, |example| example.row);
                    Err(SentimentError::NotFinite { row, what, value })
                }
            };
        let stars = self.stars.iter().flatten().flatten().copied();
        check("the predicted probability of stars", &mut { stars }, STARS)?;
        let positive = self.positive.iter().flatten().copied();
        check("the predicted probability of a positive review", &mut { positive }, 1)?;
        let sentiment = self.sentiment.iter().flatten().copied();
        check("the predicted score", &mut { sentiment }, 1)?;
        Ok(self)
    }

    /// Appends the predictions of further rows. A head that only one side has is dropped.
    pub(crate) fn append(&mut self, mut other: Self) {
        if self.is_empty() {
            *self = other;
            return;
        }
        join(&mut self.stars, &mut other.stars);
        join(&mut self.positive, &mut other.positive);
        join(&mut self.sentiment, &mut other.sentiment);
    }
}

/// Appends `second` to `first`; `None` if either is.
fn join<T>(first: &mut Option<Vec<T>>, second: &mut Option<Vec<T>>) {
    match (first.as_mut(), second) {
        (Some(first), Some(second)) => first.append(second),
        _ => *first = None,
    }
}

/// Index of the largest probability; the first of equals.
pub(crate) fn likeliest(probabilities: &[f32]) -> usize {
    let mut best = 0;
    for (index, value) in probabilities.iter().enumerate() {
        if *value > probabilities[best] {
            best = index;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_the_most_probable() {
        let predictions = Predictions {
            stars: Some(vec![[0.1, 0.2, 0.3, 0.3, 0.1], [0.0, 0.0, 0.0, 0.0, 1.0]]),
            positive: Some(vec![0.49, 0.5]),
            sentiment: None,
        };
        assert_eq!(predictions.star_labels().unwrap(), [3, 5]);
        assert_eq!(predictions.positive_labels().unwrap(), [false, true]);
        assert_eq!(predictions.len(), 2);
        let mut both = predictions.clone();
        both.append(Predictions { positive: None, ..predictions });
        assert_eq!((both.stars.map(|s| s.len()), both.positive), (Some(4), None));
    }
}
