//! Methods of Python's strings, dicts and lists, as far as jinja2's sandbox lets a template call
//! them: those that change a value are not there.
//!
//! What is not here is answered by `minijinja_contrib::pycompat`.

use std::ops::Range;

use minijinja::value::{Kwargs, Tuple, Value, ValueKind, from_args};
use minijinja::{Error, ErrorKind, State};
use minijinja_contrib::pycompat;

use super::template_functions::pay_for_widths;
use super::template_text::{Paid, brief};

/// The method of a value that has none of this name itself.
pub(crate) fn call(
    state: &mut State<'_, '_>,
    value: &Value,
    method: &str,
    args: &[Value],
) -> Result<Value, Error> {
    // Reading costs as much as writing: a step for 64 bytes.
    let read = |value: &Value| value.as_str().map_or(0, str::len);
    charge(state, read(value) + args.iter().map(read).sum::<usize>())?;
    let own = match (value.as_str(), value.kind()) {
        (Some(text), _) => of_text(state, text, method, args)?,
        (None, ValueKind::Map | ValueKind::Seq) if method == "copy" => {
            bind::<0>(args, [])?;
            Some(value.clone())
        }
        (None, ValueKind::Seq) if method == "index" => {
            let [wanted] = bind(args, ["value"])?;
            let wanted = wanted.ok_or_else(|| missing("value"))?;
            charge_items(state, value.len().unwrap_or(0))?;
            let at = value.try_iter()?.position(|item| item == wanted);
            let absent = || wrong(format!("{} is not in the list", brief(&wanted)));
            Some(Value::from(at.ok_or_else(absent)?))
        }
        _ => None,
    };
    match own {
        Some(result) => Ok(result),
        None => pycompat::unknown_method_callback(state, value, method, args),
    }
}

fn of_text(
    state: &State<'_, '_>,
    text: &str,
    method: &str,
    args: &[Value],
) -> Result<Option<Value>, Error> {
    Ok(Some(match method {
        "split" | "rsplit" => split(state, text, method == "rsplit", args)?,
        "splitlines" => {
            let [keep_ends] = bind(args, ["keepends"])?;
            charge_items(state, lines(text, true).count())?;
            lines(text, keep_ends.is_some_and(|keep| keep.is_true())).map(Value::from).collect()
        }
        "partition" | "rpartition" => {
            let [separator] = texts(args, ["sep"])?;
            let separator = nonempty(separator.ok_or_else(|| missing("sep"))?)?;
            let last = method == "rpartition";
            let at = if last { text.rfind(&separator) } else { text.find(&separator) };
            let parts = match at {
                Some(at) => [&text[..at], &separator, &text[at + separator.len()..]],
                None if last => ["", "", text],
                None => [text, "", ""],
            };
            Value::from(Tuple::from(parts.map(Value::from)))
        }
        "strip" | "lstrip" | "rstrip" => {
            let [set] = texts(args, ["chars"])?;
            let stripped =
                |c: char| set.as_ref().map_or_else(|| is_space(c), |set| set.contains(c));
            let left = if method == "rstrip" { text } else { text.trim_start_matches(stripped) };
            Value::from(if method == "lstrip" { left } else { left.trim_end_matches(stripped) })
        }
        "removeprefix" => {
            let [part] = texts(args, ["prefix"])?;
            let part = part.ok_or_else(|| missing("prefix"))?;
            Value::from(text.strip_prefix(&*part).unwrap_or(text))
        }
        "removesuffix" => {
            let [part] = texts(args, ["suffix"])?;
            let part = part.ok_or_else(|| missing("suffix"))?;
            Value::from(text.strip_suffix(&*part).unwrap_or(text))
        }
        "find" | "rfind" | "index" | "rindex" | "count" => search(text, method, args)?,
        "startswith" | "endswith" => {
            let [part, start, end] = bind(args, ["prefix", "start", "end"])?;
            let part = part.ok_or_else(|| missing("prefix"))?;
            let slice = slice(text, whole(start.as_ref())?, whole(end.as_ref())?);
            let ends = |part: &Value| -> Result<bool, Error> {
                let (text, part) =
                    (slice.as_ref().map(|range| &text[range.clone()]), string(part)?);
                Ok(text.is_some_and(|text| match method {
                    "startswith" => text.starts_with(&part),
                    _ => text.ends_with(&part),
                }))
            };
            Value::from(if part.as_str().is_some() {
                ends(&part)?
            } else {
                part.try_iter()?
                    .map(|part| ends(&part))
                    .collect::<Result<Vec<_>, _>>()?
                    .contains(&true)
            })
        }
        "ljust" | "rjust" | "center" | "zfill" => pad(state, text, method, args)?,
        "format" => {
            pay_for_widths(state, text, args)?;
            return Ok(None);
        }
        "join" => {
            let [items] = bind(args, ["iterable"])?;
            join(state, text, &items.ok_or_else(|| missing("iterable"))?)?
        }
        "expandtabs" => {
            let [size] = bind(args, ["tabsize"])?;
            expand_tabs(state, text, whole(size.as_ref())?.unwrap_or(8))?
        }
        _ => return of_characters(text, method, args),
    }))
}

/// Methods without arguments, on case and kinds of characters.
fn of_characters(text: &str, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    let no_arguments = || bind::<0>(args, []);
    let all = |test: fn(char) -> bool| -> Result<Value, Error> {
        no_arguments()?;
        Ok(Value::from(!text.is_empty() && text.chars().all(test)))
    };
    Ok(Some(match method {
        "swapcase" => {
            no_arguments()?;
            let swap = |c: char| -> String {
                if c.is_uppercase() {
                    c.to_lowercase().collect()
                } else {
                    c.to_uppercase().collect()
                }
            };
            Value::from(text.chars().map(swap).collect::<String>())
        }
        "casefold" => {
            no_arguments()?;
            Value::from(text.to_lowercase().replace('ß', "ss").replace('ς', "σ"))
        }
        "title" => {
            no_arguments()?;
            Value::from(title(text))
        }
        "isdecimal" => all(|c| c.is_ascii_digit())?,
        "isspace" => all(is_space)?,
        "isprintable" => {
            no_arguments()?;
            Value::from(text.chars().all(|c| c == ' ' || !c.is_control() && !is_space(c)))
        }
        "isidentifier" => {
            no_arguments()?;
            let mut chars = text.chars();
            let first = chars.next().is_some_and(|c| c == '_' || c.is_alphabetic());
            Value::from(first && chars.all(|c| c == '_' || c.is_alphanumeric()))
        }
        "istitle" => {
            no_arguments()?;
            Value::from(text.chars().any(char::is_alphabetic) && title(text) == text)
        }
        _ => return Ok(None),
    }))
}

/// The arguments by their names in Python, given in order or by name.
fn bind<const N: usize>(args: &[Value], names: [&str; N]) -> Result<[Option<Value>; N], Error> {
    let (positional, named): (&[Value], Kwargs) = from_args(args)?;
    if positional.len() > N {
        return Err(Error::from(ErrorKind::TooManyArguments));
    }
    let mut bound = [const { None }; N];
    for (at, slot) in bound.iter_mut().enumerate() {
        let value = match positional.get(at) {
            Some(value) => Some(value.clone()),
            None => named.get::<Option<Value>>(names[at])?,
        };
        *slot = value.filter(|value| !value.is_none());
    }
    named.assert_all_used()?;
    Ok(bound)
}

fn texts<const N: usize>(args: &[Value], names: [&str; N]) -> Result<[Option<String>; N], Error> {
    let mut texts = [const { None }; N];
    for (slot, value) in texts.iter_mut().zip(bind(args, names)?) {
        *slot = value.map(|value| string(&value)).transpose()?;
    }
    Ok(texts)
}

fn string(value: &Value) -> Result<String, Error> {
    let found = || wrong(format!("expected a text, found {} ({})", value.kind(), brief(value)));
    value.as_str().map(str::to_owned).ok_or_else(found)
}

fn whole(value: Option<&Value>) -> Result<Option<i64>, Error> {
    value.map(|value| i64::try_from(value.clone())).transpose()
}

fn wrong(message: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}

fn missing(name: &str) -> Error {
    Error::new(ErrorKind::MissingArgument, name.to_owned())
}

fn nonempty(separator: String) -> Result<String, Error> {
    if separator.is_empty() { Err(wrong("empty separator".to_owned())) } else { Ok(separator) }
}

/// White space as Python sees it.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

fn split(
    state: &State<'_, '_>,
    text: &str,
    from_right: bool,
    args: &[Value],
) -> Result<Value, Error> {
    let [separator, most] = bind(args, ["sep", "maxsplit"])?;
    let most = whole(most.as_ref())?.and_then(|most| usize::try_from(most).ok());
    // Python counts splits, Rust counts parts.
    let parts = most.map_or(usize::MAX, |most| most.saturating_add(1));
    let mut found: Vec<&str> = if let Some(separator) = separator {
        let separator = nonempty(string(&separator)?)?;
        charge_items(state, text.matches(separator.as_str()).count().min(parts))?;
        if from_right {
            text.rsplitn(parts, separator.as_str()).collect()
        } else {
            text.splitn(parts, separator.as_str()).collect()
        }
    } else {
        charge_items(state, text.split(is_space).count().min(parts))?;
        words(text, from_right, parts)
    };
    if from_right {
        found.reverse();
    }
    Ok(found.into_iter().map(Value::from).collect())
}

/// Words between runs of white space, at most `parts`, the last one with the rest, which keeps the
/// white space at its far end as in Python.
fn words(text: &str, from_right: bool, parts: usize) -> Vec<&str> {
    let trimmed = |text: &str| -> usize {
        let kept = if from_right {
            text.trim_end_matches(is_space)
        } else {
            text.trim_start_matches(is_space)
        };
        kept.len()
    };
    let near = |text| -> &str {
        let text: &str = text;
        if from_right { &text[..trimmed(text)] } else { &text[text.len() - trimmed(text)..] }
    };
    let mut rest = near(text);
    let mut words = Vec::new();
    while !rest.is_empty() {
        let at = if from_right { rest.rfind(is_space) } else { rest.find(is_space) };
        let Some(at) = at.filter(|_| words.len() + 1 < parts) else {
            words.push(rest);
            break;
        };
        if from_right {
            words.push(rest[at..].trim_start_matches(is_space));
            rest = near(&rest[..at]);
        } else {
            words.push(&rest[..at]);
            rest = near(&rest[at..]);
        }
    }
    words
}

/// Lines by all ends that Python knows.
fn lines(text: &str, keep_ends: bool) -> impl Iterator<Item = &str> {
    let is_end = |c: char| {
        matches!(
            c,
            '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'
                ..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}'
        )
    };
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = rest.find(is_end).unwrap_or(rest.len());
        let width = match rest[end..].chars().next() {
            Some('\r') if rest[end..].starts_with("\r\n") => 2,
            Some(c) => c.len_utf8(),
            None => 0,
        };
        let line = &rest[..if keep_ends { end + width } else { end }];
        rest = &rest[end + width..];
        Some(line)
    })
}

/// The bytes of `text[start:end]`, counted in characters; `None` if it starts behind the end, where
/// Python finds not even the empty text.
fn slice(text: &str, start: Option<i64>, end: Option<i64>) -> Option<Range<usize>> {
    let count = text.chars().count() as i64;
    let at = |place: i64| if place < 0 { (count + place).max(0) } else { place };
    let (start, end) = (at(start.unwrap_or(0)), at(end.unwrap_or(count)).min(count));
    if start > end {
        return None;
    }
    let byte =
        |place: i64| text.char_indices().nth(place as usize).map_or(text.len(), |(at, _)| at);
    Some(byte(start)..byte(end))
}

fn search(text: &str, method: &str, args: &[Value]) -> Result<Value, Error> {
    let [part, start, end] = bind(args, ["sub", "start", "end"])?;
    let part = string(&part.ok_or_else(|| missing("sub"))?)?;
    let range = slice(text, whole(start.as_ref())?, whole(end.as_ref())?);
    let within = range.as_ref().map(|range| &text[range.clone()]);
    if method == "count" {
        return Ok(Value::from(within.map_or(0, |within| within.matches(&*part).count())));
    }
    let found = within.and_then(|within| {
        if method.starts_with('r') { within.rfind(&*part) } else { within.find(&*part) }
    });
    match (found, range) {
        (Some(at), Some(range)) => Ok(Value::from(text[..range.start + at].chars().count())),
        _ if method.ends_with("index") => {
            Err(wrong(format!("{method}: {:?} is not in the text", brief(part))))
        }
        _ => Ok(Value::from(-1)),
    }
}

fn pad(state: &State<'_, '_>, text: &str, method: &str, args: &[Value]) -> Result<Value, Error> {
    let [width, fill] = bind(args, ["width", "fillchar"])?;
    let width = whole(width.as_ref())?.ok_or_else(|| missing("width"))?;
    let zeros = method == "zfill";
    let fill = match fill {
        _ if zeros => '0',
        None => ' ',
        Some(fill) => {
            let text = string(&fill)?;
            let mut chars = text.chars();
            match (chars.next(), chars.next()) {
                (Some(c), None) => c,
                _ => {
                    return Err(wrong(format!(
                        "{method}: the fill is {}, expected one character",
                        brief(fill)
                    )));
                }
            }
        }
    };
    let length = text.chars().count();
    let missing = usize::try_from(width).unwrap_or(0).saturating_sub(length);
    charge(state, missing)?;
    let left = match method {
        "ljust" => 0,
        // Python puts the odd one to the left where the width is odd.
        "center" => missing / 2 + (missing & width.max(0) as usize & 1),
        _ => missing,
    };
    let run = |count: usize| std::iter::repeat_n(fill, count).collect::<String>();
    let (sign, digits) = match text.chars().next() {
        Some('+' | '-') if zeros => text.split_at(1),
        _ => ("", text),
    };
    Ok(Value::from(format!("{sign}{}{digits}{}", run(left), run(missing - left))))
}

fn expand_tabs(state: &State<'_, '_>, text: &str, size: i64) -> Result<Value, Error> {
    let size = usize::try_from(size).unwrap_or(0);
    charge(state, text.matches('\t').count().saturating_mul(size))?;
    let (mut out, mut column) = (String::with_capacity(text.len()), 0);
    for c in text.chars() {
        match c {
            '\t' if size == 0 => {}
            '\t' => {
                let spaces = size - column % size;
                out.extend(std::iter::repeat_n(' ', spaces));
                column += spaces;
            }
            '\n' | '\r' => {
                out.push(c);
                column = 0;
            }
            _ => {
                out.push(c);
                column += 1;
            }
        }
    }
    Ok(Value::from(out))
}

fn join(state: &State<'_, '_>, separator: &str, items: &Value) -> Result<Value, Error> {
    let (between, mut joined) = (Value::from(separator), Paid::new(state));
    for (at, item) in items.try_iter()?.enumerate() {
        charge_items(state, 1)?;
        if at > 0 {
            joined.push(&between)?;
        }
        joined.push(&item)?;
    }
    Ok(Value::from(joined.into_text()))
}

/// A capital after everything that is no letter.
fn title(text: &str) -> String {
    let mut inside = false;
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if inside {
            out.extend(c.to_lowercase());
        } else {
            out.extend(c.to_uppercase());
        }
        inside = c.is_alphabetic();
    }
    out
}

/// Pays for items before they are gathered: one step for each.
fn charge_items(state: &State<'_, '_>, items: usize) -> Result<(), Error> {
    state.consume_fuel(items as u64)
}

/// Pays for text before it is made, as the engine does: one unit for 64 bytes.
fn charge(state: &State<'_, '_>, bytes: usize) -> Result<(), Error> {
    state.consume_fuel((bytes / 64) as u64)
}
