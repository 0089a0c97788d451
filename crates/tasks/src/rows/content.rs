//! The values of text fields: plain text or chat messages.

use serde::{Deserialize, Serialize};

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ChatMessage {
    /// Who speaks: `system`, `user`, `assistant`, or what the model's template knows.
    pub role: String,
    /// What is said.
    pub content: String,
}

impl ChatMessage {
    /// A message of the user.
    pub fn user(content: impl Into<String>) -> Self {
        Self { role: "user".to_owned(), content: content.into() }
    }

    /// A message of the assistant.
    pub fn assistant(content: impl Into<String>) -> Self {
        Self { role: "assistant".to_owned(), content: content.into() }
    }
}

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
            Self::Messages(messages) => messages.last().map_or("", |last| last.content.as_str()),
        }
    }

    /// The messages; a plain text is one message of `role`.
    pub fn to_messages(&self, role: &str) -> Vec<ChatMessage> {
        match self {
            Self::Messages(messages) => messages.clone(),
            Self::Text(text) => {
                vec![ChatMessage { role: role.to_owned(), content: text.clone() }]
            }
        }
    }

    /// `true` for the chat form.
    pub fn is_chat(&self) -> bool {
        matches!(self, Self::Messages(_))
    }

    /// `true` when there is no text in it at all.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Text(text) => text.is_empty(),
            Self::Messages(messages) => messages.iter().all(|message| message.content.is_empty()),
        }
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
