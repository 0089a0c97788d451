//! Reading the JSON files of a model folder with errors that name file and field.

use std::path::Path;

use bestof_files::write_file;
use serde::Serialize;
use serde_json::Value;

use crate::error::CheckpointError;

/// The JSON value in a file.
pub(crate) fn read(path: &Path) -> Result<Value, CheckpointError> {
    let text = read_text(path)?;
    serde_json::from_str(&text)
        .map_err(|source| CheckpointError::BadJson { path: path.to_path_buf(), source })
}

/// The text in a file.
pub(crate) fn read_text(path: &Path) -> Result<String, CheckpointError> {
    bestof_files::read_text(path).map_err(CheckpointError::io("read", path))
}

/// The JSON value in a file, or null where there is no such file.
pub(crate) fn read_if_there(path: &Path) -> Result<Value, CheckpointError> {
    if path.exists() { read(path) } else { Ok(Value::Null) }
}

/// Writes a value with indentation, whole or not at all.
pub(crate) fn write(path: &Path, value: &impl Serialize) -> Result<(), CheckpointError> {
    let bad = |source| CheckpointError::BadJson { path: path.to_path_buf(), source };
    let mut text = serde_json::to_vec_pretty(value).map_err(bad)?;
    text.push(b'\n');
    Ok(write_file(path, &text)?)
}

/// The error of a field of the wrong type or out of range.
pub(crate) fn bad_field(
    path: &Path,
    field: &str,
    found: &Value,
    expected: &'static str,
) -> CheckpointError {
    let mut found = found.to_string();
    if found.len() > 80 {
        found = found.chars().take(80).chain(['…']).collect();
    }
    CheckpointError::BadField { path: path.to_path_buf(), field: field.to_owned(), found, expected }
}

/// Reads one file's optional fields; a field that is absent or null is `None`.
pub(crate) struct Fields<'a> {
    pub(crate) path: &'a Path,
    pub(crate) value: &'a Value,
}

impl Fields<'_> {
    /// A token id.
    pub(crate) fn id(&self, field: &str) -> Result<Option<u32>, CheckpointError> {
        self.get(field, "a token id (0 to 4294967295)", |v| {
            v.as_u64().and_then(|v| u32::try_from(v).ok())
        })
    }

    /// A number.
    pub(crate) fn number(&self, field: &str) -> Result<Option<f64>, CheckpointError> {
        self.get(field, "a number", Value::as_f64)
    }

    /// A count.
    pub(crate) fn count(&self, field: &str) -> Result<Option<usize>, CheckpointError> {
        self.get(field, "a whole number, 0 or more", |v| {
            v.as_u64().and_then(|v| usize::try_from(v).ok())
        })
    }

    /// True or false.
    pub(crate) fn flag(&self, field: &str) -> Result<Option<bool>, CheckpointError> {
        self.get(field, "true or false", Value::as_bool)
    }

    /// Any field, through a function that returns `None` for a value it does not accept.
    pub(crate) fn get<T>(
        &self,
        field: &str,
        expected: &'static str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<Option<T>, CheckpointError> {
        match &self.value[field] {
            Value::Null => Ok(None),
            found => {
                read(found).map(Some).ok_or_else(|| bad_field(self.path, field, found, expected))
            }
        }
    }
}
