//! Logistic regression with a squared penalty, a baseline beside the paper's models.
//!
//! Nearly all of a row is zeros, and only the other columns are touched.

use serde::{Deserialize, Serialize};

use super::lbfgs::{Limits, minimise};
use super::matrix::Matrix;
use super::sparse::SparseRows;
use super::tabular::TabularClassifier;
use crate::error::SentimentError;
use crate::predictions::STARS;

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

/// What is minimised: the penalised loss of weights `[width + 1][N]`, flat, the last row of which are the
/// intercepts. Of a row's `N` numbers, the first `outputs` are used; the others stay 0. That `N` is known to the
/// compiler is what makes the sums over the columns fast.
struct Problem<'a, const N: usize> {
    rows: &'a SparseRows,
    y: &'a [u8],
    outputs: usize,
}

impl<const N: usize> Problem<'_, N> {
    /// The loss; writes its gradient to `slope`.
    fn at(&self, weights: &[f64], slope: &mut [f64]) -> f64 {
        let penalised = self.rows.width() * N;
        for (slope, weight) in slope.iter_mut().zip(weights) {
            *slope = ALPHA * weight;
        }
        slope[penalised..].fill(0.0);
        let mut loss = weights[..penalised].iter().map(|w| ALPHA / 2.0 * w * w).sum::<f64>();
        let (weights, slope) = (weights.as_chunks::<N>().0, slope.as_chunks_mut::<N>().0);
        for (row, &class) in self.rows.iter().zip(self.y) {
            let mut scores = scores(row, weights);
            loss += errors(&mut scores[..self.outputs], usize::from(class));
            for &(column, value) in row {
                add(&mut slope[column as usize], f64::from(value), &scores);
            }
            add(&mut slope[self.rows.width()], 1.0, &scores);
        }
        loss
    }

    /// The second derivative of the loss by each weight, at weights of 0.
    fn curvature(&self) -> Vec<f64> {
        let share = 1.0 / self.outputs.max(2) as f64;
        let each = share * (1.0 - share);
        let mut curvature = vec![ALPHA; (self.rows.width() + 1) * N];
        let (columns, _) = curvature.as_chunks_mut::<N>();
        for &(column, value) in self.rows.iter().flatten() {
            let square = each * f64::from(value) * f64::from(value);
            for curvature in &mut columns[column as usize] {
                *curvature += square;
            }
        }
        columns[self.rows.width()] = [each * self.rows.len() as f64; N];
        curvature
    }

    /// The weights of least loss, `[outputs][width]`, and the intercepts.
    fn solve(&self) -> (Vec<Vec<f64>>, Vec<f64>) {
        let limits = Limits { steps: STEPS, slope: TOLERANCE * self.rows.len() as f64 };
        let fitted = minimise(&self.curvature(), &limits, |weights, slope| self.at(weights, slope));
        let (columns, _) = fitted.as_chunks::<N>();
        let (weights, intercepts) = (&columns[..self.rows.width()], &columns[self.rows.width()]);
        let of = |output: usize| weights.iter().map(|weights| weights[output]).collect();
        ((0..self.outputs).map(of).collect(), intercepts[..self.outputs].to_vec())
    }
}

/// The scores of a row. Its even and odd columns are summed apart, so that an addition does not wait for the one
/// before it.
fn scores<const N: usize>(row: &[(u32, f32)], weights: &[[f64; N]]) -> [f64; N] {
    let (mut even, mut odd) = (weights[weights.len() - 1], [0.0; N]);
    let (pairs, last) = row.as_chunks::<2>();
    for [first, second] in pairs {
        add(&mut even, f64::from(first.1), &weights[first.0 as usize]);
        add(&mut odd, f64::from(second.1), &weights[second.0 as usize]);
    }
    for &(column, value) in last {
        add(&mut even, f64::from(value), &weights[column as usize]);
    }
    add(&mut even, 1.0, &odd);
    even
}

fn add<const N: usize>(sums: &mut [f64; N], share: f64, values: &[f64; N]) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += share * value;
    }
}

/// Turns scores into `p - y`, and returns the loss `-ln p` of the class. A single score is that of the second
/// of two classes.
fn errors(scores: &mut [f64], class: usize) -> f64 {
    if let [score] = scores {
        let right = if class == 1 { *score } else { -*score };
        let power = (-score.abs()).exp();
        let likelier = 1.0 / (1.0 + power);
        *score = if *score > 0.0 { likelier } else { power * likelier } - class as f64;
        return (-right).max(0.0) + power.ln_1p();
    }
    let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let right = scores[class] - largest;
    let mut all = 0.0;
    for score in scores.iter_mut() {
        *score = (*score - largest).exp();
        all += *score;
    }
    for score in scores.iter_mut() {
        *score /= all;
    }
    scores[class] -= 1.0;
    all.ln() - right
}

impl TabularClassifier for Logistic {
    const MAX_ROWS: Option<usize> = None;

    fn fit(x: &Matrix, y: &[u8], classes: usize, _seed: u64) -> Result<Self, SentimentError> {
        let rows = &SparseRows::of(x);
        let (weights, intercepts) = match classes {
            2 => Problem::<1> { rows, y, outputs: 1 }.solve(),
            3..=STARS => Problem::<STARS> { rows, y, outputs: classes }.solve(),
            _ => return Err(SentimentError::Class { found: classes - 1, classes: STARS }),
        };
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
    fn the_gradient_is_that_of_finite_differences() {
        let rows: Vec<Vec<f32>> =
            (0..9_u8).map(|i| vec![f32::from(i % 4) - 1.0, f32::from(i % 3)]).collect();
        let rows = SparseRows::of(&Matrix::from_rows(&rows).unwrap());
        let two: Vec<u8> = (0..9).map(|i| i % 2).collect();
        let three: Vec<u8> = (0..9).map(|i| i % 3).collect();
        differences(&Problem::<1> { rows: &rows, y: &two, outputs: 1 });
        differences(&Problem::<3> { rows: &rows, y: &three, outputs: 3 });
        differences(&Problem::<5> { rows: &rows, y: &three, outputs: 3 });
    }

    fn differences<const N: usize>(problem: &Problem<'_, N>) {
        let loss = |weights: &[f64]| problem.at(weights, &mut vec![0.0; 3 * N]);
        let used = |index: &usize| index % N < problem.outputs;
        let mut weights = vec![0.0; 3 * N];
        let zeros = weights.clone();
        for index in (0..3 * N).filter(used) {
            weights[index] = 0.3 * index as f64 - 0.7;
        }
        let mut slope = vec![f64::NAN; 3 * N];
        problem.at(&weights, &mut slope);
        let curvature = problem.curvature();
        for (index, (&found, &curvature)) in slope.iter().zip(&curvature).enumerate() {
            let moved = |from: &[f64], by: f64| {
                let mut moved = from.to_vec();
                moved[index] += by;
                loss(&moved)
            };
            if !used(&index) {
                assert_eq!(found, 0.0);
                continue;
            }
            let expected = (moved(&weights, 1e-5) - moved(&weights, -1e-5)) / 2e-5;
            assert!((found - expected).abs() < 1e-6, "{N} {index}: {found} {expected}");
            let bends = (moved(&zeros, 1e-3) + moved(&zeros, -1e-3) - 2.0 * loss(&zeros)) / 1e-6;
            let close = (curvature - bends).abs() < 1e-4 * bends;
            assert!(close, "{N} {index}: {curvature} {bends}");
        }
    }

    #[test]
    fn more_classes_than_stars_are_refused() {
        let rows = vec![vec![1.0_f32]; 6];
        let x = Matrix::from_rows(&rows).unwrap();
        let error = Logistic::fit(&x, &[0, 1, 2, 3, 4, 5], 6, 0).unwrap_err().to_string();
        assert!(error.contains('5'), "{error}");
    }

    #[test]
    fn large_scores_have_finite_losses() {
        for (score, class, loss, error) in
            [(800.0, 1, 0.0, 0.0), (800.0, 0, 800.0, 1.0), (-800.0, 1, 800.0, -1.0)]
        {
            let mut scores = [score];
            assert_eq!(errors(&mut scores, class), loss);
            assert_eq!(scores[0], error);
            let mut scores = [0.0, score, -900.0];
            assert_eq!((errors(&mut scores, class), scores[class]), (loss, -error.abs()));
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
