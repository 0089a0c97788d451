//! Lines of JSON, with a bound on the length of a line.

use std::io::{self, BufRead};

use super::json::Json;
use super::problem::RowProblem;
use super::record::{Next, Record};

/// The lines of a source, one JSON value each.
///
/// Blank lines, a byte order mark and carriage returns before a line's end are skipped.
#[derive(Debug)]
pub(super) struct Lines<B> {
    source: B,
    max_bytes: usize,
    line: usize,
    buffer: Vec<u8>,
}

impl<B: BufRead> Lines<B> {
    pub(super) fn new(source: B, max_bytes: usize) -> Self {
        Self { source, max_bytes, line: 0, buffer: Vec::new() }
    }

    /// The next line that is not blank.
    pub(super) fn advance(&mut self) -> io::Result<Option<Next>> {
        loop {
            let Some(fits) = self.next_line()? else { return Ok(None) };
            self.line += 1;
            if !fits {
                let problem = RowProblem::TooLong { limit: self.max_bytes };
                return Ok(Some((self.line, Err(problem))));
            }
            match self.parse() {
                Ok(None) => {}
                Ok(Some(record)) => return Ok(Some((self.line, Ok(record)))),
                Err(problem) => return Ok(Some((self.line, Err(problem)))),
            }
        }
    }

    /// Fills the buffer with the next line; `Ok(None)` at the end, `Ok(Some(false))` for a line
    /// that is too long and was skipped.
    fn next_line(&mut self) -> io::Result<Option<bool>> {
        self.buffer.clear();
        let mut fits = true;
        loop {
            let available = match self.source.fill_buf() {
                Ok(available) => available,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if available.is_empty() {
                let ended = self.buffer.is_empty() && fits;
                return Ok(if ended { None } else { Some(fits) });
            }
            let end = available.iter().position(|&byte| byte == b'\n');
            let piece = &available[..end.unwrap_or(available.len())];
            fits = fits && self.buffer.len() + piece.len() <= self.max_bytes;
            if fits {
                self.buffer.extend_from_slice(piece);
            }
            let consumed = piece.len() + usize::from(end.is_some());
            self.source.consume(consumed);
            if end.is_some() {
                return Ok(Some(fits));
            }
        }
    }

    fn parse(&self) -> Result<Option<Record>, RowProblem> {
        let mut bytes = self.buffer.as_slice();
        if self.line == 1 {
            bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        }
        let text = std::str::from_utf8(bytes).map_err(|error| RowProblem::InvalidUtf8 {
            byte: error.valid_up_to() + 1,
            utf16: bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff"),
        })?;
        let text = text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        let value: Json = serde_json::from_str(text).map_err(|error| RowProblem::NotJson {
            column: error.column(),
            message: without_position(&error),
        })?;
        Ok(Some(Record::of(value)))
    }
}

/// The JSON reader's message without its own position.
pub(super) fn without_position(error: &serde_json::Error) -> String {
    let message = error.to_string();
    message.rsplit_once(" at line ").map_or(message.clone(), |(start, _)| start.to_owned())
}
