//! Forests of token trees, the targets in them, and where each sequence's targets are.
//!
//! A preference pair is a tree with two leaves, `n` rollouts of a prompt a tree with `n` leaves,
//! plain text a path. Positions are depths, a node sees its ancestors only, and a loss reads the
//! log-probabilities of its targets: exactly what separate sequences would give, without
//! computing what they have in common more than once.

use bestof_kernels::{KeyedRow, Target, indices};
use burn::tensor::{IndexingUpdateOp, Tensor};

use crate::error::ModelError;
use crate::tree::TokenTree;

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
    /// Of each tree the lengths of its sequences, each once.
    lengths: Vec<Vec<usize>>,
    /// Of each tree the key of what is drawn for it.
    keys: Vec<u64>,
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

    /// The lengths of a tree's sequences, the shortest first, each once; without empty ones.
    ///
    /// # Panics
    /// If there is no such tree.
    pub fn lengths(&self, tree: usize) -> &[usize] {
        &self.lengths[tree]
    }

    /// The trees' numbers of nodes, with the keys that their dropout masks are drawn by.
    pub fn keyed_rows(&self) -> Vec<KeyedRow> {
        let keyed = |(tree, &key): (&TokenTree, _)| KeyedRow { key, tokens: tree.len() };
        self.trees.iter().zip(&self.keys).map(keyed).collect()
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
    /// will be. What is drawn for it, such as dropout masks, depends on its place in the forest.
    pub fn add_group(&mut self, sequences: &[Sequence<'_>]) -> Vec<SequenceSpan> {
        let place = self.forest.trees.len() as u64;
        self.add_keyed_group(place, sequences)
    }

    /// As [`add_group`](Self::add_group), but what is drawn for the tree is a function of `key`: the same
    /// in any forest, whatever trees are beside it.
    pub fn add_keyed_group(&mut self, key: u64, sequences: &[Sequence<'_>]) -> Vec<SequenceSpan> {
        self.forest.keys.push(key);
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
        let mut lengths: Vec<usize> = tokens.iter().map(|t| t.len()).filter(|n| *n > 0).collect();
        lengths.sort_unstable();
        lengths.dedup();
        self.forest.lengths.push(lengths);
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
}
