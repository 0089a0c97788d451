//! Chat messages as they stand in rows: every key is known, passed on or refused by name.

use serde::Serialize;
use serde_json::Value;

use super::columns::missing;
use super::json::Json;
use super::problem::{RowProblem, wrong_type};

/// One turn of a conversation, with every field that the chat template is given.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct ChatMessage {
    /// An object with the text `role`, in the order of the file.
    fields: Json,
}

/// The keys of a message that a template may use. `weight` says whether the message is learned.
const KEYS: &[&str] = &[
    ROLE,
    CONTENT,
    WEIGHT,
    "name",
    "tool_calls",
    "tool_call_id",
    "function_call",
    "reasoning_content",
    "reasoning",
    "thinking",
];

/// Keys that say nothing to a model.
const NEUTRAL: &[&str] =
    &["id", "message_id", "index", "timestamp", "created_at", "date", "metadata"];

/// Keys that other programs use for what is learned, and what is used here.
const OTHER_WEIGHTS: &[&str] = &["train", "loss", "learn", "mask", "trainable", "training"];

/// Keys with which a message says something though its content is empty.
const SPEAKING: &[&str] =
    &["tool_calls", "function_call", "reasoning_content", "reasoning", "thinking"];

const ROLE: &str = "role";
const CONTENT: &str = "content";
const WEIGHT: &str = "weight";

/// What stands in `from` of a `ShareGPT` message, and the role it means.
const SHAREGPT_ROLES: &[(&str, &str)] = &[
    ("human", "user"),
    ("user", "user"),
    ("gpt", "assistant"),
    ("chatgpt", "assistant"),
    ("bing", "assistant"),
    ("bard", "assistant"),
    ("assistant", "assistant"),
    ("system", "system"),
    ("tool", "tool"),
    ("observation", "tool"),
    ("function_response", "tool"),
];

impl ChatMessage {
    /// A message of a role: `system`, `user`, `assistant`, or what the model's template knows.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        let fields =
            vec![(ROLE.to_owned(), Json::text(role)), (CONTENT.to_owned(), Json::text(content))];
        Self { fields: Json::Object(fields) }
    }

    /// A message of the user.
    pub fn user(content: impl Into<String>) -> Self {
        Self::new("user", content)
    }

    /// A message of the assistant.
    pub fn assistant(content: impl Into<String>) -> Self {
        Self::new("assistant", content)
    }

    /// A message of the system.
    pub fn system(content: impl Into<String>) -> Self {
        Self::new("system", content)
    }

    /// Who speaks.
    pub fn role(&self) -> &str {
        self.field(ROLE).and_then(Json::as_str).unwrap_or_default()
    }

    /// What is said: the content, or the last text of its parts; empty where there is none.
    pub fn text(&self) -> &str {
        self.content_texts().last().unwrap_or_default()
    }

    /// A field as it was written, such as `tool_calls`.
    pub fn field(&self, name: &str) -> Option<&Json> {
        self.fields.get(name)
    }

    /// Whether the message is to be learned: its `weight` is not 0.
    pub fn is_learned(&self) -> bool {
        let zero = |weight: &Json| matches!(weight, Json::Plain(w) if w.as_f64() == Some(0.0));
        !self.field(WEIGHT).is_some_and(zero)
    }

    /// The fields besides text that say something, such as `tool_calls`.
    pub fn speaking_fields(&self) -> impl Iterator<Item = &'static str> {
        SPEAKING.iter().copied().filter(|name| self.field(name).is_some_and(Json::has_content))
    }

    /// This message with `text` behind its own, if its content is a text.
    pub fn followed_by(&self, text: &str) -> Option<Self> {
        let mut message = self.clone();
        let Json::Object(fields) = &mut message.fields else { return None };
        let content = fields.iter_mut().find(|(key, _)| key == CONTENT)?;
        content.1 = Json::text(format!("{}{text}", content.1.as_str()?));
        Some(message)
    }

    /// Whether nothing is said in it.
    pub fn is_empty(&self) -> bool {
        self.content_texts().all(str::is_empty) && self.speaking_fields().next().is_none()
    }

    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        let thoughts = ["reasoning_content", "reasoning", "thinking"];
        let said = thoughts.into_iter().filter_map(|name| self.field(name)?.as_str());
        said.chain(self.content_texts())
    }

    fn content_texts(&self) -> impl Iterator<Item = &str> {
        let (text, parts) = match self.field(CONTENT) {
            Some(Json::List(parts)) => (None, parts.as_slice()),
            content => (content.and_then(Json::as_str), &[][..]),
        };
        let part = |part| Json::get(part, "text")?.as_str();
        text.into_iter().chain(parts.iter().filter_map(part))
    }

    /// The message of a value of a row; `path` stands for it in errors.
    pub(super) fn read(path: &str, value: Json) -> Result<Self, RowProblem> {
        let Json::Object(fields) = value else {
            return Err(wrong_type(path, &value, r#"a message {"role", "content"}"#));
        };
        let fields = in_openai_form(fields).map_err(|problem| problem.inside(path))?;
        // Files with one schema for all messages write `null` for fields that a message has not.
        let fields: Vec<(String, Json)> =
            fields.into_iter().filter(|(key, value)| key == CONTENT || !value.is_null()).collect();
        let message = Self { fields: Json::Object(fields) };
        message.check().map_err(|problem| problem.inside(path))?;
        Ok(message)
    }

    fn check(&self) -> Result<(), RowProblem> {
        let Json::Object(fields) = &self.fields else { return Ok(()) };
        let missing = |field: &str| {
            let mut present: Vec<String> = fields.iter().map(|(key, _)| key.clone()).collect();
            present.sort_unstable();
            Err(missing(field, "text", &present))
        };
        match self.field(ROLE) {
            None => return missing(ROLE),
            Some(role) if role.as_str().is_none() => return Err(wrong_type(ROLE, role, "text")),
            Some(_) if self.role().is_empty() => {
                return Err(RowProblem::Empty { field: ROLE.to_owned() });
            }
            Some(_) => {}
        }
        let speaks = self.speaking_fields().next().is_some();
        match self.field(CONTENT) {
            None if !speaks => return missing(CONTENT),
            Some(Json::Plain(Value::Null)) if speaks => {}
            Some(Json::List(parts)) => check_parts(parts)?,
            Some(content) if content.as_str().is_none() => {
                return Err(wrong_type(CONTENT, content, "text or a list of text parts"));
            }
            _ => {}
        }
        for (key, value) in fields {
            check_key(key, value, self.role())?;
        }
        Ok(())
    }
}

fn check_key(key: &str, value: &Json, role: &str) -> Result<(), RowProblem> {
    const LIST: &str = r#"a list of calls {"type", "function"}"#;
    match key {
        WEIGHT => {
            const EXPECTED: &str = "0 or 1 on a message of the assistant: whether it is learned";
            let number = match value {
                Json::Plain(weight) => weight.as_f64(),
                _ => None,
            };
            if !number.is_some_and(|weight| weight == 0.0 || weight == 1.0) {
                return Err(wrong_type(key, value, EXPECTED));
            }
            if role != "assistant" && number == Some(1.0) {
                return Err(RowProblem::Inconsistent {
                    field: key.to_owned(),
                    found: format!("weight 1 on a message of the role {role:?}"),
                    expected: EXPECTED.to_owned(),
                });
            }
            Ok(())
        }
        "tool_calls" if !matches!(value, Json::List(_)) => Err(wrong_type(key, value, LIST)),
        // An answer that was refused has `refusal` in place of content.
        _ if KEYS.contains(&key) || NEUTRAL.contains(&key) || !value.has_content() => Ok(()),
        _ => Err(RowProblem::UnusedKey {
            field: key.to_owned(),
            advice: if OTHER_WEIGHTS.contains(&key) {
                "say `weight` 0 or 1 for what is not learned and what is".to_owned()
            } else {
                match bestof_suggest::nearest(key, KEYS.iter().copied()) {
                    Some(known) => format!("did you mean `{known}`?"),
                    None => format!("known are {}; leave it out", KEYS.join(", ")),
                }
            },
        }),
    }
}

/// Refuses what is not text by its place and type.
fn check_parts(parts: &[Json]) -> Result<(), RowProblem> {
    const EXPECTED: &str = r#"{"type": "text", "text"}"#;
    for (index, part) in parts.iter().enumerate() {
        let path = format!("{CONTENT}[{index}]");
        let kind = part.get("type").and_then(Json::as_str);
        match (part, kind) {
            (Json::Object(_), Some("text") | None)
                if part.get("text").is_some_and(|text| text.as_str().is_some()) => {}
            (Json::Object(_), Some(kind)) if kind != "text" => {
                return Err(RowProblem::Inconsistent {
                    field: path,
                    found: format!("a part of the type {kind:?}"),
                    expected: format!("parts of text, {EXPECTED}: models here read text alone"),
                });
            }
            _ => return Err(wrong_type(&path, part, EXPECTED)),
        }
    }
    if parts.is_empty() { Err(RowProblem::Empty { field: CONTENT.to_owned() }) } else { Ok(()) }
}

/// `{"from", "value"}` of `ShareGPT` as `{"role", "content"}`.
fn in_openai_form(fields: Vec<(String, Json)>) -> Result<Vec<(String, Json)>, RowProblem> {
    let has = |name: &str| fields.iter().any(|(key, value)| key == name && !value.is_null());
    if has(ROLE) || !has("from") {
        return Ok(fields);
    }
    fields
        .into_iter()
        .map(|(key, value)| match key.as_str() {
            "from" => {
                let name = value.as_str().ok_or_else(|| wrong_type("from", &value, "text"))?;
                let role = SHAREGPT_ROLES.iter().find(|(from, _)| *from == name);
                let known = || SHAREGPT_ROLES.iter().map(|(from, _)| *from).collect::<Vec<_>>();
                let (_, role) = role.ok_or_else(|| RowProblem::Inconsistent {
                    field: "from".to_owned(),
                    found: format!("{name:?}"),
                    expected: format!(
                        "one of {}, or a message with `role` and `content`",
                        known().join(", ")
                    ),
                })?;
                Ok((ROLE.to_owned(), Json::text(*role)))
            }
            "value" => Ok((CONTENT.to_owned(), value)),
            _ => Ok((key, value)),
        })
        .collect()
}

/// The messages of a value, which may be one message alone.
pub(crate) fn read_messages(field: &str, value: Json) -> Result<Vec<ChatMessage>, RowProblem> {
    let items = match value {
        Json::List(items) => items,
        Json::Object(_) => return Ok(vec![ChatMessage::read(field, value)?]),
        other @ Json::Plain(_) => {
            return Err(wrong_type(field, &other, "a list of chat messages"));
        }
    };
    if items.is_empty() {
        return Err(RowProblem::Empty { field: field.to_owned() });
    }
    let message = |(index, item)| ChatMessage::read(&format!("{field}[{index}]"), item);
    items.into_iter().enumerate().map(message).collect()
}

/// The list of messages that a text holds as JSON, as tables write it.
pub(super) fn messages_in_text(field: &str, text: &str) -> Result<Option<Json>, RowProblem> {
    let start: String = text.chars().filter(|c| !c.is_whitespace()).take(3).collect();
    if start == "[{'" {
        return Err(RowProblem::Inconsistent {
            field: field.to_owned(),
            found: format!("a Python list as text, {}", Json::text(text).in_words()),
            expected: "messages as JSON; in Python, write them with `json.dumps`".to_owned(),
        });
    }
    if start != "[{\"" {
        return Ok(None);
    }
    let speaks = |item: &Json| item.get(ROLE).is_some() || item.get("from").is_some();
    Ok(match serde_json::from_str(text) {
        Ok(Json::List(items)) if items.iter().all(speaks) => Some(Json::List(items)),
        _ => None,
    })
}
