//! Lines of standard input, each with its number, and reading a line as JSON.

use std::io::BufRead;

use anyhow::{Context, Result};
use serde::de::DeserializeOwned;

/// The lines of stdin that are not blank, with their numbers from 1.
pub(crate) fn lines() -> impl Iterator<Item = Result<(usize, String)>> {
    std::io::stdin().lock().lines().enumerate().filter_map(|(i, line)| {
        let number = i + 1;
        match line.with_context(|| format!("stdin, line {number}: could not be read as text")) {
            Ok(line) if line.trim().is_empty() => None,
            Ok(line) => Some(Ok((number, line))),
            Err(error) => Some(Err(error)),
        }
    })
}

/// A line of JSON as a `T`; `expected` names its form in the error.
pub(crate) fn parse<T: DeserializeOwned>(number: usize, line: &str, expected: &str) -> Result<T> {
    serde_json::from_str(line).with_context(|| {
        format!("stdin, line {number}: expected {expected}, found `{}`", cut(line))
    })
}

/// The start of a text, for messages.
pub(crate) fn cut(text: &str) -> String {
    const LONGEST: usize = 120;
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    let start: String = text.chars().take(LONGEST).collect();
    format!("{start}…")
}

#[cfg(test)]
mod tests {
    use super::{cut, parse};

    #[test]
    fn a_bad_line_is_named() {
        let error = parse::<Vec<f64>>(7, "{}", "an array of rewards").unwrap_err().to_string();
        assert_eq!(error, "stdin, line 7: expected an array of rewards, found `{}`");
        assert!(cut(&"x".repeat(500)).len() < 200);
    }
}
