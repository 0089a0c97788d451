//! Decoders from checkpoints, one tensor at a time, and from random numbers.

use std::collections::HashSet;

use bestof_blocks::{BlockError, GgmlType, dequantize_blocks, quantize_blocks};
use bestof_checkpoints::{ModelFolder, Weights};
use bestof_kernels::{Random, Weight, is_host};
use burn::module::Param;
use burn::tensor::{DType, Device, Tensor, TensorData};

use super::model::{Body, Decoder, Matrix};
use super::names::TensorNames;
use super::trained_whole::{EMBEDDINGS, HEAD};
use super::unused;
use crate::block::attention::Attention;
use crate::block::layer::Layer;
use crate::block::mlp::Mlp;
use crate::block::norm::RmsNorm;
use crate::block::projection::Projection;
use crate::block::weight::WeightParam;
use crate::config::DecoderConfig;
use crate::device::check_float_type;
use crate::error::ModelError;
use crate::precision::{Dtype, Precision};

/// What a source has for a tensor.
enum Found {
    Values(Vec<f32>),
    Blocks(GgmlType, Vec<u8>),
}

/// Gives the tensor of a name and shape.
type Source<'a> = dyn FnMut(&str, &[usize]) -> Result<Found, ModelError> + 'a;

impl Decoder {
    /// The decoder in a Hugging Face folder or a GGUF file, in f32 but for the blocks of the latter.
    ///
    /// # Errors
    /// A model type that is not known, a configuration that makes no model, a tensor that is
    /// missing, has another shape or is not used.
    pub fn open(folder: &ModelFolder, device: &Device) -> Result<Self, ModelError> {
        Self::open_in(folder, Precision::default(), device)
    }

    /// The same, with weights that lie in memory as asked for.
    ///
    /// # Errors
    /// As [`Decoder::open`], and what [`Decoder::load`] says of the precision.
    pub fn open_in(
        folder: &ModelFolder,
        precision: Precision,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let config = DecoderConfig::from_hf(&folder.config)?;
        Self::load(config, &folder.weights()?, precision, device)
    }

    /// The decoder of a shape with the weights of a checkpoint.
    ///
    /// # Errors
    /// A tensor that is missing, has another shape or is not used; a float type that the device does
    /// not compute in; values that the format cannot hold; blocks in a file that are to be trained or to
    /// be rounded to other blocks. The other half of a multimodal model is left out, and the log says so.
    pub fn load(
        config: DecoderConfig,
        weights: &Weights,
        precision: Precision,
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
            let found = match weights.read_blocks(&name)? {
                Some((ggml_type, bytes)) => Found::Blocks(ggml_type, bytes),
                None => Found::Values(weights.read_f32(&name, shape)?),
            };
            used.insert(name);
            Ok(found)
        };
        let model = Self::build(config, names, precision, device, &mut read)?;
        unused::check(weights, &used, names, model.config())?;
        Ok(model)
    }

    fn build(
        config: DecoderConfig,
        names: TensorNames,
        precision: Precision,
        device: &Device,
        source: &mut Source<'_>,
    ) -> Result<Self, ModelError> {
        let dtype = precision.dtype;
        check_float_type(&format!("{device:?}"), device, dtype.burn())?;
        let (model, head) =
            Builder { config: &config, device, precision, names, source }.decoder()?;
        let narrow = (dtype != Dtype::F32 && !is_host(device)).then(|| dtype.burn());
        Ok(Self::assemble(config, model, head, names, narrow))
    }

    /// A decoder of a shape with weights from a seed: uniform with the standard deviation
    /// `initializer_range`, norms at one.
    ///
    /// # Errors
    /// Sizes that do not fit each other.
    pub fn random(config: DecoderConfig, seed: u64, device: &Device) -> Result<Self, ModelError> {
        Self::random_in(config, seed, Precision::default(), device)
    }

    /// The same, with weights that lie in memory as asked for.
    ///
    /// # Errors
    /// As [`Decoder::random`], and what [`Decoder::load`] says of the precision.
    pub fn random_in(
        config: DecoderConfig,
        seed: u64,
        precision: Precision,
        device: &Device,
    ) -> Result<Self, ModelError> {
        config.validate()?;
        let mut random = Random::keyed(&[seed]);
        let rest = 1.0 - config.norm_offset as f32;
        let width = config.initializer_range * 12.0_f64.sqrt();
        let mut draw = |name: &str, shape: &[usize]| {
            let count = shape.iter().product();
            if name.ends_with("norm.weight") {
                return Ok(Found::Values(vec![rest; count]));
            }
            let values = (0..count).map(|_| ((random.uniform() - 0.5) * width) as f32);
            Ok(Found::Values(values.collect()))
        };
        Self::build(config, TensorNames::default(), precision, device, &mut draw)
    }
}

/// The tensor whose name ends with this one.
fn behind_a_prefix(weights: &Weights, name: &str) -> Option<String> {
    let ending = format!(".{name}");
    weights.infos().iter().find(|info| info.name.ends_with(&ending)).map(|info| info.name.clone())
}

struct Builder<'a, 's> {
    config: &'a DecoderConfig,
    device: &'a Device,
    precision: Precision,
    names: TensorNames,
    source: &'a mut Source<'s>,
}

impl Builder<'_, '_> {
    fn decoder(mut self) -> Result<(Body, Option<Matrix>), ModelError> {
        let config = self.config;
        let vocabulary = [config.vocab_size, config.hidden_size];
        let embed_tokens = Matrix { weight: self.matrix(EMBEDDINGS, vocabulary)? };
        let layers = (0..config.layers.len())
            .map(|index| self.layer(&format!("model.layers.{index}")))
            .collect::<Result<Vec<_>, _>>()?;
        let norm = self.norm("model.norm", config.hidden_size)?;
        let lm_head = if config.tied_embeddings {
            None
        } else {
            Some(Matrix { weight: self.matrix(HEAD, vocabulary)? })
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
        let weight = self.matrix(&format!("{path}.weight"), shape)?;
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
        let values = match (self.source)(name, &shape)? {
            Found::Values(values) => values,
            Found::Blocks(ggml_type, bytes) => {
                let mut values = vec![0.0; shape.iter().product()];
                let decoded = dequantize_blocks(ggml_type, &bytes, &mut values);
                decoded.map_err(|source| self.in_tensor(name, source))?;
                values
            }
        };
        Ok(parameter(values, shape, self.device))
    }

    /// A weight matrix, in the format asked for.
    fn matrix(&mut self, name: &str, shape: [usize; 2]) -> Result<WeightParam, ModelError> {
        let Precision { quantize, trained, .. } = self.precision;
        let stored = || self.names.in_checkpoint(name);
        let (ggml_type, bytes) = match (self.source)(name, &shape)? {
            Found::Blocks(ggml_type, _) if trained => {
                return Err(ModelError::TrainedBlocks { name: stored(), ggml_type });
            }
            Found::Blocks(ggml_type, _) if quantize.is_some() => {
                return Err(ModelError::QuantizedTwice { name: stored(), ggml_type });
            }
            Found::Blocks(ggml_type, bytes) => (ggml_type, bytes),
            Found::Values(values) => {
                let ggml_type = self.precision.of_matrix(shape[1], self.is_projection(name));
                if ggml_type == GgmlType::F32 {
                    return Ok(WeightParam::Parameter(parameter(values, shape, self.device)));
                }
                let mut bytes = Vec::new();
                let encoded = quantize_blocks(ggml_type, &values, &mut bytes);
                encoded.map_err(|source| self.in_tensor(name, source))?;
                (ggml_type, bytes)
            }
        };
        let weight = Weight::from_blocks(ggml_type, bytes, shape, self.device)
            .map_err(|source| self.in_tensor(name, source))?;
        Ok(match weight {
            Weight::Tensor(weight) => WeightParam::Parameter(Param::from_tensor(weight)),
            Weight::Blocks(blocks) => WeightParam::Blocks(blocks),
        })
    }

    /// Whether a matrix projects onto the vocabulary.
    fn is_projection(&self, name: &str) -> bool {
        name == if self.config.tied_embeddings { EMBEDDINGS } else { HEAD }
    }

    fn in_tensor(&self, name: &str, source: BlockError) -> ModelError {
        ModelError::Blocks { name: self.names.in_checkpoint(name), source }
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
