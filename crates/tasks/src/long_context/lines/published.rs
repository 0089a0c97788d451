//! The published rows of LongChat-Lines and of `LongEval`.

use serde_json::Value;

use super::super::case::prompt;
use super::super::{AnswerRule, RetrievalCase, RetrievalTask};
use crate::rows::{Fields, Row, RowProblem, wrong_type};

/// A row as `abacusai/LongChat-Lines` publishes it (`prompt`, `expected_number`, `num_lines`,
/// `token_size`), or as `LongEval` does (`random_idx` and `correct_line` besides, `token_size` not
/// always).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LongChatRow {
    /// The whole prompt.
    pub prompt: String,
    /// The value asked for, as it is written in the row.
    pub expected_number: String,
    /// Lines of the record.
    pub num_lines: usize,
    /// Tokens of the prompt by the publisher's tokenizer.
    pub token_size: Option<usize>,
    /// Index of the line asked for, found in the prompt.
    pub target: Option<usize>,
}

impl Row for LongChatRow {
    const SHAPE: &'static str = r#"{"prompt", "expected_number", "num_lines"}"#;

    fn from_fields(mut fields: Fields) -> Result<Self, RowProblem> {
        let prompt = fields.text("prompt")?;
        let expected_number = fields.text_or_number("expected_number")?.trim().to_owned();
        if expected_number.is_empty() || !expected_number.bytes().all(|byte| byte.is_ascii_digit())
        {
            return Err(RowProblem::Inconsistent {
                field: "expected_number".to_owned(),
                found: format!("{expected_number:?}"),
                expected: "a whole number".to_owned(),
            });
        }
        let num_lines = whole(&fields.take("num_lines", WHOLE)?, "num_lines")?;
        let token_size = match fields.take_optional("token_size") {
            Some(value) => Some(whole(&value, "token_size")?),
            None => None,
        };
        let (lines, target) = target_line(&prompt, &expected_number)?;
        if lines != num_lines {
            return Err(RowProblem::Inconsistent {
                field: "num_lines".to_owned(),
                found: num_lines.to_string(),
                expected: format!("{lines}, the number of lines in `prompt`"),
            });
        }
        Ok(Self { prompt, expected_number, num_lines, token_size, target })
    }
}

const WHOLE: &str = "a whole number";

fn whole(value: &Value, field: &str) -> Result<usize, RowProblem> {
    let number = value.as_u64().and_then(|number| usize::try_from(number).ok());
    number.ok_or_else(|| wrong_type(field, value, WHOLE))
}

/// The number of lines in a prompt, and the index of the one its question asks for.
fn target_line(prompt: &str, expected: &str) -> Result<(usize, Option<usize>), RowProblem> {
    let key = prompt
        .rsplit_once("<REGISTER_CONTENT> in line ")
        .and_then(|(_, rest)| rest.split_once('?'))
        .map(|(key, _)| key);
    let (mut count, mut target) = (0, None);
    for line in prompt.lines() {
        let Some((found, content)) =
            line.strip_prefix("line ").and_then(|line| line.split_once(": REGISTER_CONTENT is <"))
        else {
            continue;
        };
        if Some(found) == key && target.is_none() {
            let value = content.strip_suffix('>').unwrap_or(content);
            if value != expected {
                return Err(RowProblem::Inconsistent {
                    field: "expected_number".to_owned(),
                    found: expected.to_owned(),
                    expected: format!("the value {value:.40} of line {found:.40} in `prompt`"),
                });
            }
            target = Some(count);
        }
        count += 1;
    }
    Ok((count, target))
}

impl LongChatRow {
    /// The row as a case; `item` is its line in the file.
    pub fn case(&self, item: usize, chat: bool) -> RetrievalCase {
        let last = self.num_lines.saturating_sub(1).max(1);
        let prompt = prompt(self.prompt.clone(), chat);
        let (task, answer) = (RetrievalTask::LongchatLines, &self.expected_number);
        RetrievalCase {
            rule: AnswerRule::FirstInteger,
            depth: self.target.map(|target| target as f64 / last as f64),
            ..RetrievalCase::published(task, prompt, answer, self.token_size, item)
        }
    }
}
