//! Errors of what is in a model folder.

use std::fmt::Display;

use serde_json::Value;

use super::super::error::GgufError;
use crate::error::CheckpointError;
use crate::folder::ModelFolder;

/// The error of something in a model folder.
pub(super) fn bad_folder(folder: &ModelFolder, source: GgufError) -> CheckpointError {
    CheckpointError::Gguf { path: folder.dir.clone(), source: Box::new(source) }
}

/// The error of a setting that cannot be expressed.
pub(super) fn inexpressible(
    field: impl Into<String>,
    found: impl Display,
    reason: impl Into<String>,
) -> GgufError {
    GgufError::Inexpressible {
        field: field.into(),
        found: format!("{found}"),
        reason: reason.into(),
    }
}

/// The error of a setting that is missing, of the wrong type or out of range.
pub(super) fn bad_setting(
    field: impl Into<String>,
    found: &Value,
    expected: impl Into<String>,
) -> GgufError {
    let found = match found {
        Value::Null => "missing".to_owned(),
        found => found.to_string().chars().take(80).collect(),
    };
    GgufError::BadSetting { field: field.into(), found, expected: expected.into() }
}
