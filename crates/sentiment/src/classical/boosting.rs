//! Gradient boosting of the log-loss (Friedman 2001): 100 steps of depth 5 at a rate of 0.1, each on 80 % of
//! the rows.

use bestof_tasks::rng::SeededRng;
use serde::{Deserialize, Serialize};

use super::logistic::softmax;
use super::matrix::Matrix;
use super::tabular::TabularClassifier;
use super::tree::{Columns, Growth, Node, is_sound, leaf_of};
use crate::error::SentimentError;

const STEPS: usize = 100;
const DEPTH: usize = 5;
const RATE: f64 = 0.1;

/// Share of the rows that the trees of a step are fitted on, in tenths.
const TENTHS: usize = 8;

/// A score for each class, whose softmax is its probability; for two classes that of the second, the
/// first having 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Boosting {
    scores: Vec<Score>,
}

/// A sum of trees.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Score {
    base: f64,
    trees: Vec<Vec<Node<Step>>>,
}

/// What a leaf adds to the score, the rate included.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Step {
    add: f64,
}

impl Score {
    fn value(&self, row: &[f32]) -> f64 {
        self.base + self.trees.iter().map(|tree| leaf_of(tree, row).add).sum::<f64>()
    }
}

/// Newton's step of a leaf: of `classes` scores, and residuals `y - p` of its rows.
fn newton(residuals: impl Iterator<Item = f64>, classes: usize) -> Step {
    let (mut slope, mut curvature) = (0.0, 0.0);
    for residual in residuals {
        slope += residual;
        // `p (1 - p)`, whether y is 0 or 1.
        curvature += residual.abs() * (1.0 - residual.abs());
    }
    // One tree a class moves a score against all others (Friedman 2001, algorithm 6).
    let share = if classes == 2 { 1.0 } else { (classes as f64 - 1.0) / classes as f64 };
    let step = share * slope / curvature;
    Step { add: if step.is_finite() { RATE * step } else { 0.0 } }
}

/// Probabilities of scores, of which a single one is that of the second of two classes.
fn probabilities(scores: &[f64]) -> Vec<f32> {
    match scores {
        [score] => softmax(&[0.0, *score]),
        scores => softmax(scores),
    }
}

impl TabularClassifier for Boosting {
    const MAX_ROWS: Option<usize> = Some(20_000);

    fn fit(x: &Matrix, y: &[u8], classes: usize, seed: u64) -> Result<Self, SentimentError> {
        let columns = Columns::new(x);
        let mut draw = SeededRng::new(seed, 7);
        let share = |class: u8| {
            y.iter().map(|&label| f64::from(u8::from(label == class))).sum::<f64>() / y.len() as f64
        };
        let own = if classes == 2 { 1..2 } else { 0..classes as u8 };
        let base =
            |class| if classes == 2 { (share(1) / share(0)).ln() } else { share(class).ln() };
        let score = |class| Score { base: base(class), trees: Vec::with_capacity(STEPS) };
        let mut scores: Vec<Score> = own.clone().map(score).collect();
        let mut values: Vec<Vec<f64>> =
            vec![scores.iter().map(|score| score.base).collect(); y.len()];
        for _ in 0..STEPS {
            let sampled = draw.sample(y.len(), (y.len() * TENTHS / 10).max(1));
            let before: Vec<Vec<f32>> = values.iter().map(|row| probabilities(row)).collect();
            for (index, (class, score)) in own.clone().zip(&mut scores).enumerate() {
                let residual = |(row, &label): (&Vec<f32>, &u8)| {
                    [f64::from(u8::from(label == class)) - f64::from(row[usize::from(class)])]
                };
                let targets: Vec<[f64; 1]> = before.iter().zip(y).map(residual).collect();
                let tried = columns.width();
                let growth = Growth { columns: &columns, targets: &targets, depth: DEPTH, tried };
                let mut rows: Vec<u32> = sampled.iter().map(|&row| row as u32).collect();
                let tree = growth.grow(&mut rows, &mut draw, |rows| {
                    newton(rows.iter().map(|&row| targets[row as usize][0]), classes)
                });
                for (row, values) in values.iter_mut().enumerate() {
                    values[index] += leaf_of(&tree, x.row(row)).add;
                }
                score.trees.push(tree);
            }
        }
        Ok(Self { scores })
    }

    fn predict_proba(&self, x: &Matrix) -> Result<Vec<Vec<f32>>, SentimentError> {
        let one = |row: usize| {
            let scores: Vec<f64> =
                self.scores.iter().map(|score| score.value(x.row(row))).collect();
            probabilities(&scores)
        };
        Ok((0..x.rows()).map(one).collect())
    }

    fn check(&self, width: usize, classes: usize) -> Result<(), SentimentError> {
        let scores = if classes == 2 { 1 } else { classes };
        let sound = |tree: &Vec<Node<Step>>| is_sound(tree, width, |_| true);
        let sound = self.scores.len() == scores
            && self.scores.iter().all(|score| score.trees.iter().all(sound));
        if sound { Ok(()) } else { Err(SentimentError::damaged("gradient boosting")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_of_leaves_by_hand() {
        // Two classes: residuals 0.5, 0.5, -0.5 and p (1 - p) = 0.25 each: 0.5 / 0.75.
        let step = newton([0.5, 0.5, -0.5].into_iter(), 2);
        assert!((step.add - RATE * 2.0 / 3.0).abs() < 1e-12);
        // Three classes: 2/3 (0.8 - 0.2) / (0.16 + 0.16).
        let step = newton([0.8, -0.2].into_iter(), 3);
        assert!((step.add - RATE * 1.25).abs() < 1e-12);
        assert_eq!(newton([0.0].into_iter(), 2).add, 0.0);
    }

    #[test]
    fn labels_that_follow_nothing_leave_their_shares() {
        let x = Matrix::from_rows(&vec![vec![1.0]; 8]).unwrap();
        let two = Boosting::fit(&x, &[1, 1, 1, 1, 1, 1, 0, 0], 2, 0).unwrap();
        // Samples of six rows differ a little in their shares.
        assert!((two.predict_proba(&x).unwrap()[0][1] - 0.75).abs() < 0.1);
        let three = Boosting::fit(&x, &[0, 0, 0, 0, 1, 1, 2, 2], 3, 0).unwrap();
        assert!((three.predict_proba(&x).unwrap()[0][0] - 0.5).abs() < 0.1);
    }

    #[test]
    fn the_loss_falls_with_the_steps() {
        let rows: Vec<Vec<f32>> =
            (0..80).map(|i| vec![(i % 9) as f32, (i % 8) as f32, (i % 7) as f32]).collect();
        let labels: Vec<u8> = (0..80).map(|i| u8::from((i % 9) * (i % 8) > 12)).collect();
        let x = Matrix::from_rows(&rows).unwrap();
        let model = Boosting::fit(&x, &labels, 2, 0).unwrap();
        let loss = |steps: usize| {
            let mut first = model.clone();
            first.scores[0].trees.truncate(steps);
            let found = first.predict_proba(&x).unwrap();
            found.iter().zip(&labels).map(|(row, y)| -row[usize::from(*y)].ln()).sum::<f32>()
        };
        assert!(loss(10) < loss(0) && loss(50) < loss(10) && loss(100) < 0.2 * loss(0));
    }
}
