//! Rows that are whole prompts with their answer, as RULER (arXiv 2404.06654) writes them.

use serde_json::{Map, Value};

use super::case::prompt;
use super::qa::DOCUMENT;
use super::{RetrievalCase, RetrievalTask};
use crate::rows::{Fields, Row, RowProblem, wrong_type};

/// The names of a prompt, and of its answer.
const PROMPT: [&str; 2] = ["input", "prompt"];
const ANSWER: [&str; 6] = ["outputs", "answer", "answers", "pass_key", "passkey", "target"];

const ONE_ANSWER: &str = "text, a number, or a list of one of them";

/// Fields that say where a row came from; they are not needed to ask it.
const NOTES: [&str; 12] = [
    "index",
    "id",
    "_id",
    "length",
    "length_w_model_temp",
    "token_position_answer",
    "max_length",
    "context_length",
    "num_tokens",
    "depth",
    "depth_percent",
    "depth_ratio",
];

/// A whole prompt, `input` or `prompt`, and its answer, `outputs`, `answer`, `answers`, `pass_key`, `passkey` or
/// `target`.
///
/// A `context` is put in front of the prompt, as `InfiniteBench` (arXiv 2402.13718) asks for its passkeys, and
/// an `answer_prefix` behind it, as RULER does. Rows of several outputs are refused: in
/// some of RULER's tasks all have to be said, in others one, and the row does not tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WholePromptRow {
    /// The prompt.
    pub prompt: String,
    /// The answer.
    pub answer: String,
    /// Tokens of the prompt with room for the answer, as published.
    pub length: Option<usize>,
}

impl Row for WholePromptRow {
    const SHAPE: &'static str = r#"{"input", "outputs"}"#;

    fn from_fields(mut fields: Fields) -> Result<Self, RowProblem> {
        let name = PROMPT.into_iter().find(|name| fields.contains(name)).unwrap_or(PROMPT[0]);
        let mut prompt = fields.text(name)?;
        if prompt.trim().is_empty() {
            return Err(RowProblem::Empty { field: name.to_owned() });
        }
        match fields.take_optional("context") {
            None => {}
            Some(Value::String(context)) => prompt = format!("{context}\n\n{prompt}"),
            Some(other) => return Err(wrong_type("context", &other, "text")),
        }
        let name = ANSWER.into_iter().find(|name| fields.contains(name)).unwrap_or(ANSWER[0]);
        let outputs = match fields.take(name, ONE_ANSWER)? {
            Value::Array(mut items) if items.len() == 1 => items.remove(0),
            other => other,
        };
        let answer = match outputs {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            other => return Err(wrong_type(name, &other, ONE_ANSWER)),
        };
        if answer.trim().is_empty() {
            return Err(RowProblem::Empty { field: name.to_owned() });
        }
        match fields.take_optional("answer_prefix") {
            None => {}
            Some(Value::String(prefix)) => prompt.push_str(&prefix),
            Some(other) => return Err(wrong_type("answer_prefix", &other, "text")),
        }
        let length = fields.take_optional("length").and_then(|length| length.as_u64());
        let rest = fields.rest();
        let says =
            |value: &Value| !value.is_null() && value.as_array().is_none_or(|v| !v.is_empty());
        if let Some((field, found)) =
            rest.iter().find(|(name, value)| !NOTES.contains(&name.as_str()) && says(value))
        {
            let expected = "no such field beside a prompt and its answer; remove it";
            return Err(wrong_type(field, found, expected));
        }
        Ok(Self { prompt, answer, length: length.map(|length| length as usize) })
    }
}

impl WholePromptRow {
    /// Whether a row is meant as one: it has outputs, and no document that a prompt could be made of.
    pub fn fits(row: &Map<String, Value>) -> bool {
        row.contains_key("outputs") && !DOCUMENT.iter().any(|name| row.contains_key(*name))
    }

    /// The row as a case; `item` is its line.
    pub fn case(&self, task: RetrievalTask, item: usize, chat: bool) -> RetrievalCase {
        let prompt = prompt(self.prompt.clone(), chat);
        RetrievalCase::published(task, prompt, &self.answer, self.length, item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{ReadOptions, read_rows_from};

    fn read(line: &str) -> Result<WholePromptRow, String> {
        let options = ReadOptions::default();
        let read = read_rows_from::<WholePromptRow>(line.as_bytes(), "r.jsonl".as_ref(), &options);
        read.map(|rows| rows.rows[0].clone()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_row_of_ruler_is_a_whole_prompt() {
        let line = r#"{"index": 0, "input": "The number for abc is: 8231077. What is it?", "outputs": ["8231077"], "length": 4096, "answer_prefix": " It is"}"#;
        let case = read(line).unwrap().case(RetrievalTask::FreeFormQa, 1, false);
        assert_eq!(case.prompt.last_text(), "The number for abc is: 8231077. What is it? It is");
        assert_eq!((case.answers, case.tokens), (vec!["8231077".to_owned()], Some(4096)));
    }

    #[test]
    fn rows_of_passkey_files_are_whole_prompts() {
        for line in [
            r#"{"id": 0, "context": "The pass key is 71432.", "input": "What is the pass key?", "answer": ["71432"], "options": []}"#,
            r#"{"prompt": "The pass key is 71432.\n\nWhat is the pass key?", "pass_key": 71432, "depth": 0.5, "context_length": 4096}"#,
        ] {
            let row = read(line).unwrap();
            assert_eq!(row.prompt, "The pass key is 71432.\n\nWhat is the pass key?");
            assert_eq!(row.answer, "71432");
        }
    }

    #[test]
    fn what_is_not_used_is_named() {
        for (line, expected) in [
            (r#"{"input": "Q", "outputs": ["1", "2"]}"#, "field `outputs`: found a list of 2"),
            (r#"{"input": "Q", "outputs": ["1"], "others": ["2"]}"#, "field `others`"),
            (r#"{"input": "Q"}"#, "field `outputs` is missing"),
            (r#"{"input": " ", "outputs": "1"}"#, "field `input` is empty"),
        ] {
            let error = read(line).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
