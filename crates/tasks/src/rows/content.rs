//! The values of text fields: plain text or chat messages.

use serde::Serialize;

use super::json::Json;
use super::message::ChatMessage;

/// The two forms a text field has in TRL's data sets.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(untagged)]
pub enum Content {
    /// Plain text, used as it stands.
    Text(String),
    /// A conversation, to be rendered with the model's chat template.
    Messages(Vec<ChatMessage>),
}

impl Content {
    /// The text, or the last message's text: what the model is shown or has to say last.
    pub fn last_text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Messages(messages) => messages.last().map_or("", ChatMessage::text),
        }
    }

    /// The messages; a plain text is one message of `role`.
    pub fn to_messages(&self, role: &str) -> Vec<ChatMessage> {
        match self {
            Self::Messages(messages) => messages.clone(),
            Self::Text(text) => vec![ChatMessage::new(role, text.as_str())],
        }
    }

    /// `true` for the chat form.
    pub fn is_chat(&self) -> bool {
        matches!(self, Self::Messages(_))
    }

    /// `true` when there is nothing in it at all.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Text(text) => text.is_empty(),
            Self::Messages(messages) => messages.iter().all(ChatMessage::is_empty),
        }
    }

    /// Every text in it, in order.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        let (text, messages) = match self {
            Self::Text(text) => (Some(text.as_str()), &[][..]),
            Self::Messages(messages) => (None, messages.as_slice()),
        };
        text.into_iter().chain(messages.iter().flat_map(ChatMessage::texts))
    }
}

impl From<&str> for Content {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Content {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// What a chat template is given besides messages, in columns of the row.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TemplateFields {
    /// Descriptions of the tools that the assistant may call, a list of JSON schemas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<Json>,
    /// Further variables of the template by name, such as `{"enable_thinking": false}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chat_template_kwargs: Option<Json>,
}

impl TemplateFields {
    /// Whether the row has none.
    pub fn is_empty(&self) -> bool {
        self.tools.is_none() && self.chat_template_kwargs.is_none()
    }
}
