//! One prompt with an answer hidden in it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{AnswerRule, Placement, QuestionPosition, Score, Variant};
use crate::rows::{ChatMessage, CompletionRow, Content, TextRow};

/// A retrieval task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RetrievalTask {
    /// The value of one line in a record of lines.
    LongchatLines,
    /// A number hidden in filler text.
    Passkey,
    /// A question whose answer occurs in the document.
    FreeFormQa,
    /// A question whose answer is a number that was altered everywhere in the document.
    AlteredNumericQa,
}

impl RetrievalTask {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::LongchatLines, Self::Passkey, Self::FreeFormQa, Self::AlteredNumericQa];

    /// The name in files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::LongchatLines => "longchat-lines",
            Self::Passkey => "passkey",
            Self::FreeFormQa => "free-form-qa",
            Self::AlteredNumericQa => "altered-numeric-qa",
        }
    }

    /// Whether cases are made from documents.
    pub fn needs_documents(self) -> bool {
        matches!(self, Self::FreeFormQa | Self::AlteredNumericQa)
    }
}

impl fmt::Display for RetrievalTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A prompt, the answers hidden in it, and how a completion is scored.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RetrievalCase {
    /// The task.
    pub task: RetrievalTask,
    /// What the model is given: text, or one user message.
    pub prompt: Content,
    /// The accepted answers; the first is what a model should say.
    pub answers: Vec<String>,
    /// How a completion is scored.
    pub rule: AnswerRule,
    /// The requested length, in tokens; `None` for published rows.
    pub length_target: Option<usize>,
    /// Tokens of the prompt by the caller's counter; for published rows as published, if at all.
    pub tokens: Option<usize>,
    /// Depth of the answer: 0 at the beginning of the document or record, 1 at its end.
    pub depth: Option<f64>,
    /// The requested depth, if one was requested.
    pub depth_target: Option<f64>,
    /// Placement of the answer and position of the question.
    pub variant: Variant,
    /// Line in the data file counted from 1, or index of the generated item.
    pub item: usize,
}

impl RetrievalCase {
    /// A published prompt with its one answer, at no known depth, with the question behind the document;
    /// `item` is its line.
    pub(super) fn published(
        task: RetrievalTask,
        prompt: Content,
        answer: &str,
        tokens: Option<usize>,
        item: usize,
    ) -> Self {
        Self {
            task,
            prompt,
            answers: vec![answer.trim().to_owned()],
            rule: AnswerRule::Presence,
            length_target: None,
            tokens,
            depth: None,
            depth_target: None,
            variant: Variant { placement: None, question: QuestionPosition::After },
            item,
        }
    }

    /// The score of a completion by this case's rule.
    ///
    /// ```
    /// use bestof_tasks::long_context::{DepthTarget, lines::LineRecord};
    ///
    /// let record = LineRecord::generate(1, 0, Default::default(), 20, DepthTarget::At(0.5))?;
    /// let case = record.case(false);
    /// assert!(case.score(&format!("The number is <{}>.", case.answers[0])).correct);
    /// assert!(!case.score("I cannot find it.").correct);
    /// # Ok::<(), bestof_tasks::long_context::LongContextError>(())
    /// ```
    pub fn score(&self, completion: &str) -> Score {
        self.rule.score(completion, &self.answers)
    }

    /// What a model should say: the first answer.
    pub fn answer(&self) -> &str {
        self.answers.first().map_or("", String::as_str)
    }

    /// The requested placement of the answer, if one was requested.
    pub fn placement(&self) -> Option<Placement> {
        self.variant.placement
    }

    /// Position of the question.
    pub fn question_position(&self) -> QuestionPosition {
        self.variant.question
    }

    /// The case as a training row: the answer after a space, or as a message.
    pub fn to_completion_row(&self) -> CompletionRow {
        let completion = if self.prompt.is_chat() {
            Content::Messages(vec![ChatMessage::assistant(self.answer())])
        } else {
            Content::Text(self.spaced_answer())
        };
        CompletionRow::new(self.prompt.clone(), completion)
    }

    /// The case as running text: the prompt followed by the answer, without roles.
    pub fn to_text_row(&self) -> TextRow {
        let text = format!("{}{}", self.prompt.last_text(), self.spaced_answer());
        TextRow::new(text)
    }

    fn spaced_answer(&self) -> String {
        let space = if self.prompt.last_text().ends_with(char::is_whitespace) { "" } else { " " };
        format!("{space}{}", self.answer())
    }
}

/// The text itself, or as one user message.
pub(super) fn prompt(text: String, chat: bool) -> Content {
    if chat { Content::Messages(vec![ChatMessage::user(text)]) } else { Content::Text(text) }
}
