//! The metrics of a model's predictions on labelled rows.

use serde::{Deserialize, Serialize};

use super::calibration::Calibration;
use super::confusion::ConfusionMatrix;
use super::interval::{Interval, bootstrap, wilson};
use crate::dataset::Dataset;
use crate::features::Scaler;
use crate::predictions::{Predictions, STARS, likeliest};

/// Number of bins of the calibration curve.
const BINS: usize = 15;

/// Metrics of one classification head.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassScores {
    /// Number of rows.
    pub n: u64,
    /// Accuracy with Wilson's interval.
    pub accuracy: Interval,
    /// Accuracy of always predicting the most frequent class of these rows.
    pub majority: f64,
    /// Mean recall of the classes, with a bootstrap interval, as the next three.
    pub balanced_accuracy: Interval,
    /// Mean F1 of the classes.
    pub macro_f1: Interval,
    /// Mean F1 of the classes, weighted by their rows.
    pub weighted_f1: Interval,
    /// Mean distance between classes: in stars for the star head, `1 - accuracy` for two classes.
    pub mean_absolute_error: Interval,
    /// Mean negative log-probability of the true class, each at most `-ln 1e-7`.
    pub log_loss: f64,
    /// Counts of true against predicted class.
    pub confusion: ConfusionMatrix,
    /// Confidence against accuracy.
    pub calibration: Calibration,
}

impl ClassScores {
    /// Metrics of `probabilities`, `[rows][classes]`, against the classes `truth`, `[rows]`.
    ///
    /// `resamples` and `seed` are those of the bootstrap. Rows beyond the shorter of the two are ignored.
    pub fn of<P: AsRef<[f32]>>(
        truth: &[usize],
        probabilities: &[P],
        classes: usize,
        resamples: usize,
        seed: u64,
    ) -> Self {
        let predicted: Vec<usize> =
            probabilities.iter().map(|row| likeliest(row.as_ref())).collect();
        let confusion = ConfusionMatrix::of(classes, truth, &predicted);
        let n = truth.len().min(predicted.len());
        let confidence: Vec<f32> =
            probabilities.iter().zip(&predicted).map(|(row, &class)| row.as_ref()[class]).collect();
        let correct: Vec<bool> = truth.iter().zip(&predicted).map(|(t, s)| t == s).collect();
        let loss = |(&class, row): (&usize, &P)| {
            let p = row.as_ref().get(class).copied().unwrap_or(0.0);
            -f64::from(p).max(1e-7).ln()
        };
        let log_loss = truth.iter().zip(probabilities).map(loss).sum::<f64>() / (n as f64).max(1.0);
        let of_rows = |figure: fn(&ConfusionMatrix) -> f64| {
            bootstrap(n, resamples, seed, |rows| {
                let mut counts = vec![vec![0; classes]; classes];
                for &row in rows {
                    counts[truth[row as usize]][predicted[row as usize]] += 1;
                }
                figure(&ConfusionMatrix::from_counts(counts))
            })
        };
        Self {
            n: n as u64,
            accuracy: wilson(confusion.hits(), confusion.total()),
            majority: confusion.majority(),
            balanced_accuracy: of_rows(ConfusionMatrix::balanced_accuracy),
            macro_f1: of_rows(ConfusionMatrix::macro_f1),
            weighted_f1: of_rows(ConfusionMatrix::weighted_f1),
            mean_absolute_error: of_rows(ConfusionMatrix::mean_absolute_error),
            log_loss,
            confusion,
            calibration: Calibration::of(&confidence, &correct, BINS),
        }
    }
}

/// Metrics of the sentiment head, in the unit of the lexicon.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SentimentScores {
    /// Number of rows.
    pub n: u64,
    /// Mean absolute error.
    pub mean_absolute_error: f64,
    /// Mean squared error.
    pub mean_squared_error: f64,
    /// Pearson's correlation; 0 if one side is constant.
    pub correlation: f64,
    /// Mean squared error of always predicting the training mean.
    pub mean_baseline: f64,
}

impl SentimentScores {
    /// Metrics of standardised `predicted` against standardised `truth`, in the unit from which `scaler`
    /// standardised them.
    pub fn of(truth: &[f32], predicted: &[f32], scaler: &Scaler) -> Self {
        let n = truth.len().min(predicted.len());
        let rows = (n as f64).max(1.0);
        let pairs = || truth.iter().zip(predicted).map(|(t, p)| (f64::from(*t), f64::from(*p)));
        let mean = |figure: &dyn Fn(f64, f64) -> f64| {
            pairs().map(|(t, p)| figure(t, p)).sum::<f64>() / rows
        };
        let (mean_t, mean_p) = (mean(&|t, _| t), mean(&|_, p| p));
        let joint = mean(&|t, p| (t - mean_t) * (p - mean_p));
        let deviations =
            (mean(&|t, _| (t - mean_t).powi(2)) * mean(&|_, p| (p - mean_p).powi(2))).sqrt();
        let unit = scaler.std;
        Self {
            n: n as u64,
            mean_absolute_error: mean(&|t, p| (t - p).abs()) * unit,
            mean_squared_error: mean(&|t, p| (t - p).powi(2)) * unit * unit,
            correlation: if deviations > 0.0 { joint / deviations } else { 0.0 },
            mean_baseline: mean(&|t, _| t * t) * unit * unit,
        }
    }
}

/// Metrics of every head that a model has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// The star head.
    pub stars: Option<ClassScores>,
    /// The binary head.
    pub positive: Option<ClassScores>,
    /// The sentiment head.
    pub sentiment: Option<SentimentScores>,
}

impl Scores {
    /// Metrics of the predictions for the rows of `data`, in its order; of stars only if the rows have some.
    ///
    /// ```
    /// use bestof_sentiment::metrics::Scores;
    /// use bestof_sentiment::{Dataset, Example, FeatureSpec, Predictions};
    /// use bestof_sentiment::features::Scaler;
    ///
    /// let features = FeatureSpec::new(Vec::new(), Scaler { mean: 0.0, std: 1.0 }, "none");
    /// let row = |stars| Example { stars, positive: stars >= 4, ..Example::default() };
    /// let data = Dataset { examples: vec![row(5), row(1), row(4)], features };
    /// let predictions = Predictions { positive: Some(vec![0.9, 0.2, 0.4]), ..Predictions::default() };
    /// let scores = Scores::of(&data, &predictions, 200, 0);
    /// assert_eq!(scores.positive.unwrap().confusion.counts, [[1, 0], [1, 1]]);
    /// ```
    pub fn of(data: &Dataset, predictions: &Predictions, resamples: usize, seed: u64) -> Self {
        let stars = predictions.stars.as_ref().filter(|_| data.has_stars()).map(|rows| {
            let truth: Vec<usize> =
                data.examples.iter().map(|e| usize::from(e.stars.max(1)) - 1).collect();
            ClassScores::of(&truth, rows, STARS, resamples, seed)
        });
        let positive = predictions.positive.as_ref().map(|rows| {
            let truth: Vec<usize> = data.examples.iter().map(|e| usize::from(e.positive)).collect();
            // Exactly 0.5 is positive, as in `Predictions::positive_labels`.
            let rows: Vec<[f32; 2]> = rows
                .iter()
                .map(|&p| if p == 0.5 { [0.5 - f32::EPSILON, p] } else { [1.0 - p, p] })
                .collect();
            ClassScores::of(&truth, &rows, 2, resamples, seed)
        });
        let sentiment = predictions
            .sentiment
            .as_ref()
            .map(|rows| SentimentScores::of(&data.sentiment(), rows, &data.features.sentiment));
        Self { stars, positive, sentiment }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentiment_figures_are_in_the_lexicons_unit() {
        let scaler = Scaler { mean: 1.0, std: 2.0 };
        // Standardised errors 1, 0, -1, 0: absolute mean 0.5, squared mean 0.5.
        let found = SentimentScores::of(&[1.0, -1.0, 0.0, 0.0], &[0.0, -1.0, 1.0, 0.0], &scaler);
        assert_eq!((found.mean_absolute_error, found.mean_squared_error), (1.0, 2.0));
        assert_eq!(found.mean_baseline, 2.0);
        // Covariance 1/4; variances 1/2 and 1/2.
        assert!((found.correlation - 0.5).abs() < 1e-12);
        assert_eq!(SentimentScores::of(&[1.0], &[1.0], &scaler).correlation, 0.0);
    }

    #[test]
    fn log_loss_and_intervals_of_a_head() {
        let truth = [0, 1, 1, 0];
        let rows = [[0.5, 0.5], [0.25, 0.75], [1.0, 0.0], [0.8, 0.2]];
        let found = ClassScores::of(&truth, &rows, 2, 500, 1);
        let expected =
            -(0.5_f64.ln() + 0.75_f64.ln() + 1e-7_f64.ln() + f64::from(0.8_f32).ln()) / 4.0;
        assert!((found.log_loss - expected).abs() < 1e-9);
        assert_eq!((found.accuracy.value, found.majority), (0.75, 0.5));
        let f1 = found.macro_f1;
        assert!(f1.low <= f1.value && f1.value <= f1.high && f1.low < f1.high);
        assert!((found.mean_absolute_error.value - 0.25).abs() < 1e-12);
    }
}
