//! What a forest needs in every layer, made once per pass.

use std::collections::HashMap;
use std::sync::Arc;

use bestof_kernels::{AttentionBlock, CausalMasks, KeyedRow, attention, tree_blocks};
use burn::tensor::Tensor;

use crate::block::attention::Heads;
use crate::config::{DecoderConfig, LayerConfig};
use crate::error::ModelError;
use crate::forest::TokenForest;
use crate::rotary::{Rotary, Rotation};
use crate::tree::TokenTree;

/// Token ids, rotations and attention blocks of a forest.
#[derive(Debug)]
pub(crate) struct ForestPlan {
    pub(crate) ids: Vec<u32>,
    /// The trees, with the keys of their dropout masks.
    pub(crate) rows: Arc<[KeyedRow]>,
    rotations: Vec<Rotation>,
    /// The blocks of all trees, for each window that some layer has.
    blocks: HashMap<Option<usize>, Vec<AttentionBlock>>,
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
        let mut positions = Vec::with_capacity(ids.capacity());
        let mut starts = Vec::with_capacity(forest.trees().len());
        for (index, tree) in forest.trees().iter().enumerate() {
            check_tokens(tree.tokens(), index, config.vocab_size)?;
            rotary.check_lengths(index, forest.lengths(index))?;
            starts.push(ids.len());
            ids.extend_from_slice(tree.tokens());
            let height = tree.height();
            positions.extend(tree.depths().iter().map(|&depth| (depth, height)));
        }
        Ok(Self {
            rotations: rotary.rotations(&positions, drawn, like),
            blocks: plan_blocks(forest, &starts, config, like),
            rows: forest.keyed_rows().into(),
            ids,
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
        attention(heads.q, heads.k, heads.v, &self.blocks[&window], config.attention())
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

/// The blocks of all trees, by window, rows and keys counted over the whole forest.
fn plan_blocks(
    forest: &TokenForest,
    starts: &[usize],
    config: &DecoderConfig,
    like: &Tensor<2>,
) -> HashMap<Option<usize>, Vec<AttentionBlock>> {
    let longest_path = forest.trees().iter().filter(|t| t.is_path()).map(TokenTree::len).max();
    let of_window = |window: Option<usize>| {
        let causal = longest_path.map(|length| CausalMasks::new(length, window, like));
        let mut all = Vec::new();
        for (tree, &start) in forest.trees().iter().zip(starts) {
            let blocks = match &causal {
                Some(masks) if tree.is_path() => masks.blocks(0..tree.len()),
                _ => tree_blocks(tree.parents(), tree.depths(), window, like),
            };
            all.extend(blocks.into_iter().map(|block| block.shifted(start, start)));
        }
        (window, all)
    };
    config.windows().into_iter().map(of_window).collect()
}
