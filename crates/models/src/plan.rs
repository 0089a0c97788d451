//! What a forest needs in every layer, made once a pass.

use std::collections::HashMap;

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::block::attention::Heads;
use crate::config::{DecoderConfig, LayerConfig};
use crate::error::ModelError;
use crate::forest::{TokenForest, TokenTree};
use crate::fused;
use crate::mask::{Block, CausalMasks, tree_blocks};
use crate::rotary::{Rotary, Rotation};

/// Token ids, rotations and attention blocks of a forest, and the rows its wanted
/// log-probabilities are read from.
#[derive(Debug)]
pub(crate) struct ForestPlan {
    pub(crate) ids: Vec<u32>,
    rotations: Vec<Rotation>,
    /// The blocks of all trees, for each window that some layer has.
    blocks: HashMap<Option<usize>, Vec<Block>>,
    /// Rows whose successors are wanted, each once, in order.
    pub(crate) rows: Vec<u32>,
    /// For each wanted token, its place in `rows` and its id.
    pub(crate) targets: Vec<(usize, u32)>,
}

impl ForestPlan {
    /// Checks the forest and prepares it. `drawn` are positions in place of the nodes' depths;
    /// `like` says on which device and in which type.
    pub(crate) fn new(
        forest: &TokenForest,
        config: &DecoderConfig,
        rotary: &Rotary,
        drawn: Option<&[f64]>,
        like: &Tensor<2>,
    ) -> Result<Self, ModelError> {
        let mut ids = Vec::with_capacity(forest.token_count());
        let mut places = Vec::with_capacity(ids.capacity());
        let mut starts = Vec::with_capacity(forest.trees().len());
        for (index, tree) in forest.trees().iter().enumerate() {
            check_tokens(tree.tokens(), index, config.vocab_size)?;
            starts.push(ids.len());
            ids.extend_from_slice(tree.tokens());
            let height = tree.height();
            places.extend(tree.depths().iter().map(|&depth| (depth, height)));
        }
        let (rows, targets) = wanted_rows(forest, &starts)?;
        Ok(Self {
            rotations: rotary.rotations(&places, drawn, like),
            blocks: plan_blocks(forest, &starts, config, like),
            ids,
            rows,
            targets,
        })
    }

    /// The rotation of a layer.
    pub(crate) fn rotation(&self, layer: &LayerConfig) -> Option<&Rotation> {
        layer.rope.map(|rope| &self.rotations[rope])
    }

    /// The blocks of attention within a window.
    pub(crate) fn blocks(&self, window: Option<usize>) -> &[Block] {
        &self.blocks[&window]
    }

    /// Attention tree by tree: `[rows, heads * head_dim]`.
    pub(crate) fn attend(
        &self,
        heads: Heads,
        window: Option<usize>,
        config: &DecoderConfig,
    ) -> Tensor<2> {
        fused::attention(heads.q, heads.k, heads.v, self.blocks(window), config.attention())
    }
}

fn check_tokens(tokens: &[u32], tree: usize, vocab_size: usize) -> Result<(), ModelError> {
    match tokens.iter().position(|&token| token as usize >= vocab_size) {
        None => Ok(()),
        Some(node) => {
            Err(ModelError::TokenOutOfRange { token: tokens[node], vocab_size, tree, node })
        }
    }
}

type RowsAndTargets = (Vec<u32>, Vec<(usize, u32)>);

fn wanted_rows(forest: &TokenForest, starts: &[usize]) -> Result<RowsAndTargets, ModelError> {
    let mut parents = Vec::with_capacity(forest.wanted().len());
    for wanted in forest.wanted() {
        let parent = forest
            .trees()
            .get(wanted.tree)
            .and_then(|tree| tree.parents().get(wanted.node).copied().flatten())
            .ok_or(ModelError::WantedRoot { tree: wanted.tree, node: wanted.node })?;
        parents.push((starts[wanted.tree] + parent) as u32);
    }
    let mut rows = parents.clone();
    rows.sort_unstable();
    rows.dedup();
    let targets = forest
        .wanted()
        .iter()
        .zip(&parents)
        .map(|(wanted, parent)| {
            let row = rows.partition_point(|row| row < parent);
            (row, forest.trees()[wanted.tree].tokens()[wanted.node])
        })
        .collect();
    Ok((rows, targets))
}

/// The blocks of all trees, by window, rows and keys counted over the whole forest.
fn plan_blocks(
    forest: &TokenForest,
    starts: &[usize],
    config: &DecoderConfig,
    like: &Tensor<2>,
) -> HashMap<Option<usize>, Vec<Block>> {
    let longest_path = forest.trees().iter().filter(|t| t.is_path()).map(TokenTree::len).max();
    let of_window = |window: Option<usize>| {
        let causal = longest_path.map(|length| CausalMasks::new(length, window, like));
        let mut all = Vec::new();
        for (tree, &start) in forest.trees().iter().zip(starts) {
            let blocks = match &causal {
                Some(masks) if tree.is_path() => masks.blocks(0..tree.len()),
                _ => tree_blocks(tree, window, like),
            };
            all.extend(blocks.into_iter().map(|block| block.moved(start, start)));
        }
        (window, all)
    };
    config.windows().into_iter().map(of_window).collect()
}

/// Ids as an index tensor.
pub(crate) fn indices(ids: &[u32], device: &Device) -> Tensor<1, Int> {
    let ids: Vec<i32> = ids.iter().map(|&id| id as i32).collect();
    let length = ids.len();
    Tensor::from_data(TensorData::new(ids, [length]), &device.clone().without_autodiff())
}
