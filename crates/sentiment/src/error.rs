//! What can go wrong between files, features and models.

use std::io;
use std::path::PathBuf;

/// Why reviews could not be read, prepared, learned from or judged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SentimentError {
    /// The operating system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: "open", "read", "write", ...
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// The system's own words.
        source: io::Error,
    },
    /// A JSON file is not what it should be.
    #[error("{}: {source}; it is written by `sentiment prepare` and `sentiment train`, make it again", path.display())]
    BadJson {
        /// The file.
        path: PathBuf,
        /// What the JSON reader met.
        source: serde_json::Error,
    },
    /// A file of another version of this program.
    #[error("{} has version {found}, and this program reads version {expected}; make it again with this program", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The version this program writes.
        expected: u32,
    },
    /// An input that contains the answer.
    #[error("`{name}` may not be an input: {why}")]
    RefusedFeature {
        /// The column.
        name: String,
        /// In what way it contains the answer.
        why: &'static str,
    },
    /// An input that does not exist.
    #[error("no feature is called `{name}`; known are {known}")]
    UnknownFeature {
        /// The name asked for.
        name: String,
        /// All names.
        known: String,
    },
}

impl SentimentError {
    /// A closure that wraps an I/O error with what was tried on which path.
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}
