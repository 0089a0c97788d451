//! SHA-256 of bytes, of files, and of what passes through a writer, as lower-case hexadecimal.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::{FileError, Step};

const CHUNK_BYTES: usize = 1 << 16;

/// SHA-256 of what it is given piece by piece.
///
/// ```
/// use bestof_files::{Sha256Hasher, sha256_hex};
///
/// let mut hasher = Sha256Hasher::new();
/// hasher.update("ab");
/// hasher.update("c");
/// assert_eq!(hasher.hex(), sha256_hex("abc"));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Sha256Hasher(Sha256);

impl Sha256Hasher {
    /// A hasher that was given nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.update(bytes);
    }

    /// Adds the contents of a file, read in pieces, and returns their length in bytes.
    pub fn update_from_file(&mut self, path: &Path) -> Result<u64, FileError> {
        let failed = |error| FileError::io(Step::Read, path)(error);
        let mut file = File::open(path).map_err(failed)?;
        let mut buffer = vec![0; CHUNK_BYTES];
        let mut length = 0;
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return Ok(length),
                Ok(read) => {
                    self.update(&buffer[..read]);
                    length += read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
        }
    }

    /// The 32 bytes of the hash.
    pub fn bytes(self) -> [u8; 32] {
        self.0.finalize().into()
    }

    /// The hash in 64 lower-case hexadecimal digits.
    pub fn hex(self) -> String {
        self.bytes().iter().fold(String::with_capacity(64), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

/// SHA-256 of some bytes in hexadecimal.
pub fn sha256_hex(bytes: impl AsRef<[u8]>) -> String {
    let mut hasher = Sha256Hasher::new();
    hasher.update(bytes);
    hasher.hex()
}

/// SHA-256 of a file's contents in hexadecimal.
pub fn sha256_of_file(path: &Path) -> Result<String, FileError> {
    let mut hasher = Sha256Hasher::new();
    hasher.update_from_file(path)?;
    Ok(hasher.hex())
}

/// Counts and hashes what passes through to another writer.
#[derive(Debug)]
pub struct HashingWriter<W> {
    inner: W,
    hasher: Sha256Hasher,
    bytes: u64,
}

impl<W: Write> HashingWriter<W> {
    /// A writer to `inner`.
    pub fn new(inner: W) -> Self {
        Self { inner, hasher: Sha256Hasher::new(), bytes: 0 }
    }

    /// The inner writer, the number of bytes it was given, and their SHA-256 in hexadecimal.
    pub fn finish(self) -> (W, u64, String) {
        (self.inner, self.bytes, self.hasher.hex())
    }
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(buffer)?;
        self.hasher.update(&buffer[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-4, appendix: the message "abc".
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn bytes_files_and_writers_have_one_hash() {
        assert_eq!(sha256_hex("abc"), ABC);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc");
        let mut writer = HashingWriter::new(File::create(&path).unwrap());
        writer.write_all(b"abc").unwrap();
        let (_, bytes, hash) = writer.finish();
        assert_eq!((bytes, hash.as_str()), (3, ABC));
        assert_eq!(sha256_of_file(&path).unwrap(), ABC);
    }
}
