//! The families a `config.json` may belong to.
//!
//! A family is one file that turns the fields of its `config.json` into a [`DecoderConfig`], and
//! one line in [`FAMILIES`].

use bestof_positional::hf::{FULL_ATTENTION, HfDefaults, HfRope, LayerRopes, SLIDING_ATTENTION};
use serde_json::Value;

use bestof_kernels::Activation;

use crate::config::{DecoderConfig, LayerConfig};
use crate::error::ModelError;
use crate::rope::RopeLock;
use fields::{Fields, invalid};

pub(crate) mod fields;
mod gemma2;
mod gemma3;
mod llama;
mod mistral;
mod qwen2;

type Read = fn(&Fields<'_>) -> Result<DecoderConfig, ModelError>;

/// A model type, how it is read, and what its RoPE settings are where the file says nothing.
struct Family {
    model_type: &'static str,
    read: Read,
    rope: fn() -> HfDefaults,
    /// Whether the fields are in `text_config`: a multimodal model, read for its text half.
    nested: bool,
}

const FAMILIES: [Family; 6] = [
    Family { model_type: "llama", read: llama::read, rope: HfDefaults::default, nested: false },
    Family { model_type: "gemma2", read: gemma2::read, rope: HfDefaults::default, nested: false },
    Family {
        model_type: "gemma3_text",
        read: gemma3::read,
        rope: HfDefaults::gemma3,
        nested: false,
    },
    Family { model_type: "gemma3", read: gemma3::read, rope: HfDefaults::gemma3, nested: true },
    Family { model_type: "mistral", read: mistral::read, rope: HfDefaults::default, nested: false },
    Family { model_type: "qwen2", read: qwen2::read, rope: HfDefaults::default, nested: false },
];

/// The model types that are read.
pub fn known_model_types() -> Vec<&'static str> {
    FAMILIES.iter().map(|family| family.model_type).collect()
}

/// The family of a `config.json`, and the object in it that holds the decoder's fields.
fn family_of(config: &Value) -> Result<(&'static Family, &Value), ModelError> {
    let found = config.get("model_type").and_then(Value::as_str).unwrap_or_default();
    let family = FAMILIES.iter().find(|family| family.model_type == found).ok_or_else(|| {
        ModelError::UnknownModelType { found: found.to_owned(), known: known_model_types() }
    })?;
    let json = match config.get("text_config") {
        Some(text) if family.nested => text,
        _ => config,
    };
    Ok((family, json))
}

/// The object in a `config.json` that holds the decoder's fields.
pub(crate) fn text_config(config: &Value) -> Result<&Value, ModelError> {
    Ok(family_of(config)?.1)
}

/// The same object, to be changed.
pub(crate) fn text_config_mut(config: &mut Value) -> Result<&mut Value, ModelError> {
    let nested = family_of(config)?.0.nested && config.get("text_config").is_some();
    Ok(if nested { &mut config["text_config"] } else { config })
}

/// Reads `config` as the family its `model_type` names.
pub(crate) fn read(config: &Value) -> Result<DecoderConfig, ModelError> {
    let (family, json) = family_of(config)?;
    let mut decoder = (family.read)(&Fields { json, model_type: family.model_type })?;
    let settings = rope_settings(&decoder, json, &(family.rope)())?;
    place_ropes(&mut decoder, &settings)?;
    let lock = RopeLock::read(json)?;
    if let Some(lock) = &lock {
        lock.verify(&settings)?;
    }
    if let Some(length) = lock.and_then(|lock| lock.length) {
        decoder.max_positions = decoder.max_positions.max(length);
    }
    decoder.validate()?;
    Ok(decoder)
}

/// The RoPE settings of a `config.json`, with the family's defaults.
pub(crate) fn read_rope(config: &Value) -> Result<LayerRopes, ModelError> {
    let (family, json) = family_of(config)?;
    let decoder = (family.read)(&Fields { json, model_type: family.model_type })?;
    rope_settings(&decoder, json, &(family.rope)())
}

fn rope_settings(
    decoder: &DecoderConfig,
    json: &Value,
    defaults: &HfDefaults,
) -> Result<LayerRopes, ModelError> {
    // The family's defaults, which the RoPE reader falls back on but does not know.
    let mut json = json.clone();
    if let Value::Object(map) = &mut json {
        map.insert("head_dim".into(), decoder.head_dim.into());
        map.insert("hidden_size".into(), decoder.hidden_size.into());
        map.insert("num_attention_heads".into(), decoder.num_heads.into());
        map.insert("max_position_embeddings".into(), decoder.max_positions.into());
    }
    Ok(HfRope::read(&json, defaults)?.layers)
}

/// Builds the RoPE bases and says which layer uses which.
pub(crate) fn place_ropes(
    decoder: &mut DecoderConfig,
    settings: &LayerRopes,
) -> Result<(), ModelError> {
    decoder.ropes.clear();
    match settings {
        LayerRopes::Uniform(rope) => {
            decoder.ropes = vec![rope.build()?];
            for layer in &mut decoder.layers {
                layer.rope = Some(0);
            }
        }
        LayerRopes::PerLayerType(by_kind) => {
            let mut place = |kind: &str| -> Result<Option<usize>, ModelError> {
                let Some(rope) = by_kind.get(kind) else { return Ok(None) };
                decoder.ropes.push(rope.build()?);
                Ok(Some(decoder.ropes.len() - 1))
            };
            let full = place(FULL_ATTENTION)?;
            let sliding = place(SLIDING_ATTENTION)?;
            for layer in &mut decoder.layers {
                layer.rope = if layer.window.is_some() { sliding } else { full };
            }
        }
    }
    Ok(())
}

/// A family's defaults for what all families have.
struct Common {
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_layers: usize,
    num_heads: usize,
    num_kv_heads: Option<usize>,
    head_dim: Option<usize>,
    max_positions: usize,
    tied_embeddings: bool,
    activation_field: &'static str,
    activation: Activation,
}

impl Default for Common {
    /// LLaMA's.
    fn default() -> Self {
        Self {
            vocab_size: 32_000,
            hidden_size: 4096,
            intermediate_size: 11_008,
            num_layers: 32,
            num_heads: 32,
            num_kv_heads: None,
            head_dim: None,
            max_positions: 2048,
            tied_embeddings: false,
            activation_field: "hidden_act",
            activation: Activation::Silu,
        }
    }
}

impl Common {
    /// What all families have, with full attention and LLaMA's norms.
    fn read(&self, fields: &Fields<'_>) -> Result<DecoderConfig, ModelError> {
        let hidden_size = fields.size_or("hidden_size", self.hidden_size)?;
        let num_heads = fields.size_or("num_attention_heads", self.num_heads)?;
        let head_dim = match fields.optional_size("head_dim")?.or(self.head_dim) {
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
            max_positions: fields.size_or("max_position_embeddings", self.max_positions)?,
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
            layers: vec![LayerConfig { window: None, rope: None }; layers],
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

/// Gives the sliding layers their window.
fn assign_layer_kinds(config: &mut DecoderConfig, sliding: &[bool], window: usize) {
    for (layer, &sliding) in config.layers.iter_mut().zip(sliding) {
        layer.window = sliding.then_some(window);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_unknown_family_is_refused_with_the_known_ones() {
        let error = read(&json!({"model_type": "mamba"})).unwrap_err().to_string();
        assert!(
            error.contains("`mamba`") && error.contains("llama, gemma2, gemma3_text"),
            "{error}"
        );
    }

    #[test]
    fn gemma3_alternates_five_to_one_with_two_bases() {
        let text = json!({"num_hidden_layers": 7, "sliding_window": 512});
        let config = read(&json!({"model_type": "gemma3", "text_config": text})).unwrap();
        let windows: Vec<_> = config.layers.iter().map(|l| l.window).collect();
        let s = Some(512);
        assert_eq!(windows, [s, s, s, s, s, None, s]);
        assert_eq!(config.layers[5].rope, Some(0));
        assert_eq!(config.layers[6].rope, Some(1));
        assert_eq!(config.ropes[0].shape().theta(), 1e6);
        assert_eq!(config.ropes[1].shape().theta(), 1e4);
    }

    #[test]
    fn gemma2_starts_with_a_window() {
        let config = read(&json!({"model_type": "gemma2", "num_hidden_layers": 3})).unwrap();
        let windows: Vec<_> = config.layers.iter().map(|l| l.window).collect();
        assert_eq!(windows, [Some(4096), None, Some(4096)]);
        assert_eq!(config.attention_softcap, Some(50.0));
        let off = json!({"model_type": "gemma2", "attn_logit_softcapping": null});
        assert_eq!(read(&off).unwrap().attention_softcap, None);
    }

    #[test]
    fn mistral_has_its_window_unless_told_otherwise() {
        let config = read(&json!({"model_type": "mistral"})).unwrap();
        assert!(config.layers.iter().all(|l| l.window == Some(4096)));
        let config = read(&json!({"model_type": "mistral", "sliding_window": null})).unwrap();
        assert!(config.layers.iter().all(|l| l.window.is_none()));
    }

    #[test]
    fn qwen2_slides_from_the_layer_it_names() {
        let config = read(&json!({
            "model_type": "qwen2", "num_hidden_layers": 4, "use_sliding_window": true,
            "sliding_window": 64, "max_window_layers": 3,
        }))
        .unwrap();
        let windows: Vec<_> = config.layers.iter().map(|l| l.window).collect();
        assert_eq!(windows, [None, None, None, Some(64)]);
        assert!(config.qkv_bias && !config.output_bias);
    }

    #[test]
    fn errors_name_the_field() {
        let bad =
            json!({"model_type": "llama", "num_attention_heads": 4, "num_key_value_heads": 3});
        assert!(read(&bad).unwrap_err().to_string().contains("num_key_value_heads"));
        let bad = json!({"model_type": "llama", "hidden_size": "big"});
        assert!(read(&bad).unwrap_err().to_string().contains("hidden_size"));
        let bad = json!({"model_type": "llama", "hidden_act": "relu"});
        assert!(read(&bad).unwrap_err().to_string().contains("hidden_act"));
        let bad = json!({"model_type": "gemma2", "layer_types": ["full_attention"]});
        assert!(read(&bad).unwrap_err().to_string().contains("layer_types"));
    }
}
