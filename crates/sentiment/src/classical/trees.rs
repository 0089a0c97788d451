//! A decision tree and a random forest: gini impurity, no limit on depth, 100 trees in a forest.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use smartcore::ensemble::random_forest_classifier::{
    RandomForestClassifier, RandomForestClassifierParameters,
};
use smartcore::linalg::basic::matrix::DenseMatrix;
use smartcore::tree::decision_tree_classifier::{
    DecisionTreeClassifier, DecisionTreeClassifierParameters,
};

use super::matrix::Matrix;
use super::tabular::TabularClassifier;
use crate::error::SentimentError;

/// Trees in a forest.
const TREES: u16 = 100;

/// Default for the most rows of a fit: every node looks at all of its rows.
const MAX_ROWS: usize = 20_000;
const MAX_FOREST_ROWS: usize = 8_000;

/// A tree as a list of nodes, the root first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct DecisionTree {
    nodes: Vec<Node>,
    classes: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Node {
    /// Rows whose `column` is at most `at` go to node `low`, the others to node `high`.
    Split { column: usize, at: f64, low: usize, high: usize },
    /// The class of all rows that reach it.
    Leaf { class: usize },
}

impl DecisionTree {
    /// The class of a row.
    fn class(&self, row: &[f32]) -> usize {
        let mut node = 0;
        loop {
            match self.nodes[node] {
                Node::Leaf { class } => return class,
                Node::Split { column, at, low, high } => {
                    node = if f64::from(row[column]) <= at { low } else { high };
                }
            }
        }
    }

    /// The tree from smartcore's serialised form; `None` if the form is not the expected one.
    fn from_smartcore(tree: &Value, classes: usize) -> Option<Self> {
        let node = |node: &Value| {
            let number = |name: &str| node.get(name)?.as_u64().map(|n| n as usize);
            Some(match (number("true_child"), number("false_child")) {
                (Some(low), Some(high)) => Node::Split {
                    column: number("split_feature")?,
                    at: node.get("split_value")?.as_f64()?,
                    low,
                    high,
                },
                _ => Node::Leaf { class: number("output")? },
            })
        };
        let nodes = tree.get("nodes")?.as_array()?.iter().map(node).collect::<Option<_>>()?;
        Some(Self { nodes, classes })
    }
}

impl TabularClassifier for DecisionTree {
    const MAX_ROWS: Option<usize> = Some(MAX_ROWS);

    fn fit(x: &Matrix, y: &[u8], classes: usize, seed: u64) -> Result<Self, SentimentError> {
        let labels: Vec<u32> = y.iter().copied().map(u32::from).collect();
        let parameters = DecisionTreeClassifierParameters {
            seed: Some(seed),
            ..DecisionTreeClassifierParameters::default()
        };
        let tree: DecisionTreeClassifier<f64, u32, DenseMatrix<f64>, Vec<u32>> =
            DecisionTreeClassifier::fit(&x.to_smartcore()?, &labels, parameters)
                .map_err(SentimentError::fit("decision tree"))?;
        let written = serde_json::to_value(&tree).ok();
        written
            .and_then(|tree| Self::from_smartcore(&tree, classes))
            .ok_or_else(|| SentimentError::damaged("decision tree"))
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
        let count = self.nodes.len();
        // Children come after their parents, so that no tree has a cycle.
        let sound = |(index, node): (usize, &Node)| match *node {
            Node::Leaf { class } => class < classes,
            Node::Split { column, low, high, .. } => {
                column < width
                    && (index + 1..count).contains(&low)
                    && (index + 1..count).contains(&high)
            }
        };
        let sound =
            count > 0 && self.classes == classes && self.nodes.iter().enumerate().all(sound);
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
        let labels: Vec<u32> = y.iter().copied().map(u32::from).collect();
        let parameters = RandomForestClassifierParameters {
            n_trees: TREES,
            seed,
            ..RandomForestClassifierParameters::default()
        };
        let forest: RandomForestClassifier<f64, u32, DenseMatrix<f64>, Vec<u32>> =
            RandomForestClassifier::fit(&x.to_smartcore()?, &labels, parameters)
                .map_err(SentimentError::fit("random forest"))?;
        let written =
            serde_json::to_value(&forest).map_err(|_| SentimentError::damaged("random forest"))?;
        let trees = written.get("trees").and_then(Value::as_array);
        let trees =
            trees.map(|trees| trees.iter().map(|tree| DecisionTree::from_smartcore(tree, classes)));
        let trees = trees
            .and_then(Iterator::collect)
            .ok_or_else(|| SentimentError::damaged("random forest"))?;
        Ok(Self { trees })
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
}
