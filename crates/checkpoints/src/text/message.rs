//! What a chat template is given: messages, tools, documents, arguments.

use minijinja::value::{Serde, Value};
use serde::{Deserialize, Serialize};

use crate::error::CheckpointError;

/// One message of a conversation, with nothing but its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// The text of the message.
    pub content: String,
}

impl Message {
    /// A message of a role.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        Self { role: role.into(), content: content.into() }
    }
}

/// Any JSON value, with the keys of its objects in the order of the file: what a template writes with
/// `tojson` depends on it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TemplateValue(Value);

impl TemplateValue {
    /// The value that something serialises to.
    pub fn new(value: &impl Serialize) -> Self {
        Self(Value::from(Serde(value)))
    }

    /// A field of an object, unless it is absent or null.
    pub fn field(&self, name: &str) -> Option<Self> {
        let found = self.0.get_attr(name).ok()?;
        (!found.is_undefined() && !found.is_none()).then_some(Self(found))
    }

    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        self.0.as_str()
    }
}

/// What a template is given besides messages, under transformers' names.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TemplateOptions {
    /// Open the answer of the assistant.
    pub add_generation_prompt: bool,
    /// Leave the last message open, so that a model goes on with it.
    pub continue_final_message: bool,
    /// Descriptions of tools, as a list.
    pub tools: Option<TemplateValue>,
    /// Documents to answer from, as a list.
    pub documents: Option<TemplateValue>,
    /// Further variables, such as `enable_thinking`; they stand above all others.
    pub arguments: Vec<(String, TemplateValue)>,
}

impl TemplateOptions {
    pub(crate) fn context(&self) -> impl Iterator<Item = (&str, Value)> {
        let value = |value: &Option<TemplateValue>| match value {
            Some(TemplateValue(value)) => value.clone(),
            None => Value::from(()),
        };
        [
            ("add_generation_prompt", Value::from(self.add_generation_prompt)),
            ("tools", value(&self.tools)),
            ("documents", value(&self.documents)),
        ]
        .into_iter()
        .chain(self.arguments.iter().map(|(name, value)| (name.as_str(), value.0.clone())))
    }

    /// A rendered conversation, cut behind the text of its last message.
    pub(crate) fn continued<M: Serialize>(
        &self,
        messages: &[M],
        mut text: String,
    ) -> Result<String, CheckpointError> {
        if self.add_generation_prompt {
            return Err(CheckpointError::CannotContinue {
                reason: "add_generation_prompt opens another one",
            });
        }
        let last = messages.last().map(TemplateValue::new);
        let content = last
            .as_ref()
            .and_then(final_text)
            .ok_or(CheckpointError::CannotContinue { reason: "it has no text" })?;
        let start = text.rfind(content.trim()).ok_or(CheckpointError::CannotContinue {
            reason: "the template does not render its text as it is",
        })?;
        // Where the template keeps white space at the end it belongs to the text.
        let kept = content.trim_start();
        let length = if text[start..].starts_with(kept) { kept } else { content.trim() }.len();
        text.truncate(start + length);
        Ok(text)
    }
}

/// The text of a message: its content, or the last text of its parts.
fn final_text(message: &TemplateValue) -> Option<String> {
    let content = message.field("content")?;
    if let Some(text) = content.as_str() {
        return Some(text.to_owned());
    }
    let parts: Vec<Value> = content.0.try_iter().ok()?.collect();
    parts
        .into_iter()
        .rev()
        .find_map(|part| Some(TemplateValue(part).field("text")?.as_str()?.to_owned()))
}
