//! The decoder of all families: embeddings, layers, final norm, vocabulary.

use std::ops::ControlFlow;
use std::sync::Arc;

use bestof_positional::RotaryLayout;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

use crate::block::Pass;
use crate::block::layer::Layer;
use crate::block::norm::RmsNorm;
use crate::causal_lm::{CausalLm, ForwardOptions, ForwardPass};
use crate::config::DecoderConfig;
use crate::error::ModelError;
use crate::forest::TokenForest;
use crate::plan::{ForestPlan, indices};
use crate::rotary::Rotary;
use crate::sampling::{Generation, NewToken, Request, SamplingConfig};
use crate::vocabulary::{Extras, Vocabulary, floats};

mod adapter_file;
mod backward;
mod build;
mod lora;
mod names;
mod parameters;
mod save;

pub use lora::LoraConfig;

/// A matrix under a name of its own in the checkpoint.
#[derive(Module, Debug)]
pub(crate) struct Matrix {
    /// `[vocab, width]`
    pub(crate) weight: Param<Tensor<2>>,
}

/// Embeddings, layers and final norm.
#[derive(Module, Debug)]
pub(crate) struct Body {
    pub(crate) embed_tokens: Matrix,
    pub(crate) layers: Vec<Layer>,
    pub(crate) norm: RmsNorm,
}

/// The parameters of a decoder. The path of each is its name in the checkpoint.
#[derive(Module, Debug)]
pub(crate) struct DecoderWeights {
    pub(crate) model: Body,
    /// `None` if the embedding matrix serves as the projection, too.
    pub(crate) lm_head: Option<Matrix>,
}

/// A decoder of the LLaMA, Gemma 2, Gemma 3, Mistral or Qwen2 family.
///
/// On `device.autodiff()` it can be trained, on the plain device it scores and generates.
#[derive(Debug, Clone)]
pub struct Decoder {
    pub(crate) config: Arc<DecoderConfig>,
    pub(crate) weights: DecoderWeights,
    pub(crate) rotary: Arc<Rotary>,
    device: Device,
    names: names::TensorNames,
    lora: Option<LoraConfig>,
    merged: bool,
}

impl Decoder {
    fn assemble(
        config: DecoderConfig,
        weights: DecoderWeights,
        device: &Device,
        names: names::TensorNames,
    ) -> Self {
        let rotary = Rotary::new(
            config.ropes.clone(),
            RotaryLayout::HalfSplit,
            config.head_dim,
            config.attention_scale,
        );
        Self {
            config: Arc::new(config),
            weights,
            rotary: Arc::new(rotary),
            device: device.clone(),
            names,
            lora: None,
            merged: false,
        }
    }

    /// The shape of the model.
    pub fn config(&self) -> &DecoderConfig {
        &self.config
    }

    /// The device the model lies on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The logits of every token of the forest, tree after tree, `[tokens, vocab]` row by row.
    /// Meant for small models and for comparisons: this is the tensor that everything else here
    /// avoids.
    pub fn logits(
        &self,
        forest: &TokenForest,
        options: &ForwardOptions,
    ) -> Result<Vec<f32>, ModelError> {
        let (weights, _, hidden) = self.evaluate(forest, options)?;
        if hidden.dims()[0] == 0 {
            return Ok(Vec::new());
        }
        let hidden = self.final_norm(&weights, hidden);
        Ok(floats(self.vocabulary(&weights).logits(hidden)))
    }

    /// The final hidden states of every token of the forest, after the last norm,
    /// `[tokens, width]` row by row.
    pub fn hidden_states(
        &self,
        forest: &TokenForest,
        options: &ForwardOptions,
    ) -> Result<Vec<f32>, ModelError> {
        let (weights, _, hidden) = self.evaluate(forest, options)?;
        Ok(floats(self.final_norm(&weights, hidden)))
    }

    /// Log-probabilities and entropies (in nats) of the wanted tokens' distributions. Keeps no
    /// graph.
    pub fn logprobs_and_entropies(
        &self,
        forest: &TokenForest,
        options: &ForwardOptions,
    ) -> Result<(Vec<f32>, Vec<f32>), ModelError> {
        let (weights, plan, hidden) = self.evaluate(forest, options)?;
        if plan.rows.is_empty() {
            return Ok((Vec::new(), Vec::new()));
        }
        let hidden = self.final_norm(&weights, select_rows(hidden, &plan.rows));
        let extras = Extras { entropies: options.entropies, backward: false };
        let scores = self.vocabulary(&weights).score(&hidden, &plan.targets, extras);
        Ok((scores.logprobs, scores.entropies))
    }

    /// All layers' outputs, without automatic differentiation, with the weights that gave them.
    fn evaluate(
        &self,
        forest: &TokenForest,
        options: &ForwardOptions,
    ) -> Result<(DecoderWeights, ForestPlan, Tensor<2>), ModelError> {
        let options = &self.resolve(options)?;
        let weights = self.weights.valid();
        let plan = self.plan(forest, options)?;
        let mut x = self.embed(&weights, &plan.ids);
        if !plan.ids.is_empty() {
            for layer in 0..weights.model.layers.len() {
                x = self.layer(&weights, layer, x, &plan, options);
            }
        }
        Ok((weights, plan, x))
    }

    pub(crate) fn plan(
        &self,
        forest: &TokenForest,
        options: &ForwardOptions,
    ) -> Result<ForestPlan, ModelError> {
        let like = self.weights.model.embed_tokens.weight.val();
        let drawn = match &options.random_positions {
            Some(drawing) => Some(drawing.draw(forest)?),
            None => None,
        };
        ForestPlan::new(forest, &self.config, &self.rotary, drawn.as_deref(), &like)
    }

    /// The scaled embeddings of `ids`, `[ids, width]`.
    pub(crate) fn embed(&self, weights: &DecoderWeights, ids: &[u32]) -> Tensor<2> {
        let table = weights.model.embed_tokens.weight.val();
        let x = table.select(0, indices(ids, &self.device));
        match self.config.embedding_scale {
            Some(scale) => x.mul_scalar(scale),
            None => x,
        }
    }

    pub(crate) fn layer(
        &self,
        weights: &DecoderWeights,
        index: usize,
        x: Tensor<2>,
        plan: &ForestPlan,
        options: &ForwardOptions,
    ) -> Tensor<2> {
        let config = &*self.config;
        let kind = &config.layers[index];
        let pass = Pass { config, options: *options, layer: index, decoding: false };
        weights.model.layers[index]
            .forward(x, plan.rotation(kind), &pass, |heads| plan.attend(heads, kind.window, config))
    }

    pub(crate) fn final_norm(&self, weights: &DecoderWeights, x: Tensor<2>) -> Tensor<2> {
        weights.model.norm.forward(x, self.config.rms_norm_eps, self.config.norm_offset)
    }

    pub(crate) fn vocabulary(&self, weights: &DecoderWeights) -> Vocabulary {
        let matrix = weights.lm_head.as_ref().unwrap_or(&weights.model.embed_tokens);
        Vocabulary { weight: matrix.weight.val().inner(), softcap: self.config.final_softcap }
    }

    /// The options as the layers should see them: merged adapters are in the weights already.
    ///
    /// # Errors
    /// A model whose adapters are merged cannot compute without them.
    pub(crate) fn resolve(&self, options: &ForwardOptions) -> Result<ForwardOptions, ModelError> {
        if self.merged && !options.adapters {
            return Err(ModelError::Adapters {
                found: "the adapters are merged into the weights",
                mend: "unmerge them before asking for the model without adapters",
            });
        }
        Ok(ForwardOptions { adapters: options.adapters && !self.merged, ..*options })
    }
}

/// Some rows of `x`, in order; `x` itself if that is all of them.
pub(crate) fn select_rows(x: Tensor<2>, rows: &[u32]) -> Tensor<2> {
    if rows.len() == x.dims()[0] {
        return x;
    }
    let device = x.device();
    x.select(0, indices(rows, &device))
}

impl CausalLm for Decoder {
    fn vocab_size(&self) -> usize {
        self.config.vocab_size
    }

    fn max_positions(&self) -> usize {
        self.config.max_positions
    }

    fn logprobs(
        &self,
        forest: &TokenForest,
        options: &ForwardOptions,
    ) -> Result<Vec<f32>, ModelError> {
        let options = ForwardOptions { entropies: false, ..*options };
        Ok(self.logprobs_and_entropies(forest, &options)?.0)
    }

    fn forward(
        &self,
        forest: &TokenForest,
        options: &ForwardOptions,
    ) -> Result<ForwardPass<'_>, ModelError> {
        self.forward_pass(forest, options)
    }

    fn generate(
        &self,
        requests: &[Request],
        config: &SamplingConfig,
        on_token: &mut dyn FnMut(NewToken) -> ControlFlow<()>,
    ) -> Result<Vec<Generation>, ModelError> {
        crate::generate::generate(self, requests, config, on_token)
    }
}
