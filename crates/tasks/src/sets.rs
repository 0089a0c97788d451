//! Rows of published data sets, in their published shapes.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::answer::given_answer;
use crate::extract::{Marker, answer_text, final_number};
use crate::rows::{AnswerRow, CompletionRow, Content, Fields, Json, Meaning, Row, RowProblem};

/// Refuses a field that is left of a row of these texts and says something else.
fn lossless<R: Row>(left: Fields, texts: &[&str]) -> Result<(), RowProblem> {
    let texts: Vec<Content> = texts.iter().map(|text| Content::from(*text)).collect();
    left.finish(R::SHAPE, &texts.iter().collect::<Vec<_>>(), &[]).map(drop)
}

/// A line of GSM8K (arXiv 2110.14168), or of anything in its shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gsm8kRow {
    /// The word problem.
    pub question: String,
    /// The worked solution with `<<48/2=24>>` annotations and `#### N`.
    pub answer: String,
}

impl Row for Gsm8kRow {
    const SHAPE: &'static str = r#"{"question", "answer"}"#;

    fn from_fields(mut fields: Fields) -> Result<Self, RowProblem> {
        let row = Self { question: fields.text("question")?, answer: fields.text("answer")? };
        lossless::<Self>(fields, &[&row.question, &row.answer])?;
        Ok(row)
    }
}

impl Gsm8kRow {
    /// The question with its final number as the answer; `None` if there is no number.
    pub fn to_answer(&self) -> Option<AnswerRow> {
        worked_answer(&self.answer).map(|answer| AnswerRow::new(self.question.as_str(), answer))
    }
}

/// A line of MATH (arXiv 2103.03874).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MathRow {
    /// The problem, in LaTeX.
    pub problem: String,
    /// The solution, its answer in `\boxed{}`.
    pub solution: String,
}

impl Row for MathRow {
    const SHAPE: &'static str = r#"{"problem", "solution"}"#;

    fn from_fields(mut fields: Fields) -> Result<Self, RowProblem> {
        let row = Self { problem: fields.text("problem")?, solution: fields.text("solution")? };
        lossless::<Self>(fields, &[&row.problem, &row.solution])?;
        Ok(row)
    }
}

impl MathRow {
    /// The problem with the content of the solution's last box as the answer, with the boxes that
    /// "and" or a comma joins to it; `None` without a box.
    pub fn to_answer(&self) -> Option<AnswerRow> {
        boxed_answer(&self.solution).map(|answer| AnswerRow::new(self.problem.as_str(), answer))
    }
}

/// The final number of a worked solution.
fn worked_answer(solution: &str) -> Option<String> {
    final_number(solution).map(|number| number.value.to_string())
}

/// The content of a solution's last box, with the boxes that are joined to it.
fn boxed_answer(solution: &str) -> Option<Cow<'_, str>> {
    (answer_text(solution).1 == Some(Marker::Boxed)).then(|| given_answer(solution))
}

/// Puts what is in the field `metadata` among the other fields.
fn spread_metadata(
    metadata: Option<Value>,
    extra: &mut Map<String, Value>,
) -> Result<(), RowProblem> {
    let metadata = match metadata {
        None => return Ok(()),
        Some(Value::Object(metadata)) => metadata,
        Some(other) => return Err(crate::rows::wrong_type("metadata", &other, "an object")),
    };
    for (name, value) in metadata {
        match extra.get(&name) {
            Some(beside) if *beside != value => {
                return Err(RowProblem::Inconsistent {
                    field: format!("metadata.{name}"),
                    found: Json::from(value).in_words(),
                    expected: format!(
                        "what the column `{name}` says; rename or remove one of the two"
                    ),
                });
            }
            _ => extra.insert(name, value),
        };
    }
    Ok(())
}

/// A line of the reasoning-gym generators: a question, its answer and its metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GymRow(pub AnswerRow);

impl Row for GymRow {
    const SHAPE: &'static str = r#"{"question", "answer", "metadata"}"#;

    fn from_fields(mut fields: Fields) -> Result<Self, RowProblem> {
        let prompt = fields.text("question")?;
        let answer = fields.text_or_number("answer")?;
        let mut extra = Map::new();
        spread_metadata(fields.take_optional("metadata"), &mut extra)?;
        lossless::<Self>(fields, &[&prompt, &answer])?;
        Ok(Self(AnswerRow { extra, ..AnswerRow::new(prompt, answer) }))
    }
}

/// A line of `MetaMathQA` (arXiv 2309.12284).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetaMathRow {
    /// The problem.
    pub query: String,
    /// The worked solution, which ends with "The answer is: N".
    pub response: String,
}

impl Row for MetaMathRow {
    const SHAPE: &'static str = r#"{"query", "response"}"#;

    fn from_fields(mut fields: Fields) -> Result<Self, RowProblem> {
        let row = Self { query: fields.text("query")?, response: fields.text("response")? };
        lossless::<Self>(fields, &[&row.query, &row.response])?;
        Ok(row)
    }
}

/// A multiple-choice question: a stem, its options and which one is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChoiceItem {
    /// The item's name in its set, if it has one.
    pub id: Option<String>,
    /// The question, or the text to continue.
    pub stem: String,
    /// The options.
    pub options: Vec<String>,
    /// Index of the right option.
    pub right: usize,
}

/// A line of ARC (arXiv 1803.05457), as published or as flattened on the Hugging Face hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArcRow(pub ChoiceItem);

impl Row for ArcRow {
    const SHAPE: &'static str = r#"{"question", "choices", "answerKey"}"#;

    fn from_fields(mut fields: Fields) -> Result<Self, RowProblem> {
        const QUESTION: &str = r#"text, or an object {"stem", "choices"}"#;
        let id = fields.take_optional("id").and_then(|id| id.as_str().map(str::to_owned));
        let (stem, labelled) = match fields.take("question", QUESTION)? {
            Value::String(stem) => (stem, labelled_options(&mut fields)?),
            Value::Object(inner) => {
                let mut inner = Fields::new(inner);
                let within = |problem: RowProblem| problem.inside("question");
                let stem = inner.text("stem").map_err(within)?;
                (stem, labelled_options(&mut inner).map_err(within)?)
            }
            other => return Err(crate::rows::wrong_type("question", &other, QUESTION)),
        };
        let key = fields.text_or_number("answerKey")?;
        let right = labelled.iter().position(|(label, _)| *label == key);
        let labels =
            || labelled.iter().map(|(label, _)| label.as_str()).collect::<Vec<_>>().join(", ");
        let right = right.ok_or_else(|| RowProblem::Inconsistent {
            field: "answerKey".to_owned(),
            found: format!("{key:?}"),
            expected: format!("one of the labels {}", labels()),
        })?;
        let options = labelled.into_iter().map(|(_, text)| text).collect();
        lossless::<Self>(fields, &[&stem])?;
        Ok(Self(ChoiceItem { id, stem, options, right }))
    }
}

/// `choices` as a list of `{"text", "label"}`, or as `{"text": [...], "label": [...]}`.
fn labelled_options(fields: &mut Fields) -> Result<Vec<(String, String)>, RowProblem> {
    const EXPECTED: &str = r#"a list of {"text", "label"}, or {"text": [...], "label": [...]}"#;
    match fields.take("choices", EXPECTED)? {
        Value::Array(items) => items
            .into_iter()
            .enumerate()
            .map(|(index, item)| {
                let path = format!("choices[{index}]");
                let Value::Object(item) = item else {
                    return Err(crate::rows::wrong_type(&path, &item, r#"{"text", "label"}"#));
                };
                let mut item = Fields::new(item);
                let label = item.text("label").map_err(|problem| problem.inside(&path))?;
                let text = item.text("text").map_err(|problem| problem.inside(&path))?;
                Ok((label, text))
            })
            .collect(),
        Value::Object(columns) => {
            let mut columns = Fields::new(columns);
            let within = |problem: RowProblem| problem.inside("choices");
            let texts = columns.texts("text").map_err(within)?;
            let labels = columns.texts("label").map_err(within)?;
            if texts.len() != labels.len() {
                return Err(RowProblem::Inconsistent {
                    field: "choices.label".to_owned(),
                    found: format!("{} labels", labels.len()),
                    expected: format!("one for each of the {} texts", texts.len()),
                });
            }
            Ok(labels.into_iter().zip(texts).collect())
        }
        other => Err(crate::rows::wrong_type("choices", &other, EXPECTED)),
    }
}

/// A line of HellaSwag (arXiv 1905.07830).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HellaSwagRow(pub ChoiceItem);

impl Row for HellaSwagRow {
    const SHAPE: &'static str = r#"{"ctx", "endings", "label"}"#;

    fn from_fields(mut fields: Fields) -> Result<Self, RowProblem> {
        let id = fields.take_optional("ind").map(|id| id.to_string());
        let stem = without_markers(&fields.text("ctx")?);
        let endings = fields.texts("endings")?;
        let label = fields.text_or_number("label")?;
        let right = label.trim().parse().ok().filter(|right: &usize| *right < endings.len());
        let right = right.ok_or_else(|| RowProblem::Inconsistent {
            field: "label".to_owned(),
            found: format!("{label:?}"),
            expected: format!("the index of one of the {} endings", endings.len()),
        })?;
        let options = endings.iter().map(|ending| without_markers(ending)).collect();
        lossless::<Self>(fields, &[&stem])?;
        Ok(Self(ChoiceItem { id, stem, options, right }))
    }
}

/// A line of ARC or of `HellaSwag`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChoiceRow {
    /// A question with its options.
    Question(ChoiceItem),
    /// A text with its endings.
    Continuation(ChoiceItem),
}

impl Row for ChoiceRow {
    const SHAPE: &'static str =
        r#"{"question", "choices", "answerKey"} or {"ctx", "endings", "label"}"#;

    fn from_fields(fields: Fields) -> Result<Self, RowProblem> {
        if fields.contains("endings") {
            HellaSwagRow::from_fields(fields).map(|row| Self::Continuation(row.0))
        } else {
            ArcRow::from_fields(fields).map(|row| Self::Question(row.0))
        }
    }
}

/// A row with an answer: `{"prompt", "answer", ...}`, or a line of GSM8K, MATH or reasoning-gym, by what
/// their columns mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProblemRow(pub AnswerRow);

impl Row for ProblemRow {
    const SHAPE: &'static str =
        r#"{"prompt", "answer"}, {"question", "answer"} or {"problem", "solution"}"#;

    fn from_fields(fields: Fields) -> Result<Self, RowProblem> {
        let answered = fields.has(Meaning::Answer) || fields.has(Meaning::Judge);
        let solved = fields.called(Meaning::Prompt) != "prompt" && fields.has(Meaning::Solution);
        let row = if solved && !answered { from_solution(fields)? } else { from_answer(fields)? };
        if row.answer.trim().is_empty() {
            return Err(RowProblem::Empty { field: "answer".to_owned() });
        }
        Ok(Self(row))
    }
}

/// MATH's solutions have the answer in a box.
fn from_solution(fields: Fields) -> Result<AnswerRow, RowProblem> {
    let CompletionRow { prompt, completion, template, extra } = CompletionRow::from_fields(fields)?;
    let solution = completion.last_text().to_owned();
    let found = || unanswered("solution", "no answer in a \\boxed{}");
    let answer = boxed_answer(&solution).ok_or_else(found)?;
    Ok(AnswerRow { template, extra, ..AnswerRow::new(prompt, answer) })
}

/// GSM8K's worked answers end in `#### N`; what a verifier needs of reasoning-gym's is in `metadata`.
fn from_answer(fields: Fields) -> Result<AnswerRow, RowProblem> {
    let published = fields.called(Meaning::Prompt) != "prompt";
    let mut row = AnswerRow::from_fields(fields)?;
    if !published {
        return Ok(row);
    }
    if row.extra.get("metadata").is_some_and(Value::is_object) {
        let metadata = row.extra.remove("metadata");
        spread_metadata(metadata, &mut row.extra)?;
    } else if row.answer.contains("####") {
        let found = || unanswered("answer", "no number after ####");
        row.answer = worked_answer(&row.answer).ok_or_else(found)?;
    }
    Ok(row)
}

fn unanswered(field: &str, found: &str) -> RowProblem {
    RowProblem::Inconsistent {
        field: field.to_owned(),
        found: found.to_owned(),
        expected: "the answer that a verifier compares with".to_owned(),
    }
}

/// The text without the markup that HellaSwag's how-to articles carry.
fn without_markers(text: &str) -> String {
    let mut text = text.replace(" [title]", ". ");
    for marker in ["[header]", "[title]", "[step]", "[substeps]"] {
        text = text.replace(marker, " ");
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
