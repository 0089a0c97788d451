//! Qwen2 and Qwen2.5: LLaMA with biases on queries, keys and values.

use super::decoder_fields::{DecoderFields, assign_optional_windows};
use super::fields::Fields;
use crate::config::DecoderConfig;
use crate::error::ModelError;

/// The configuration, with the defaults of transformers' `Qwen2Config`.
pub(super) fn read(fields: &Fields<'_>) -> Result<DecoderConfig, ModelError> {
    let mut config = read_common(fields)?;
    config.qkv_bias = true;
    Ok(config)
}

/// What Qwen2 and Qwen3 share.
pub(super) fn read_common(fields: &Fields<'_>) -> Result<DecoderConfig, ModelError> {
    let defaults = DecoderFields {
        vocab_size: 151_936,
        intermediate_size: 22_016,
        num_kv_heads: Some(32),
        ..DecoderFields::default()
    };
    let mut config = defaults.read(fields)?;
    let first = fields.count_or("max_window_layers", 28)?;
    assign_optional_windows(&mut config, fields, Some(4096), |layer| layer >= first)?;
    Ok(config)
}
