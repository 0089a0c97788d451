//! Gemma 2: norms around both halves of a layer, soft caps, every other layer within a window.

use super::decoder_fields::{DecoderFields, assign_layer_kinds};
use super::fields::Fields;
use bestof_kernels::Activation;

use crate::config::DecoderConfig;
use crate::error::ModelError;

/// What Gemma 2 and 3 share, and where they differ by default.
pub(super) struct Gemma {
    pub(super) vocab_size: usize,
    pub(super) attention_softcap: Option<f64>,
    pub(super) final_softcap: Option<f64>,
    /// Every how many layers one attends to everything.
    pub(super) pattern: usize,
}

impl Gemma {
    /// The configuration, apart from what only Gemma 3 has.
    pub(super) fn read(&self, fields: &Fields<'_>) -> Result<DecoderConfig, ModelError> {
        let defaults = DecoderFields {
            vocab_size: self.vocab_size,
            intermediate_size: 9216,
            num_layers: 26,
            num_kv_heads: Some(4),
            rms_norm_eps: 1e-6,
            tied_embeddings: true,
            activation_field: "hidden_activation",
            activation: Activation::GeluTanh,
        };
        let mut config = defaults.read(fields)?;
        let bias = fields.flag_or("attention_bias", false)?;
        config.qkv_bias = bias;
        config.output_bias = bias;
        config.norm_offset = 1.0;
        config.sandwich_norms = true;
        // The product is taken in the weights' type, so the factor is rounded to it first.
        config.embedding_scale = Some(f64::from((config.hidden_size as f64).sqrt() as f32));
        config.attention_scale = fields.number_or("query_pre_attn_scalar", 256.0)?.sqrt().recip();
        let capped = |field, default| {
            if fields.has(field) { fields.optional_number(field) } else { Ok(default) }
        };
        config.attention_softcap = capped("attn_logit_softcapping", self.attention_softcap)?;
        config.final_softcap = capped("final_logit_softcapping", self.final_softcap)?;

        let window = fields.size_or("sliding_window", 4096)?;
        let pattern = fields
            .optional_size("sliding_window_pattern")?
            .or(fields.optional_size("_sliding_window_pattern")?)
            .unwrap_or(self.pattern);
        let sliding = fields
            .sliding_layers(config.layers.len(), |layer| !(layer + 1).is_multiple_of(pattern))?;
        assign_layer_kinds(&mut config, &sliding, window);
        Ok(config)
    }
}

/// The configuration, with the defaults of transformers' `Gemma2Config`.
pub(super) fn read(fields: &Fields<'_>) -> Result<DecoderConfig, ModelError> {
    Gemma {
        vocab_size: 256_000,
        attention_softcap: Some(50.0),
        final_softcap: Some(30.0),
        pattern: 2,
    }
    .read(fields)
}
