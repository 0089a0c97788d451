//! Typed access to the fields of one row, with errors that name what is wrong.

use serde_json::{Map, Value};

use super::content::{ChatMessage, Content};
use super::problem::RowProblem;

/// Longest quoted field name, in characters, and the largest number of names quoted.
const MAX_NAME: usize = 60;
const MAX_NAMES: usize = 40;

/// What a text field may hold, for messages.
const CONTENT: &str = "text or a list of chat messages";

/// The fields of one line, taken one at a time.
#[derive(Debug, Clone)]
pub struct Fields {
    values: Map<String, Value>,
    /// The names of all fields; fields that have been taken still count as present.
    present: Vec<String>,
}

impl Fields {
    /// The fields of a JSON object.
    pub fn new(values: Map<String, Value>) -> Self {
        // Names are quoted in messages, which must stay readable.
        let short = |name: &String| name.chars().take(MAX_NAME).collect();
        let mut present: Vec<String> = values.keys().map(short).collect();
        present.sort_unstable();
        present.truncate(MAX_NAMES);
        Self { values, present }
    }

    /// The value of `field`, which is removed; an error names the nearest field if it is missing.
    pub fn take(&mut self, field: &str, expected: &'static str) -> Result<Value, RowProblem> {
        self.values.remove(field).ok_or_else(|| missing(field, expected, &self.present))
    }

    /// The value of `field`, which is removed; `None` if it is missing or `null`.
    pub fn take_optional(&mut self, field: &str) -> Option<Value> {
        self.values.remove(field).filter(|value| !value.is_null())
    }

    /// Whether the line has `field`, and it has not been taken.
    pub fn contains(&self, field: &str) -> bool {
        self.values.contains_key(field)
    }

    /// A string.
    pub fn text(&mut self, field: &str) -> Result<String, RowProblem> {
        match self.take(field, "text")? {
            Value::String(text) => Ok(text),
            other => Err(wrong_type(field, &other, "text")),
        }
    }

    /// `true` or `false`.
    pub fn flag(&mut self, field: &str) -> Result<bool, RowProblem> {
        const EXPECTED: &str = "true or false";
        match self.take(field, EXPECTED)? {
            Value::Bool(value) => Ok(value),
            other => Err(wrong_type(field, &other, EXPECTED)),
        }
    }

    /// A string, or a number in the digits it is written with.
    pub fn text_or_number(&mut self, field: &str) -> Result<String, RowProblem> {
        match self.take(field, "text or a number")? {
            Value::String(text) => Ok(text),
            Value::Number(number) => Ok(number.to_string()),
            other => Err(wrong_type(field, &other, "text or a number")),
        }
    }

    /// A list of strings.
    pub fn texts(&mut self, field: &str) -> Result<Vec<String>, RowProblem> {
        const EXPECTED: &str = "a list of texts";
        let items = match self.take(field, EXPECTED)? {
            Value::Array(items) => items,
            other => return Err(wrong_type(field, &other, EXPECTED)),
        };
        let text = |(index, item)| match item {
            Value::String(text) => Ok(text),
            other => Err(wrong_type(&format!("{field}[{index}]"), &other, "text")),
        };
        items.into_iter().enumerate().map(text).collect()
    }

    /// A nested object.
    pub fn object(&mut self, field: &str, expected: &'static str) -> Result<Self, RowProblem> {
        match self.take(field, expected)? {
            Value::Object(values) => Ok(Self::new(values)),
            other => Err(wrong_type(field, &other, expected)),
        }
    }

    /// Text or chat messages.
    pub fn content(&mut self, field: &str) -> Result<Content, RowProblem> {
        match self.take(field, CONTENT)? {
            Value::String(text) => Ok(Content::Text(text)),
            Value::Array(items) => {
                if items.is_empty() {
                    return Err(RowProblem::Empty { field: field.to_owned() });
                }
                let message = |(index, item)| message(&format!("{field}[{index}]"), item);
                items
                    .into_iter()
                    .enumerate()
                    .map(message)
                    .collect::<Result<_, _>>()
                    .map(Content::Messages)
            }
            other => Err(wrong_type(field, &other, CONTENT)),
        }
    }

    /// The fields that were not taken.
    pub fn rest(self) -> Map<String, Value> {
        self.values
    }
}

fn message(path: &str, item: Value) -> Result<ChatMessage, RowProblem> {
    let Value::Object(values) = item else {
        return Err(wrong_type(path, &item, r#"a message {"role", "content"}"#));
    };
    let mut fields = Fields::new(values);
    let mut text = |name: &str| fields.text(name).map_err(|problem| problem.inside(path));
    let role = text("role")?;
    let content = text("content")?;
    if role.is_empty() {
        return Err(RowProblem::Empty { field: format!("{path}.role") });
    }
    Ok(ChatMessage { role, content })
}

fn missing(field: &str, expected: &'static str, present: &[String]) -> RowProblem {
    let nearest = bestof_suggest::nearest(field, present.iter().map(String::as_str));
    RowProblem::MissingField {
        field: field.to_owned(),
        expected,
        present: present.to_vec(),
        nearest: nearest.map(str::to_owned),
    }
}

/// The problem of a field that holds `value` instead of `expected`.
pub(crate) fn wrong_type(field: &str, value: &Value, expected: &'static str) -> RowProblem {
    RowProblem::WrongType { field: field.to_owned(), found: describe(value), expected }
}

/// A JSON value in words, shortened.
pub(crate) fn describe(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => {
            let start: String = text.chars().take(24).collect();
            let dots = if start.len() < text.len() { "..." } else { "" };
            format!("the text {start:?}{dots}")
        }
        Value::Array(items) => format!("a list of {}", items.len()),
        Value::Object(fields) => {
            let names: Vec<&str> = fields.keys().take(6).map(String::as_str).collect();
            format!("an object with {}", names.join(", "))
        }
    }
}
