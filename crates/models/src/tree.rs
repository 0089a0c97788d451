//! Token sequences that share prefixes as one tree, each shared token kept once.

use std::collections::HashMap;

/// A trie of token sequences, its nodes in depth-first order: parents before children, and the
/// descendants of node `i` at `i + 1 .. i + descendants(i) + 1`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TokenTree {
    tokens: Vec<u32>,
    parents: Vec<Option<usize>>,
    depths: Vec<usize>,
    /// One past the last descendant.
    ends: Vec<usize>,
}

impl TokenTree {
    /// The tree of one sequence.
    pub fn path(tokens: &[u32]) -> Self {
        let n = tokens.len();
        Self {
            tokens: tokens.to_vec(),
            parents: (0..n).map(|i| i.checked_sub(1)).collect(),
            depths: (0..n).collect(),
            ends: vec![n; n],
        }
    }

    /// The trie of `sequences`, and for each of them the node of each of its tokens.
    ///
    /// Children keep the order in which the sequences first ask for them, so the result depends
    /// on nothing but the argument.
    pub fn from_sequences(sequences: &[&[u32]]) -> (Self, Vec<Vec<usize>>) {
        // Nodes as they are met, then renumbered depth-first.
        let mut tokens: Vec<u32> = Vec::new();
        let mut children: Vec<Vec<usize>> = Vec::new();
        let mut roots: Vec<usize> = Vec::new();
        let mut edges: HashMap<(Option<usize>, u32), usize> = HashMap::new();
        let mut met: Vec<Vec<usize>> = Vec::with_capacity(sequences.len());
        for sequence in sequences {
            let mut parent = None;
            let mut nodes = Vec::with_capacity(sequence.len());
            for &token in *sequence {
                let node = *edges.entry((parent, token)).or_insert_with(|| {
                    let node = tokens.len();
                    tokens.push(token);
                    children.push(Vec::new());
                    match parent {
                        Some(parent) => children[parent].push(node),
                        None => roots.push(node),
                    }
                    node
                });
                nodes.push(node);
                parent = Some(node);
            }
            met.push(nodes);
        }

        let n = tokens.len();
        let mut tree = Self {
            tokens: Vec::with_capacity(n),
            parents: Vec::with_capacity(n),
            depths: Vec::with_capacity(n),
            ends: vec![0; n],
        };
        let mut renumbered = vec![0; n];
        let mut stack: Vec<(usize, Option<usize>)> =
            roots.iter().rev().map(|&root| (root, None)).collect();
        while let Some((node, parent)) = stack.pop() {
            let new = tree.tokens.len();
            renumbered[node] = new;
            tree.tokens.push(tokens[node]);
            tree.parents.push(parent);
            tree.depths.push(parent.map_or(0, |p| tree.depths[p] + 1));
            stack.extend(children[node].iter().rev().map(|&child| (child, Some(new))));
        }
        for node in (0..n).rev() {
            tree.ends[node] = tree.ends[node].max(node + 1);
            if let Some(parent) = tree.parents[node] {
                tree.ends[parent] = tree.ends[parent].max(tree.ends[node]);
            }
        }
        for nodes in &mut met {
            for node in nodes {
                *node = renumbered[*node];
            }
        }
        (tree, met)
    }

    /// The number of nodes.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether there is no node.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// The token of each node.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// The parent of each node; `None` for a root.
    pub fn parents(&self) -> &[Option<usize>] {
        &self.parents
    }

    /// The position of each node: the number of its proper ancestors.
    pub fn depths(&self) -> &[usize] {
        &self.depths
    }

    /// The length of the longest sequence in the tree.
    pub fn height(&self) -> usize {
        self.depths.iter().max().map_or(0, |d| d + 1)
    }

    /// Whether the tree is a single sequence.
    pub fn is_path(&self) -> bool {
        self.tokens.len() == self.height()
    }

    /// Whether `ancestor` is `node` itself or lies on the way from its root.
    ///
    /// # Panics
    /// If `ancestor` is not a node of the tree.
    pub fn sees(&self, node: usize, ancestor: usize) -> bool {
        ancestor <= node && node < self.ends[ancestor]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_pair_shares_its_start() {
        let (tree, nodes) = TokenTree::from_sequences(&[&[1, 2, 3], &[1, 2, 4, 5], &[1, 9]]);
        assert_eq!(tree.tokens(), [1, 2, 3, 4, 5, 9]);
        assert_eq!(tree.parents(), [None, Some(0), Some(1), Some(1), Some(3), Some(0)]);
        assert_eq!(tree.depths(), [0, 1, 2, 2, 3, 1]);
        assert_eq!(nodes, [vec![0, 1, 2], vec![0, 1, 3, 4], vec![0, 5]]);
        assert!(!tree.is_path());
        assert_eq!(tree.height(), 4);
    }

    #[test]
    fn a_sequence_that_ends_inside_another_is_no_branch() {
        let (tree, nodes) = TokenTree::from_sequences(&[&[1, 2, 3], &[1, 2]]);
        assert!(tree.is_path());
        assert_eq!(tree, TokenTree::path(&[1, 2, 3]));
        assert_eq!(nodes[1], [0, 1]);
    }

    proptest! {
        #[test]
        fn nodes_spell_their_sequences(
            sequences in prop::collection::vec(prop::collection::vec(0u32..3, 0..7), 0..6),
        ) {
            let slices: Vec<&[u32]> = sequences.iter().map(Vec::as_slice).collect();
            let (tree, nodes) = TokenTree::from_sequences(&slices);
            for (sequence, nodes) in sequences.iter().zip(&nodes) {
                let spelled: Vec<u32> = nodes.iter().map(|&n| tree.tokens()[n]).collect();
                prop_assert_eq!(&spelled, sequence);
                for (depth, &node) in nodes.iter().enumerate() {
                    prop_assert_eq!(tree.depths()[node], depth);
                    prop_assert_eq!(tree.parents()[node], depth.checked_sub(1).map(|d| nodes[d]));
                }
            }
            // Every node is used, and each prefix has one node.
            let prefixes: std::collections::HashSet<&[u32]> =
                slices.iter().flat_map(|s| (1..=s.len()).map(|end| &s[..end])).collect();
            prop_assert_eq!(prefixes.len(), tree.len());
        }

        #[test]
        fn sees_exactly_its_ancestors(
            sequences in prop::collection::vec(prop::collection::vec(0u32..3, 0..6), 0..5),
        ) {
            let slices: Vec<&[u32]> = sequences.iter().map(Vec::as_slice).collect();
            let (tree, _) = TokenTree::from_sequences(&slices);
            for node in 0..tree.len() {
                let mut line = vec![node];
                while let Some(parent) = tree.parents()[line[line.len() - 1]] {
                    line.push(parent);
                }
                for other in 0..tree.len() {
                    prop_assert_eq!(tree.sees(node, other), line.contains(&other));
                }
            }
        }
    }
}
