//! The crate's error from those of libraries.

use std::io;
use std::path::PathBuf;

use bestof_files::FileError;

use super::SentimentError;

impl SentimentError {
    pub(crate) fn parquet(
        action: &'static str,
        path: impl Into<PathBuf>,
        source: parquet::errors::ParquetError,
    ) -> Self {
        Self::Parquet { action, path: path.into(), source }
    }

    pub(crate) fn damaged(what: &'static str) -> Self {
        Self::DamagedModel { what }
    }

    /// A closure that wraps an I/O error with the action and the path.
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}

impl From<FileError> for SentimentError {
    fn from(error: FileError) -> Self {
        match error {
            FileError::Io { step, path, source } => {
                Self::Io { action: step.as_str(), path, source }
            }
            FileError::Occupied { ref path } => {
                let (action, path) = ("write", path.clone());
                Self::Io { action, path, source: error.into_io() }
            }
        }
    }
}
