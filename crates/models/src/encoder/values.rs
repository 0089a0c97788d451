//! Activations, probabilities and token ids in a `config.json`.

use super::activation::{EncoderActivation, KNOWN};
use crate::error::ModelError;
use crate::family::fields::{Fields, invalid};

/// The activation that a field names.
pub(super) fn activation(
    fields: &Fields<'_>,
    field: &str,
) -> Result<Option<EncoderActivation>, ModelError> {
    let Some(value) = fields.get(field) else { return Ok(None) };
    let found = value.as_str().and_then(EncoderActivation::read);
    found.map(Some).ok_or_else(|| invalid(field, value, KNOWN))
}

/// A probability in `[0, 1)`.
pub(super) fn probability(fields: &Fields<'_>, field: &str) -> Result<Option<f64>, ModelError> {
    let Some(value) = fields.get(field) else { return Ok(None) };
    let found = value.as_f64().filter(|p| (0.0..1.0).contains(p));
    found.map(Some).ok_or_else(|| invalid(field, value, "a number in [0, 1)"))
}

/// The token id in `pad_token_id`.
pub(super) fn pad_token(fields: &Fields<'_>) -> Result<Option<u32>, ModelError> {
    let Some(value) = fields.get("pad_token_id") else { return Ok(None) };
    let found = value.as_u64().and_then(|id| u32::try_from(id).ok());
    found.map(Some).ok_or_else(|| invalid("pad_token_id", value, "a token id"))
}
