//! What a fetched folder holds: each file with its SHA-256, so that a second `fetch` can tell a
//! whole folder from a damaged one.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use bestof_files::{sha256_of_file, write_file};
use serde::{Deserialize, Serialize};

const FILE: &str = "fetched.json";

/// The list of a fetched folder's files.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Receipt {
    /// Where the model came from.
    pub(crate) from: String,
    /// File name to SHA-256.
    files: BTreeMap<String, String>,
}

impl Receipt {
    /// Hashes every file of `dir`.
    pub(crate) fn of(dir: &Path, from: &str) -> Result<Self> {
        let mut files = BTreeMap::new();
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.file_type()?.is_file() && name != FILE {
                files.insert(name, sha256_of_file(&entry.path())?);
            }
        }
        Ok(Self { from: from.to_owned(), files })
    }

    /// Reads the receipt of `dir`.
    pub(crate) fn read(dir: &Path) -> Result<Self> {
        let path = dir.join(FILE);
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("could not read {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()))
    }

    /// Writes it into `dir`.
    pub(crate) fn write(&self, dir: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        write_file(&dir.join(FILE), text.as_bytes()).context("could not write the receipt")
    }

    /// Fails with the name of the first file that is not as it was fetched.
    pub(crate) fn verify(&self, dir: &Path) -> Result<()> {
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

#[cfg(test)]
mod tests {
    use super::Receipt;

    #[test]
    fn a_changed_file_is_found() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a"), "one").unwrap();
        Receipt::of(dir.path(), "here").unwrap().write(dir.path()).unwrap();
        let receipt = Receipt::read(dir.path()).unwrap();
        receipt.verify(dir.path()).unwrap();
        std::fs::write(dir.path().join("a"), "two").unwrap();
        let error = receipt.verify(dir.path()).unwrap_err().to_string();
        assert!(error.contains("wrong checksum") && error.contains("expected SHA-256"), "{error}");
    }
}
