//! The elements of a JSON array, one at a time.

use std::io::{self, BufRead};

use super::json::Json;
use super::lines::without_position;
use super::problem::RowProblem;
use super::record::{Next, Record};

/// The elements of the array that a source is; one of them is in memory at a time.
#[derive(Debug)]
pub(super) struct Array<B> {
    source: B,
    max_bytes: usize,
    /// Line of the next byte, from 1.
    line: usize,
    element: Vec<u8>,
    place: Place,
}

/// Where in the array the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Before,
    First,
    AfterComma,
    AfterElement,
    Behind,
    Ended,
}

impl<B: BufRead> Array<B> {
    pub(super) fn new(source: B, max_bytes: usize) -> Self {
        Self { source, max_bytes, line: 1, element: Vec::new(), place: Place::Before }
    }

    /// The next element with the line on which it begins.
    pub(super) fn advance(&mut self) -> io::Result<Option<Next>> {
        loop {
            if self.place == Place::Ended {
                return Ok(None);
            }
            let Some(byte) = self.peek()? else {
                let cut = self.place != Place::Behind;
                self.place = Place::Ended;
                let message = "the array does not end; is the file whole?";
                return Ok(cut.then(|| self.malformed(message)));
            };
            let next = match (self.place, byte) {
                (_, b' ' | b'\t' | b'\r' | b'\n') | (Place::Before, 0xef | 0xbb | 0xbf) => {
                    self.place
                }
                (Place::Before, b'[') => Place::First,
                (Place::First | Place::AfterElement, b']') => Place::Behind,
                (Place::AfterElement, b',') => Place::AfterComma,
                (Place::First | Place::AfterComma, _) if !b",]".contains(&byte) => {
                    self.place = Place::AfterElement;
                    return self.element().map(Some);
                }
                _ => {
                    // What follows cannot be told apart into elements.
                    self.place = Place::Ended;
                    let found = char::from(byte);
                    return Ok(Some(self.malformed(&format!(
                        "found {found:?} where a comma, an element or the end of the array was expected"
                    ))));
                }
            };
            self.place = next;
            self.skip(byte);
        }
    }

    fn malformed(&self, message: &str) -> Next {
        (self.line, Err(RowProblem::NotJson { column: 1, message: message.to_owned() }))
    }

    fn peek(&mut self) -> io::Result<Option<u8>> {
        loop {
            match self.source.fill_buf() {
                Ok(bytes) => return Ok(bytes.first().copied()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn skip(&mut self, byte: u8) {
        self.line += usize::from(byte == b'\n');
        self.source.consume(1);
    }

    /// Reads an element up to the comma or bracket behind it.
    fn element(&mut self) -> io::Result<Next> {
        self.element.clear();
        let (start, mut fits) = (self.line, true);
        let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
        'reading: while self.peek()?.is_some() {
            let bytes = self.source.fill_buf()?;
            let mut taken = 0;
            let mut ended = false;
            for &byte in bytes {
                match byte {
                    _ if escaped => escaped = false,
                    b'\\' if in_text => escaped = true,
                    b'"' => in_text = !in_text,
                    _ if in_text => {}
                    b'{' | b'[' => depth += 1,
                    b',' | b']' | b'}' if depth == 0 => {
                        ended = true;
                        break;
                    }
                    b'}' | b']' => depth -= 1,
                    _ => {}
                }
                self.line += usize::from(byte == b'\n');
                taken += 1;
            }
            fits = fits && self.element.len() + taken <= self.max_bytes;
            if fits {
                self.element.extend_from_slice(&bytes[..taken]);
            }
            self.source.consume(taken);
            if ended {
                break 'reading;
            }
        }
        if !fits {
            return Ok((start, Err(RowProblem::TooLong { limit: self.max_bytes })));
        }
        Ok(self.parse(start))
    }

    fn parse(&self, start: usize) -> Next {
        match serde_json::from_slice::<Json>(&self.element) {
            Ok(value) => (start, Ok(Record::of(value))),
            Err(error) => {
                let problem = match std::str::from_utf8(&self.element) {
                    Err(error) => {
                        RowProblem::InvalidUtf8 { byte: error.valid_up_to() + 1, utf16: false }
                    }
                    Ok(_) => RowProblem::NotJson {
                        column: error.column(),
                        message: without_position(&error),
                    },
                };
                (start + error.line().saturating_sub(1), Err(problem))
            }
        }
    }
}
