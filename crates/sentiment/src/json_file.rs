//! JSON files of a model's folder.

use std::path::Path;

use bestof_files::{read_text, write_file};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::SentimentError;

/// The value in a file.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, SentimentError> {
    let text = read_text(path).map_err(SentimentError::io("read", path))?;
    serde_json::from_str(&text)
        .map_err(|source| SentimentError::BadJson { path: path.to_owned(), source })
}

/// Writes a value with indentation and a line break behind it, whole or not at all.
pub(crate) fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), SentimentError> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|source| SentimentError::BadJson { path: path.to_owned(), source })?;
    Ok(write_file(path, (text + "\n").as_bytes())?)
}
