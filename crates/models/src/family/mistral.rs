//! Mistral: LLaMA with a sliding window on every layer, unless the file says `null`.

use super::decoder_fields::DecoderFields;
use super::fields::{Fields, check_layer_types};
use crate::config::DecoderConfig;
use crate::error::ModelError;

/// The configuration, with the defaults of transformers' `MistralConfig`.
pub(super) fn read(fields: &Fields<'_>) -> Result<DecoderConfig, ModelError> {
    let defaults = DecoderFields {
        intermediate_size: 14_336,
        num_kv_heads: Some(8),
        ..DecoderFields::default()
    };
    let mut config = defaults.read(fields)?;
    let window = if fields.has("sliding_window") {
        fields.optional_size("sliding_window")?
    } else {
        Some(4096)
    };
    for layer in &mut config.layers {
        layer.window = window;
    }
    check_layer_types(fields, &config.layers)?;
    Ok(config)
}
