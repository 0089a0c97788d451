//! Calibration: how far predicted probabilities are from observed frequencies.

use serde::{Deserialize, Serialize};

/// Rows whose largest probability is in one range.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CalibrationBin {
    /// Lower end of the range, exclusive (the first bin has its own).
    pub low: f64,
    /// Upper end of the range, inclusive.
    pub high: f64,
    /// Number of rows.
    pub count: u64,
    /// Mean probability of the predicted class.
    pub confidence: f64,
    /// Share of the rows whose predicted class is correct.
    pub accuracy: f64,
}

/// Expected calibration error and its bins (Guo et al. 2017, arXiv 1706.04599).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Mean distance between confidence and accuracy, bins weighted by their rows; 0 to 1.
    pub ece: f64,
    /// The bins of equal width over 0 to 1.
    pub bins: Vec<CalibrationBin>,
}

impl Calibration {
    /// Calibration of predictions with probability `confidence`, of which those marked `correct` are.
    /// Probabilities outside 0 to 1 are clamped.
    ///
    /// ```
    /// use bestof_sentiment::metrics::Calibration;
    ///
    /// // Four predictions with probability 0.75, three of them correct: perfectly calibrated.
    /// let calibration = Calibration::of(&[0.75; 4], &[true, true, true, false], 10);
    /// assert_eq!(calibration.ece, 0.0);
    /// ```
    pub fn of(confidence: &[f32], correct: &[bool], bins: usize) -> Self {
        let bins = bins.max(1);
        let width = 1.0 / bins as f64;
        let mut sums = vec![(0_u64, 0.0_f64, 0_u64); bins];
        for (&confidence, &correct) in confidence.iter().zip(correct) {
            // NaN counts as 0: an undefined probability is not a confident one.
            let confidence =
                if confidence.is_nan() { 0.0 } else { f64::from(confidence).clamp(0.0, 1.0) };
            let bin = (confidence * bins as f64).ceil().max(1.0) as usize - 1;
            let sum = &mut sums[bin.min(bins - 1)];
            sum.0 += 1;
            sum.1 += confidence;
            sum.2 += u64::from(correct);
        }
        let total: u64 = sums.iter().map(|sum| sum.0).sum();
        let mut ece = 0.0;
        let bins = sums.into_iter().enumerate().map(|(bin, (count, confidence, correct))| {
            let rows = (count as f64).max(1.0);
            let (confidence, accuracy) = (confidence / rows, correct as f64 / rows);
            if count > 0 {
                ece += (confidence - accuracy).abs() * count as f64 / total as f64;
            }
            let low = bin as f64 * width;
            CalibrationBin { low, high: low + width, count, confidence, accuracy }
        });
        let bins = bins.collect();
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
        let calibration = Calibration::of(&[0.9, 0.9, 0.9, 0.55], &[true, false, false, true], 10);
        assert!((calibration.ece - 0.5375).abs() < 1e-6, "{}", calibration.ece);
        assert_eq!(
            calibration.bins[8].count, 3,
            "0.9 closes the ninth bin: {:?}",
            calibration.bins
        );
        assert_eq!(calibration.bins.len(), 10);
    }

    #[test]
    fn probabilities_outside_the_range_are_in_the_end_bins() {
        let calibration = Calibration::of(&[f32::NAN, -1.0, 7.0, 0.0], &[false; 4], 4);
        assert_eq!(calibration.bins.iter().map(|bin| bin.count).collect::<Vec<_>>(), [3, 0, 0, 1]);
        assert!((calibration.ece - 0.25).abs() < 1e-12);
    }
}
