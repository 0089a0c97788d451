//! The decoder's forward pass over a token forest.

use std::sync::Arc;

use bestof_kernels::{Vocabulary, indices, listener, on_pool};
use burn::tensor::Tensor;

use super::decode;
use super::model::Decoder;
use super::recompute::{LayerPass, listened, recomputed};
use crate::causal_lm::{CausalLm, ForwardOptions};
use crate::error::ModelError;
use crate::forest::TokenForest;
use crate::plan::ForestPlan;
use crate::sampling::{AfterToken, Generation, NewToken, Request, SamplingConfig};

impl Decoder {
    pub(super) fn plan(
        &self,
        forest: &TokenForest,
        options: &ForwardOptions,
    ) -> Result<ForestPlan, ModelError> {
        let like = self.like();
        let drawn = match &options.random_positions {
            Some(drawing) => Some(drawing.draw(forest)?),
            None => None,
        };
        ForestPlan::new(forest, self.config(), self.rotary(), drawn.as_deref(), &like)
    }

    fn states(
        &self,
        forest: &TokenForest,
        rows: &[u32],
        options: &ForwardOptions,
    ) -> Result<Tensor<2>, ModelError> {
        let options = self.resolve(options)?;
        if self.merged && self.device().is_autodiff() {
            return Err(ModelError::Adapters {
                found: "the adapters are merged into the weights, so that no gradient reaches them",
                fix: "unmerge them before training, or compute with `model.valid()`",
            });
        }
        let model = &*self.seen_with(&options);
        let plan = Arc::new(model.plan(forest, &options)?);
        let mut x = model.embed(&plan.ids);
        let listener = listener();
        if !plan.ids.is_empty() {
            for (index, layer) in model.layers().iter().enumerate() {
                let pass = LayerPass {
                    config: Arc::clone(model.shared_config()),
                    plan: Arc::clone(&plan),
                    options,
                    index,
                };
                x = match &listener {
                    _ if options.checkpoint_layers => recomputed(layer, x, pass, listener.clone()),
                    Some(listener) => pass.forward(&listened(layer, &x, listener), x),
                    None => pass.forward(layer, x),
                };
            }
        }
        if let Some(&row) = rows.iter().find(|row| **row as usize >= plan.ids.len()) {
            return Err(ModelError::RowOutOfRange { row, nodes: plan.ids.len() });
        }
        Ok(model.final_norm(select_rows(x, rows)))
    }
}

/// Some rows of `x`, in order; `x` itself if that is all of them.
fn select_rows(x: Tensor<2>, rows: &[u32]) -> Tensor<2> {
    if rows.len() == x.dims()[0] && rows.iter().enumerate().all(|(at, row)| at as u32 == *row) {
        return x;
    }
    let device = x.device();
    x.select(0, indices(rows, &device))
}

impl CausalLm for Decoder {
    fn vocab_size(&self) -> usize {
        self.config().vocab_size
    }

    fn max_positions(&self) -> usize {
        self.config().max_positions
    }

    fn length_key(&self, length: usize) -> usize {
        self.rotary().length_key(length)
    }

    fn hidden_states(
        &self,
        forest: &TokenForest,
        rows: &[u32],
        options: &ForwardOptions,
    ) -> Result<Tensor<2>, ModelError> {
        on_pool(|| self.states(forest, rows, options))
    }

    fn vocabulary(&self) -> Vocabulary {
        let matrix = self.lm_head.as_ref().unwrap_or(&self.model.embed_tokens);
        Vocabulary { weight: matrix.weight.val(), softcap: self.config().final_softcap }
    }

    fn vocabulary_under(&self, options: &ForwardOptions) -> Vocabulary {
        let wanted = options.with_adapters(options.adapters || self.merged);
        self.seen_with(&wanted).vocabulary()
    }

    fn generate(
        &self,
        requests: &[Request],
        config: &SamplingConfig,
        on_token: &mut dyn FnMut(NewToken) -> AfterToken,
    ) -> Result<Vec<Generation>, ModelError> {
        decode::generate(self, requests, config, on_token)
    }
}
