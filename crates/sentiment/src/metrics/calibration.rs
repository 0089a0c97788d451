//! Do the probabilities mean what they say?

use serde::{Deserialize, Serialize};

/// Rows whose top probability falls into one range.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// Lower end of the range, exclusive (the first bin has its own).
    pub low: f64,
    /// Upper end of the range, inclusive.
    pub high: f64,
    /// How many rows fall into it.
    pub count: u64,
    /// Mean probability the model gave to the class it said.
    pub confidence: f64,
    /// Share of these rows for which that class was right.
    pub accuracy: f64,
}

/// Expected calibration error with the bins it is made of (Guo et al. 2017, arXiv 1706.04599).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Mean distance between confidence and accuracy, each bin as often as it has rows.
    pub ece: f64,
    /// The bins of equal width over 0 to 1.
    pub bins: Vec<Bin>,
}

impl Calibration {
    /// Calibration of rows that were given the probability `confidence` for the class said, and
    /// whether that was `right`. Probabilities outside 0 to 1 count as the nearer end.
    ///
    /// ```
    /// use bestof_sentiment::metrics::Calibration;
    ///
    /// // Says 0.75 four times and is right three times: perfectly calibrated.
    /// let made = Calibration::of(&[0.75; 4], &[true, true, true, false], 10);
    /// assert_eq!(made.ece, 0.0);
    /// ```
    pub fn of(confidence: &[f32], right: &[bool], bins: usize) -> Self {
        let bins = bins.max(1);
        let width = 1.0 / bins as f64;
        let mut sums = vec![(0_u64, 0.0_f64, 0_u64); bins];
        for (&confidence, &right) in confidence.iter().zip(right) {
            // NaN counts as 0, so it cannot look certain.
            let confidence =
                if confidence.is_nan() { 0.0 } else { f64::from(confidence).clamp(0.0, 1.0) };
            let place = (confidence * bins as f64).ceil().max(1.0) as usize - 1;
            let sum = &mut sums[place.min(bins - 1)];
            sum.0 += 1;
            sum.1 += confidence;
            sum.2 += u64::from(right);
        }
        let total: u64 = sums.iter().map(|sum| sum.0).sum();
        let mut ece = 0.0;
        let made = sums.into_iter().enumerate().map(|(place, (count, confidence, right))| {
            let rows = (count as f64).max(1.0);
            let (confidence, accuracy) = (confidence / rows, right as f64 / rows);
            if count > 0 {
                ece += (confidence - accuracy).abs() * count as f64 / total as f64;
            }
            let low = place as f64 * width;
            Bin { low, high: low + width, count, confidence, accuracy }
        });
        let bins = made.collect();
        Self { ece, bins }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_is_the_weighted_distance() {
        // Three rows at 0.9, one of them right; one row at 0.55, right:
        // 3/4 |0.9 - 1/3| + 1/4 |0.55 - 1| = 0.5375.
        let made = Calibration::of(&[0.9, 0.9, 0.9, 0.55], &[true, false, false, true], 10);
        assert!((made.ece - 0.5375).abs() < 1e-6, "{}", made.ece);
        assert_eq!(made.bins[8].count, 3, "0.9 closes the ninth bin: {:?}", made.bins);
        assert_eq!(made.bins.len(), 10);
    }

    #[test]
    fn strange_probabilities_fall_into_the_end_bins() {
        let made = Calibration::of(&[f32::NAN, -1.0, 7.0, 0.0], &[false; 4], 4);
        assert_eq!(made.bins.iter().map(|bin| bin.count).collect::<Vec<_>>(), [3, 0, 0, 1]);
        assert!((made.ece - 0.25).abs() < 1e-12);
    }
}
