//! `SmolLM3`: LLaMA without RoPE in some layers, every fourth by default.

use bestof_positional::hf::HfRope;

use super::decoder_fields::{DecoderFields, assign_optional_windows};
use super::fields::Fields;
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
    let no_rope = HfRope::of_model(fields.json)?.no_rope;
    assign_optional_windows(&mut config, fields, None, |layer| no_rope.contains(&layer))?;
    Ok(config)
}
