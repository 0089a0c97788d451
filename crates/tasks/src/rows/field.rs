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

    /// Whether the row's running text only renders its prompt and completion, as that of Alpaca does: it has
    /// every line of theirs.
    pub(crate) fn is_rendered(&self) -> bool {
        const SAID: [Meaning; 6] = [
            Meaning::Prompt,
            Meaning::Instruction,
            Meaning::Input,
            Meaning::System,
            Meaning::Completion,
            Meaning::Output,
        ];
        let text = self.column(Meaning::Text);
        let value = |wanted: &str| self.values.iter().find(|(name, _)| name == wanted);
        let Some((_, Json::Plain(Value::String(text)))) = text.as_deref().and_then(value) else {
            return false;
        };
        let said = |(name, value): &(String, Json)| match value {
            _ if !Meaning::of(name).is_some_and(|meaning| SAID.contains(&meaning)) => true,
            Json::Plain(Value::String(part)) => has_lines(text, part),
            value => !value.has_content(),
        };
        self.values.iter().all(said)
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
                && !(meaning == Meaning::Text && renders(value, used))
            {
                let (field, meaning) = (name.clone(), meaning.words());
                return Err(RowProblem::UnusedField { field, meaning, shape });
            }
        }
        Ok(self.rest())
    }
}

/// Whether a running text has every line of these parts.
fn renders(value: &Json, used: &[&Content]) -> bool {
    let Json::Plain(Value::String(text)) = value else { return false };
    !used.is_empty() && used.iter().flat_map(|part| part.texts()).all(|part| has_lines(text, part))
}

fn has_lines(text: &str, part: &str) -> bool {
    part.lines().all(|line| text.contains(line.trim()))
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
