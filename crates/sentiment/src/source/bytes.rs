//! Files opened for reading row by row, with their place in bytes.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::rc::Rc;

use crate::error::SentimentError;

/// How much of a file is held at once.
const BUFFER: usize = 1 << 18;

/// A file with a count of the bytes read from it.
#[derive(Debug)]
pub(crate) struct Opened {
    source: BufReader<File>,
    done: Rc<Cell<u64>>,
}

impl Opened {
    /// Opens `path`, and refuses UTF-16 and compressed files by name: neither would yield a row.
    pub(crate) fn open(path: &Path) -> Result<Self, SentimentError> {
        let file = File::open(path).map_err(SentimentError::io("open", path))?;
        let mut source = BufReader::with_capacity(BUFFER, file);
        let start = source.fill_buf().map_err(SentimentError::io("read", path))?;
        if let Some((found, mend)) = foreign(start) {
            return Err(SentimentError::Encoding { path: path.to_owned(), found, mend });
        }
        Ok(Self { source, done: Rc::default() })
    }

    /// A view of how many bytes were taken so far.
    pub(crate) fn place(&self) -> Rc<Cell<u64>> {
        Rc::clone(&self.done)
    }
}

/// What a file is, and how to mend it, when it is no UTF-8 text by its first bytes.
fn foreign(start: &[u8]) -> Option<(&'static str, &'static str)> {
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
    // The data set is handed out as a tar, whose magic stands behind the first entry's name.
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
        self.done.set(self.done.get() + count as u64);
        Ok(count)
    }
}

impl BufRead for Opened {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.source.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.done.set(self.done.get() + count as u64);
        self.source.consume(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_files_are_told_by_their_first_bytes() {
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
            assert_eq!(foreign(bytes).map(|(found, _)| found), expected);
        }
        let mut tar = vec![b'x'; 512];
        tar[257..262].copy_from_slice(b"ustar");
        assert_eq!(foreign(&tar).map(|(found, _)| found), Some("a tar archive"));
    }
}
