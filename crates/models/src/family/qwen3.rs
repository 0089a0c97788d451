//! Qwen3: Qwen2 with normalised queries and keys, and biases in no projection or in all of attention's.

use super::fields::Fields;
use super::qwen2;
use crate::config::DecoderConfig;
use crate::error::ModelError;

/// The configuration, with the defaults of transformers' `Qwen3Config`.
pub(super) fn read(fields: &Fields<'_>) -> Result<DecoderConfig, ModelError> {
    let mut config = qwen2::read_common(fields)?;
    let bias = fields.flag_or("attention_bias", false)?;
    config.qkv_bias = bias;
    config.output_bias = bias;
    config.qk_norms = true;
    Ok(config)
}
