//! How questions, worked examples and completions are put into words for a model.

use crate::rows::{ChatMessage, Content};

/// Plain text or chat messages.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum PromptForm {
    /// One text.
    #[default]
    Text,
    /// A conversation; worked examples are earlier turns.
    Chat,
}

/// The frame around a question.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum PromptStyle {
    /// `Question: ...\nAnswer:`, blank lines between worked examples.
    #[default]
    QuestionAnswer,
    /// The text itself, to be continued.
    Continuation,
}

/// A worked example: a question and its right completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shot<'a> {
    /// The question.
    pub(super) question: &'a str,
    /// The right completion.
    pub(super) answer: &'a str,
}

impl PromptStyle {
    /// The prompt that asks `question` after the worked examples `shots`.
    pub(super) fn prompt(self, form: PromptForm, shots: &[Shot<'_>], question: &str) -> Content {
        match form {
            PromptForm::Chat => {
                let turns = shots.iter().flat_map(|shot| {
                    [ChatMessage::user(shot.question), ChatMessage::assistant(shot.answer)]
                });
                Content::Messages(turns.chain([ChatMessage::user(question)]).collect())
            }
            PromptForm::Text => {
                let mut text = String::new();
                for shot in shots {
                    text.push_str(&self.framed(shot.question));
                    text.push(' ');
                    text.push_str(shot.answer);
                    text.push_str("\n\n");
                }
                Content::Text(text + &self.framed(question))
            }
        }
    }

    fn framed(self, question: &str) -> String {
        match self {
            Self::QuestionAnswer => format!("Question: {question}\nAnswer:"),
            Self::Continuation => question.trim_end().to_owned(),
        }
    }
}

/// The completion as it follows the prompt. In plain text it begins with the space that
/// separates the two, because tokenizers attach a space to the word behind it.
pub(super) fn completion(form: PromptForm, answer: &str) -> Content {
    match form {
        PromptForm::Chat => Content::Messages(vec![ChatMessage::assistant(answer)]),
        PromptForm::Text => Content::Text(format!(" {answer}")),
    }
}
