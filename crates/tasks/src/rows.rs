//! Rows of data sets: JSON lines in the shapes TRL uses.
//!
//! A row is one JSON object on one line. Values are plain strings or lists of chat messages.
//! Fields a shape does not name are kept in `extra` and written back unchanged.

mod field;
mod problem;
mod reader;
mod writer;

pub use field::Fields;
pub(crate) use field::wrong_type;
pub use problem::{BadRow, BadRows, RowProblem, RowsError};
pub use reader::{OnBadRow, ReadOptions, RowReader, Rows, read_rows, read_rows_from};
pub use writer::{write_beside, write_rows};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

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

/// A shape that lines of a file can have.
pub trait Row: Sized {
    /// What a row of this shape looks like, for error messages.
    const SHAPE: &'static str;

    /// The row an object stands for, or the first thing wrong with it.
    fn from_fields(fields: Fields) -> Result<Self, RowProblem>;
}

/// A prompt with a preferred and a rejected completion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PreferenceRow {
    /// What is asked.
    pub prompt: Content,
    /// The preferred completion.
    pub chosen: Content,
    /// The other completion.
    pub rejected: Content,
    /// Every other field of the line.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Row for PreferenceRow {
    const SHAPE: &'static str = r#"{"prompt", "chosen", "rejected"}"#;

    fn from_fields(mut fields: Fields) -> Result<Self, RowProblem> {
        let prompt = fields.content("prompt")?;
        let chosen = fields.completion("chosen")?;
        let rejected = fields.completion("rejected")?;
        Ok(Self { prompt, chosen, rejected, extra: fields.rest() })
    }
}

/// A prompt with the completion to learn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CompletionRow {
    /// What is asked.
    pub prompt: Content,
    /// What should be said.
    pub completion: Content,
    /// Every other field of the line.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Row for CompletionRow {
    const SHAPE: &'static str = r#"{"prompt", "completion"}"#;

    fn from_fields(mut fields: Fields) -> Result<Self, RowProblem> {
        let prompt = fields.content("prompt")?;
        let completion = fields.completion("completion")?;
        Ok(Self { prompt, completion, extra: fields.rest() })
    }
}

/// Running text to learn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TextRow {
    /// The text.
    pub text: String,
    /// Every other field of the line.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Row for TextRow {
    const SHAPE: &'static str = r#"{"text"}"#;

    fn from_fields(mut fields: Fields) -> Result<Self, RowProblem> {
        let text = fields.text("text")?;
        if text.is_empty() {
            return Err(RowProblem::Empty { field: "text".to_owned() });
        }
        Ok(Self { text, extra: fields.rest() })
    }
}

/// A prompt with the answer a verifier compares with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AnswerRow {
    /// What is asked.
    pub prompt: Content,
    /// The right answer; a JSON number is kept as it is written.
    pub answer: String,
    /// Every other field of the line, such as the numbers of a Countdown problem.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Row for AnswerRow {
    const SHAPE: &'static str = r#"{"prompt", "answer"}"#;

    fn from_fields(mut fields: Fields) -> Result<Self, RowProblem> {
        let prompt = fields.content("prompt")?;
        let answer = fields.text_or_number("answer")?;
        Ok(Self { prompt, answer, extra: fields.rest() })
    }
}
