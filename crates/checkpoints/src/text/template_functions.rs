//! The functions, filters and tests of chat templates, where the engine's are not those of jinja2 or
//! of transformers.

use std::error::Error as _;
use std::fmt;
use std::ops::Range;

use minijinja::formatting::{self, FormatStyle};
use minijinja::value::{Kwargs, Rest, Value, ValueKind};
use minijinja::{Error, ErrorKind, Output, State};

use super::template_text::{Paid, brief, message};

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
        if let Some(Refused(text)) = error.downcast_ref() {
            return Some(message(text));
        }
        source = error.source();
    }
    None
}

/// Writes a value into the output. Lists and dicts are paid for as they are written: one that holds
/// another twice doubles its text with every level.
pub(crate) fn write(
    out: &mut Output<'_>,
    state: &mut State<'_, '_>,
    value: &Value,
) -> Result<(), Error> {
    if matches!(
        value.kind(),
        ValueKind::Seq | ValueKind::Map | ValueKind::Iterable | ValueKind::Plain
    ) {
        state.consume_fuel(value.len().unwrap_or(0) as u64)?;
        let mut text = Paid::new(state);
        text.push(value)?;
        return out.write_str(&text.into_text()).map_err(Error::from);
    }
    minijinja::escape_formatter(out, state, value)
}

/// The current date and time (UTC) in a `strftime` format.
#[expect(clippy::needless_pass_by_value, reason = "the template engine hands over owned arguments")]
pub(crate) fn strftime_now(state: &State<'_, '_>, format: String) -> Result<String, Error> {
    // A directive writes up to 64 bytes for each of its own: a width has three digits at most.
    state.consume_fuel(format.len() as u64)?;
    jiff::fmt::strtime::format(&format, &jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC))
        .map_err(|e| {
            Error::new(
                ErrorKind::InvalidOperation,
                format!("strftime_now({:?}): {e}", brief(&format)),
            )
        })
}

/// `value % arguments` of a text: several arguments in a tuple, or one.
#[expect(clippy::needless_pass_by_value, reason = "the template engine hands over owned arguments")]
pub(crate) fn percent_format(
    state: &State<'_, '_>,
    text: Value,
    arguments: Value,
) -> Result<Value, Error> {
    let Some(format) = text.as_str() else {
        return Err(Error::new(ErrorKind::InvalidOperation, "% formats texts"));
    };
    let arguments: Vec<Value> =
        if arguments.is_tuple() { arguments.try_iter()?.collect() } else { vec![arguments] };
    pay_for_widths(state, format, &arguments)?;
    formatting::format(FormatStyle::Printf, format, &arguments).map(Value::from)
}

/// Pays for a format's text, with as many bytes as its numbers and, where they may be widths too, its arguments say.
pub(crate) fn pay_for_widths(
    state: &State<'_, '_>,
    format: &str,
    arguments: &[Value],
) -> Result<(), Error> {
    let numbers = format.split(|c: char| !c.is_ascii_digit()).filter(|run| !run.is_empty());
    let mut bytes = format.len() as u64;
    for number in numbers {
        // One that is too long for a number is too wide.
        bytes = bytes.saturating_add(number.parse().unwrap_or(u64::MAX));
    }
    // `%*d` and `{:>{}}`.
    if format.contains('*')
        || format.split('{').any(|part| part.contains(':') && !part.contains('}'))
    {
        for argument in arguments.iter().filter_map(Value::as_i64) {
            bytes = bytes.saturating_add(argument.unsigned_abs());
        }
    }
    state.consume_fuel(bytes / 64)
}

/// `default(value, default_value='', boolean=false)`.
#[expect(clippy::needless_pass_by_value, reason = "the template engine hands over owned arguments")]
pub(crate) fn default(value: Value, given: Rest<Value>, named: Kwargs) -> Result<Value, Error> {
    if given.len() > 2 {
        return Err(Error::from(ErrorKind::TooManyArguments));
    }
    let argument = |at: usize, name: &'static str| match given.get(at) {
        Some(value) => Ok(Some(value.clone())),
        None => named.get::<Option<Value>>(name),
    };
    let other = argument(0, "default_value")?.unwrap_or_else(|| Value::from(""));
    let boolean = argument(1, "boolean")?.is_some_and(|boolean| boolean.is_true());
    named.assert_all_used()?;
    Ok(if value.is_undefined() || boolean && !value.is_true() { other } else { value })
}

/// What a loop runs over: of a text its characters.
pub(crate) fn loop_items(state: &State<'_, '_>, value: Value) -> Result<Value, Error> {
    let Some(text) = value.as_str() else { return Ok(value) };
    state.consume_fuel((text.chars().count() / 2) as u64)?;
    Ok(text.chars().map(|c| Value::from(c.to_string())).collect())
}

/// Whether Python has an iterator for a value: none is not iterable, undefined is.
pub(crate) fn is_iterable(value: &Value) -> bool {
    !value.is_none() && value.try_iter().is_ok()
}

/// Whether a value has a length and elements by index or key, which texts and dicts have too.
pub(crate) fn is_sequence(value: &Value) -> bool {
    matches!(
        value.kind(),
        ValueKind::Seq | ValueKind::Map | ValueKind::String | ValueKind::Undefined
    )
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
