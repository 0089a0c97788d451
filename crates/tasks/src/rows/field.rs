//! Typed access to the fields of one row, with errors that name what is wrong.

use serde_json::{Map, Value};

use super::columns::{Meaning, missing, same};
use super::content::Content;
use super::json::Json;
use super::message::{ChatMessage, messages_in_text, read_messages};
use super::problem::{RowProblem, wrong_type};

/// Longest quoted field name, in characters, and the largest number of names quoted.
const MAX_NAME: usize = 60;
const MAX_NAMES: usize = 40;

/// What a text field may hold, for messages.
const CONTENT: &str = "text or a list of chat messages";

/// The fields of one line, taken one at a time.
#[derive(Debug, Clone)]
pub struct Fields {
    values: Vec<(String, Json)>,
    /// The names of all fields; fields that have been taken still count as present.
    present: Vec<String>,
}

impl Fields {
    /// The fields of a JSON object.
    pub fn new(values: Map<String, Value>) -> Self {
        Self::ordered(values.into_iter().map(|(name, value)| (name, value.into())).collect())
    }

    /// The fields of a row in their order.
    pub(crate) fn ordered(values: Vec<(String, Json)>) -> Self {
        // Names are quoted in messages, which must stay readable.
        let short = |(name, _): &(String, Json)| name.chars().take(MAX_NAME).collect();
        let mut present: Vec<String> = values.iter().map(short).collect();
        present.sort_unstable();
        present.truncate(MAX_NAMES);
        Self { values, present }
    }

    /// The fields of a record in which everything is text, labels too.
    pub(crate) fn untyped(mut values: Vec<(String, Json)>) -> Self {
        for (name, value) in &mut values {
            if Meaning::of(name) == Some(Meaning::Label)
                && let Some(flag) =
                    value.as_str().and_then(|t| t.trim().to_lowercase().parse().ok())
            {
                *value = Json::Plain(Value::Bool(flag));
            }
        }
        Self::ordered(values)
    }

    /// The value of `field`, which is removed; an error names the nearest field if it is missing.
    pub fn take(&mut self, field: &str, expected: &'static str) -> Result<Value, RowProblem> {
        self.take_json(field, expected).map(Value::from)
    }

    /// As [`Fields::take`], with objects in their order.
    pub(crate) fn take_json(
        &mut self,
        field: &str,
        expected: &'static str,
    ) -> Result<Json, RowProblem> {
        self.remove(field).ok_or_else(|| missing(field, expected, &self.present))
    }

    /// The value of `field`, which is removed; `None` if it is missing or `null`.
    pub fn take_optional(&mut self, field: &str) -> Option<Value> {
        self.take_optional_json(field).map(Value::from)
    }

    /// As [`Fields::take_optional`], with objects in their order.
    pub(crate) fn take_optional_json(&mut self, field: &str) -> Option<Json> {
        self.remove(field).filter(|value| !value.is_null())
    }

    fn remove(&mut self, field: &str) -> Option<Json> {
        let place = self.values.iter().position(|(name, _)| name == field)?;
        Some(self.values.remove(place).1)
    }

    /// Whether the line has `field`, and it has not been taken.
    pub fn contains(&self, field: &str) -> bool {
        self.values.iter().any(|(name, _)| name == field)
    }

    /// The column with a meaning, as the line calls it: of several the one with content that comes
    /// first in the table of names. What is left of the others is for [`Fields::finish`] to judge.
    pub(crate) fn column(&self, meaning: Meaning) -> Option<String> {
        let called = |name: &&str| self.values.iter().find(|(found, _)| same(found, name));
        let found: Vec<_> = meaning.names().iter().filter_map(called).collect();
        let speaking = found.iter().find(|(_, value)| value.has_content());
        speaking.or(found.first()).map(|(name, _)| name.clone())
    }

    /// What the line calls the column with a meaning, or the project's own name if it has none.
    pub(crate) fn called(&self, meaning: Meaning) -> String {
        self.column(meaning).unwrap_or_else(|| meaning.name().to_owned())
    }

    /// Whether another field may be a misspelt `field`.
    pub(crate) fn misspelt(&self, field: &str) -> bool {
        let others = self.present.iter().map(String::as_str).filter(|name| *name != field);
        bestof_suggest::nearest(field, others).is_some()
    }

    /// Whether the line has a column with a meaning that says something.
    pub(crate) fn has(&self, meaning: Meaning) -> bool {
        let says = |(name, value): &(String, Json)| {
            value.has_content() && Meaning::of(name) == Some(meaning)
        };
        self.values.iter().any(says)
    }

    /// Whether the row's running text only renders its prompt and completion, as that of Alpaca does.
    pub(crate) fn is_rendered(&self) -> bool {
        // In the order in which a text says them.
        const SAID: [Meaning; 6] = [
            Meaning::System,
            Meaning::Prompt,
            Meaning::Instruction,
            Meaning::Input,
            Meaning::Completion,
            Meaning::Output,
        ];
        let text = self.column(Meaning::Text);
        let value = |wanted: &str| self.values.iter().find(|(name, _)| name == wanted);
        let Some(text) = text.as_deref().and_then(value).and_then(|(_, value)| value.as_str())
        else {
            return false;
        };
        let with = |meaning: Meaning| {
            let of = move |(name, value): &&(String, Json)| {
                Meaning::of(name) == Some(meaning) && value.has_content()
            };
            self.values.iter().filter(of).map(|(_, value)| value.as_str())
        };
        let parts: Option<Vec<&str>> = SAID.into_iter().flat_map(with).collect();
        parts.is_some_and(|parts| renders(text, parts))
    }

    /// The value of the column with a meaning, and how it is called; `None` if there is none or it is `null`.
    pub(crate) fn meant(&mut self, meaning: Meaning) -> Option<(String, Json)> {
        let name = self.column(meaning)?;
        self.take_optional_json(&name).map(|value| (name, value))
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
        match self.take_json(field, expected)? {
            Json::Object(values) => Ok(Self::ordered(values)),
            other => Err(wrong_type(field, &other, expected)),
        }
    }

    /// Text or chat messages; a text that is a list of messages in JSON is read as one.
    pub fn content(&mut self, field: &str) -> Result<Content, RowProblem> {
        match self.take_json(field, CONTENT)? {
            Json::Plain(Value::String(text)) => Ok(match messages_in_text(field, &text)? {
                Some(messages) => Content::Messages(read_messages(field, messages)?),
                None => Content::Text(text),
            }),
            value @ (Json::List(_) | Json::Object(_)) => {
                read_messages(field, value).map(Content::Messages)
            }
            other => Err(wrong_type(field, &other, CONTENT)),
        }
    }

    /// Chat messages, as a list or as a list in JSON that stands in a text.
    pub(crate) fn messages(&mut self, field: &str) -> Result<Vec<ChatMessage>, RowProblem> {
        const EXPECTED: &str = "a list of chat messages";
        match self.take_json(field, EXPECTED)? {
            Json::Plain(Value::String(text)) => match messages_in_text(field, &text)? {
                Some(messages) => read_messages(field, messages),
                None => Err(wrong_type(field, &Json::text(text), EXPECTED)),
            },
            other => read_messages(field, other),
        }
    }

    /// The fields that were not taken.
    pub fn rest(self) -> Map<String, Value> {
        self.values.into_iter().map(|(name, value)| (name, value.into())).collect()
    }

    /// The fields that were not taken, unless one of them says something that `shape` would lose.
    ///
    /// A column that means something to a model is lost unless it repeats what is in `used` or has a
    /// `neutral` meaning; columns without a meaning in the table stay with the row.
    pub(crate) fn finish(
        self,
        shape: &'static str,
        used: &[&Content],
        neutral: &[Meaning],
    ) -> Result<Map<String, Value>, RowProblem> {
        let said = |text: &str| used.iter().any(|part| part.texts().any(|t| t.contains(text)));
        for (name, value) in &self.values {
            if let Some(meaning) = Meaning::of(name)
                && !neutral.contains(&meaning)
                && value.has_content()
                && !repeats(value, &said)
                && !(meaning == Meaning::Text
                    && value.as_str().is_some_and(|text| {
                        renders(text, used.iter().flat_map(|part| part.texts()))
                    }))
            {
                let (field, meaning) = (name.clone(), meaning.words());
                return Err(RowProblem::UnusedField { field, meaning, shape });
            }
        }
        Ok(self.rest())
    }
}

/// Whether a running text says these parts in their order and ends with the last one: each line of theirs is
/// a line of the text, but for a label before it (`### Input:`) and a template's token behind it (`</s>`).
fn renders<'p>(text: &str, parts: impl IntoIterator<Item = &'p str>) -> bool {
    let lines = parts.into_iter().flat_map(str::lines).map(str::trim);
    let mut lines = lines.filter(|line| !line.is_empty()).peekable();
    let mut from = 0;
    while let Some(line) = lines.next() {
        let last = lines.peek().is_none();
        let found = text[from..].match_indices(line).map(|(at, _)| from + at).find(|&at| {
            let after = &text[at + line.len()..];
            let behind = if last { after } else { after.lines().next().unwrap_or_default() };
            is_label(text[..at].rsplit('\n').next().unwrap_or_default()) && is_tokens(behind)
        });
        let Some(at) = found else { return false };
        from = at + line.len();
        if last {
            return true;
        }
    }
    false
}

/// Whether what stands before a part on its line is nothing, or a label set off by a sign.
fn is_label(before: &str) -> bool {
    let label = before.trim_end();
    label.is_empty()
        || (label.len() < before.len() && label.ends_with([':', '#']))
        || label.ends_with(['>', ']'])
}

/// Whether what stands behind a part is nothing, or a template's tokens in brackets.
fn is_tokens(behind: &str) -> bool {
    let between =
        |word: &str, [open, close]: [char; 2]| word.starts_with(open) && word.ends_with(close);
    behind.split_whitespace().all(|word| between(word, ['<', '>']) || between(word, ['[', ']']))
}

/// Whether a value says nothing but texts that are said elsewhere.
fn repeats(value: &Json, said: &impl Fn(&str) -> bool) -> bool {
    match value {
        Json::Plain(Value::String(text)) => said(text.trim()),
        Json::Plain(_) => false,
        Json::List(items) => items.iter().all(|item| repeats(item, said)),
        Json::Object(fields) => fields
            .iter()
            .all(|(key, value)| ["role", "from"].contains(&key.as_str()) || repeats(value, said)),
    }
}
