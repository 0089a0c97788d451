//! Qwen2 and Qwen2.5: LLaMA with biases on queries, keys and values.

use super::decoder_fields::DecoderFields;
use super::fields::Fields;
use crate::config::DecoderConfig;
use crate::error::ModelError;

/// The configuration, with the defaults of transformers' `Qwen2Config`.
pub(super) fn read(fields: &Fields<'_>) -> Result<DecoderConfig, ModelError> {
    let defaults = DecoderFields {
        vocab_size: 151_936,
        intermediate_size: 22_016,
        num_kv_heads: Some(32),
        ..DecoderFields::default()
    };
    let mut config = defaults.read(fields)?;
    config.qkv_bias = true;

    let window = if fields.flag_or("use_sliding_window", false)? {
        let given = fields.has("sliding_window");
        if given { fields.optional_size("sliding_window")? } else { Some(4096) }
    } else {
        None
    };
    let first = fields.get("max_window_layers").map_or(28, |v| v.as_u64().unwrap_or(28) as usize);
    let sliding =
        fields.sliding_layers(config.layers.len(), |layer| window.is_some() && layer >= first)?;
    for (layer, sliding) in config.layers.iter_mut().zip(sliding) {
        layer.window = window.filter(|_| sliding);
    }
    Ok(config)
}
