//! The filter `tojson`, as transformers defines it for chat templates: Python's `json.dumps`.

use minijinja::value::{Kwargs, Rest, Value, ValueKind};
use minijinja::{Error, ErrorKind, State};

use super::template_text::brief;

/// Deepest nesting that is followed.
const MAX_DEPTH: usize = 100;
/// Widest indentation: more is a mistake, and would only ask for memory.
const MAX_INDENT: usize = 1000;
/// Parameters of the filter, in the order in which they may be given without names.
const PARAMETERS: [&str; 4] = ["ensure_ascii", "indent", "separators", "sort_keys"];

/// `json.dumps(value, ensure_ascii, indent, separators, sort_keys)`, with transformers' default of
/// `ensure_ascii=False`.
#[expect(clippy::needless_pass_by_value, reason = "the template engine hands over owned arguments")]
pub(crate) fn tojson(
    state: &State<'_, '_>,
    value: Value,
    positional: Rest<Value>,
    named: Kwargs,
) -> Result<Value, Error> {
    if positional.len() > PARAMETERS.len() {
        return Err(Error::from(ErrorKind::TooManyArguments));
    }
    let argument = |at: usize| -> Result<Option<Value>, Error> {
        let found = match positional.get(at) {
            Some(value) => Some(value.clone()),
            None => named.get(PARAMETERS[at])?,
        };
        Ok(found.filter(|value: &Value| !value.is_none() && !value.is_undefined()))
    };
    let indent = argument(1)?.map(|value| indentation(&value)).transpose()?;
    let (item, key) = match argument(2)? {
        Some(pair) => separators(&pair)?,
        None if indent.is_some() => (",".to_owned(), ": ".to_owned()),
        None => (", ".to_owned(), ": ".to_owned()),
    };
    let writer = Writer {
        state,
        ensure_ascii: argument(0)?.is_some_and(|value| value.is_true()),
        sort_keys: argument(3)?.is_some_and(|value| value.is_true()),
        indent,
        item,
        key,
    };
    named.assert_all_used()?;
    let mut out = String::new();
    writer.write(&value, 0, &mut out)?;
    Ok(Value::from_safe_string(out))
}

fn wrong(message: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}

/// A number of spaces, or the text itself.
fn indentation(value: &Value) -> Result<String, Error> {
    if let Some(text) = value.as_str() {
        return Ok(text.to_owned());
    }
    // As in Python a number below 1 gives lines without indentation.
    match value.as_i64().map(|count| usize::try_from(count).unwrap_or(0)) {
        Some(count) if count <= MAX_INDENT => Ok(" ".repeat(count)),
        _ => Err(wrong(format!(
            "tojson: indent is {}, expected a text or a whole number up to {MAX_INDENT}",
            brief(value)
        ))),
    }
}

fn separators(pair: &Value) -> Result<(String, String), Error> {
    let texts: Vec<Option<String>> =
        pair.try_iter()?.take(3).map(|part| part.as_str().map(str::to_owned)).collect();
    match texts.as_slice() {
        [Some(item), Some(key)] => Ok((item.clone(), key.clone())),
        _ => Err(wrong(format!(
            "tojson: separators is {}, expected two texts, as (',', ': ')",
            brief(pair)
        ))),
    }
}

struct Writer<'a, 'b, 'c> {
    state: &'a State<'b, 'c>,
    ensure_ascii: bool,
    sort_keys: bool,
    indent: Option<String>,
    /// Between two items.
    item: String,
    /// Between key and value.
    key: String,
}

impl Writer<'_, '_, '_> {
    fn write(&self, value: &Value, depth: usize, out: &mut String) -> Result<(), Error> {
        if depth > MAX_DEPTH {
            return Err(wrong(format!(
                "tojson: the value is nested in more than {MAX_DEPTH} levels"
            )));
        }
        self.state.consume_fuel(1)?;
        match value.kind() {
            ValueKind::None => out.push_str("null"),
            ValueKind::Bool => out.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number if value.is_integer() => out.push_str(&value.to_string()),
            ValueKind::Number => out.push_str(&float(f64::try_from(value.clone())?)),
            ValueKind::String => self.string(value.as_str().unwrap_or_default(), out)?,
            ValueKind::Map => {
                let mut keys = self.gathered(value)?;
                if self.sort_keys {
                    keys.sort();
                }
                self.items(&keys, ('{', '}'), depth, out, |key, out| {
                    if let Some(key) = key.as_str() {
                        self.string(key, out)?;
                    } else {
                        let mut text = String::new();
                        self.write(key, depth + 1, &mut text)?;
                        self.string(&text, out)?;
                    }
                    self.state.consume_fuel((self.key.len() / 64) as u64)?;
                    out.push_str(&self.key);
                    self.write(&value.get_item(key)?, depth + 1, out)
                })?;
            }
            ValueKind::Seq | ValueKind::Iterable => {
                let items = self.gathered(value)?;
                self.items(&items, ('[', ']'), depth, out, |item, out| {
                    self.write(item, depth + 1, out)
                })?;
            }
            kind => return Err(wrong(format!("tojson: a value of type {kind} has no JSON form"))),
        }
        Ok(())
    }

    /// The items or keys of a value, which may be many more than it takes to name them.
    fn gathered(&self, value: &Value) -> Result<Vec<Value>, Error> {
        let mut items = Vec::new();
        for item in value.try_iter()? {
            self.state.consume_fuel(1)?;
            items.push(item);
        }
        Ok(items)
    }

    fn items(
        &self,
        items: &[Value],
        (open, close): (char, char),
        depth: usize,
        out: &mut String,
        write: impl Fn(&Value, &mut String) -> Result<(), Error>,
    ) -> Result<(), Error> {
        out.push(open);
        for (i, item) in items.iter().enumerate() {
            if i > 0 {
                self.state.consume_fuel((self.item.len() / 64) as u64)?;
                out.push_str(&self.item);
            }
            self.new_line(depth + 1, out)?;
            write(item, out)?;
        }
        if !items.is_empty() {
            self.new_line(depth, out)?;
        }
        out.push(close);
        Ok(())
    }

    fn new_line(&self, depth: usize, out: &mut String) -> Result<(), Error> {
        if let Some(indent) = &self.indent {
            self.state.consume_fuel((indent.len() * depth / 64) as u64)?;
            out.push('\n');
            out.extend(std::iter::repeat_n(indent.as_str(), depth));
        }
        Ok(())
    }

    fn string(&self, text: &str, out: &mut String) -> Result<(), Error> {
        // An escaped character takes up to six times its bytes.
        self.state.consume_fuel((text.len() / 16) as u64)?;
        let escaped = serde_json::Value::from(text).to_string();
        if !self.ensure_ascii {
            out.push_str(&escaped);
            return Ok(());
        }
        for character in escaped.chars() {
            if character.is_ascii() {
                out.push(character);
            } else {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    out.extend(["\\u".to_owned(), format!("{unit:04x}")]);
                }
            }
        }
        Ok(())
    }
}

/// A float as Python's `repr` writes it.
fn float(x: f64) -> String {
    if x.is_nan() {
        return "NaN".to_owned();
    }
    if x.is_infinite() {
        return if x > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let size = x.abs();
    if size != 0.0 && !(1e-4..1e16).contains(&size) {
        let text = format!("{x:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) =
            exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
        return format!("{digits}e{sign}{exponent:0>2}");
    }
    let text = x.to_string();
    if text.contains('.') { text } else { text + ".0" }
}
