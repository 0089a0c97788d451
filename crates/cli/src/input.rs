//! Lines of standard input, each with its number, and reading a line as JSON.

use std::io::BufRead;

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;

use crate::console::Usage;

/// The lines of stdin that are not blank, with their numbers from 1.
pub(crate) fn lines() -> impl Iterator<Item = Result<(usize, String)>> {
    lines_of(std::io::stdin().lock(), "stdin")
}

/// The lines of `source` that are not blank, with their numbers from 1; `name` stands in errors.
pub(crate) fn lines_of(
    source: impl BufRead,
    name: &str,
) -> impl Iterator<Item = Result<(usize, String)>> {
    source.lines().enumerate().filter_map(move |(i, line)| {
        let number = i + 1;
        match line.with_context(|| format!("{name}, line {number}: could not be read as text")) {
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

/// Refuses an output that is one of the inputs, which opening it would empty.
pub(crate) fn keep_apart<'a>(out: &Path, inputs: impl IntoIterator<Item = &'a Path>) -> Result<()> {
    let Ok(there) = out.canonicalize() else { return Ok(()) };
    for input in inputs {
        if input.canonicalize().is_ok_and(|input| input == there) {
            let path = out.display();
            bail!(Usage(format!("{path} is read and would be overwritten; write to another file")));
        }
    }
    Ok(())
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
