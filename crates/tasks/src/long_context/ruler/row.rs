//! Rows of RULER's files.

use serde::Serialize;
use serde_json::Value;

use super::{RulerCase, RulerTask};
use crate::rows::{Fields, Json, Row, RowProblem, wrong_type};

/// Fields that say where a row came from; they are not needed to ask it.
const NOTES: [&str; 6] =
    ["length_w_model_temp", "token_position_answer", "truncation", "context_length", "id", "_id"];

/// A row as `scripts/data/prepare.py` writes it: `index`, `input`, `outputs`, `length`, `answer_prefix`.
///
/// A row does not say which task it is of, which decides its score; `task` may. The form of the hub's
/// `simonjegou/ruler` is read too: there `context` and `question` are the two parts of the input, `answer` has
/// the outputs, and `max_new_tokens` is the longest answer. Other fields that say something are refused
/// by name.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RulerRow {
    /// The task, where the row names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<RulerTask>,
    /// Number of the row in its file, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
    /// The prompt.
    pub input: String,
    /// What an answer has to say.
    pub outputs: Vec<String>,
    /// Tokens of the prompt with room for the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length: Option<usize>,
    /// What the answer begins with.
    pub answer_prefix: String,
    /// The longest answer in tokens, where it is not the task's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_new_tokens: Option<usize>,
}

impl Row for RulerRow {
    const SHAPE: &'static str = r#"{"input", "outputs", "answer_prefix"}"#;

    fn from_fields(mut fields: Fields) -> Result<Self, RowProblem> {
        let parts = fields.contains("context") && !fields.contains("input");
        let input = if parts {
            // One was cut into the two.
            format!("{}{}", fields.text("context")?, fields.text("question")?)
        } else {
            fields.text("input")?
        };
        if input.trim().is_empty() {
            return Err(RowProblem::Empty { field: "input".to_owned() });
        }
        let name = if parts { "answer" } else { "outputs" };
        let outputs = match fields.take(name, OUTPUTS)? {
            Value::Array(outputs) => outputs,
            one => vec![one],
        };
        let outputs: Vec<String> =
            outputs.into_iter().map(|value| output(name, value)).collect::<Result<_, _>>()?;
        if outputs.is_empty() {
            return Err(RowProblem::Empty { field: name.to_owned() });
        }
        let answer_prefix = match fields.take_optional("answer_prefix") {
            None => String::new(),
            Some(Value::String(prefix)) => prefix,
            Some(other) => return Err(wrong_type("answer_prefix", &other, "text")),
        };
        let task = match fields.take_optional("task") {
            None => None,
            Some(Value::String(name)) => {
                let unknown = |expected| RowProblem::Inconsistent {
                    field: "task".to_owned(),
                    found: format!("an {expected}"),
                    expected: "the name of one of RULER's tasks".to_owned(),
                };
                Some(name.parse().map_err(unknown)?)
            }
            Some(other) => {
                return Err(wrong_type("task", &other, "the name of one of RULER's tasks"));
            }
        };
        let (index, length) = (count(&mut fields, "index")?, count(&mut fields, "length")?);
        let max_new_tokens = count(&mut fields, "max_new_tokens")?;
        if max_new_tokens == Some(0) {
            return Err(wrong_type("max_new_tokens", &Value::from(0), "at least 1"));
        }
        let noted = |name: &str| NOTES.contains(&name);
        let says = |value: &Json| match value {
            Json::Object(fields) => {
                fields.iter().any(|(name, value)| !noted(name) && value.has_content())
            }
            value => value.has_content(),
        };
        for (field, found) in fields.rest() {
            let found = Json::from(found);
            if !noted(&field) && says(&found) {
                const EXPECTED: &str = "no such field beside `input` and `outputs`; remove it";
                return Err(wrong_type(&field, &found, EXPECTED));
            }
        }
        Ok(Self { task, index, input, outputs, length, answer_prefix, max_new_tokens })
    }
}

const OUTPUTS: &str = "a list of texts";

fn output(name: &str, value: Value) -> Result<String, RowProblem> {
    match value {
        // An empty text occurs in every answer.
        Value::String(text) if text.is_empty() => Err(RowProblem::Empty { field: name.to_owned() }),
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        other => Err(wrong_type(name, &other, OUTPUTS)),
    }
}

/// A whole number; -1 stands for none, as in RULER's readers.
fn count(fields: &mut Fields, name: &str) -> Result<Option<usize>, RowProblem> {
    match fields.take_optional(name) {
        None => Ok(None),
        Some(found) if found.as_i64() == Some(-1) => Ok(None),
        Some(found) => match found.as_u64() {
            Some(number) => Ok(Some(number as usize)),
            None => Err(wrong_type(name, &found, "a whole number of at least 0")),
        },
    }
}

impl From<&RulerCase> for RulerRow {
    /// The case as a row that names its task.
    fn from(case: &RulerCase) -> Self {
        Self {
            task: Some(case.task),
            index: Some(case.index),
            input: case.input.clone(),
            outputs: case.outputs.clone(),
            length: case.length,
            answer_prefix: case.answer_prefix.clone(),
            max_new_tokens: Some(case.max_new_tokens)
                .filter(|tokens| *tokens != case.task.max_new_tokens()),
        }
    }
}

impl RulerRow {
    /// The row as a case of a task; `line` is its line.
    pub fn case(self, task: RulerTask, line: usize) -> RulerCase {
        let task = self.task.unwrap_or(task);
        RulerCase {
            task,
            index: line,
            input: self.input,
            answer_prefix: self.answer_prefix,
            outputs: self.outputs,
            max_new_tokens: self.max_new_tokens.unwrap_or(task.max_new_tokens()),
            length: self.length,
            tokens: None,
            depth: None,
            depth_target: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::Fields;

    fn read(line: &str) -> Result<RulerRow, String> {
        let Ok(Value::Object(map)) = serde_json::from_str(line) else { panic!("{line}") };
        RulerRow::from_fields(Fields::new(map)).map_err(|problem| problem.to_string())
    }

    #[test]
    fn a_published_row_is_read_and_written_alike() {
        let line = r#"{"index": 230, "input": "What is it for a?", "outputs": ["8231077", "12"], "length": 4090, "length_w_model_temp": 4090, "answer_prefix": " They are", "token_position_answer": 1022}"#;
        let row = read(line).unwrap();
        assert_eq!((row.index, row.length), (Some(230), Some(4090)));
        let case = row.clone().case(RulerTask::NiahMultivalue, 7);
        assert_eq!(case.text(), "What is it for a? They are");
        assert_eq!((case.index, case.score("12 and 8")), (7, 0.5));
        assert_eq!(row.case(RulerTask::Qa1, 7).score("12 and 8"), 1.0);
        let again = serde_json::to_string(&RulerRow::from(&case)).unwrap();
        assert_eq!(read(&again).unwrap().outputs, ["8231077", "12"]);
        assert_eq!(read(&again).unwrap().task, Some(RulerTask::NiahMultivalue));
    }

    #[test]
    fn the_hubs_two_parts_are_one_input() {
        let line = r#"{"context": "It is 7.\n", "question": "What is it? ", "answer_prefix": "It is", "answer": ["7", "8"], "task": "niah_multivalue", "max_new_tokens": 64, "context_length": 4096}"#;
        let case = read(line).unwrap().case(RulerTask::Qa1, 1);
        assert_eq!(case.text(), "It is 7.\nWhat is it? It is");
        assert_eq!(
            (case.task, case.max_new_tokens, case.score("7")),
            (RulerTask::NiahMultivalue, 64, 0.5)
        );
        let error = read(r#"{"context": "c", "question": "q", "outputs": ["7"]}"#).unwrap_err();
        assert!(error.contains("`answer`"), "{error}");
    }

    #[test]
    fn what_is_not_used_is_named() {
        for (line, expected) in [
            (r#"{"input": "Q", "outputs": ["1"], "pred": "2"}"#, "field `pred`"),
            (r#"{"input": "Q", "outputs": []}"#, "field `outputs` is empty"),
            (r#"{"input": "Q", "outputs": [""]}"#, "field `outputs` is empty"),
            (r#"{"input": "Q", "outputs": [{"a": 1}]}"#, "field `outputs`"),
            (r#"{"input": "Q"}"#, "field `outputs` is missing"),
            (r#"{"input": " ", "outputs": ["1"]}"#, "field `input` is empty"),
            (
                r#"{"input": "Q", "outputs": ["1"], "task": "niah_single_4"}"#,
                "field `task`: found an unknown task `niah_single_4`; did you mean `niah_single_1`? Known are",
            ),
            (r#"{"input": "Q", "outputs": ["1"], "task": 4}"#, "field `task`: found the number 4"),
            (
                r#"{"input": "Q", "outputs": ["1"], "others": {"id": 3, "pred": "2"}}"#,
                "field `others`",
            ),
            (r#"{"input": "Q", "outputs": ["1"], "length": "long"}"#, "field `length`"),
        ] {
            let error = read(line).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        assert!(
            read(r#"{"input": "Q", "outputs": 5, "others": {"id": 3}, "truncation": -1}"#).is_ok()
        );
        assert!(read(r#"{"input": "Q", "outputs": 5, "pred": "", "notes": [null, " "]}"#).is_ok());
    }
}
