//! Decoders from checkpoints, one tensor at a time, and from random numbers.

use std::collections::HashSet;

use bestof_checkpoints::{ModelFolder, Weights};
use bestof_kernels::Random;
use burn::module::Param;
use burn::tensor::{DType, Device, Tensor, TensorData};

use super::model::{Body, Decoder, Matrix};
use super::names::TensorNames;
use super::unused;
use crate::block::attention::Attention;
use crate::block::layer::Layer;
use crate::block::mlp::Mlp;
use crate::block::norm::RmsNorm;
use crate::block::projection::Projection;
use crate::config::DecoderConfig;
use crate::error::ModelError;

/// Gives the values of the parameter of a name and shape.
type Source<'a> = dyn FnMut(&str, &[usize]) -> Result<Vec<f32>, ModelError> + 'a;

impl Decoder {
    /// The decoder in a Hugging Face folder, in f32.
    ///
    /// # Errors
    /// A model type that is not known, a configuration that makes no model, a tensor that is
    /// missing, has another shape or is not used.
    pub fn open(folder: &ModelFolder, device: &Device) -> Result<Self, ModelError> {
        Self::load(DecoderConfig::from_hf(&folder.config)?, &folder.weights()?, device)
    }

    /// The decoder of a shape with the weights of a checkpoint.
    ///
    /// # Errors
    /// A tensor that is missing, has another shape or is not used. The other half of a multimodal
    /// model is left out, and the log says so.
    pub fn load(
        config: DecoderConfig,
        weights: &Weights,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let names = TensorNames::of(weights);
        let mut used = HashSet::new();
        let mut read = |name: &str, shape: &[usize]| {
            let name = names.in_checkpoint(name);
            let info =
                weights.info(&name).ok_or_else(|| match behind_a_prefix(weights, &name) {
                    Some(found) => ModelError::WrappedTensor { name: name.clone(), found },
                    None => ModelError::MissingTensor { name: name.clone(), shape: shape.to_vec() },
                })?;
            if info.shape != shape {
                let (found, expected) = (info.shape.clone(), shape.to_vec());
                return Err(ModelError::ShapeMismatch { name, found, expected });
            }
            let values = weights.read_f32(&name, shape)?;
            used.insert(name);
            Ok(values)
        };
        let (model, head) = Builder { config: &config, device, source: &mut read }.decoder()?;
        unused::check(weights, &used, names, &config)?;
        Ok(Self::assemble(config, model, head, names))
    }

    /// A decoder of a shape with weights from a seed: uniform with the standard deviation
    /// `initializer_range`, norms at one.
    pub fn random(config: DecoderConfig, seed: u64, device: &Device) -> Result<Self, ModelError> {
        config.validate()?;
        let mut random = Random::keyed(&[seed]);
        let rest = 1.0 - config.norm_offset as f32;
        let mut draw = |name: &str, shape: &[usize]| {
            let count = shape.iter().product();
            if name.ends_with("norm.weight") {
                return Ok(vec![rest; count]);
            }
            let width = config.initializer_range * 12.0_f64.sqrt();
            Ok((0..count).map(|_| ((random.uniform() - 0.5) * width) as f32).collect())
        };
        let (model, head) = Builder { config: &config, device, source: &mut draw }.decoder()?;
        Ok(Self::assemble(config, model, head, TensorNames::default()))
    }
}

/// The tensor whose name ends with this one.
fn behind_a_prefix(weights: &Weights, name: &str) -> Option<String> {
    let ending = format!(".{name}");
    weights.infos().iter().find(|info| info.name.ends_with(&ending)).map(|info| info.name.clone())
}

struct Builder<'a> {
    config: &'a DecoderConfig,
    device: &'a Device,
    source: &'a mut Source<'a>,
}

impl Builder<'_> {
    fn decoder(mut self) -> Result<(Body, Option<Matrix>), ModelError> {
        let config = self.config;
        let vocabulary = [config.vocab_size, config.hidden_size];
        let embed_tokens = Matrix { weight: self.tensor("model.embed_tokens.weight", vocabulary)? };
        let layers = (0..config.layers.len())
            .map(|index| self.layer(&format!("model.layers.{index}")))
            .collect::<Result<Vec<_>, _>>()?;
        let norm = self.norm("model.norm", config.hidden_size)?;
        let lm_head = if config.tied_embeddings {
            None
        } else {
            Some(Matrix { weight: self.tensor("lm_head.weight", vocabulary)? })
        };
        Ok((Body { embed_tokens, layers, norm }, lm_head))
    }

    fn layer(&mut self, path: &str) -> Result<Layer, ModelError> {
        let config = self.config;
        let (width, inner) = (config.hidden_size, config.intermediate_size);
        let queries = config.num_heads * config.head_dim;
        let keys = config.num_kv_heads * config.head_dim;
        let attn = |name: &str| format!("{path}.self_attn.{name}");
        let mlp = |name: &str| format!("{path}.mlp.{name}");
        let (fused, bias) = (config.fused_projections, config.qkv_bias);
        let self_attn = Attention {
            q_proj: self.projection_if(!fused, &attn("q_proj"), [queries, width], bias)?,
            k_proj: self.projection_if(!fused, &attn("k_proj"), [keys, width], bias)?,
            v_proj: self.projection_if(!fused, &attn("v_proj"), [keys, width], bias)?,
            qkv_proj: self.projection_if(
                fused,
                &attn("qkv_proj"),
                [queries + 2 * keys, width],
                bias,
            )?,
            o_proj: self.projection(&attn("o_proj"), [width, queries], config.output_bias)?,
            q_norm: self.norm_if(config.qk_norms, &attn("q_norm"), config.head_dim)?,
            k_norm: self.norm_if(config.qk_norms, &attn("k_norm"), config.head_dim)?,
        };
        let bias = config.mlp_bias;
        let mlp = Mlp {
            gate_proj: self.projection_if(!fused, &mlp("gate_proj"), [inner, width], bias)?,
            up_proj: self.projection_if(!fused, &mlp("up_proj"), [inner, width], bias)?,
            gate_up_proj: self.projection_if(
                fused,
                &mlp("gate_up_proj"),
                [2 * inner, width],
                bias,
            )?,
            down_proj: self.projection(&mlp("down_proj"), [width, inner], bias)?,
        };
        let norm = |name: &str| format!("{path}.{name}");
        let sandwich = config.sandwich_norms;
        Ok(Layer {
            self_attn,
            mlp,
            input_layernorm: self.norm(&norm("input_layernorm"), width)?,
            post_attention_layernorm: self.norm(&norm("post_attention_layernorm"), width)?,
            pre_feedforward_layernorm: self.norm_if(
                sandwich,
                &norm("pre_feedforward_layernorm"),
                width,
            )?,
            post_feedforward_layernorm: self.norm_if(
                sandwich,
                &norm("post_feedforward_layernorm"),
                width,
            )?,
        })
    }

    fn projection(
        &mut self,
        path: &str,
        shape: [usize; 2],
        bias: bool,
    ) -> Result<Projection, ModelError> {
        let weight = self.tensor(&format!("{path}.weight"), shape)?;
        let bias =
            if bias { Some(self.tensor(&format!("{path}.bias"), [shape[0]])?) } else { None };
        Ok(Projection::new(weight, bias))
    }

    fn projection_if(
        &mut self,
        present: bool,
        path: &str,
        shape: [usize; 2],
        bias: bool,
    ) -> Result<Option<Projection>, ModelError> {
        if present { self.projection(path, shape, bias).map(Some) } else { Ok(None) }
    }

    fn norm(&mut self, path: &str, width: usize) -> Result<RmsNorm, ModelError> {
        Ok(RmsNorm { weight: self.tensor(&format!("{path}.weight"), [width])? })
    }

    fn norm_if(
        &mut self,
        present: bool,
        path: &str,
        width: usize,
    ) -> Result<Option<RmsNorm>, ModelError> {
        if present { self.norm(path, width).map(Some) } else { Ok(None) }
    }

    fn tensor<const D: usize>(
        &mut self,
        name: &str,
        shape: [usize; D],
    ) -> Result<Param<Tensor<D>>, ModelError> {
        let values = (self.source)(name, &shape)?;
        Ok(parameter(values, shape, self.device))
    }
}

/// A trainable parameter with these values, in f32.
pub(super) fn parameter<const D: usize>(
    values: Vec<f32>,
    shape: [usize; D],
    device: &Device,
) -> Param<Tensor<D>> {
    let data = TensorData::new(values, shape);
    Param::from_tensor(Tensor::from_data(data, (device, DType::F32)))
}
