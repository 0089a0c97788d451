//! The families a `config.json` may belong to.

use serde_json::Value;

use crate::config::DecoderConfig;
use crate::error::ModelError;

/// Reads `config` as the family its `model_type` names.
pub(crate) fn read(config: &Value) -> Result<DecoderConfig, ModelError> {
    let found = config.get("model_type").and_then(Value::as_str).unwrap_or_default();
    Err(ModelError::UnknownModelType { found: found.to_owned(), known: Vec::new() })
}
