//! What was measured of a model with one seed.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::table::Label;

/// How a neural model learned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Learned {
    /// Optimiser steps made, and those of the whole schedule.
    pub(super) steps: u64,
    pub(super) planned: u64,
    /// The step whose weights were taken: that of the lowest validation loss.
    pub(super) best: u64,
    /// Validation losses by step.
    pub(super) losses: Vec<(u64, f64)>,
}

/// Which test rows a model got right, and how it learned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Score {
    binary: Rights,
    stars: Rights,
    /// Of neural models.
    pub(super) learned: Option<Learned>,
}

impl Score {
    /// Right or wrong by test row, in the order of the test part.
    pub(super) fn of(binary: Vec<bool>, stars: Vec<bool>, learned: Option<Learned>) -> Self {
        Self { binary: Rights(binary), stars: Rights(stars), learned }
    }

    /// Which rows are right.
    pub(super) fn rights(&self, label: Label) -> &[bool] {
        match label {
            Label::Binary => &self.binary.0,
            Label::Stars => &self.stars.0,
        }
    }

    /// Accuracy in per cent; NaN without rows.
    pub(super) fn accuracy(&self, label: Label) -> f64 {
        share(self.rights(label))
    }
}

/// Which share is right, in per cent.
pub(super) fn share(rights: &[bool]) -> f64 {
    100.0 * rights.iter().filter(|right| **right).count() as f64 / rights.len() as f64
}

/// Written as `0110`, a character a row.
#[derive(Debug, Clone, PartialEq)]
struct Rights(Vec<bool>);

impl Serialize for Rights {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text: String = self.0.iter().map(|right| if *right { '1' } else { '0' }).collect();
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Rights {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let right = |character| match character {
            '1' => Ok(true),
            '0' => Ok(false),
            other => Err(serde::de::Error::custom(format!("`{other}` is neither 0 nor 1"))),
        };
        text.chars().map(right).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_written_short_and_read_back() {
        let learned = Learned { steps: 4, planned: 9, best: 2, losses: vec![(2, 0.5), (4, 0.75)] };
        let score = Score::of(vec![true, false, true], vec![false; 3], Some(learned));
        let text = serde_json::to_string(&score).unwrap();
        assert!(text.contains("\"binary\":\"101\""), "{text}");
        assert_eq!(serde_json::from_str::<Score>(&text).unwrap(), score);
        assert!(serde_json::from_str::<Score>(&text.replace("101", "1x1")).is_err());
        assert!((score.accuracy(Label::Binary) - 200.0 / 3.0).abs() < 1e-9);
        assert!(Score::of(Vec::new(), Vec::new(), None).accuracy(Label::Stars).is_nan());
    }
}
