//! Files opened for reading, with the number of bytes read.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::rc::Rc;

use bestof_files::FileKind;

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
    /// [`SentimentError::Io`]; [`SentimentError::NoText`] for UTF-16 text and archives, which have no
    /// readable row.
    pub(crate) fn open(path: &Path) -> Result<Self, SentimentError> {
        if path.is_dir() {
            return Err(SentimentError::NoText { path: path.to_owned(), found: FileKind::Folder });
        }
        let file = File::open(path).map_err(SentimentError::io("open", path))?;
        let mut source = BufReader::with_capacity(BUFFER, file);
        let start = source.fill_buf().map_err(SentimentError::io("read", path))?;
        let found = FileKind::of(start);
        if !found.is_text() && found != FileKind::Empty {
            return Err(SentimentError::NoText { path: path.to_owned(), found });
        }
        Ok(Self { source, position: Rc::default() })
    }

    /// The number of bytes read so far, kept up to date.
    pub(crate) fn position(&self) -> Rc<Cell<u64>> {
        Rc::clone(&self.position)
    }
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
