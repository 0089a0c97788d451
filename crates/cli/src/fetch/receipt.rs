//! What a fetched folder holds: each file with its SHA-256, so that a second `fetch` can tell a
//! whole folder from a damaged one.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

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
    /// Sums every file of `dir`.
    pub(crate) fn of(dir: &Path, from: &str) -> Result<Self> {
        let mut files = BTreeMap::new();
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.file_type()?.is_file() && name != FILE {
                files.insert(name, sum(&entry.path())?);
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
        std::fs::write(dir.join(FILE), text).context("could not write the receipt")
    }

    /// Fails with the name of the first file that is not as it was fetched.
    pub(crate) fn verify(&self, dir: &Path) -> Result<()> {
        for (name, expected) in &self.files {
            let path = dir.join(name);
            let found = sum(&path).with_context(|| format!("{} is missing", path.display()))?;
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

/// The SHA-256 of a file, in hexadecimal.
pub(crate) fn sum(path: &Path) -> Result<String> {
    let mut file =
        File::open(path).with_context(|| format!("could not open {}", path.display()))?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0_u8; 1 << 20];
    loop {
        let n = file.read(&mut buffer)?;
        if n == 0 {
            return Ok(hex(&digest.finalize()));
        }
        digest.update(&buffer[..n]);
    }
}

/// Bytes as lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
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
