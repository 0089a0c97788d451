//! A tree as a list of nodes.

mod grow;

use serde::{Deserialize, Serialize};

pub(super) use grow::{Columns, Growth};

/// A node of a tree; the root is the first, and children come after their parents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Node<L> {
    /// Rows whose `column` is at most `at` go to node `low`, the others to node `high`.
    Split { column: usize, at: f64, low: usize, high: usize },
    /// What the rows that reach it have in common.
    Leaf(L),
}

/// The leaf that a row reaches.
pub(super) fn leaf_of<'t, L>(nodes: &'t [Node<L>], row: &[f32]) -> &'t L {
    let mut node = 0;
    loop {
        match &nodes[node] {
            Node::Leaf(leaf) => return leaf,
            Node::Split { column, at, low, high } => {
                node = if f64::from(row[*column]) <= *at { *low } else { *high };
            }
        }
    }
}

/// Whether a tree, read from a file, is one of rows of `width` numbers: it has a node, its leaves are
/// sound, and children come after their parents, so that there is no cycle.
pub(super) fn is_sound<L>(nodes: &[Node<L>], width: usize, leaf: impl Fn(&L) -> bool) -> bool {
    let sound = |(index, node): (usize, &Node<L>)| match node {
        Node::Leaf(found) => leaf(found),
        Node::Split { column, low, high, .. } => {
            let later = index + 1..nodes.len();
            *column < width && later.contains(low) && later.contains(high)
        }
    };
    !nodes.is_empty() && nodes.iter().enumerate().all(sound)
}
