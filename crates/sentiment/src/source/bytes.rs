//! Files opened for reading, with the number of bytes read.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::rc::Rc;

use crate::error::SentimentError;

/// Size of the read buffer in bytes.
const BUFFER: usize = 1 << 18;

/// A file that counts the bytes read from it.
#[derive(Debug)]
pub(crate) struct Opened {
    source: BufReader<File>,
    position: Rc<Cell<u64>>,
}

impl Opened {
    /// Opens `path`.
    ///
    /// # Errors
    /// [`SentimentError::Io`]; [`SentimentError::Encoding`] for UTF-16 text and archives, which have no
    /// readable row.
    pub(crate) fn open(path: &Path) -> Result<Self, SentimentError> {
        let file = File::open(path).map_err(SentimentError::io("open", path))?;
        let mut source = BufReader::with_capacity(BUFFER, file);
        let start = source.fill_buf().map_err(SentimentError::io("read", path))?;
        if let Some((found, fix)) = other_format(start) {
            return Err(SentimentError::Encoding { path: path.to_owned(), found, fix });
        }
        Ok(Self { source, position: Rc::default() })
    }

    /// The number of bytes read so far, kept up to date.
    pub(crate) fn position(&self) -> Rc<Cell<u64>> {
        Rc::clone(&self.position)
    }
}

/// The format of a file whose first bytes are not UTF-8 text, and how to convert it.
fn other_format(start: &[u8]) -> Option<(&'static str, &'static str)> {
    const UTF16: (&str, &str) = ("UTF-16 text", "convert it, as with `iconv -f UTF-16 -t UTF-8`");
    if start.starts_with(b"\xff\xfe") || start.starts_with(b"\xfe\xff") {
        return Some(UTF16);
    }
    if start.starts_with(b"\x1f\x8b") {
        return Some(("gzip-compressed", "unpack it with `gunzip`"));
    }
    if start.starts_with(b"PK\x03\x04") {
        return Some(("a zip archive", "unpack it with `unzip`"));
    }
    // The data set is published as a tar, whose magic number comes after the first header fields.
    if start.get(257..262) == Some(b"ustar".as_slice()) {
        return Some(("a tar archive", "unpack it with `tar -xf`"));
    }
    let head = &start[..start.len().min(512)];
    let zeros: usize = head.iter().map(|&byte| usize::from(byte == 0)).sum();
    (head.len() >= 4 && zeros * 3 >= head.len()).then_some(UTF16)
}

impl Read for Opened {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(out)?;
        self.position.set(self.position.get() + count as u64);
        Ok(count)
    }
}

impl BufRead for Opened {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.source.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.position.set(self.position.get() + count as u64);
        self.source.consume(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_formats_are_recognised_by_their_first_bytes() {
        let utf16: Vec<u8> = "{\"a\": 1}".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for (bytes, expected) in [
            (b"\xff\xfe{\0".as_slice(), Some("UTF-16 text")),
            (&utf16, Some("UTF-16 text")),
            (b"\x1f\x8b\x08\0", Some("gzip-compressed")),
            (b"PK\x03\x04", Some("a zip archive")),
            (b"{\"a\": 1}", None),
            (b"\xef\xbb\xbf{}", None),
            (b"", None),
        ] {
            assert_eq!(other_format(bytes).map(|(found, _)| found), expected);
        }
        let mut tar = vec![b'x'; 512];
        tar[257..262].copy_from_slice(b"ustar");
        assert_eq!(other_format(&tar).map(|(found, _)| found), Some("a tar archive"));
    }
}
