//! A decision tree and a random forest: gini impurity, no limit on depth, 100 trees in a forest.

use bestof_tasks::rng::SeededRng;
use serde::{Deserialize, Serialize};

use super::matrix::Matrix;
use super::tabular::TabularClassifier;
use super::tree::{Columns, Growth, Node, is_sound, leaf_of};
use crate::error::SentimentError;

/// Trees in a forest.
const TREES: usize = 100;

/// Default for the most rows of a fit.
const MAX_ROWS: usize = 200_000;
const MAX_FOREST_ROWS: usize = 50_000;

/// Most classes.
const CLASSES: usize = crate::predictions::STARS;

/// A tree that gives a class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct DecisionTree {
    nodes: Vec<Node<Majority>>,
    classes: usize,
}

/// The commonest class of a leaf, which is that of all its rows unless they are equal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Majority {
    class: usize,
}

impl DecisionTree {
    /// The tree of `rows`, of which some may be there several times.
    fn grow(
        growth: &Growth<'_, CLASSES>,
        rows: &mut [u32],
        classes: usize,
        draw: &mut SeededRng,
    ) -> Self {
        let majority = |rows: &[u32]| {
            let mut counts = [0.0; CLASSES];
            for &row in rows {
                for (count, own) in counts.iter_mut().zip(growth.targets[row as usize]) {
                    *count += own;
                }
            }
            // Of equally common classes the first.
            let most = (0..CLASSES).rev().max_by(|&a, &b| counts[a].total_cmp(&counts[b]));
            Majority { class: most.unwrap_or(0) }
        };
        Self { nodes: growth.grow(rows, draw, majority), classes }
    }

    /// The class of a row.
    fn class(&self, row: &[f32]) -> usize {
        leaf_of(&self.nodes, row).class
    }
}

/// A one for the class of each row.
fn ones(y: &[u8]) -> Vec<[f64; CLASSES]> {
    let one = |&class: &u8| {
        let mut row = [0.0; CLASSES];
        row[usize::from(class)] = 1.0;
        row
    };
    y.iter().map(one).collect()
}

impl TabularClassifier for DecisionTree {
    const MAX_ROWS: Option<usize> = Some(MAX_ROWS);

    fn fit(x: &Matrix, y: &[u8], classes: usize, seed: u64) -> Result<Self, SentimentError> {
        let (columns, targets) = (Columns::new(x), ones(y));
        let (depth, tried) = (usize::MAX, columns.width());
        let growth = Growth { columns: &columns, targets: &targets, depth, tried };
        let mut rows: Vec<u32> = (0..x.rows() as u32).collect();
        Ok(Self::grow(&growth, &mut rows, classes, &mut SeededRng::new(seed, 6)))
    }

    fn predict_proba(&self, x: &Matrix) -> Result<Vec<Vec<f32>>, SentimentError> {
        let one = |row: usize| {
            let mut all = vec![0.0; self.classes];
            all[self.class(x.row(row))] = 1.0;
            all
        };
        Ok((0..x.rows()).map(one).collect())
    }

    fn check(&self, width: usize, classes: usize) -> Result<(), SentimentError> {
        let sound = self.classes == classes
            && is_sound(&self.nodes, width, |majority| majority.class < classes);
        if sound { Ok(()) } else { Err(SentimentError::damaged("decision tree")) }
    }
}

/// Trees on bootstrap samples, each split choosing among `sqrt(width)` random columns. The probability
/// of a class is its share of the trees' votes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct RandomForest {
    trees: Vec<DecisionTree>,
}

impl TabularClassifier for RandomForest {
    const MAX_ROWS: Option<usize> = Some(MAX_FOREST_ROWS);

    fn fit(x: &Matrix, y: &[u8], classes: usize, seed: u64) -> Result<Self, SentimentError> {
        let (columns, targets) = (Columns::new(x), ones(y));
        let (depth, tried) = (usize::MAX, columns.width().isqrt().max(1));
        let growth = Growth { columns: &columns, targets: &targets, depth, tried };
        let mut draw = SeededRng::new(seed, 6);
        let tree = |_| {
            let mut rows: Vec<u32> = (0..x.rows()).map(|_| draw.index(x.rows()) as u32).collect();
            DecisionTree::grow(&growth, &mut rows, classes, &mut draw)
        };
        Ok(Self { trees: (0..TREES).map(tree).collect() })
    }

    fn predict_proba(&self, x: &Matrix) -> Result<Vec<Vec<f32>>, SentimentError> {
        let classes = self.trees.first().map_or(0, |tree| tree.classes);
        let share = 1.0 / self.trees.len().max(1) as f32;
        let one = |row: usize| {
            let mut votes = vec![0_u32; classes];
            for tree in &self.trees {
                votes[tree.class(x.row(row))] += 1;
            }
            votes.into_iter().map(|votes| votes as f32 * share).collect()
        };
        Ok((0..x.rows()).map(one).collect())
    }

    fn check(&self, width: usize, classes: usize) -> Result<(), SentimentError> {
        if self.trees.is_empty() {
            return Err(SentimentError::damaged("random forest"));
        }
        self.trees.iter().try_for_each(|tree| tree.check(width, classes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_with_a_cycle_is_refused() {
        let tree = |nodes: &str| -> DecisionTree {
            serde_json::from_str(&format!("{{\"classes\": 2, \"nodes\": {nodes}}}")).unwrap()
        };
        let good = r#"[{"column": 0, "at": 0.5, "low": 1, "high": 2}, {"class": 0}, {"class": 1}]"#;
        assert!(tree(good).check(1, 2).is_ok());
        assert!(tree(&good.replace("\"high\": 2", "\"high\": 0")).check(1, 2).is_err());
        assert!(tree(&good.replace("\"high\": 2", "\"high\": 3")).check(1, 2).is_err());
        assert!(tree(&good.replace("\"column\": 0", "\"column\": 1")).check(1, 2).is_err());
        assert!(tree(&good.replace("\"class\": 1", "\"class\": 2")).check(1, 2).is_err());
        assert!(tree("[]").check(1, 2).is_err());
        let x = Matrix::from_rows(&[vec![0.4], vec![0.6]]).unwrap();
        assert_eq!(tree(good).predict_proba(&x).unwrap(), [[1.0, 0.0], [0.0, 1.0]]);
    }

    #[test]
    fn equal_rows_of_several_classes_give_the_commonest() {
        let x = Matrix::from_rows(&[vec![1.0], vec![1.0], vec![1.0], vec![2.0]]).unwrap();
        let tree = DecisionTree::fit(&x, &[0, 1, 1, 0], 2, 0).unwrap();
        assert_eq!(tree.predict_proba(&x).unwrap()[2..], [[0.0, 1.0], [1.0, 0.0]]);
    }

    #[test]
    fn trees_of_a_forest_differ_and_vote() {
        let rows: Vec<Vec<f32>> =
            (0..60).map(|i| vec![(i % 7) as f32, (i % 11) as f32, (i % 5) as f32]).collect();
        let labels: Vec<u8> = (0..60).map(|i| u8::from(i % 7 + i % 11 > 8)).collect();
        let forest = RandomForest::fit(&Matrix::from_rows(&rows).unwrap(), &labels, 2, 0).unwrap();
        assert_eq!(forest.trees.len(), TREES);
        assert!(forest.trees.iter().any(|tree| *tree != forest.trees[0]));
        let between = Matrix::from_rows(&[vec![4.0, 4.0, 2.0]]).unwrap();
        let votes = &forest.predict_proba(&between).unwrap()[0];
        assert!(
            votes[0] > 0.02 && votes[1] > 0.02,
            "a row at the boundary divides them: {votes:?}"
        );
    }
}
