//! Checkpoint folders: written whole and hashed, and found again by reading every file.
//!
//! ```text
//! checkpoints/
//!   step-000100/
//!     manifest.json        name, length and SHA-256 of every other file; written last
//!     state.json           where the run was
//!     …                    weights, optimiser state
//!   .step-000200.XXXXXX.partial/   a save that never finished
//! ```

mod store;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub(crate) use store::{CheckpointStore, CheckpointWriter};

/// Name of the list of files.
pub(crate) const MANIFEST: &str = "manifest.json";

/// The files of a checkpoint with their hashes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// Version of this layout; 1 today.
    pub version: u32,
    /// Optimiser steps done.
    pub step: u64,
    /// Every file but the manifest itself.
    pub files: Vec<ManifestFile>,
}

/// One file of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ManifestFile {
    /// Name within the folder.
    pub name: String,
    /// Length.
    pub bytes: u64,
    /// SHA-256, in hexadecimal.
    pub sha256: String,
}

/// A checkpoint whose every file has the length and hash its manifest says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WholeCheckpoint {
    /// The folder.
    pub path: PathBuf,
    /// Optimiser steps done.
    pub step: u64,
}

/// A checkpoint folder that is not whole, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Damaged {
    /// The folder.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: Damage,
}

/// What can be wrong with a checkpoint folder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Damage {
    /// The save never finished.
    #[error("the save never finished")]
    Unfinished,
    /// The manifest cannot be read.
    #[error("manifest.json: {0}")]
    Manifest(String),
    /// A file that a run cannot do without is not in the manifest.
    #[error("manifest.json lists no `{name}`, without which the run cannot go on")]
    Missing {
        /// The file.
        name: String,
    },
    /// A file cannot be read.
    #[error("`{name}`: {reason}")]
    Unreadable {
        /// The file.
        name: String,
        /// What the system said.
        reason: String,
    },
    /// A file has another length.
    #[error("`{name}` has {found} bytes, expected {expected}")]
    Length {
        /// The file.
        name: String,
        /// Length found.
        found: u64,
        /// Length in the manifest.
        expected: u64,
    },
    /// A file has other contents.
    #[error("`{name}` does not have the contents that were written")]
    Contents {
        /// The file.
        name: String,
    },
}

/// What [`CheckpointStore::newest_whole`] found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Found {
    /// The newest checkpoint that is whole.
    pub newest: Option<WholeCheckpoint>,
    /// Newer folders that were passed over.
    pub damaged: Vec<Damaged>,
}
