//! Gradient boosting: for each class a sum of 100 trees of depth 5 that predicts whether a row has
//! it, with a learning rate of 0.1 and squared loss.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use smartcore::linalg::basic::matrix::DenseMatrix;
use smartcore::xgboost::{XGRegressor, XGRegressorParameters};

use super::{Classifier, Matrix, damaged, library};
use crate::error::SentimentError;

const TREES: usize = 100;
const DEPTH: u16 = 5;
const RATE: f64 = 0.1;

/// Share of the rows that each tree sees.
const SUBSAMPLE: f64 = 0.8;

/// Sums of trees, one for each class; one for two classes.
///
/// A sum estimates the probability of its class by least squares; sums are cut to 0.001 to 1 and
/// scaled to a total of 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Boosting {
    sums: Vec<Sum>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Sum {
    base: f64,
    trees: Vec<Vec<Node>>,
}

/// A node of a tree; the root is the first, children stand behind their parents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Node {
    Split { column: usize, at: f64, low: usize, high: usize },
    Leaf { add: f64 },
}

impl Sum {
    fn value(&self, row: &[f32]) -> f64 {
        self.base + self.trees.iter().map(|tree| added(tree, row)).sum::<f64>()
    }
}

fn added(tree: &[Node], row: &[f32]) -> f64 {
    let mut place = 0;
    loop {
        match tree[place] {
            Node::Leaf { add } => return add,
            Node::Split { column, at, low, high } => {
                place = if f64::from(row[column]) <= at { low } else { high };
            }
        }
    }
}

/// Appends the tree that the library wrote as nested objects; `None` for another form.
fn append(tree: &Value, nodes: &mut Vec<Node>) -> Option<usize> {
    let place = nodes.len();
    let add = RATE * tree.get("value")?.as_f64()?;
    nodes.push(Node::Leaf { add });
    let child = |name: &str| tree.get(name).filter(|child| !child.is_null());
    if let (Some(low), Some(high)) = (child("left"), child("right")) {
        let column = tree.get("split_feature_idx")?.as_u64()? as usize;
        let at = tree.get("threshold")?.as_f64()?;
        let (low, high) = (append(low, nodes)?, append(high, nodes)?);
        nodes[place] = Node::Split { column, at, low, high };
    }
    Some(place)
}

impl Classifier for Boosting {
    /// Each node sorts its rows by every column.
    const MAX_ROWS: Option<usize> = Some(5_000);

    fn fit(x: &Matrix, y: &[u8], classes: usize, seed: u64) -> Result<Self, SentimentError> {
        let rows = x.to_library()?;
        let targets = if classes == 2 { 1..2 } else { 0..classes as u8 };
        let sum = |class: u8| {
            let wanted: Vec<f64> =
                y.iter().map(|&label| f64::from(u8::from(label == class))).collect();
            let base = wanted.iter().sum::<f64>() / wanted.len() as f64;
            let parameters = XGRegressorParameters::default()
                .with_n_estimators(TREES)
                .with_max_depth(DEPTH)
                .with_learning_rate(RATE)
                .with_subsample(SUBSAMPLE)
                .with_base_score(base)
                .with_seed(seed);
            let fitted: XGRegressor<f64, f64, DenseMatrix<f64>, Vec<f64>> =
                XGRegressor::fit(&rows, &wanted, parameters)
                    .map_err(library("gradient boosting"))?;
            let written =
                serde_json::to_value(&fitted).map_err(|_| damaged("gradient boosting"))?;
            let tree = |tree: &Value| {
                let mut nodes = Vec::new();
                append(tree, &mut nodes).map(|_| nodes)
            };
            let trees = written.get("regressors").and_then(Value::as_array);
            let trees = trees.and_then(|trees| trees.iter().map(tree).collect());
            Ok(Sum { base, trees: trees.ok_or_else(|| damaged("gradient boosting"))? })
        };
        Ok(Self { sums: targets.map(sum).collect::<Result<_, SentimentError>>()? })
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
            let node = |(place, node): (usize, &Node)| match *node {
                Node::Leaf { .. } => true,
                Node::Split { column, low, high, .. } => {
                    column < width
                        && (place + 1..count).contains(&low)
                        && (place + 1..count).contains(&high)
                }
            };
            count > 0 && tree.iter().enumerate().all(node)
        };
        let sound =
            self.sums.len() == sums && self.sums.iter().all(|sum| sum.trees.iter().all(sound));
        if sound { Ok(()) } else { Err(damaged("gradient boosting")) }
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
        let value = |row: [f32; 2]| added(&nodes, &row) / RATE;
        for (row, expected) in [([0.0, 0.5], 2.0), ([-1.0, 0.6], -3.0), ([0.0, 0.6], 4.0)] {
            assert!((value(row) - expected).abs() < 1e-12, "{row:?}");
        }
    }
}
