//! Logistic regression with a squared penalty, a baseline beside the paper's models.
//!
//! smartcore's takes dense rows; here nearly all of a row is zeros, and only the other columns are
//! touched. Fitted by Nesterov's accelerated gradient with restarts (O'Donoghue and Candes 2015) and the
//! step `1 / L` of the largest curvature.

use serde::{Deserialize, Serialize};

use super::matrix::Matrix;
use super::tabular::TabularClassifier;
use crate::error::SentimentError;

/// Weight of the penalty `alpha / 2 |w|^2` beside the summed loss: scikit-learn's `C = 1`.
const ALPHA: f64 = 1.0;

/// Most steps, and the largest gradient of a weight, per row, at which the fit stops.
const STEPS: usize = 2000;
const TOLERANCE: f64 = 1e-6;

/// A weight for each class and column, and an intercept for each class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Logistic {
    /// `[classes][width]`; one row for two classes, whose score is that of the second.
    weights: Vec<Vec<f64>>,
    intercepts: Vec<f64>,
}

/// The non-zero columns of a row, and a last one of 1 for the intercept.
type Sparse = Vec<(usize, f64)>;

fn sparse(x: &Matrix) -> Vec<Sparse> {
    let row = |row: usize| {
        let values = x.row(row).iter().enumerate().filter(|(_, value)| **value != 0.0);
        let values = values.map(|(column, value)| (column, f64::from(*value)));
        values.chain([(x.width(), 1.0)]).collect()
    };
    (0..x.rows()).map(row).collect()
}

/// An upper bound of the largest eigenvalue of `X^T X`: 1.1 times the result of a power iteration.
fn curvature(rows: &[Sparse], width: usize) -> f64 {
    let mut direction = vec![1.0 / (width as f64).sqrt(); width];
    let mut largest = 0.0;
    for _ in 0..50 {
        let mut next = vec![0.0; width];
        for row in rows {
            let along: f64 = row.iter().map(|&(column, value)| value * direction[column]).sum();
            for &(column, value) in row {
                next[column] += along * value;
            }
        }
        largest = next.iter().map(|v| v * v).sum::<f64>().sqrt();
        if largest == 0.0 {
            break;
        }
        direction = next.into_iter().map(|v| v / largest).collect();
    }
    1.1 * largest
}

/// Gradient of the penalised loss at `weights`; both `[outputs][width]`, flat.
fn gradient(rows: &[Sparse], y: &[u8], weights: &[f64], outputs: usize, width: usize) -> Vec<f64> {
    let intercept = width - 1;
    let mut sum: Vec<f64> = weights.iter().map(|w| ALPHA * w).collect();
    for output in 0..outputs {
        sum[output * width + intercept] = 0.0;
    }
    for (row, &class) in rows.iter().zip(y) {
        let score = |output: usize| -> f64 {
            row.iter().map(|&(column, value)| value * weights[output * width + column]).sum()
        };
        let mut scores: Vec<f64> = (0..outputs).map(score).collect();
        if outputs == 1 {
            scores[0] = 1.0 / (1.0 + (-scores[0]).exp()) - f64::from(class);
        } else {
            let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            for score in &mut scores {
                *score = (*score - largest).exp();
            }
            let all: f64 = scores.iter().sum();
            for score in &mut scores {
                *score /= all;
            }
            scores[usize::from(class)] -= 1.0;
        }
        for (output, error) in scores.into_iter().enumerate() {
            for &(column, value) in row {
                sum[output * width + column] += error * value;
            }
        }
    }
    sum
}

impl TabularClassifier for Logistic {
    const MAX_ROWS: Option<usize> = None;

    fn fit(x: &Matrix, y: &[u8], classes: usize, _seed: u64) -> Result<Self, SentimentError> {
        let (rows, width) = (sparse(x), x.width() + 1);
        let outputs = if classes == 2 { 1 } else { classes };
        let share = if outputs == 1 { 0.25 } else { 0.5 };
        let step = 1.0 / (share * curvature(&rows, width) + ALPHA);
        let mut weights = vec![0.0; outputs * width];
        let mut ahead = weights.clone();
        let mut momentum: f64 = 1.0;
        for _ in 0..STEPS {
            let slope = gradient(&rows, y, &ahead, outputs, width);
            let size = slope.iter().fold(0.0_f64, |most, g| most.max(g.abs()));
            let next: Vec<f64> = ahead.iter().zip(&slope).map(|(w, g)| w - step * g).collect();
            let moved = next.iter().zip(&weights).map(|(next, w)| next - w);
            let uphill = moved.zip(&slope).map(|(moved, g)| moved * g).sum::<f64>() > 0.0;
            let faster = if uphill {
                1.0
            } else {
                f64::midpoint(1.0, (1.0 + 4.0 * momentum * momentum).sqrt())
            };
            let carry = if uphill { 0.0 } else { (momentum - 1.0) / faster };
            ahead = next.iter().zip(&weights).map(|(next, w)| next + carry * (next - w)).collect();
            (weights, momentum) = (next, faster);
            if size < TOLERANCE * rows.len() as f64 {
                break;
            }
        }
        let split = |row: &[f64]| (row[..width - 1].to_vec(), row[width - 1]);
        let (weights, intercepts) = weights.chunks_exact(width).map(split).unzip();
        Ok(Self { weights, intercepts })
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
        if sound { Ok(()) } else { Err(SentimentError::damaged("logistic regression")) }
    }
}

/// `exp(score) / sum exp(scores)` of each score.
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
        for (column, weight) in model.weights[0].iter().enumerate() {
            let mut gradient = ALPHA * weight;
            for (row, probabilities) in found.iter().enumerate() {
                let error = f64::from(probabilities[1]) - f64::from(labels[row]);
                gradient += error * f64::from(rows[row][column]);
            }
            assert!(gradient.abs() < 1e-3, "{gradient}");
        }
    }

    #[test]
    fn curvature_of_two_columns_by_hand() {
        // X^T X of (3, 1), (0, 1): [[9, 3], [3, 2]], with eigenvalues (11 +- sqrt(85)) / 2.
        let rows = sparse(&Matrix::from_rows(&[vec![3.0], vec![0.0]]).unwrap());
        let expected = 1.1 * (11.0 + 85.0_f64.sqrt()) / 2.0;
        assert!((curvature(&rows, 2) - expected).abs() < 1e-6);
    }

    #[test]
    fn softmax_of_large_scores() {
        assert_eq!(softmax(&[1000.0, 1000.0]), [0.5, 0.5]);
        assert!((softmax(&[0.0, 3.0_f64.ln()])[1] - 0.75).abs() < 1e-6);
    }
}
