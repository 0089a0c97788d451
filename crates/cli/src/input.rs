//! Lines of standard input, each with its number, and reading a line as JSON.

use std::io::{BufRead, Read as _};

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;

use crate::console::Usage;

/// Longest line that is read, in bytes.
const LONGEST_LINE: u64 = 64 << 20;

/// The lines of stdin that are not blank, with their numbers from 1.
pub(crate) fn lines() -> impl Iterator<Item = Result<(usize, String)>> {
    lines_of(std::io::stdin().lock(), "stdin")
}

/// The lines of `source` that are not blank, with their numbers from 1; `name` stands in errors.
pub(crate) fn lines_of(
    mut source: impl BufRead,
    name: &str,
) -> impl Iterator<Item = Result<(usize, String)>> {
    let mut number = 0;
    let mut ended = false;
    std::iter::from_fn(move || {
        while !ended {
            number += 1;
            match line_of(&mut source) {
                Ok(None) => ended = true,
                Ok(Some(line)) if line.trim().is_empty() => {}
                Ok(Some(line)) => return Some(Ok((number, line))),
                Err(error) => {
                    ended = true;
                    return Some(Err(
                        error.context(format!("{name}, line {number}: could not be read as text"))
                    ));
                }
            }
        }
        None
    })
}

/// The next line without its end; `None` at the end of the source.
fn line_of(source: &mut impl BufRead) -> Result<Option<String>> {
    let mut bytes = Vec::new();
    source.by_ref().take(LONGEST_LINE + 1).read_until(b'\n', &mut bytes)?;
    if bytes.len() as u64 > LONGEST_LINE {
        bail!("it is longer than {} MiB; one JSON value a line is expected", LONGEST_LINE >> 20);
    }
    if bytes.is_empty() {
        return Ok(None);
    }
    let line = String::from_utf8(bytes)?;
    Ok(Some(line.trim_end_matches(['\r', '\n']).to_owned()))
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
    use super::{LONGEST_LINE, cut, lines_of, parse};

    #[test]
    fn lines_are_numbered_and_bounded() {
        let read = |bytes: &[u8]| -> Vec<String> {
            lines_of(bytes, "here")
                .map(|line| match line {
                    Ok((number, line)) => format!("{number} {line}"),
                    Err(error) => error.to_string(),
                })
                .collect()
        };
        assert_eq!(read(b"a\r\n\n b\nc"), ["1 a", "3  b", "4 c"]);
        assert_eq!(read(b"a\n\xff\nb"), ["1 a", "here, line 2: could not be read as text"]);
        let endless = std::io::BufReader::new(std::io::repeat(b'x'));
        let error = lines_of(endless, "here").next().unwrap().unwrap_err();
        assert!(format!("{error:#}").contains("longer than 64 MiB"), "{LONGEST_LINE}: {error:#}");
    }

    #[test]
    fn a_bad_line_is_named() {
        let error = parse::<Vec<f64>>(7, "{}", "an array of rewards").unwrap_err().to_string();
        assert_eq!(error, "stdin, line 7: expected an array of rewards, found `{}`");
        assert!(cut(&"x".repeat(500)).len() < 200);
    }
}
