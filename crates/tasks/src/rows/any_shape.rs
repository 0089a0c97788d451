//! Rows whose shape is recognised by their columns.

use serde::Serialize;

use super::columns::Meaning;
use super::field::Fields;
use super::parts::has_prompt;
use super::problem::RowProblem;
use super::row::Row;
use super::shapes::{AnswerRow, CompletionRow, LabelledRow, PreferenceRow, TextRow};

/// A row for supervised training: a prompt with its completion, or running text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum SupervisedRow {
    /// `{"prompt", "completion"}`: the completion is learned.
    Completion(CompletionRow),
    /// `{"text"}` or `{"messages"}`: all of it is learned.
    Text(TextRow),
}

impl Row for SupervisedRow {
    const SHAPE: &'static str = r#"{"prompt", "completion"}, {"text"} or {"messages"}"#;

    fn from_fields(fields: Fields) -> Result<Self, RowProblem> {
        if is_text(&fields)? {
            TextRow::from_fields(fields).map(Self::Text)
        } else {
            CompletionRow::from_fields(fields).map(Self::Completion)
        }
    }
}

/// A row of any shape, recognised by its columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum DataRow {
    /// `{"prompt", "chosen", "rejected"}`.
    Pair(PreferenceRow),
    /// `{"prompt", "completion", "label"}`.
    Labelled(LabelledRow),
    /// `{"prompt", "completion"}`, `{"text"}` or `{"messages"}`.
    Supervised(SupervisedRow),
    /// `{"prompt", "answer"}`.
    Answer(AnswerRow),
}

impl DataRow {
    /// The shape's name: `pairs`, `labelled completions`, `completions`, `texts` or `answers`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Pair(_) => "pairs",
            Self::Labelled(_) => "labelled completions",
            Self::Supervised(SupervisedRow::Completion(_)) => "completions",
            Self::Supervised(SupervisedRow::Text(_)) => "texts",
            Self::Answer(_) => "answers",
        }
    }
}

impl Row for DataRow {
    const SHAPE: &'static str = r#"{"prompt", "chosen", "rejected"}, {"prompt", "completion"}, {"prompt", "completion", "label"}, {"text"}, {"messages"} or {"prompt", "answer"}"#;

    fn from_fields(fields: Fields) -> Result<Self, RowProblem> {
        const COMPLETION: [Meaning; 2] = [Meaning::Completion, Meaning::Output];
        const PAIR: [Meaning; 2] = [Meaning::Chosen, Meaning::Rejected];
        // Tables give every row every column: what says something decides, then what is there.
        let says = |meanings: &[Meaning]| meanings.iter().any(|meaning| fields.has(*meaning));
        let named = |meanings: &[Meaning]| meanings.iter().any(|m| fields.column(*m).is_some());
        if says(&PAIR) {
            PreferenceRow::from_fields(fields).map(Self::Pair)
        } else if is_text(&fields)? {
            TextRow::from_fields(fields).map(|row| Self::Supervised(SupervisedRow::Text(row)))
        } else if named(&COMPLETION) && says(&[Meaning::Label]) {
            LabelledRow::from_fields(fields).map(Self::Labelled)
        } else if !says(&COMPLETION) && named(&[Meaning::Answer, Meaning::Judge]) {
            AnswerRow::from_fields(fields).map(Self::Answer)
        } else if !says(&COMPLETION) && named(&PAIR) {
            PreferenceRow::from_fields(fields).map(Self::Pair)
        } else if named(&COMPLETION) || has_prompt(&fields) {
            CompletionRow::from_fields(fields)
                .map(|row| Self::Supervised(SupervisedRow::Completion(row)))
        } else {
            TextRow::from_fields(fields).map(|row| Self::Supervised(SupervisedRow::Text(row)))
        }
    }
}

/// Whether a row is running text or a conversation; an error if it is a prompt with its completion too.
fn is_text(fields: &Fields) -> Result<bool, RowProblem> {
    let Some(text) = [Meaning::Text, Meaning::Messages].into_iter().find(|m| fields.has(*m)) else {
        return Ok(false);
    };
    let completion = [Meaning::Completion, Meaning::Output].into_iter().find(|m| fields.has(*m));
    match completion {
        Some(_) if text == Meaning::Text && has_prompt(fields) && fields.is_rendered() => Ok(false),
        Some(completion) if has_prompt(fields) => Err(RowProblem::Inconsistent {
            field: fields.called(text),
            found: format!("{} beside a prompt and `{}`", text.words(), fields.called(completion)),
            expected: "one of the two: `messages` or `text`, or a prompt and its completion; \
                       remove the other (in a run, `data.columns` does)"
                .to_owned(),
        }),
        _ => Ok(true),
    }
}
