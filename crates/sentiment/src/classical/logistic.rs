//! Logistic regression with a squared penalty: today's default, beside the paper's models.

use serde::{Deserialize, Serialize};
use smartcore::linalg::basic::arrays::Array;
use smartcore::linalg::basic::matrix::DenseMatrix;
use smartcore::linear::logistic_regression::{LogisticRegression, LogisticRegressionParameters};

use super::{Classifier, Matrix, damaged, library};
use crate::error::SentimentError;

/// Weight of the penalty `alpha / 2 |w|^2` beside the summed loss: scikit-learn's `C = 1`.
const ALPHA: f64 = 1.0;

/// A weight for each class and column, and an intercept for each class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Logistic {
    /// `[classes][width]`; one row for two classes, whose score is that of the second.
    weights: Vec<Vec<f64>>,
    intercepts: Vec<f64>,
}

impl Classifier for Logistic {
    const MAX_ROWS: Option<usize> = None;

    fn fit(x: &Matrix, y: &[u8], _classes: usize, _seed: u64) -> Result<Self, SentimentError> {
        let labels: Vec<u32> = y.iter().copied().map(u32::from).collect();
        let parameters = LogisticRegressionParameters::default().with_alpha(ALPHA);
        let model: LogisticRegression<f64, u32, DenseMatrix<f64>, Vec<u32>> =
            LogisticRegression::fit(&x.to_library()?, &labels, parameters)
                .map_err(library("logistic regression"))?;
        let (found, intercepts) = (model.coefficients(), model.intercept());
        let (rows, width) = found.shape();
        let weights: Vec<Vec<f64>> = (0..rows)
            .map(|row| (0..width).map(|column| *found.get((row, column))).collect())
            .collect();
        Ok(Self { weights, intercepts: (0..rows).map(|row| *intercepts.get((row, 0))).collect() })
    }

    fn predict_proba(&self, x: &Matrix) -> Result<Vec<Vec<f32>>, SentimentError> {
        let one = |row: usize| {
            let row = x.row(row);
            let score = |(weights, intercept): (&Vec<f64>, &f64)| {
                weights.iter().zip(row).map(|(w, &x)| w * f64::from(x)).sum::<f64>() + intercept
            };
            let mut scores: Vec<f64> =
                self.weights.iter().zip(&self.intercepts).map(score).collect();
            if scores.len() == 1 {
                scores.insert(0, 0.0);
            }
            softmax(&scores)
        };
        Ok((0..x.rows()).map(one).collect())
    }

    fn check(&self, width: usize, classes: usize) -> Result<(), SentimentError> {
        let rows = if classes == 2 { 1 } else { classes };
        let sound = self.weights.len() == rows
            && self.intercepts.len() == rows
            && self.weights.iter().all(|row| row.len() == width);
        if sound { Ok(()) } else { Err(damaged("logistic regression")) }
    }
}

/// Probabilities in proportion to the exponentials of `scores`.
pub(super) fn softmax(scores: &[f64]) -> Vec<f32> {
    let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = scores.iter().map(|score| (score - largest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| (power / sum) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gradient_is_zero_at_the_fit() {
        // At the optimum, sum of (p - y) x + alpha w = 0 for every weight.
        let rows: Vec<Vec<f32>> =
            (0..30_u8).map(|i| vec![f32::from(i % 7) / 3.0, f32::from(i % 5) - 2.0]).collect();
        let labels: Vec<u8> = (0..30_u8).map(|i| u8::from(i % 7 + i % 3 > 4)).collect();
        let x = Matrix::from_rows(&rows).unwrap();
        let model = Logistic::fit(&x, &labels, 2, 0).unwrap();
        let found = model.predict_proba(&x).unwrap();
        for column in 0..2 {
            let mut gradient = ALPHA * model.weights[0][column];
            for (row, probabilities) in found.iter().enumerate() {
                let apart = f64::from(probabilities[1]) - f64::from(labels[row]);
                gradient += apart * f64::from(rows[row][column]);
            }
            assert!(gradient.abs() < 0.05, "{gradient}");
        }
    }

    #[test]
    fn softmax_of_large_scores() {
        assert_eq!(softmax(&[1000.0, 1000.0]), [0.5, 0.5]);
        assert!((softmax(&[0.0, 3.0_f64.ln()])[1] - 0.75).abs() < 1e-6);
    }
}
