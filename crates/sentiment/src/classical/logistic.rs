//! Logistic regression with a squared penalty, a baseline beside the paper's models.
//!
//! Nearly all of a row is zeros, and only the other columns are touched. Fitted by L-BFGS (Liu and Nocedal
//! 1989).

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::matrix::Matrix;
use super::tabular::TabularClassifier;
use crate::error::SentimentError;

/// Weight of the penalty `alpha / 2 |w|^2` beside the summed loss: scikit-learn's `C = 1`.
const ALPHA: f64 = 1.0;

/// Most steps, and the largest gradient of a weight, per row, at which the fit stops.
const STEPS: usize = 2000;
const TOLERANCE: f64 = 1e-6;

/// Last steps from which the curvature is estimated.
const MEMORY: usize = 10;

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

/// What is minimised: the penalised loss of weights `[width][outputs]`, flat, the last row of which are the
/// intercepts.
struct Problem<'a> {
    rows: &'a [Sparse],
    y: &'a [u8],
    outputs: usize,
    width: usize,
}

impl Problem<'_> {
    /// The loss and its gradient.
    fn at(&self, weights: &[f64]) -> (f64, Vec<f64>) {
        let (outputs, penalised) = (self.outputs, (self.width - 1) * self.outputs);
        let mut slope: Vec<f64> = weights.iter().map(|w| ALPHA * w).collect();
        slope[penalised..].fill(0.0);
        let mut loss = weights[..penalised].iter().map(|w| ALPHA / 2.0 * w * w).sum::<f64>();
        let mut scores = vec![0.0; outputs];
        for (row, &class) in self.rows.iter().zip(self.y) {
            scores.fill(0.0);
            for &(column, value) in row {
                let weights = &weights[column * outputs..(column + 1) * outputs];
                for (score, weight) in scores.iter_mut().zip(weights) {
                    *score += value * weight;
                }
            }
            loss += errors(&mut scores, usize::from(class));
            for &(column, value) in row {
                let slope = &mut slope[column * outputs..(column + 1) * outputs];
                for (slope, error) in slope.iter_mut().zip(&scores) {
                    *slope += value * error;
                }
            }
        }
        (loss, slope)
    }
}

/// Turns scores into `p - y`, and returns the loss `-ln p` of the class. A single score is that of the second
/// of two classes.
fn errors(scores: &mut [f64], class: usize) -> f64 {
    if let [score] = scores {
        let signed = if class == 1 { *score } else { -*score };
        *score = 1.0 / (1.0 + (-*score).exp()) - class as f64;
        return (-signed).max(0.0) + (-signed.abs()).exp().ln_1p();
    }
    let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let all: f64 = scores.iter().map(|score| (score - largest).exp()).sum();
    let loss = largest + all.ln() - scores[class];
    for score in scores.iter_mut() {
        *score = (*score - largest).exp() / all;
    }
    scores[class] -= 1.0;
    loss
}

/// The last steps: of each the change of the weights, that of the gradient, and their product.
type Memory = VecDeque<(Vec<f64>, Vec<f64>, f64)>;

/// The direction from a gradient, by the curvature along the last steps.
fn direction(slope: &[f64], memory: &Memory) -> Vec<f64> {
    let mut along: Vec<f64> = slope.iter().map(|g| -g).collect();
    let mut shares = Vec::with_capacity(memory.len());
    for (moved, bent, product) in memory.iter().rev() {
        let share = dot(moved, &along) / product;
        add(&mut along, -share, bent);
        shares.push(share);
    }
    if let Some((_, bent, product)) = memory.back() {
        let scale = product / dot(bent, bent);
        for v in &mut along {
            *v *= scale;
        }
    }
    for ((moved, bent, product), share) in memory.iter().zip(shares.into_iter().rev()) {
        let back = dot(bent, &along) / product;
        add(&mut along, share - back, moved);
    }
    along
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(sum: &mut [f64], share: f64, values: &[f64]) {
    for (sum, value) in sum.iter_mut().zip(values) {
        *sum += share * value;
    }
}

/// The weights of least loss, from zeros.
fn minimise(problem: &Problem<'_>) -> Vec<f64> {
    let mut weights = vec![0.0; problem.width * problem.outputs];
    let (mut loss, mut slope) = problem.at(&weights);
    let mut memory = Memory::new();
    for _ in 0..STEPS {
        let largest = slope.iter().fold(0.0_f64, |most, g| most.max(g.abs()));
        if largest < TOLERANCE * problem.rows.len() as f64 {
            break;
        }
        let along = direction(&slope, &memory);
        let falls = dot(&along, &slope);
        // Without a step to tell the curvature, one that moves weights by 1 together.
        let first =
            if memory.is_empty() { (1.0 / dot(&slope, &slope).sqrt()).min(1.0) } else { 1.0 };
        let sizes = std::iter::successors(Some(first), |size| Some(size / 2.0));
        let tried = sizes.take(40).find_map(|size| {
            let mut there = weights.clone();
            add(&mut there, size, &along);
            let (less, bent) = problem.at(&there);
            (less <= loss + 1e-4 * size * falls).then_some((there, less, bent))
        });
        // The loss is as low as rounding lets it be.
        let Some((there, less, bent)) = tried else { break };
        let moved: Vec<f64> = there.iter().zip(&weights).map(|(a, b)| a - b).collect();
        let change: Vec<f64> = bent.iter().zip(&slope).map(|(a, b)| a - b).collect();
        let product = dot(&moved, &change);
        if product > 0.0 {
            memory.push_back((moved, change, product));
            if memory.len() > MEMORY {
                memory.pop_front();
            }
        }
        (weights, loss, slope) = (there, less, bent);
    }
    weights
}

impl TabularClassifier for Logistic {
    const MAX_ROWS: Option<usize> = None;

    fn fit(x: &Matrix, y: &[u8], classes: usize, _seed: u64) -> Result<Self, SentimentError> {
        let (rows, width) = (sparse(x), x.width() + 1);
        let outputs = if classes == 2 { 1 } else { classes };
        let fitted = minimise(&Problem { rows: &rows, y, outputs, width });
        let of = |output: usize, row: usize| fitted[row * outputs + output];
        let weights = |output| (0..width - 1).map(|row| of(output, row)).collect();
        Ok(Self {
            weights: (0..outputs).map(weights).collect(),
            intercepts: (0..outputs).map(|output| of(output, width - 1)).collect(),
        })
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
    fn the_gradient_is_that_of_finite_differences() {
        let rows: Vec<Vec<f32>> =
            (0..9_u8).map(|i| vec![f32::from(i % 4) - 1.0, f32::from(i % 3)]).collect();
        let rows = sparse(&Matrix::from_rows(&rows).unwrap());
        for outputs in [1, 3] {
            let y: Vec<u8> = (0..9).map(|i| i % if outputs == 1 { 2 } else { 3 }).collect();
            let problem = Problem { rows: &rows, y: &y, outputs, width: 3 };
            let weights: Vec<f64> = (0..3 * outputs).map(|i| 0.3 * i as f64 - 0.7).collect();
            let (_, slope) = problem.at(&weights);
            for (index, found) in slope.iter().enumerate() {
                let moved = |by: f64| {
                    let mut moved = weights.clone();
                    moved[index] += by;
                    problem.at(&moved).0
                };
                let expected = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                assert!((found - expected).abs() < 1e-6, "{outputs} {index}: {found} {expected}");
            }
        }
    }

    #[test]
    fn one_class_of_two_is_as_frequent_as_it_is() {
        // No column says anything: the intercept is the log-odds of 3 to 1, and not penalised.
        let rows = vec![vec![0.0_f32]; 4];
        let x = Matrix::from_rows(&rows).unwrap();
        let model = Logistic::fit(&x, &[1, 1, 1, 0], 2, 0).unwrap();
        assert!((model.intercepts[0] - 3.0_f64.ln()).abs() < 1e-4 && model.weights[0][0] == 0.0);
    }

    #[test]
    fn softmax_of_large_scores() {
        assert_eq!(softmax(&[1000.0, 1000.0]), [0.5, 0.5]);
        assert!((softmax(&[0.0, 3.0_f64.ln()])[1] - 0.75).abs() < 1e-6);
    }
}
