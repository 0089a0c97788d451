//! Texts of values whose length nobody knows beforehand.

use std::fmt::{self, Write as _};

use minijinja::value::Value;
use minijinja::{Error, State};

/// Characters of a value that an error shows.
const SHOWN: usize = 80;
/// Characters of an engine's or a template's message.
const MESSAGE: usize = 600;

/// The start of a value's text, for an error.
pub(crate) fn brief(value: impl fmt::Display) -> String {
    start(value, SHOWN)
}

/// The start of a message.
pub(crate) fn message(text: impl fmt::Display) -> String {
    start(text, MESSAGE)
}

fn start(value: impl fmt::Display, length: usize) -> String {
    struct Start {
        text: String,
        left: usize,
    }
    impl fmt::Write for Start {
        fn write_str(&mut self, part: &str) -> fmt::Result {
            for c in part.chars() {
                self.left = self.left.checked_sub(1).ok_or(fmt::Error)?;
                self.text.push(c);
            }
            Ok(())
        }
    }
    let mut start = Start { text: String::new(), left: length };
    if write!(start, "{value}").is_err() {
        start.text.push('…');
    }
    start.text
}

/// A text that is paid for as it grows: one step for 64 bytes.
pub(crate) struct Paid<'a, 'b, 'c> {
    state: &'a State<'b, 'c>,
    text: String,
    unpaid: usize,
    refused: Option<Error>,
}

impl<'a, 'b, 'c> Paid<'a, 'b, 'c> {
    pub(crate) fn new(state: &'a State<'b, 'c>) -> Self {
        Self { state, text: String::new(), unpaid: 0, refused: None }
    }

    /// Appends what a value looks like.
    pub(crate) fn push(&mut self, value: &Value) -> Result<(), Error> {
        let written = write!(self, "{value}");
        match (self.refused.take(), written) {
            (Some(error), _) => Err(error),
            (None, written) => written.map_err(Error::from),
        }
    }

    pub(crate) fn into_text(self) -> String {
        self.text
    }
}

impl fmt::Write for Paid<'_, '_, '_> {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        self.unpaid += part.len();
        if self.unpaid >= 64 {
            if let Err(error) = self.state.consume_fuel((self.unpaid / 64) as u64) {
                self.refused = Some(error);
                return Err(fmt::Error);
            }
            self.unpaid %= 64;
        }
        self.text.push_str(part);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_ends() {
        assert_eq!(brief("short"), "short");
        assert_eq!(brief("é".repeat(81)), "é".repeat(80) + "…");
        // 2^60 numbers.
        let doubled =
            (0..60).fold(Value::from(1), |value, _| Value::from(vec![value.clone(), value]));
        assert_eq!(brief(doubled).chars().count(), 81);
    }
}
