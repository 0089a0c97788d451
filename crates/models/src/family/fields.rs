//! Typed reading of a `config.json`, with errors that name the field.

use serde_json::Value;

use crate::config::LayerConfig;
use crate::error::ModelError;

/// The fields of a model's configuration. A field that is `null` counts as left out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'a> {
    /// The object the fields are in.
    pub(crate) json: &'a Value,
    /// For messages.
    pub(crate) model_type: &'static str,
}

impl<'a> Fields<'a> {
    /// The value of a field that is there and not `null`.
    pub(crate) fn get(&self, field: &str) -> Option<&'a Value> {
        self.json.get(field).filter(|value| !value.is_null())
    }

    /// Whether the field is there, be it `null`.
    pub(crate) fn has(&self, field: &str) -> bool {
        self.json.get(field).is_some()
    }

    /// A size with a default.
    pub(crate) fn size_or(&self, field: &'static str, default: usize) -> Result<usize, ModelError> {
        Ok(self.optional_size(field)?.unwrap_or(default))
    }

    /// A size between 1 and 2^31, if there is one.
    pub(crate) fn optional_size(&self, field: &'static str) -> Result<Option<usize>, ModelError> {
        self.get(field)
            .map(|value| {
                value
                    .as_u64()
                    .filter(|n| (1..1 << 31).contains(n))
                    .map(|n| n as usize)
                    .ok_or_else(|| invalid(field, value, "a whole number from 1 to 2147483647"))
            })
            .transpose()
    }

    /// A whole number from 0 to 2^31 with a default.
    pub(crate) fn count_or(
        &self,
        field: &'static str,
        default: usize,
    ) -> Result<usize, ModelError> {
        let Some(value) = self.get(field) else { return Ok(default) };
        value
            .as_u64()
            .filter(|n| *n < 1 << 31)
            .map(|n| n as usize)
            .ok_or_else(|| invalid(field, value, "a whole number from 0 to 2147483647"))
    }

    /// A number with a default.
    pub(crate) fn number_or(&self, field: &'static str, default: f64) -> Result<f64, ModelError> {
        Ok(self.optional_number(field)?.unwrap_or(default))
    }

    /// A positive number, if there is one.
    pub(crate) fn optional_number(&self, field: &'static str) -> Result<Option<f64>, ModelError> {
        self.get(field)
            .map(|value| {
                value
                    .as_f64()
                    .filter(|x| x.is_finite() && *x > 0.0)
                    .ok_or_else(|| invalid(field, value, "a number above 0"))
            })
            .transpose()
    }

    /// A truth value with a default.
    pub(crate) fn flag_or(&self, field: &'static str, default: bool) -> Result<bool, ModelError> {
        match self.get(field) {
            None => Ok(default),
            Some(value) => value.as_bool().ok_or_else(|| invalid(field, value, "true or false")),
        }
    }

    /// For each layer, whether it attends within a window only.
    pub(crate) fn sliding_layers(
        &self,
        layers: usize,
        default: impl Fn(usize) -> bool,
    ) -> Result<Vec<bool>, ModelError> {
        let Some(value) = self.get("layer_types") else {
            return Ok((0..layers).map(default).collect());
        };
        let expected = "one of full_attention and sliding_attention for each layer";
        let wrong = || invalid("layer_types", value, expected);
        let kinds = value.as_array().filter(|kinds| kinds.len() == layers).ok_or_else(wrong)?;
        kinds
            .iter()
            .map(|kind| match kind.as_str() {
                Some("full_attention") => Ok(false),
                Some("sliding_attention") => Ok(true),
                _ => Err(wrong()),
            })
            .collect()
    }
}

/// Checks that `layer_types`, where the file has it, says of every layer what its window says.
///
/// # Errors
/// [`ModelError::InvalidField`].
pub(super) fn check_layer_types(
    fields: &Fields<'_>,
    layers: &[LayerConfig],
) -> Result<(), ModelError> {
    let windowed: Vec<bool> = layers.iter().map(|layer| layer.window.is_some()).collect();
    if fields.sliding_layers(layers.len(), |layer| windowed[layer])? == windowed {
        return Ok(());
    }
    let found = fields.get("layer_types").unwrap_or(&Value::Null);
    Err(invalid(
        "layer_types",
        found,
        "sliding_attention where `sliding_window` holds, and only there",
    ))
}

/// The error of a field with a value that makes no model.
pub(crate) fn invalid(field: &str, found: &Value, expected: &str) -> ModelError {
    ModelError::InvalidField {
        field: field.to_owned(),
        found: found.to_string(),
        expected: expected.to_owned(),
    }
}

/// Whether a value switches nothing on: null, false, or nothing in it. A number is a value, 0 too, such
/// as that of a layer.
pub(crate) fn is_off(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}
