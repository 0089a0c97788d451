//! The families a `config.json` may belong to.
//!
//! A family is one file that turns the fields of its `config.json` into a [`DecoderConfig`], and
//! one line in [`FAMILIES`]. Its RoPE settings are read by `bestof_positional::hf`.

use bestof_positional::hf::{HfRope, text_config};
use serde_json::Value;

use crate::config::DecoderConfig;
use crate::error::ModelError;
use fields::Fields;

mod decoder_fields;
pub(crate) mod fields;
mod gemma2;
mod gemma3;
pub(crate) mod known_keys;
mod llama;
mod mistral;
mod mixture;
mod phi3;
mod qwen2;
mod qwen3;
mod smollm3;

type Read = fn(&Fields<'_>) -> Result<DecoderConfig, ModelError>;

/// Model types, and how their configs are read.
const FAMILIES: [(&str, Read); 9] = [
    ("llama", llama::read),
    ("gemma2", gemma2::read),
    ("gemma3_text", gemma3::read),
    ("gemma3", gemma3::read),
    ("mistral", mistral::read),
    ("qwen2", qwen2::read),
    ("qwen3", qwen3::read),
    ("smollm3", smollm3::read),
    ("phi3", phi3::read),
];

/// The model types that are read.
pub fn known_model_types() -> Vec<&'static str> {
    FAMILIES.iter().map(|(model_type, _)| *model_type).collect()
}

impl DecoderConfig {
    /// The configuration in a Hugging Face `config.json`.
    ///
    /// # Errors
    /// [`ModelError::Quantized`], [`ModelError::MixtureOfExperts`], [`ModelError::UnknownModelType`],
    /// [`ModelError::UnusedField`], [`ModelError::InvalidField`] or [`ModelError::Rope`]; the latter also where the RoPE settings are not those that the checkpoint is locked to.
    pub fn from_hf(config: &Value) -> Result<Self, ModelError> {
        known_keys::refuse_quantized(config)?;
        let found = config.get("model_type").and_then(Value::as_str).unwrap_or_default();
        let family = FAMILIES.iter().find(|(model_type, _)| *model_type == found);
        let (model_type, read) = *family.ok_or_else(|| {
            let (found, known) = (found.to_owned(), known_model_types());
            match mixture::sign(config) {
                Some(sign) => ModelError::MixtureOfExperts { found, sign, known },
                None => ModelError::UnknownModelType { found, known },
            }
        })?;
        known_keys::check(config, model_type)?;
        let mut decoder = read(&Fields { json: text_config(config), model_type })?;
        let rope = HfRope::of_model(config)?;
        decoder.drop_ropes(&rope.no_rope)?;
        decoder.set_ropes(&rope.layers)?;
        rope.verify_lock()?;
        decoder.max_positions = rope.context_length().unwrap_or(decoder.max_positions);
        decoder.validate()?;
        Ok(decoder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(config: &Value) -> Result<DecoderConfig, ModelError> {
        DecoderConfig::from_hf(config)
    }

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
    fn types_of_layers_that_say_something_else_than_the_window_are_refused() {
        let with = |model_type: &str, window: Value, kind: &str| {
            read(
                &json!({"model_type": model_type, "num_hidden_layers": 2, "sliding_window": window,
                         "layer_types": ["full_attention", kind]}),
            )
        };
        for model_type in ["llama", "mistral", "phi3"] {
            with(model_type, Value::Null, "full_attention").unwrap();
            let error = with(model_type, Value::Null, "sliding_attention").unwrap_err();
            assert!(error.to_string().contains("layer_types"), "{model_type}: {error}");
        }
        assert!(with("mistral", json!(64), "sliding_attention").is_err());
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
