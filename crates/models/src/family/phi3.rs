//! Phi-3, Phi-3.5-mini, Phi-4 and Phi-4-mini: LLaMA with fused projections, and perhaps a sliding
//! window on every layer.

use super::decoder_fields::DecoderFields;
use super::fields::{Fields, check_layer_types, invalid};
use crate::config::DecoderConfig;
use crate::error::ModelError;

/// The configuration, with the defaults of transformers' `Phi3Config`.
pub(super) fn read(fields: &Fields<'_>) -> Result<DecoderConfig, ModelError> {
    let defaults = DecoderFields {
        vocab_size: 32_064,
        intermediate_size: 8192,
        rms_norm_eps: 1e-5,
        ..DecoderFields::default()
    };
    let mut config = defaults.read(fields)?;
    config.fused_projections = true;
    config.renews_cache = true;
    let window = fields.optional_size("sliding_window")?;
    for layer in &mut config.layers {
        layer.window = window;
    }
    check_layer_types(fields, &config.layers)?;
    // In Phi-4-mini's file, where 1 is what transformers computes.
    for field in ["full_attn_mod", "interpolate_factor"] {
        if let Some(found) = fields.get(field).filter(|found| found.as_f64() != Some(1.0)) {
            return Err(invalid(field, found, "1"));
        }
    }
    Ok(config)
}
