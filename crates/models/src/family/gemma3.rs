//! Gemma 3, its text half: Gemma 2 with normalised queries and keys, no soft caps, and another
//! RoPE base in the layers that attend within a window.

use super::fields::Fields;
use super::gemma2::Gemma;
use crate::config::DecoderConfig;
use crate::error::ModelError;

/// The configuration, with the defaults of transformers' `Gemma3TextConfig`.
pub(super) fn read(fields: &Fields<'_>) -> Result<DecoderConfig, ModelError> {
    let mut config =
        Gemma { vocab_size: 262_208, attention_softcap: None, final_softcap: None, pattern: 6 }
            .read(fields)?;
    config.qk_norms = true;
    Ok(config)
}
