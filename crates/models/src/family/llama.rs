//! LLaMA 1 to 3, and what shares its code: SmolLM2, Vicuna, Yi.

use super::decoder_fields::DecoderFields;
use super::fields::{Fields, check_layer_types};
use crate::config::DecoderConfig;
use crate::error::ModelError;

/// The configuration, with the defaults of transformers' `LlamaConfig`.
pub(super) fn read(fields: &Fields<'_>) -> Result<DecoderConfig, ModelError> {
    let mut config = DecoderFields::default().read(fields)?;
    let bias = fields.flag_or("attention_bias", false)?;
    config.qkv_bias = bias;
    config.output_bias = bias;
    config.mlp_bias = fields.flag_or("mlp_bias", false)?;
    check_layer_types(fields, &config.layers)?;
    Ok(config)
}
