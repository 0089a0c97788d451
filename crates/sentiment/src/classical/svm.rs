//! A support vector machine with the radial basis function kernel, one class against the rest.

mod platt;
mod solver;

use serde::{Deserialize, Serialize};

use self::platt::{logistic, platt};
use self::solver::{Kernel, solve};
use super::distances::{Distances, LANES};
use super::matrix::Matrix;
use super::tabular::TabularClassifier;
use crate::error::SentimentError;

/// Penalty factor of margin violations.
const C: f64 = 1.0;

/// Parts of the rows of which each is decided by a machine of the others.
const FOLDS: usize = 5;

/// A machine for each class with its support vectors; a single one for two classes.
///
/// The kernel is `exp(-gamma |x - y|^2)` with `gamma = 1 / (width variance)`. A machine's decision
/// `d` becomes a probability by `1 / (1 + exp(-(a d + b)))` (Platt 1999). A machine is surer of the rows
/// it was fitted to than of others, so `a` and `b` are fitted to decisions by five machines of four
/// fifths of the rows each. The probabilities of several machines are normalised to a sum of 1.
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
    /// The decision of each row of `x`.
    fn decisions(&self, x: &Matrix, gamma: f64) -> Vec<f64> {
        let distances = Distances::new(self.vectors.iter().map(Vec::as_slice), x.width());
        let mut decisions = vec![0.0; x.rows()];
        for (block, decisions) in decisions.chunks_mut(LANES).enumerate() {
            distances.of(x, block * LANES, |index, far| {
                for (decision, far) in decisions.iter_mut().zip(far) {
                    *decision += self.weights[index] * (-gamma * far).exp();
                }
            });
        }
        decisions.into_iter().map(|decision| self.bias + decision).collect()
    }

    /// The probability of its class for each row of `x`, by itself.
    fn probabilities(&self, x: &Matrix, gamma: f64) -> Vec<f64> {
        let decisions = self.decisions(x, gamma).into_iter();
        decisions.map(|decision| logistic(self.slope * decision + self.offset)).collect()
    }
}

impl TabularClassifier for SupportVectors {
    /// The solver's time grows with the square of the number of rows.
    const MAX_ROWS: Option<usize> = Some(10_000);

    fn fit(x: &Matrix, y: &[u8], classes: usize, _seed: u64) -> Result<Self, SentimentError> {
        let gamma = gamma(x);
        let mut kernel = Kernel::new(x, gamma);
        let all: Vec<usize> = (0..kernel.len()).collect();
        let targets = if classes == 2 { 1..2 } else { 0..classes as u8 };
        let machine = |class: u8| {
            let positive: Vec<bool> = y.iter().map(|&label| label == class).collect();
            let (slope, offset) = platt(&held_out(&mut kernel, &positive), &positive);
            let solved = solve(&mut kernel, &all, &positive, C);
            let kept = solved.weights.iter().enumerate().filter(|(_, weight)| **weight != 0.0);
            let (vectors, weights) =
                kept.map(|(row, weight)| (x.row(row).to_vec(), *weight)).unzip();
            Machine { vectors, weights, bias: solved.bias, slope, offset }
        };
        Ok(Self { gamma, machines: targets.map(machine).collect() })
    }

    fn predict_proba(&self, x: &Matrix) -> Result<Vec<Vec<f32>>, SentimentError> {
        let own: Vec<Vec<f64>> =
            self.machines.iter().map(|machine| machine.probabilities(x, self.gamma)).collect();
        let one = |row: usize| {
            if let [own] = own.as_slice() {
                let p = own[row] as f32;
                return vec![1.0 - p, p];
            }
            let own: Vec<f64> = own.iter().map(|own| own[row].max(1e-9)).collect();
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

/// The part of each row: the rows of each class in turn, so that every part has its share of both.
fn folds(positive: &[bool]) -> Vec<usize> {
    let mut next = [positive.iter().filter(|&&p| p).count(), 0];
    let turn = |&positive: &bool| {
        let next = &mut next[usize::from(positive)];
        *next += 1;
        (*next - 1) % FOLDS
    };
    positive.iter().map(turn).collect()
}

/// The decision of each row by a machine of the rows in other parts; of other rows of one class it is
/// that class, 1 or -1.
fn held_out(kernel: &mut Kernel, positive: &[bool]) -> Vec<f64> {
    let part_of = folds(positive);
    let mut decisions = vec![0.0; positive.len()];
    for part in 0..FOLDS {
        let (asked, rows): (Vec<usize>, Vec<usize>) =
            (0..positive.len()).partition(|&row| part_of[row] == part);
        let own: Vec<bool> = rows.iter().map(|&row| positive[row]).collect();
        let found = match (own.contains(&true), own.contains(&false)) {
            (true, true) => solve(kernel, &rows, &own, C).decisions(kernel, &rows, &asked),
            (only_positive, _) => vec![if only_positive { 1.0 } else { -1.0 }; asked.len()],
        };
        for (row, decision) in asked.into_iter().zip(found) {
            decisions[row] = decision;
        }
    }
    decisions
}

#[cfg(test)]
mod tests {
    use bestof_tasks::rng::SeededRng;

    use super::*;

    /// Rows of 12 columns, and labels that follow the first column or none.
    fn rows(count: usize, seed: u64, follow: bool) -> (Matrix, Vec<u8>) {
        let mut draw = SeededRng::new(seed, 0);
        let mut unit = || draw.index(1000) as f32 / 500.0 - 1.0;
        let rows: Vec<Vec<f32>> = (0..count).map(|_| (0..12).map(|_| unit()).collect()).collect();
        let label = |row: &Vec<f32>| u8::from(f32::from(u8::from(follow)) * row[0] + unit() > 0.0);
        let labels = rows.iter().map(label).collect();
        (Matrix::from_rows(&rows).unwrap(), labels)
    }

    fn log_loss(probabilities: impl Iterator<Item = f64>, labels: &[u8]) -> f64 {
        let loss = |(p, &label): (f64, &u8)| -(if label == 1 { p } else { 1.0 - p }).max(1e-9).ln();
        probabilities.zip(labels).map(loss).sum::<f64>() / labels.len() as f64
    }

    #[test]
    fn held_out_decisions_make_honest_probabilities() {
        for (follow, least_gain) in [(true, 0.02), (false, 0.1)] {
            let (x, labels) = rows(240, 1, follow);
            let (test_x, test_labels) = rows(2000, 2, follow);
            let fitted = SupportVectors::fit(&x, &labels, 2, 0).unwrap();
            let positive = |row: &Vec<f32>| f64::from(row[1]);
            let found = fitted.predict_proba(&test_x).unwrap();
            let found = log_loss(found.iter().map(positive), &test_labels);
            // The curve of the machine's decisions on its own rows.
            let machine = &fitted.machines[0];
            let own = machine.decisions(&x, fitted.gamma);
            let truth: Vec<bool> = labels.iter().map(|&label| label == 1).collect();
            let (slope, offset) = platt(&own, &truth);
            let surer = machine.decisions(&test_x, fitted.gamma).into_iter();
            let surer = surer.map(|decision| logistic(slope * decision + offset));
            let surer = log_loss(surer, &test_labels);
            assert!(found + least_gain < surer, "{follow}: {found} {surer}");
            // Both classes are as frequent.
            let base = 2.0_f64.ln();
            let most = if follow { base - 0.05 } else { base + 0.02 };
            assert!(found < most, "{follow}: {found} {base}");
        }
    }

    #[test]
    fn parts_hold_their_share_of_both_classes() {
        let positive: Vec<bool> = (0..23).map(|row| row % 3 == 0).collect();
        let parts = folds(&positive);
        for part in 0..FOLDS {
            let of = |class: bool| {
                let rows = parts.iter().zip(&positive);
                rows.filter(|(own, is)| **own == part && **is == class).count()
            };
            // Eight positive rows and fifteen others among five parts.
            assert!((1..=2).contains(&of(true)) && of(false) == 3, "{part}");
            assert!((4..=5).contains(&(of(true) + of(false))), "{part}");
        }
    }

    #[test]
    fn a_class_of_one_row_is_decided_by_the_others() {
        let x = Matrix::from_rows(&[vec![0.0], vec![1.0], vec![2.0], vec![3.0]]).unwrap();
        let decisions = held_out(&mut Kernel::new(&x, 1.0), &[true, false, false, false]);
        assert_eq!(decisions[0], -1.0);
        assert!(SupportVectors::fit(&x, &[1, 0, 0, 0], 2, 0).is_ok());
    }

    #[test]
    fn gamma_of_scikit_learn() {
        // Values 0, 2, 4, 2: variance 2, width 2.
        let x = Matrix::from_rows(&[vec![0.0, 2.0], vec![4.0, 2.0]]).unwrap();
        assert!((gamma(&x) - 0.25).abs() < 1e-12);
    }
}
