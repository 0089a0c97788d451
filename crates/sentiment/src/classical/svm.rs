//! A support vector machine with the radial basis function kernel, one class against the rest.

mod solver;

use serde::{Deserialize, Serialize};

use self::solver::{Kernel, solve};
use super::matrix::Matrix;
use super::tabular::TabularClassifier;
use crate::error::SentimentError;

/// Penalty factor of margin violations.
const C: f64 = 1.0;

/// A machine for each class with its support vectors; a single one for two classes.
///
/// The kernel is `exp(-gamma |x - y|^2)` with `gamma = 1 / (width variance)`. A machine's decision
/// `d` becomes a probability by `1 / (1 + exp(-(a d + b)))`, with `a` and `b` fitted to the
/// training decisions (Platt 1999); the probabilities of several machines are normalised to a sum of 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct SupportVectors {
    gamma: f64,
    machines: Vec<Machine>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Machine {
    vectors: Vec<Vec<f32>>,
    weights: Vec<f64>,
    bias: f64,
    slope: f64,
    offset: f64,
}

impl Machine {
    fn decision(&self, row: &[f32], gamma: f64) -> f64 {
        let mut sum = self.bias;
        for (vector, weight) in self.vectors.iter().zip(&self.weights) {
            let distance: f32 = vector.iter().zip(row).map(|(a, b)| (a - b) * (a - b)).sum();
            sum += weight * (-gamma * f64::from(distance)).exp();
        }
        sum
    }

    fn probability(&self, row: &[f32], gamma: f64) -> f64 {
        logistic(self.slope * self.decision(row, gamma) + self.offset)
    }
}

fn logistic(score: f64) -> f64 {
    1.0 / (1.0 + (-score).exp())
}

impl TabularClassifier for SupportVectors {
    /// The solver's time grows with the square of the number of rows.
    const MAX_ROWS: Option<usize> = Some(10_000);

    fn fit(x: &Matrix, y: &[u8], classes: usize, _seed: u64) -> Result<Self, SentimentError> {
        let gamma = gamma(x);
        let mut kernel = Kernel::new(x, gamma);
        let targets = if classes == 2 { 1..2 } else { 0..classes as u8 };
        let machine = |class: u8| {
            let positive: Vec<bool> = y.iter().map(|&label| label == class).collect();
            let solved = solve(&mut kernel, &positive, C);
            let (slope, offset) = platt(&solved.decisions, &positive);
            let kept = solved.weights.iter().enumerate().filter(|(_, weight)| **weight != 0.0);
            let (vectors, weights) =
                kept.map(|(row, weight)| (x.row(row).to_vec(), *weight)).unzip();
            Machine { vectors, weights, bias: solved.bias, slope, offset }
        };
        Ok(Self { gamma, machines: targets.map(machine).collect() })
    }

    fn predict_proba(&self, x: &Matrix) -> Result<Vec<Vec<f32>>, SentimentError> {
        let one = |row: usize| {
            let row = x.row(row);
            if let [machine] = self.machines.as_slice() {
                let p = machine.probability(row, self.gamma) as f32;
                return vec![1.0 - p, p];
            }
            let own: Vec<f64> = self
                .machines
                .iter()
                .map(|machine| machine.probability(row, self.gamma).max(1e-9))
                .collect();
            let sum: f64 = own.iter().sum();
            own.into_iter().map(|p| (p / sum) as f32).collect()
        };
        Ok((0..x.rows()).map(one).collect())
    }

    fn check(&self, width: usize, classes: usize) -> Result<(), SentimentError> {
        let machines = if classes == 2 { 1 } else { classes };
        let sound = self.machines.len() == machines
            && self.machines.iter().all(|machine| {
                machine.vectors.len() == machine.weights.len()
                    && machine.vectors.iter().all(|vector| vector.len() == width)
            });
        if sound { Ok(()) } else { Err(SentimentError::damaged("support vector machine")) }
    }
}

/// scikit-learn's `gamma="scale"`: `1 / (width variance)` over all numbers of the rows.
fn gamma(x: &Matrix) -> f64 {
    let values = x.values();
    let n = (values.len() as f64).max(1.0);
    let mean = values.iter().copied().map(f64::from).sum::<f64>() / n;
    let variance = values.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n;
    1.0 / (x.width() as f64 * if variance > 0.0 { variance } else { 1.0 })
}

/// Slope and offset of the logistic curve fitted to decisions, by Newton's method on the log-loss with a
/// small penalty on both.
fn platt(decisions: &[f64], positive: &[bool]) -> (f64, f64) {
    const PENALTY: f64 = 1e-3;
    let (mut slope, mut offset) = (1.0, 0.0);
    for _ in 0..50 {
        let (mut g, mut h) = ([PENALTY * slope, PENALTY * offset], [PENALTY, 0.0, PENALTY]);
        for (&decision, &positive) in decisions.iter().zip(positive) {
            let p = logistic(slope * decision + offset);
            let (error, curve) = (p - f64::from(u8::from(positive)), p * (1.0 - p));
            g = [g[0] + error * decision, g[1] + error];
            h = [h[0] + curve * decision * decision, h[1] + curve * decision, h[2] + curve];
        }
        let determinant = h[0] * h[2] - h[1] * h[1];
        if determinant <= 1e-12 {
            break;
        }
        let step =
            [(h[2] * g[0] - h[1] * g[1]) / determinant, (h[0] * g[1] - h[1] * g[0]) / determinant];
        // Steps are at most 1 long: nearly separable decisions would make them diverge.
        let length = step[0].hypot(step[1]).max(1.0);
        slope -= step[0] / length;
        offset -= step[1] / length;
        if step[0].abs() + step[1].abs() < 1e-9 {
            break;
        }
    }
    (slope, offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_passes_through_the_shares_at_two_points() {
        // At -1, one of four is positive; at 1, three of four: slope ln 3 and offset 0.
        let decisions = [-1.0, -1.0, -1.0, -1.0, 1.0, 1.0, 1.0, 1.0];
        let positive = [true, false, false, false, true, true, true, false];
        let (slope, offset) = platt(&decisions, &positive);
        assert!((slope - 3.0_f64.ln()).abs() < 0.01 && offset.abs() < 0.01, "{slope} {offset}");
        let (slope, _) = platt(&[-2.0, 2.0], &[false, true]);
        assert!(slope.is_finite() && slope > 0.0);
    }

    #[test]
    fn gamma_of_scikit_learn() {
        // Values 0, 2, 4, 2: variance 2, width 2.
        let x = Matrix::from_rows(&[vec![0.0, 2.0], vec![4.0, 2.0]]).unwrap();
        assert!((gamma(&x) - 0.25).abs() < 1e-12);
    }
}
