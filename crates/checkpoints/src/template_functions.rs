//! The functions and filters that transformers gives to chat templates.

use std::error::Error as _;
use std::fmt;
use std::ops::Range;

use minijinja::value::{Kwargs, Value, ValueKind};
use minijinja::{Error, ErrorKind};

/// Deepest nesting that `tojson` follows.
const MAX_DEPTH: usize = 100;

/// A template's own refusal, as opposed to a failure.
#[derive(Debug)]
struct Refused(String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

pub(crate) fn raise_exception(message: String) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, message.clone()).with_source(Refused(message)))
}

/// The message of `raise_exception`, if that is what an error comes from.
pub(crate) fn refusal(error: &Error) -> Option<String> {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(Refused(message)) = error.downcast_ref() {
            return Some(message.clone());
        }
        source = error.source();
    }
    None
}

/// The current date and time (UTC) in a `strftime` format.
#[expect(clippy::needless_pass_by_value, reason = "the template engine hands over owned arguments")]
pub(crate) fn strftime_now(format: String) -> Result<String, Error> {
    jiff::fmt::strtime::format(&format, &jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC))
        .map_err(|e| {
            Error::new(ErrorKind::InvalidOperation, format!("strftime_now({format:?}): {e}"))
        })
}

/// JSON as Python's `json.dumps(ensure_ascii=False)` writes it; `indent` is honoured.
#[expect(clippy::needless_pass_by_value, reason = "the template engine hands over owned arguments")]
pub(crate) fn tojson(value: Value, options: Kwargs) -> Result<Value, Error> {
    let indent: Option<usize> = options.get("indent")?;
    let mut out = String::new();
    write_json(&value, indent, 0, &mut out)?;
    Ok(Value::from_safe_string(out))
}

fn write_json(
    value: &Value,
    indent: Option<usize>,
    depth: usize,
    out: &mut String,
) -> Result<(), Error> {
    if depth > MAX_DEPTH {
        return Err(Error::new(ErrorKind::InvalidOperation, "tojson: nested too deeply"));
    }
    match value.kind() {
        ValueKind::Undefined | ValueKind::None => out.push_str("null"),
        ValueKind::Bool => out.push_str(if value.is_true() { "true" } else { "false" }),
        ValueKind::Number => out.push_str(&value.to_string()),
        ValueKind::Map => {
            let keys: Vec<Value> = value.try_iter()?.collect();
            write_items(keys, ('{', '}'), indent, depth, out, |key, out| {
                let item = value.get_item(key)?;
                write_string(&key.to_string(), out);
                out.push_str(": ");
                write_json(&item, indent, depth + 1, out)
            })?;
        }
        ValueKind::Seq | ValueKind::Iterable => {
            let items: Vec<Value> = value.try_iter()?.collect();
            write_items(items, ('[', ']'), indent, depth, out, |item, out| {
                write_json(item, indent, depth + 1, out)
            })?;
        }
        _ => write_string(&value.to_string(), out),
    }
    Ok(())
}

fn write_items(
    items: Vec<Value>,
    (open, close): (char, char),
    indent: Option<usize>,
    depth: usize,
    out: &mut String,
    mut write: impl FnMut(&Value, &mut String) -> Result<(), Error>,
) -> Result<(), Error> {
    let new_line = |depth: usize, out: &mut String| {
        if let Some(indent) = indent {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent * depth));
        }
    };
    out.push(open);
    let empty = items.is_empty();
    for (i, item) in items.into_iter().enumerate() {
        if i > 0 {
            out.push_str(if indent.is_some() { "," } else { ", " });
        }
        new_line(depth + 1, out);
        write(&item, out)?;
    }
    if !empty {
        new_line(depth, out);
    }
    out.push(close);
    Ok(())
}

fn write_string(text: &str, out: &mut String) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

/// The filter that marks both ends of what it is given.
pub(crate) const MARK_FILTER: &str = "mark_generation";
/// Code points that no text has: Unicode reserves them for a program's own use.
const OPEN: char = '\u{FDD0}';
const CLOSE: char = '\u{FDD1}';

#[expect(clippy::needless_pass_by_value, reason = "the template engine hands over owned arguments")]
pub(crate) fn mark(text: String) -> String {
    format!("{OPEN}{text}{CLOSE}")
}

/// The text without marks and the byte ranges between them; `None` if they do not alternate.
pub(crate) fn take_marks(marked: &str) -> Option<(String, Vec<Range<usize>>)> {
    let (mut text, mut ranges) = (String::with_capacity(marked.len()), Vec::new());
    let mut open = None;
    for character in marked.chars() {
        match (character, open) {
            (OPEN, None) => open = Some(text.len()),
            (CLOSE, Some(start)) => {
                ranges.push(start..text.len());
                open = None;
            }
            (OPEN | CLOSE, _) => return None,
            (other, _) => text.push(other),
        }
    }
    open.is_none().then_some((text, ranges))
}

/// The source with `generation` blocks, by which transformers marks the assistant's part, replaced
/// by other blocks, with the same treatment of white space.
pub(crate) fn replace_generation_blocks(source: &str, open: &str, close: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("{%") {
        let Some(length) = rest[start..].find("%}") else { break };
        let tag = &rest[start..start + length + 2];
        let word = tag[2..tag.len() - 2]
            .trim_start_matches(['-', '+'])
            .trim_end_matches(['-', '+'])
            .trim();
        out.push_str(&rest[..start]);
        match word {
            "generation" => out.push_str(&tag.replacen("generation", open, 1)),
            "endgeneration" => out.push_str(&tag.replacen("endgeneration", close, 1)),
            _ => out.push_str(tag),
        }
        rest = &rest[start + length + 2..];
    }
    out + rest
}
