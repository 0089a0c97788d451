//! Gradient boosting, one class against the rest: 100 trees of depth 5 per class, a learning rate of 0.1
//! and squared loss.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use smartcore::linalg::basic::matrix::DenseMatrix;
use smartcore::xgboost::{XGRegressor, XGRegressorParameters};

use super::matrix::Matrix;
use super::tabular::TabularClassifier;
use crate::error::SentimentError;

const TREES: usize = 100;
const DEPTH: u16 = 5;
const RATE: f64 = 0.1;

/// Share of the rows that each tree is fitted on.
const SUBSAMPLE: f64 = 0.8;

/// A sum of trees for each class; a single one for two classes.
///
/// A sum estimates the probability of its class by least squares; the sums are clamped to
/// [0.001, 1] and normalised to a total of 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Boosting {
    sums: Vec<Sum>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Sum {
    base: f64,
    trees: Vec<Vec<Node>>,
}

/// A node of a tree; the root is the first, and children come after their parents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Node {
    Split { column: usize, at: f64, low: usize, high: usize },
    Leaf { add: f64 },
}

impl Sum {
    fn value(&self, row: &[f32]) -> f64 {
        self.base + self.trees.iter().map(|tree| leaf_value(tree, row)).sum::<f64>()
    }
}

/// The value of the leaf that a row reaches.
fn leaf_value(tree: &[Node], row: &[f32]) -> f64 {
    let mut node = 0;
    loop {
        match tree[node] {
            Node::Leaf { add } => return add,
            Node::Split { column, at, low, high } => {
                node = if f64::from(row[column]) <= at { low } else { high };
            }
        }
    }
}

/// Appends the nodes of a tree that smartcore serialised as nested objects, and returns the index of its
/// root; `None` if the form is not the expected one.
fn append(tree: &Value, nodes: &mut Vec<Node>) -> Option<usize> {
    let root = nodes.len();
    let add = RATE * tree.get("value")?.as_f64()?;
    nodes.push(Node::Leaf { add });
    let child = |name: &str| tree.get(name).filter(|child| !child.is_null());
    if let (Some(low), Some(high)) = (child("left"), child("right")) {
        let column = tree.get("split_feature_idx")?.as_u64()? as usize;
        let at = tree.get("threshold")?.as_f64()?;
        let (low, high) = (append(low, nodes)?, append(high, nodes)?);
        nodes[root] = Node::Split { column, at, low, high };
    }
    Some(root)
}

impl TabularClassifier for Boosting {
    /// Each node sorts its rows by every column.
    const MAX_ROWS: Option<usize> = Some(5_000);

    fn fit(x: &Matrix, y: &[u8], classes: usize, seed: u64) -> Result<Self, SentimentError> {
        let rows = x.to_smartcore()?;
        let own_sum = if classes == 2 { 1..2 } else { 0..classes as u8 };
        let sum = |class: u8| {
            let targets: Vec<f64> =
                y.iter().map(|&label| f64::from(u8::from(label == class))).collect();
            let base = targets.iter().sum::<f64>() / targets.len() as f64;
            let parameters = XGRegressorParameters::default()
                .with_n_estimators(TREES)
                .with_max_depth(DEPTH)
                .with_learning_rate(RATE)
                .with_subsample(SUBSAMPLE)
                .with_base_score(base)
                .with_seed(seed);
            let fitted: XGRegressor<f64, f64, DenseMatrix<f64>, Vec<f64>> =
                XGRegressor::fit(&rows, &targets, parameters)
                    .map_err(SentimentError::fit("gradient boosting"))?;
            let written = serde_json::to_value(&fitted)
                .map_err(|_| SentimentError::damaged("gradient boosting"))?;
            let tree = |tree: &Value| {
                let mut nodes = Vec::new();
                append(tree, &mut nodes).map(|_| nodes)
            };
            let trees = written.get("regressors").and_then(Value::as_array);
            let trees = trees.and_then(|trees| trees.iter().map(tree).collect());
            Ok(Sum {
                base,
                trees: trees.ok_or_else(|| SentimentError::damaged("gradient boosting"))?,
            })
        };
        Ok(Self { sums: own_sum.map(sum).collect::<Result<_, SentimentError>>()? })
    }

    fn predict_proba(&self, x: &Matrix) -> Result<Vec<Vec<f32>>, SentimentError> {
        const LEAST: f64 = 1e-3;
        let one = |row: usize| {
            let row = x.row(row);
            if let [sum] = self.sums.as_slice() {
                let p = sum.value(row).clamp(LEAST, 1.0 - LEAST) as f32;
                return vec![1.0 - p, p];
            }
            let own: Vec<f64> =
                self.sums.iter().map(|sum| sum.value(row).clamp(LEAST, 1.0)).collect();
            let all: f64 = own.iter().sum();
            own.into_iter().map(|p| (p / all) as f32).collect()
        };
        Ok((0..x.rows()).map(one).collect())
    }

    fn check(&self, width: usize, classes: usize) -> Result<(), SentimentError> {
        let sums = if classes == 2 { 1 } else { classes };
        let sound = |tree: &Vec<Node>| {
            let count = tree.len();
            let node = |(index, node): (usize, &Node)| match *node {
                Node::Leaf { .. } => true,
                Node::Split { column, low, high, .. } => {
                    column < width
                        && (index + 1..count).contains(&low)
                        && (index + 1..count).contains(&high)
                }
            };
            count > 0 && tree.iter().enumerate().all(node)
        };
        let sound =
            self.sums.len() == sums && self.sums.iter().all(|sum| sum.trees.iter().all(sound));
        if sound { Ok(()) } else { Err(SentimentError::damaged("gradient boosting")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_trees_become_lists() {
        let written = serde_json::json!({
            "value": 9.0, "threshold": 0.5, "split_feature_idx": 1,
            "left": {"value": 2.0, "left": null, "right": null},
            "right": {"value": 0.0, "threshold": -1.0, "split_feature_idx": 0,
                "left": {"value": -3.0, "left": null, "right": null},
                "right": {"value": 4.0, "left": null, "right": null}},
        });
        let mut nodes = Vec::new();
        append(&written, &mut nodes).unwrap();
        let value = |row: [f32; 2]| leaf_value(&nodes, &row) / RATE;
        for (row, expected) in [([0.0, 0.5], 2.0), ([-1.0, 0.6], -3.0), ([0.0, 0.6], 4.0)] {
            assert!((value(row) - expected).abs() < 1e-12, "{row:?}");
        }
    }
}
