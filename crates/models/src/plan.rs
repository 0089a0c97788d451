//! What a forest needs in every layer, made once a pass.

use std::collections::HashMap;
use std::ops::Range;

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::block::attention::{Heads, attend};
use crate::config::{DecoderConfig, LayerConfig};
use crate::error::ModelError;
use crate::forest::{TokenForest, TokenTree};
use crate::mask::{Block, CausalMasks, tree_blocks};
use crate::rotary::{Rotary, Rotation};

/// Where a tree lies among the rows, and its blocks for each window that some layer has.
#[derive(Debug)]
struct TreePlan {
    rows: Range<usize>,
    blocks: HashMap<Option<usize>, Vec<Block>>,
}

/// Token ids, rotations and attention blocks of a forest, and the rows its wanted
/// log-probabilities are read from.
#[derive(Debug)]
pub(crate) struct ForestPlan {
    pub(crate) ids: Vec<u32>,
    rotations: Vec<Rotation>,
    trees: Vec<TreePlan>,
    /// Rows whose successors are wanted, each once, in order.
    pub(crate) rows: Vec<u32>,
    /// For each wanted token, its place in `rows` and its id.
    pub(crate) targets: Vec<(usize, u32)>,
}

impl ForestPlan {
    /// Checks the forest and prepares it. `like` says on which device and in which type.
    pub(crate) fn new(
        forest: &TokenForest,
        config: &DecoderConfig,
        rotary: &Rotary,
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
            rotations: rotary.rotations(&places, like),
            trees: plan_trees(forest, &starts, config, like),
            ids,
            rows,
            targets,
        })
    }

    /// The rotation of a layer.
    pub(crate) fn rotation(&self, layer: &LayerConfig) -> Option<&Rotation> {
        layer.rope.map(|rope| &self.rotations[rope])
    }

    /// Attention tree by tree: `[rows, heads * head_dim]`.
    pub(crate) fn attend(
        &self,
        heads: Heads,
        window: Option<usize>,
        config: &DecoderConfig,
    ) -> Tensor<2> {
        let (groups, kv, dim) = (config.group_size(), config.num_kv_heads, config.head_dim);
        let [rows, ..] = heads.q.dims();
        // Row, kv head, group, entry -> kv head, group, row, entry; nothing moves in memory.
        let q = heads.q.reshape([rows, kv, groups, dim]).permute([1, 2, 0, 3]);
        let k = heads.k.reshape([rows, kv, 1, dim]).permute([1, 2, 0, 3]);
        let v = heads.v.reshape([rows, kv, 1, dim]).permute([1, 2, 0, 3]);
        let mut parts = Vec::new();
        for tree in &self.trees {
            for block in &tree.blocks[&window] {
                let at = |range: &Range<usize>| {
                    tree.rows.start + range.start..tree.rows.start + range.end
                };
                let part = attend(
                    rows_of(&q, at(&block.rows)),
                    rows_of(&k, at(&block.keys)),
                    rows_of(&v, at(&block.keys)),
                    block.mask.clone(),
                    config.attention_softcap,
                );
                let taken = block.rows.len();
                parts.push(part.permute([2, 0, 1, 3]).reshape([taken, kv * groups * dim]));
            }
        }
        if parts.len() == 1 { parts.remove(0) } else { Tensor::cat(parts, 0) }
    }
}

/// A range of rows, or the tensor itself if it is all of them: a slice costs the backward pass a
/// tensor of zeros.
fn rows_of(x: &Tensor<4>, range: Range<usize>) -> Tensor<4> {
    if range == (0..x.dims()[2]) { x.clone() } else { x.clone().slice_dim(2, range) }
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

fn plan_trees(
    forest: &TokenForest,
    starts: &[usize],
    config: &DecoderConfig,
    like: &Tensor<2>,
) -> Vec<TreePlan> {
    let longest_path = forest.trees().iter().filter(|t| t.is_path()).map(TokenTree::len).max();
    let windows = config.windows();
    let causal: HashMap<_, _> = longest_path
        .map(|length| windows.iter().map(|&w| (w, CausalMasks::new(length, w, like))).collect())
        .unwrap_or_default();
    let plan = |tree: &TokenTree, window: Option<usize>| match causal.get(&window) {
        Some(masks) if tree.is_path() => masks.blocks(0..tree.len()),
        _ => tree_blocks(tree, window, like),
    };
    forest
        .trees()
        .iter()
        .zip(starts)
        .filter(|(tree, _)| !tree.is_empty())
        .map(|(tree, &start)| TreePlan {
            rows: start..start + tree.len(),
            blocks: windows.iter().map(|&window| (window, plan(tree, window))).collect(),
        })
        .collect()
}

/// Ids as an index tensor.
pub(crate) fn indices(ids: &[u32], device: &Device) -> Tensor<1, Int> {
    let ids: Vec<i32> = ids.iter().map(|&id| id as i32).collect();
    let length = ids.len();
    Tensor::from_data(TensorData::new(ids, [length]), &device.clone().without_autodiff())
}
