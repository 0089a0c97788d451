//! What a fetched folder holds: each file with its SHA-256, so that a second `fetch` can tell a
//! whole folder from a damaged one.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use bestof_files::{StagedFolder, sha256_of_file, write_file};
use serde::{Deserialize, Serialize};

/// The receipt's name in a model's folder.
pub(crate) const MODEL_RECEIPT: &str = "fetched.json";
/// In a folder of rows, hidden from what reads all its files.
pub(crate) const ROWS_RECEIPT: &str = ".fetched.json";

/// The list of a fetched folder's files.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Receipt {
    /// Where the files came from.
    pub(crate) from: String,
    /// File name to SHA-256.
    files: BTreeMap<String, String>,
}

impl Receipt {
    /// Hashes every file of `dir`.
    pub(crate) fn of(dir: &Path, from: &str, receipt: &str) -> Result<Self> {
        let mut files = BTreeMap::new();
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.file_type()?.is_file() && name != receipt {
                files.insert(name, sha256_of_file(&entry.path())?);
            }
        }
        Ok(Self { from: from.to_owned(), files })
    }

    /// Reads the receipt of `dir`.
    fn read(dir: &Path, receipt: &str) -> Result<Self> {
        let path = dir.join(receipt);
        let text = bestof_files::read_text(&path)
            .with_context(|| format!("could not read {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()))
    }

    /// Writes it into `dir`.
    pub(crate) fn write(&self, dir: &Path, receipt: &str) -> Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        write_file(&dir.join(receipt), text.as_bytes()).context("could not write the receipt")
    }

    /// The receipt of a folder that is whole; `None` if there is no such folder.
    pub(crate) fn of_whole(dir: &Path, receipt: &str) -> Result<Option<Self>> {
        if !dir.exists() {
            return Ok(None);
        }
        let found = Self::read(dir, receipt).with_context(|| {
            format!(
                "{} exists and was not made by `fetch`; move it away, or pass --force to replace it",
                dir.display()
            )
        })?;
        found.verify(dir).context("pass --force to fetch it again")?;
        Ok(Some(found))
    }

    /// Fails with the name of the first file that is not as it was fetched.
    fn verify(&self, dir: &Path) -> Result<()> {
        for (name, expected) in &self.files {
            let path = dir.join(name);
            let found =
                sha256_of_file(&path).with_context(|| format!("{} is missing", path.display()))?;
            if &found != expected {
                bail!(
                    "wrong checksum of {}: expected SHA-256 {expected}, found {found}",
                    path.display()
                );
            }
        }
        Ok(())
    }
}

/// Writes the receipt into the finished folder and puts it in place.
pub(crate) fn commit(staged: StagedFolder<'_>, from: &str, receipt: &str) -> Result<()> {
    Receipt::of(staged.path(), from, receipt)?.write(staged.path(), receipt)?;
    Ok(staged.commit()?)
}

#[cfg(test)]
mod tests {
    use super::{MODEL_RECEIPT, Receipt};

    #[test]
    fn a_changed_file_is_found() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a"), "one").unwrap();
        Receipt::of(dir.path(), "here", MODEL_RECEIPT)
            .unwrap()
            .write(dir.path(), MODEL_RECEIPT)
            .unwrap();
        let receipt = Receipt::read(dir.path(), MODEL_RECEIPT).unwrap();
        receipt.verify(dir.path()).unwrap();
        std::fs::write(dir.path().join("a"), "two").unwrap();
        let error = receipt.verify(dir.path()).unwrap_err().to_string();
        assert!(error.contains("wrong checksum") && error.contains("expected SHA-256"), "{error}");
    }
}
