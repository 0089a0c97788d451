//! Token sequences that share prefixes, each shared token kept once.
//!
//! A preference pair is a tree with two leaves, `n` rollouts of a prompt a tree with `n` leaves,
//! plain text a path. Positions are depths, a node sees its ancestors only, and a loss reads the
//! log-probabilities of its targets: exactly what separate sequences would give, without
//! computing what they have in common more than once.

use std::collections::HashMap;

use bestof_kernels::{Target, indices};
use burn::tensor::{IndexingUpdateOp, Tensor};

use crate::error::ModelError;

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

/// A node whose token's log-probability, given its ancestors, is computed. Never a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TargetNode {
    /// The tree in the forest.
    pub tree: usize,
    /// The node in the tree.
    pub node: usize,
}

/// Token trees computed together, and the nodes whose log-probabilities are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TokenForest {
    trees: Vec<TokenTree>,
    targets: Vec<TargetNode>,
}

impl TokenForest {
    /// The trees.
    pub fn trees(&self) -> &[TokenTree] {
        &self.trees
    }

    /// The nodes whose log-probabilities are computed, in the order the results come in.
    pub fn targets(&self) -> &[TargetNode] {
        &self.targets
    }

    /// The tokens of all nodes, tree after tree.
    pub fn token_ids(&self) -> Vec<u32> {
        self.trees.iter().flat_map(|tree| tree.tokens().iter().copied()).collect()
    }

    /// The nodes that predict some target, each once and counted through the forest, tree after
    /// tree; and of each target its token and which of these rows predicts it.
    ///
    /// # Errors
    /// [`ModelError::RootTarget`] for a target without ancestors.
    pub fn target_rows(&self) -> Result<(Vec<u32>, Vec<Target>), ModelError> {
        let mut starts = Vec::with_capacity(self.trees.len());
        let mut nodes = 0;
        for tree in &self.trees {
            starts.push(nodes);
            nodes += tree.len();
        }
        let mut parents = Vec::with_capacity(self.targets.len());
        for target in &self.targets {
            let parent = self
                .trees
                .get(target.tree)
                .and_then(|tree| tree.parents().get(target.node).copied().flatten())
                .ok_or(ModelError::RootTarget { tree: target.tree, node: target.node })?;
            parents.push((starts[target.tree] + parent) as u32);
        }
        let mut rows = parents.clone();
        rows.sort_unstable();
        rows.dedup();
        let targets = self
            .targets
            .iter()
            .zip(&parents)
            .map(|(target, parent)| Target {
                row: rows.partition_point(|row| row < parent) as u32,
                token: self.trees[target.tree].tokens()[target.node],
            })
            .collect();
        Ok((rows, targets))
    }

    /// The number of tokens a model computes: the nodes of all trees.
    pub fn token_count(&self) -> usize {
        self.trees.iter().map(TokenTree::len).sum()
    }

    /// The length of the longest sequence.
    pub fn height(&self) -> usize {
        self.trees.iter().map(TokenTree::height).max().unwrap_or(0)
    }

    /// The forest of one sequence, whose tokens but the first are the targets.
    pub fn text(tokens: &[u32]) -> Self {
        let mut builder = ForestBuilder::new();
        builder.add_group(&[Sequence { tokens, completion_start: 1 }]);
        builder.finish()
    }
}

/// A sequence and where its completion begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sequence<'a> {
    /// Prompt and completion.
    pub tokens: &'a [u32],
    /// The index of the first completion token. The very first token of a sequence has no
    /// ancestors to be predicted from, so 0 means 1.
    pub completion_start: usize,
}

/// Where the log-probabilities of one sequence's completion are: indices into the forest's
/// targets. Sequences of a group may share them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SequenceSpan {
    /// Indices into [`TokenForest::targets`], in the order of the completion's tokens.
    pub targets: Vec<usize>,
}

impl SequenceSpan {
    /// The number of completion tokens.
    pub fn len(&self) -> usize {
        self.targets.len()
    }

    /// Whether the completion has no token.
    pub fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }

    /// The log-probability of the completion, given one value per target.
    ///
    /// # Panics
    /// If `logprobs` is shorter than the forest's targets.
    pub fn sum(&self, logprobs: &[f32]) -> f64 {
        self.targets.iter().map(|&i| f64::from(logprobs[i])).sum()
    }

    /// Adds `weight` at each of the completion's tokens: the derivative of a loss by the
    /// completion's log-probability, carried to the tokens.
    ///
    /// # Panics
    /// If `weights` is shorter than the forest's targets.
    pub fn add_weight(&self, weight: f32, weights: &mut [f32]) {
        for &i in &self.targets {
            weights[i] += weight;
        }
    }
}

/// The log-probability of each completion, `[spans]`, from those of the targets, `[targets]`, with
/// their graph. In the tensors' own precision; [`SequenceSpan::sum`] sums in f64.
pub fn sequence_logps(logps: &Tensor<1>, spans: &[SequenceSpan]) -> Tensor<1> {
    let device = logps.device();
    let targets: Vec<u32> =
        spans.iter().flat_map(|span| span.targets.iter().map(|&target| target as u32)).collect();
    let owners: Vec<u32> = spans
        .iter()
        .enumerate()
        .flat_map(|(owner, span)| std::iter::repeat_n(owner as u32, span.len()))
        .collect();
    let sums = Tensor::zeros([spans.len()], (&device, logps.dtype()));
    if targets.is_empty() {
        return sums;
    }
    let values = logps.clone().select(0, indices(&targets, &device));
    sums.select_assign(0, indices(&owners, &device), values, IndexingUpdateOp::Add)
}

/// Collects groups of sequences into a [`TokenForest`].
///
/// ```
/// use bestof_models::{ForestBuilder, Sequence};
///
/// let mut builder = ForestBuilder::new();
/// let spans = builder.add_group(&[
///     Sequence { tokens: &[5, 6, 7, 8], completion_start: 2 },
///     Sequence { tokens: &[5, 6, 7, 9], completion_start: 2 },
/// ]);
/// let forest = builder.finish();
/// assert_eq!(forest.token_count(), 5); // 5 6 7 are computed once
/// assert_eq!(forest.targets().len(), 3); // 7, 8 and 9
/// assert_eq!(spans[0].targets[0], spans[1].targets[0]);
/// ```
#[derive(Debug, Clone, Default)]
pub struct ForestBuilder {
    forest: TokenForest,
}

impl ForestBuilder {
    /// A builder with no tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one tree made of `sequences` and says where each completion's log-probabilities
    /// will be.
    pub fn add_group(&mut self, sequences: &[Sequence<'_>]) -> Vec<SequenceSpan> {
        let tokens: Vec<&[u32]> = sequences.iter().map(|s| s.tokens).collect();
        let (tree, nodes) = TokenTree::from_sequences(&tokens);
        let index = self.forest.trees.len();
        let mut slots: Vec<Option<usize>> = vec![None; tree.len()];
        let targets = &mut self.forest.targets;
        let spans = sequences
            .iter()
            .zip(&nodes)
            .map(|(sequence, nodes)| SequenceSpan {
                targets: nodes
                    .iter()
                    .skip(sequence.completion_start.max(1))
                    .map(|&node| {
                        *slots[node].get_or_insert_with(|| {
                            targets.push(TargetNode { tree: index, node });
                            targets.len() - 1
                        })
                    })
                    .collect(),
            })
            .collect();
        self.forest.trees.push(tree);
        spans
    }

    /// The number of tokens collected so far.
    pub fn token_count(&self) -> usize {
        self.forest.token_count()
    }

    /// The forest.
    pub fn finish(self) -> TokenForest {
        self.forest
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

    #[test]
    fn empty_sequences_have_no_targets() {
        let mut builder = ForestBuilder::new();
        let spans = builder.add_group(&[
            Sequence { tokens: &[], completion_start: 0 },
            Sequence { tokens: &[3], completion_start: 0 },
            Sequence { tokens: &[3, 4], completion_start: 9 },
        ]);
        assert!(spans.iter().all(SequenceSpan::is_empty));
        assert!(builder.finish().targets().is_empty());
    }

    #[test]
    fn weights_of_shared_tokens_add_up() {
        let mut builder = ForestBuilder::new();
        let spans = builder.add_group(&[
            Sequence { tokens: &[1, 2, 3], completion_start: 1 },
            Sequence { tokens: &[1, 2, 4], completion_start: 1 },
        ]);
        let mut weights = [0.0; 3];
        spans[0].add_weight(1.0, &mut weights);
        spans[1].add_weight(-0.25, &mut weights);
        assert_eq!(weights, [0.75, 1.0, -0.25]);
        assert_eq!(spans[1].sum(&[-1.0, -2.0, -4.0]), -5.0);
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
