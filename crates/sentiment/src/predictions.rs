//! What a model says about rows, whatever kind of model it is.

use serde::{Deserialize, Serialize};

use crate::review::MAX_STARS;

/// Number of star classes.
pub const STARS: usize = MAX_STARS as usize;

/// The answers of a model, one entry a row in each head that the model has.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Predictions {
    /// Probabilities of one to five stars.
    pub stars: Option<Vec<[f32; STARS]>>,
    /// Probability of four or five stars.
    pub positive: Option<Vec<f32>>,
    /// Sentiment score, standardised as in [`crate::Example::sentiment`].
    pub sentiment: Option<Vec<f32>>,
}

impl Predictions {
    /// How many rows there are answers for.
    pub fn len(&self) -> usize {
        let stars = self.stars.as_ref().map(Vec::len);
        let positive = self.positive.as_ref().map(Vec::len);
        stars.or(positive).or(self.sentiment.as_ref().map(Vec::len)).unwrap_or(0)
    }

    /// `true` when there is no answer at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The likeliest number of stars of each row, 1 to 5; the lower one of equals.
    pub fn star_labels(&self) -> Option<Vec<u8>> {
        let label = |row: &[f32; STARS]| likeliest(row) as u8 + 1;
        self.stars.as_ref().map(|rows| rows.iter().map(label).collect())
    }

    /// The likelier of the two labels of each row.
    pub fn positive_labels(&self) -> Option<Vec<bool>> {
        self.positive.as_ref().map(|rows| rows.iter().map(|&p| p >= 0.5).collect())
    }

    /// Adds the answers of further rows. A head that one side lacks is dropped.
    pub fn append(&mut self, mut other: Self) {
        if self.is_empty() {
            *self = other;
            return;
        }
        join(&mut self.stars, &mut other.stars);
        join(&mut self.positive, &mut other.positive);
        join(&mut self.sentiment, &mut other.sentiment);
    }
}

/// Both lists as one, or none where one side has none.
fn join<T>(ours: &mut Option<Vec<T>>, theirs: &mut Option<Vec<T>>) {
    match (ours.as_mut(), theirs) {
        (Some(ours), Some(theirs)) => ours.append(theirs),
        _ => *ours = None,
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
    fn labels_are_the_likeliest() {
        let made = Predictions {
            stars: Some(vec![[0.1, 0.2, 0.3, 0.3, 0.1], [0.0, 0.0, 0.0, 0.0, 1.0]]),
            positive: Some(vec![0.49, 0.5]),
            sentiment: None,
        };
        assert_eq!(made.star_labels().unwrap(), [3, 5]);
        assert_eq!(made.positive_labels().unwrap(), [false, true]);
        assert_eq!(made.len(), 2);
        let mut both = made.clone();
        both.append(Predictions { positive: None, ..made });
        assert_eq!((both.stars.map(|s| s.len()), both.positive), (Some(4), None));
    }
}
