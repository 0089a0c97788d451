//! Reading little-endian values, never beyond the file's end and never allocating more than it holds.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::error::GgufError;
use crate::error::CheckpointError;

/// A file with its length and the current position.
#[derive(Debug)]
pub(super) struct Reader {
    file: BufReader<File>,
    path: PathBuf,
    length: u64,
    position: u64,
}

impl Reader {
    pub(super) fn open(path: &Path) -> Result<Self, CheckpointError> {
        let file = File::open(path).map_err(CheckpointError::io("open", path))?;
        let length = file.metadata().map_err(CheckpointError::io("read", path))?.len();
        let file = BufReader::with_capacity(1 << 16, file);
        Ok(Self { file, path: path.to_path_buf(), length, position: 0 })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Wraps an error of this file.
    pub(super) fn bad(&self, source: GgufError) -> CheckpointError {
        CheckpointError::Gguf { path: self.path.clone(), source: Box::new(source) }
    }

    /// Checks that `needed` bytes are left.
    pub(super) fn expect(
        &self,
        needed: u64,
        what: impl FnOnce() -> String,
    ) -> Result<(), CheckpointError> {
        if needed <= self.length - self.position {
            return Ok(());
        }
        let source =
            GgufError::Truncated { what: what(), at: self.position, needed, length: self.length };
        Err(self.bad(source))
    }

    pub(super) fn seek(&mut self, position: u64) -> Result<(), CheckpointError> {
        self.file
            .seek(SeekFrom::Start(position))
            .map_err(CheckpointError::io("read", &self.path))?;
        self.position = position.min(self.length);
        Ok(())
    }

    /// Fills a buffer whose size has been checked.
    pub(super) fn fill(&mut self, buffer: &mut [u8], what: &str) -> Result<(), CheckpointError> {
        self.expect(buffer.len() as u64, || what.to_owned())?;
        self.file.read_exact(buffer).map_err(CheckpointError::io("read", &self.path))?;
        self.position += buffer.len() as u64;
        Ok(())
    }

    pub(super) fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], CheckpointError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes, what)?;
        Ok(bytes)
    }

    pub(super) fn u32(&mut self, what: &str) -> Result<u32, CheckpointError> {
        Ok(u32::from_le_bytes(self.array(what)?))
    }

    pub(super) fn u64(&mut self, what: &str) -> Result<u64, CheckpointError> {
        Ok(u64::from_le_bytes(self.array(what)?))
    }

    /// A length-prefixed text, as bytes.
    pub(super) fn bytes(&mut self, what: &str) -> Result<Vec<u8>, CheckpointError> {
        let length = self.u64(what)?;
        self.expect(length, || what.to_owned())?;
        let mut bytes = vec![0; length as usize];
        self.fill(&mut bytes, what)?;
        Ok(bytes)
    }
}
