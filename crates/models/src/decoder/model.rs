//! The decoder of all families: embeddings, layers, final norm, vocabulary.

use std::collections::BTreeMap;
use std::sync::Arc;

use bestof_positional::RotaryLayout;
use burn::module::{Module, Param};
use burn::tensor::{DType, Device, Tensor};

use super::lora_config::LoraConfig;
use super::names::TensorNames;
use crate::block::layer::Layer;
use crate::block::norm::RmsNorm;
use crate::block::weight::WeightParam;
use crate::causal_lm::ForwardOptions;
use crate::config::DecoderConfig;
use crate::error::ModelError;
use crate::rotary::Rotary;

/// A matrix under a name of its own in the checkpoint.
#[derive(Module, Debug)]
pub(crate) struct Matrix {
    /// `[vocab, width]`
    pub(crate) weight: WeightParam,
}

/// Embeddings, layers and final norm.
#[derive(Module, Debug)]
pub(crate) struct Body {
    pub(crate) embed_tokens: Matrix,
    pub(crate) layers: Vec<Layer>,
    pub(crate) norm: RmsNorm,
}

/// A decoder of one of the families: LLaMA, Mistral, Qwen2, Qwen3, `SmolLM3`, Phi-3, Gemma 2, Gemma 3.
///
/// A burn [`Module`]: it can be visited, mapped, saved and optimised as any other. The path of
/// each parameter is its name in the checkpoint, its layout `[out, in]`. On `device.autodiff()` it
/// can be trained, on the plain device, or as [`Module::valid`], it scores and generates.
#[derive(Module, Debug)]
pub struct Decoder {
    pub(crate) model: Body,
    /// `None` if the embedding matrix serves as the projection, too.
    pub(crate) lm_head: Option<Matrix>,
    #[module(skip)]
    config: Arc<DecoderConfig>,
    #[module(skip)]
    rotary: Arc<Rotary>,
    #[module(skip)]
    pub(super) names: TensorNames,
    #[module(skip)]
    pub(super) lora: Option<LoraConfig>,
    /// What adapter files call the tensors.
    #[module(skip)]
    pub(super) adapter_names: TensorNames,
    #[module(skip)]
    pub(super) merged: bool,
    /// The base's values of parameters that an adapter replaces whole, by name.
    #[module(skip)]
    pub(super) base: BTreeMap<String, Tensor<1>>,
    /// Weight and bias of linear layers before adapters were merged into them, by the layer's name.
    #[module(skip)]
    pub(super) unmerged: BTreeMap<String, (WeightParam, Option<Param<Tensor<1>>>)>,
    /// The float type of hidden states if it is narrower than that of trained parameters and norms.
    #[module(skip)]
    narrow: Option<DType>,
}

impl Decoder {
    pub(super) fn assemble(
        config: DecoderConfig,
        model: Body,
        lm_head: Option<Matrix>,
        names: TensorNames,
        narrow: Option<DType>,
    ) -> Self {
        let rotary = Rotary::new(
            config.ropes.clone(),
            RotaryLayout::HalfSplit,
            config.head_dim,
            config.attention_scale,
        );
        let (config, rotary) = (Arc::new(config), Arc::new(rotary));
        Self {
            model,
            lm_head,
            config,
            rotary,
            names,
            lora: None,
            adapter_names: names,
            merged: false,
            base: BTreeMap::new(),
            unmerged: BTreeMap::new(),
            narrow,
        }
    }

    /// The shape of the model.
    pub fn config(&self) -> &DecoderConfig {
        &self.config
    }

    pub(super) fn shared_config(&self) -> &Arc<DecoderConfig> {
        &self.config
    }

    /// The device the model lies on.
    pub fn device(&self) -> Device {
        self.model.norm.weight.val().device()
    }

    /// A tensor of the device and the type that hidden states have.
    pub(super) fn like(&self) -> Tensor<2> {
        let dtype = self.narrow.unwrap_or_else(|| self.model.norm.weight.val().dtype());
        Tensor::zeros([1, 1], (&self.device().without_autodiff(), dtype))
    }

    pub(super) fn rotary(&self) -> &Rotary {
        &self.rotary
    }

    pub(super) fn layers(&self) -> &[Layer] {
        &self.model.layers
    }

    /// The scaled embeddings of `ids`, `[ids, width]`.
    pub(super) fn embed(&self, ids: &[u32]) -> Tensor<2> {
        let x = self.model.embed_tokens.weight.val().rows(ids);
        let x = if self.device().is_autodiff() { x.autodiff() } else { x };
        let x = match self.narrow {
            Some(dtype) if x.dtype() != dtype => x.cast(dtype),
            _ => x,
        };
        match self.config.embedding_scale {
            Some(scale) => x.mul_scalar(scale),
            None => x,
        }
    }

    pub(super) fn final_norm(&self, x: Tensor<2>) -> Tensor<2> {
        self.model.norm.forward(x, self.config.rms_norm_eps, self.config.norm_offset)
    }

    /// The options as the layers should see them: merged adapters are in the weights already.
    ///
    /// # Errors
    /// A model whose adapters are merged cannot compute without them.
    pub(super) fn resolve(&self, options: &ForwardOptions) -> Result<ForwardOptions, ModelError> {
        if self.merged && !options.adapters {
            return Err(ModelError::Adapters {
                found: "the adapters are merged into the weights",
                fix: "unmerge them before asking for the model without adapters",
            });
        }
        Ok(options.with_adapters(options.adapters && !self.merged))
    }
}
