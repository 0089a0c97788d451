//! The fields that all families have.

use bestof_positional::hf::HfDefaults;
use serde_json::Value;

use super::fields::{Fields, invalid};
use bestof_kernels::Activation;

use crate::config::{DecoderConfig, LayerConfig};
use crate::error::ModelError;

/// A family's defaults for what all families have; those that RoPE depends on are in
/// [`HfDefaults::of`].
pub(super) struct DecoderFields {
    pub(super) vocab_size: usize,
    pub(super) intermediate_size: usize,
    pub(super) num_layers: usize,
    pub(super) num_kv_heads: Option<usize>,
    pub(super) tied_embeddings: bool,
    pub(super) activation_field: &'static str,
    pub(super) activation: Activation,
}

impl Default for DecoderFields {
    /// LLaMA's.
    fn default() -> Self {
        Self {
            vocab_size: 32_000,
            intermediate_size: 11_008,
            num_layers: 32,
            num_kv_heads: None,
            tied_embeddings: false,
            activation_field: "hidden_act",
            activation: Activation::Silu,
        }
    }
}

impl DecoderFields {
    /// What all families have, with full attention and LLaMA's norms.
    pub(super) fn read(&self, fields: &Fields<'_>) -> Result<DecoderConfig, ModelError> {
        let defaults = HfDefaults::of(fields.model_type).unwrap_or_default();
        let size = |field: &'static str, default: Option<usize>| {
            let missing = || invalid(field, &Value::Null, "a whole number from 1 to 2147483647");
            fields.optional_size(field)?.or(default).ok_or_else(missing)
        };
        let hidden_size = size("hidden_size", defaults.hidden_size)?;
        let num_heads = size("num_attention_heads", defaults.num_attention_heads)?;
        let head_dim = match fields.optional_size("head_dim")?.or(defaults.head_dim) {
            Some(head_dim) => head_dim,
            None => hidden_size / num_heads,
        };
        let layers = fields.size_or("num_hidden_layers", self.num_layers)?;
        if layers > MAX_LAYERS {
            let found = Value::from(layers);
            return Err(invalid("num_hidden_layers", &found, "at most 4096"));
        }
        // `null` means as many key heads as query heads, in every family.
        let kv_default = match self.num_kv_heads {
            Some(kv) if !fields.has("num_key_value_heads") => kv,
            _ => num_heads,
        };
        Ok(DecoderConfig {
            model_type: fields.model_type,
            vocab_size: fields.size_or("vocab_size", self.vocab_size)?,
            hidden_size,
            intermediate_size: fields.size_or("intermediate_size", self.intermediate_size)?,
            num_heads,
            num_kv_heads: fields.size_or("num_key_value_heads", kv_default)?,
            head_dim,
            max_positions: size("max_position_embeddings", defaults.max_position_embeddings)?,
            rms_norm_eps: fields.number_or("rms_norm_eps", 1e-6)?,
            norm_offset: 0.0,
            sandwich_norms: false,
            qk_norms: false,
            activation: self.activation(fields)?,
            qkv_bias: false,
            output_bias: false,
            mlp_bias: false,
            attention_scale: (head_dim as f64).sqrt().recip(),
            attention_softcap: None,
            final_softcap: None,
            embedding_scale: None,
            initializer_range: fields.number_or("initializer_range", 0.02)?,
            tied_embeddings: fields.flag_or("tie_word_embeddings", self.tied_embeddings)?,
            layers: vec![LayerConfig { window: None, rope: None, rotates: true }; layers],
            ropes: Vec::new(),
        })
    }

    fn activation(&self, fields: &Fields<'_>) -> Result<Activation, ModelError> {
        let Some(value) = fields.get(self.activation_field) else { return Ok(self.activation) };
        match value.as_str() {
            Some("silu" | "swish") => Ok(Activation::Silu),
            Some("gelu_pytorch_tanh" | "gelu_new") => Ok(Activation::GeluTanh),
            _ => Err(invalid(self.activation_field, value, "silu or gelu_pytorch_tanh")),
        }
    }
}

/// More layers than any model has; a file that asks for more would only ask for memory.
const MAX_LAYERS: usize = 4096;

/// Sets the window of the sliding layers, and none for the others.
pub(super) fn assign_layer_kinds(config: &mut DecoderConfig, sliding: &[bool], window: usize) {
    for (layer, &sliding) in config.layers.iter_mut().zip(sliding) {
        layer.window = sliding.then_some(window);
    }
}
