//! The published rows of `WikiQA` (`abacusai/WikiQA-Free_Form_QA`,
//! `abacusai/WikiQA-Altered_Numeric_QA`).

use serde_json::Value;

use super::super::case::prompt;
use super::super::{QuestionPosition, RetrievalCase, RetrievalTask, Variant};
use crate::rows::{Fields, Row, RowProblem, wrong_type};

const CONVERSATION: &str = r#"a list of two turns {"from", "value"}"#;

/// A row with a `conversations` list of two turns: the prompt, and the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WikiQaRow {
    /// The prompt.
    pub prompt: String,
    /// The answer.
    pub answer: String,
    /// Tokens of the prompt by the publisher's tokenizer.
    pub tok_len: Option<usize>,
}

impl Row for WikiQaRow {
    const SHAPE: &'static str = r#"{"conversations": [{"from", "value"}, {"from", "value"}]}"#;

    fn from_fields(mut fields: Fields) -> Result<Self, RowProblem> {
        let turns = match fields.take("conversations", CONVERSATION)? {
            Value::Array(turns) if turns.len() == 2 => turns,
            other => return Err(wrong_type("conversations", &other, CONVERSATION)),
        };
        let mut texts = Vec::with_capacity(2);
        let mut tok_len = None;
        for (index, turn) in turns.into_iter().enumerate() {
            let path = format!("conversations[{index}]");
            let Value::Object(turn) = turn else {
                return Err(wrong_type(&path, &turn, r#"a turn {"from", "value"}"#));
            };
            let mut turn = Fields::new(turn);
            let who = turn.text("from").map_err(|problem| problem.inside(&path))?;
            let human = matches!(who.as_str(), "human" | "user");
            if human != (index == 0) {
                return Err(RowProblem::Inconsistent {
                    field: format!("{path}.from"),
                    found: format!("{who:?}"),
                    expected: "`human` first, then `agent`".to_owned(),
                });
            }
            let length = turn.take_optional("tok_len").and_then(|length| length.as_u64());
            if index == 0 {
                tok_len = length.map(|length| length as usize);
            }
            let text = turn.text_or_number("value").map_err(|problem| problem.inside(&path))?;
            if text.trim().is_empty() {
                return Err(RowProblem::Empty { field: format!("{path}.value") });
            }
            texts.push(text);
        }
        let answer = texts.pop().unwrap_or_default();
        Ok(Self { prompt: texts.pop().unwrap_or_default(), answer, tok_len })
    }
}

impl WikiQaRow {
    /// Position of the question in the text: before `Document:` or after it.
    fn question_position(&self) -> Option<QuestionPosition> {
        // The document may contain these words too; the first `Document:` is the prompt's own.
        let document = self.prompt.find("Document:")?;
        if self.prompt[..document].contains("Question:") {
            return Some(QuestionPosition::Before);
        }
        self.prompt[document..].contains("Question:").then_some(QuestionPosition::After)
    }

    /// The row as a case; `index` counts the rows of its file from 0 and decides the variant, `item`
    /// is its line. The position of the question is read from the text if possible.
    pub fn case(
        &self,
        task: RetrievalTask,
        index: usize,
        item: usize,
        chat: bool,
    ) -> RetrievalCase {
        let variant = Variant::of_published_row(index);
        let prompt = prompt(self.prompt.clone(), chat);
        let question = self.question_position().unwrap_or(variant.question);
        RetrievalCase {
            variant: Variant { question, ..variant },
            ..RetrievalCase::published(task, prompt, &self.answer, self.tok_len, item)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::long_context::Placement;
    use crate::rows::{ReadOptions, read_rows_from};

    fn read(line: &str) -> Result<WikiQaRow, String> {
        let read = read_rows_from::<WikiQaRow>(
            line.as_bytes(),
            "w.jsonl".as_ref(),
            &ReadOptions::default(),
        );
        read.map(|rows| rows.rows[0].clone()).map_err(|error| error.to_string())
    }

    #[test]
    fn rows_become_cases() {
        let line = r#"{"conversations":[{"from":"human","tok_len":1815,"value":"Answer.\n\nDocument:\nIt was 1984. Question: none\n\nQuestion: When?"},{"from":"agent","tok_len":3,"value":" 1984 "}]}"#;
        let case = read(line).unwrap().case(RetrievalTask::AlteredNumericQa, 4, 5, true);
        assert_eq!((case.tokens, case.item), (Some(1815), 5));
        assert_eq!(case.variant.placement, Some(Placement::End));
        assert_eq!(case.variant.question, QuestionPosition::After);
        assert!(case.score("In 1984.").correct && case.prompt.is_chat());
        let before =
            line.replace("Answer.\\n\\nDocument", "Answer.\\n\\nQuestion: When?\\n\\nDocument");
        let case = read(&before).unwrap().case(RetrievalTask::FreeFormQa, 1, 2, false);
        assert_eq!(case.variant.question, QuestionPosition::Before);
        assert_eq!(case.variant.placement, Some(Placement::Start));
    }

    #[test]
    fn bad_rows_name_the_turn() {
        for (line, expected) in [
            (r#"{"conversations":[]}"#, "field `conversations`: found a list of 0"),
            (r#"{"conversations":[1,2]}"#, "field `conversations[0]`: found the number 1"),
            (
                r#"{"conversations":[{"from":"agent","value":"x"},{"from":"human","value":"y"}]}"#,
                "`human` first",
            ),
            (
                r#"{"conversations":[{"from":"human","value":"x"},{"from":"agent"}]}"#,
                "field `conversations[1].value` is missing",
            ),
            (
                r#"{"conversations":[{"from":"human","value":"x"},{"from":"agent","value":" "}]}"#,
                "field `conversations[1].value` is empty",
            ),
        ] {
            let error = read(line).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
