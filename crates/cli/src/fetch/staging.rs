//! The folder in which a model is assembled before it takes its name.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::receipt::Receipt;

/// A path beside `dir` at which nothing exists.
pub(super) fn staging(dir: &Path) -> Result<PathBuf> {
    let staged = dir.with_extension("partial");
    if staged.exists() {
        std::fs::remove_dir_all(&staged)
            .with_context(|| format!("could not remove the left-over {}", staged.display()))?;
    }
    Ok(staged)
}

/// Writes the receipt into the finished folder and renames it to `dir`.
pub(super) fn commit(staged: &Path, dir: &Path, from: &str) -> Result<()> {
    Receipt::of(staged, from)?.write(staged)?;
    if dir.exists() {
        std::fs::remove_dir_all(dir)
            .with_context(|| format!("could not replace {}", dir.display()))?;
    }
    std::fs::rename(staged, dir)
        .with_context(|| format!("could not move the finished model to {}", dir.display()))
}
