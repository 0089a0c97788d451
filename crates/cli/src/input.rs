//! Lines of standard input, each with its number, and reading a line as JSON.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use bestof_files::peek;
use bestof_tasks::rows::{OnBadRow, ReadOptions};
use serde::de::DeserializeOwned;

use crate::console::Usage;

/// The longest line that is read, in bytes.
const LONGEST_LINE: u64 = 64 << 20;

/// The lines of stdin that are not blank, with their numbers from 1.
///
/// # Errors
/// Standard input is empty, or no text by its first bytes.
pub(crate) fn lines() -> Result<impl Iterator<Item = Result<(usize, String)>>> {
    lines_of(std::io::stdin().lock(), "stdin", "standard input")
}

/// The lines of `source` that are not blank, with their numbers from 1. In errors it is `name`, and
/// as a whole `whole`.
///
/// # Errors
/// The source is empty, or no text by its first bytes.
pub(crate) fn lines_of(
    source: impl Read,
    name: &str,
    whole: &str,
) -> Result<impl Iterator<Item = Result<(usize, String)>>> {
    let (kind, source) = peek(source).with_context(|| format!("could not read {whole}"))?;
    ensure!(kind.is_text(), "{whole} is {kind}");
    let mut source = BufReader::new(source);
    let lines = (1..).map_while(move |number| {
        let line = line(&mut source)
            .with_context(|| format!("{name}, line {number}: could not be read as text"));
        line.transpose().map(|line| line.map(|line| (number, line)))
    });
    Ok(lines.filter(|line| !line.as_ref().is_ok_and(|(_, line)| line.trim().is_empty())))
}

/// The next line; `None` at the end.
fn line(source: &mut impl BufRead) -> Result<Option<String>> {
    let mut line = String::new();
    if source.by_ref().take(LONGEST_LINE + 1).read_line(&mut line)? == 0 {
        return Ok(None);
    }
    ensure!(line.len() as u64 <= LONGEST_LINE, "it is longer than {LONGEST_LINE} bytes");
    line.truncate(line.trim_end_matches(['\r', '\n']).len());
    Ok(Some(line))
}

/// How rows are read with or without `--skip-bad-rows`.
pub(crate) fn read_options(skip_bad_rows: bool) -> ReadOptions {
    let on_bad_row = if skip_bad_rows { OnBadRow::Skip } else { OnBadRow::Refuse };
    ReadOptions::default().on_bad_row(on_bad_row)
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
