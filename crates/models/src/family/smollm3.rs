//! `SmolLM3`: LLaMA without RoPE in some layers, every fourth by default.

use serde_json::Value;

use super::decoder_fields::{DecoderFields, assign_optional_windows};
use super::fields::{Fields, invalid};
use crate::config::DecoderConfig;
use crate::error::ModelError;

/// The configuration, with the defaults of transformers' `SmolLM3Config`.
pub(super) fn read(fields: &Fields<'_>) -> Result<DecoderConfig, ModelError> {
    let defaults = DecoderFields {
        vocab_size: 128_256,
        num_layers: 36,
        num_kv_heads: Some(4),
        tied_embeddings: true,
        ..DecoderFields::default()
    };
    let mut config = defaults.read(fields)?;
    let bias = fields.flag_or("attention_bias", false)?;
    config.qkv_bias = bias;
    config.output_bias = bias;
    config.mlp_bias = fields.flag_or("mlp_bias", false)?;
    let rotates = rotating_layers(fields, config.layers.len())?;
    assign_optional_windows(&mut config, fields, None, |layer| !rotates[layer])?;
    for (layer, rotates) in config.layers.iter_mut().zip(rotates) {
        layer.rotates = rotates;
    }
    Ok(config)
}

/// For each layer, whether it has RoPE. `no_rope_layers` has a 1 where there is one, its name
/// notwithstanding.
fn rotating_layers(fields: &Fields<'_>, layers: usize) -> Result<Vec<bool>, ModelError> {
    let Some(value) = fields.get("no_rope_layers") else {
        let interval = fields.size_or("no_rope_layer_interval", 4)?;
        return Ok((1..=layers).map(|layer| !layer.is_multiple_of(interval)).collect());
    };
    let wrong = || invalid("no_rope_layers", value, "1 (RoPE) or 0 (none) for each layer");
    let flags = value.as_array().filter(|flags| flags.len() >= layers).ok_or_else(wrong)?;
    let flag = |flag: &Value| match flag.as_u64() {
        Some(0) => Ok(false),
        Some(1) => Ok(true),
        _ => Err(wrong()),
    };
    flags.iter().take(layers).map(flag).collect()
}
