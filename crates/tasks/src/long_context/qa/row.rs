//! Rows of question–answer–document files, in the shapes in common use.

use serde_json::Value;

use super::pages::{PAGES, hotpot, trivia_answers, trivia_page};
use crate::rows::{Content, Fields, Meaning, Row, RowProblem, wrong_type};

const QUESTION: [&str; 4] = ["question", "query", "question_text", "input"];
const ANSWERS: [&str; 5] = ["answers", "answer", "short_answers", "short_answer", "outputs"];
/// The names of a document.
pub(in crate::long_context) const DOCUMENT: [&str; 8] =
    ["document", "context", "text", "passage", "document_text", "documents", "contexts", "ctxs"];

const TRIVIA_ANSWER: &str = r#"{"value", "aliases"}"#;
const A_DOCUMENT: &str = r#"text, a list of texts, or {"title", "text"} or a list of them"#;
const SOME_ANSWERS: &str = r#"text, a number, a list of them, or {"text": [...]}"#;

/// A question, its answers and a document, under the names in common use:
///
/// | field | names | forms |
/// |---|---|---|
/// | question | `question`, `query`, `question_text`, `input` | text |
/// | answers | `answers`, `answer`, `short_answers`, `short_answer`, `outputs` | text, number, a list, `SQuAD`'s `{"text": [...]}` |
/// | document | `document`, `context`, `text`, `passage`, `document_text`, `documents`, `contexts`, `ctxs` | text, a list of paragraphs, `{"title", "text"}`, or a list of those, of which the one marked `isgold`, else `hasanswer`, else the first is the document |
/// | title, optional | `title`, or in the document | text |
///
/// `HotpotQA`'s pages, as the hub and as its authors have them, are one document with a paragraph a page.
/// Of `TriviaQA` the value of `answer` and its aliases are answers, and the first page of `entity_pages` or
/// `search_results` that has one of them is the document. A field that means something to a reader and is
/// not asked with, such as `options`, is refused by its name.
///
/// The simplified Natural Questions form is read too: `document_text` with spaces between tokens,
/// and `annotations` with the token numbers of `short_answers`. Its tags become paragraphs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct QaRow {
    /// The title, if there is one.
    pub(super) title: Option<String>,
    /// The question.
    pub(super) question: String,
    /// The answers; empty for a question without one.
    pub(super) answers: Vec<String>,
    /// The document.
    pub(super) document: String,
}

impl Row for QaRow {
    const SHAPE: &'static str = r#"{"question", "answers", "document"}"#;

    fn from_fields(mut fields: Fields) -> Result<Self, RowProblem> {
        let question = fields.text(first_present(&fields, &QUESTION))?;
        if question.trim().is_empty() {
            return Err(RowProblem::Empty { field: "question".to_owned() });
        }
        let title = match fields.take_optional("title") {
            Some(Value::String(title)) => Some(title),
            Some(other) => return Err(wrong_type("title", &other, "text")),
            None => None,
        };
        let name = first_present(&fields, &DOCUMENT);
        if name == "document_text" && fields.contains("annotations") {
            let text = fields.text(name)?;
            let annotations = fields.take("annotations", ANNOTATIONS)?;
            let (document, answers) = simplified(&text, &annotations)?;
            return Self { title, question, answers, document }.checked(name, fields);
        }
        let name_of_answers = first_present(&fields, &ANSWERS);
        if PAGES.iter().any(|pages| fields.contains(pages)) && !fields.contains(name) {
            let value = fields.take(name_of_answers, TRIVIA_ANSWER)?;
            let answers = trivia_answers(name_of_answers, &value)?;
            let (inner_title, document) = trivia_page(&mut fields, &answers)?;
            let title = title.or(inner_title);
            return Self { title, question, answers, document }.checked(PAGES[0], fields);
        }
        let value = fields.take(name, A_DOCUMENT)?;
        let (inner_title, document) = match hotpot(&value) {
            Some(pages) => (None, pages),
            None => document(name, value)?,
        };
        let value = fields.take(name_of_answers, SOME_ANSWERS)?;
        let answers = answers(name_of_answers, value)?;
        Self { title: title.or(inner_title), question, answers, document }.checked(name, fields)
    }
}

impl QaRow {
    /// Refuses an empty document, and fields that are left and would be lost.
    fn checked(self, document: &str, left: Fields) -> Result<Self, RowProblem> {
        if self.document.trim().is_empty() {
            return Err(RowProblem::Empty { field: document.to_owned() });
        }
        let answers: Vec<Content> = self.answers.iter().cloned().map(Content::Text).collect();
        left.finish(Self::SHAPE, &answers.iter().collect::<Vec<_>>(), &[Meaning::Label])?;
        Ok(self)
    }
}

/// The first of the names that the row has, or the usual one.
fn first_present(fields: &Fields, names: &[&'static str]) -> &'static str {
    names.iter().find(|name| fields.contains(name)).copied().unwrap_or(names[0])
}

fn answers(field: &str, value: Value) -> Result<Vec<String>, RowProblem> {
    match value {
        Value::String(text) => Ok(vec![text]),
        Value::Number(number) => Ok(vec![number.to_string()]),
        Value::Null => Ok(Vec::new()),
        Value::Array(items) => items
            .into_iter()
            .enumerate()
            .map(|(index, item)| match item {
                Value::String(text) => Ok(text),
                Value::Number(number) => Ok(number.to_string()),
                other => Err(wrong_type(&format!("{field}[{index}]"), &other, "text or a number")),
            })
            .collect(),
        Value::Object(mut object) => match object.remove("text") {
            Some(inner @ (Value::String(_) | Value::Array(_))) => {
                answers(&format!("{field}.text"), inner)
            }
            _ => Err(wrong_type(field, &Value::Object(object), SOME_ANSWERS)),
        },
        other @ Value::Bool(_) => Err(wrong_type(field, &other, SOME_ANSWERS)),
    }
}

fn document(field: &str, value: Value) -> Result<(Option<String>, String), RowProblem> {
    match value {
        Value::String(text) => Ok((None, text)),
        Value::Object(object) => {
            let mut inner = Fields::new(object);
            let title = inner.take_optional("title").and_then(|t| t.as_str().map(str::to_owned));
            let text = inner.text("text").map_err(|problem| problem.inside(field))?;
            Ok((title, text))
        }
        Value::Array(mut items) => {
            if items.is_empty() {
                return Err(RowProblem::Empty { field: field.to_owned() });
            }
            if items.iter().all(Value::is_string) {
                let texts: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
                return Ok((None, texts.join("\n\n")));
            }
            let marked = |mark: &str| {
                items.iter().position(|item| item.get(mark).and_then(Value::as_bool) == Some(true))
            };
            let index = marked("isgold").or_else(|| marked("hasanswer")).unwrap_or(0);
            let path = format!("{field}[{index}]");
            match items.swap_remove(index) {
                item @ Value::Object(_) => document(&path, item),
                other => Err(wrong_type(&path, &other, r#"{"title", "text"}"#)),
            }
        }
        other => Err(wrong_type(field, &other, A_DOCUMENT)),
    }
}

const ANNOTATIONS: &str = r#"a list of {"short_answers": [{"start_token", "end_token"}]}"#;

/// Tags of the simplified form that begin a paragraph.
const PARAGRAPHS: [&str; 12] =
    ["P", "Tr", "Li", "Ul", "Ol", "Dl", "Table", "H1", "H2", "H3", "Dd", "Dt"];

/// Text and answers of a row of simplified Natural Questions.
fn simplified(text: &str, annotations: &Value) -> Result<(String, Vec<String>), RowProblem> {
    let tokens: Vec<&str> = text.split(' ').collect();
    let Value::Array(annotations) = annotations else {
        return Err(wrong_type("annotations", annotations, ANNOTATIONS));
    };
    let spans = annotations
        .iter()
        .filter_map(|annotation| annotation.get("short_answers")?.as_array())
        .flatten();
    let mut answers = Vec::new();
    for span in spans {
        let number = |name: &str| span.get(name).and_then(Value::as_u64).map(|n| n as usize);
        let span_tokens = number("start_token")
            .zip(number("end_token"))
            .and_then(|(start, end)| tokens.get(start..end));
        let Some(span_tokens) = span_tokens else {
            return Err(RowProblem::Inconsistent {
                field: "annotations".to_owned(),
                found: format!("{span:.80}"),
                expected: format!("a range within the {} tokens of `document_text`", tokens.len()),
            });
        };
        let words: Vec<&str> = span_tokens.iter().filter(|t| tag(t).is_none()).copied().collect();
        let answer = words.join(" ");
        if !answer.is_empty() && !answers.contains(&answer) {
            answers.push(answer);
        }
    }
    let mut document = String::with_capacity(text.len());
    for token in tokens.into_iter().filter(|token| !token.is_empty()) {
        match tag(token) {
            Some(name) if PARAGRAPHS.contains(&name) => document.push('\n'),
            Some(_) => {}
            None => {
                if !document.is_empty() && !document.ends_with('\n') {
                    document.push(' ');
                }
                document.push_str(token);
            }
        }
    }
    Ok((document, answers))
}

/// The name of a tag such as `<P>` or `</P>`.
fn tag(token: &str) -> Option<&str> {
    let name = token.strip_prefix('<')?.strip_suffix('>')?;
    let name = name.strip_prefix('/').unwrap_or(name);
    (!name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
        .then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{ReadOptions, read_rows_from};
    use proptest::prelude::*;

    fn read(line: &str) -> Result<QaRow, String> {
        let read =
            read_rows_from::<QaRow>(line.as_bytes(), "qa.jsonl".as_ref(), &ReadOptions::default());
        read.map(|rows| rows.rows[0].clone()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_shapes_in_use_are_read() {
        for line in [
            r#"{"question":"Q","answers":["A"],"document":"D"}"#,
            r#"{"query":"Q","answer":"A","context":"D"}"#,
            r#"{"question":"Q","short_answers":["A"],"text":["D"]}"#,
            r#"{"question":"Q","answers":{"text":["A"],"answer_start":[0]},"context":"D"}"#,
            r#"{"input":"Q","outputs":["A"],"passage":{"text":"D"}}"#,
            r#"{"question":"Q","answers":["A"],"ctxs":[{"text":"x"},{"text":"D","isgold":true}]}"#,
            r#"{"question":"Q","answers":["A"],"ctxs":[{"text":"x"},{"text":"D","hasanswer":true}]}"#,
            r#"{"question_text":"Q","document_text":"<P> D A </P>","annotations":[{"short_answers":[{"start_token":2,"end_token":3}]}]}"#,
        ] {
            let row = read(line).unwrap();
            assert_eq!((row.question.as_str(), row.answers), ("Q", vec!["A".to_owned()]), "{line}");
            assert!(row.document.trim() == "D" || row.document.trim() == "D A", "{line}");
        }
        let row =
            read(r#"{"question":"Q","answers":[3],"document":{"title":"T","text":"D"}}"#).unwrap();
        assert_eq!((row.title.as_deref(), row.answers), (Some("T"), vec!["3".to_owned()]));
        assert!(
            read(r#"{"question":"Q","answers":[],"document":"D"}"#).unwrap().answers.is_empty()
        );
    }

    #[test]
    fn pages_of_hotpotqa_and_triviaqa_are_documents() {
        let hub = r#"{"id":"1","question":"Q","answer":"A","type":"bridge","level":"hard","supporting_facts":{"title":["T"],"sent_id":[0]},"context":{"title":["T","U"],"sentences":[["One."," Two A."],["Three."]]}}"#;
        let authors = r#"{"_id":"1","question":"Q","answer":"A","supporting_facts":[["T",0]],"context":[["T",["One."," Two A."]],["U",["Three."]]]}"#;
        for line in [hub, authors] {
            let row = read(line).unwrap();
            assert_eq!(row.document, "T\nOne. Two A.\n\nU\nThree.");
            assert_eq!(row.answers, ["A"]);
        }
        let trivia = r#"{"question":"Q","question_id":"t","question_source":"s","entity_pages":{"doc_source":["x"],"filename":["f"],"title":["E"],"wiki_context":["nothing"]},"search_results":{"rank":[0,1],"title":["R","S"],"search_context":["none","it is an Alias"]},"answer":{"value":"A","aliases":["Alias","A"],"normalized_aliases":["a"],"type":"WikipediaEntity"}}"#;
        let row = read(trivia).unwrap();
        assert_eq!(row.answers, ["A", "Alias"]);
        assert_eq!((row.title.as_deref(), row.document.as_str()), (Some("S"), "it is an Alias"));
        let without = r#"{"question":"Q","answer":{"value":"A","aliases":[]},"entity_pages":{"title":[],"wiki_context":[]},"search_results":{"title":[],"search_context":[]}}"#;
        assert!(read(without).unwrap_err().contains("field `entity_pages` is empty"));
    }

    #[test]
    fn what_would_be_lost_is_named() {
        for (line, field) in [
            (r#"{"question":"Q","answers":"A","document":"D","options":["A","B"]}"#, "`options`"),
            (r#"{"question":"Q","answers":"A","document":"D","system":"S"}"#, "`system`"),
            (r#"{"question":"Q","answers":"A","document":"D","context":"E"}"#, "`context`"),
        ] {
            let error = read(line).unwrap_err();
            assert!(error.contains(field), "{error}");
        }
        // Said already, and about the row.
        read(
            r#"{"question":"Q","answers":["A"],"answer":"A","document":"D","id":3,"level":"easy"}"#,
        )
        .unwrap();
    }

    #[test]
    fn bad_rows_name_the_field() {
        for (line, expected) in [
            (r#"{"answers":["A"],"document":"D"}"#, "field `question` is missing"),
            (r#"{"question":"Q","document":"D"}"#, "field `answers` is missing"),
            (r#"{"question":"Q","answers":["A"]}"#, "field `document` is missing"),
            (r#"{"question":"Q","answers":true,"document":"D"}"#, "field `answers`: found true"),
            (
                r#"{"question":"Q","answers":[[1]],"document":"D"}"#,
                "field `answers[0]`: found a list",
            ),
            (r#"{"question":"Q","answers":"A","ctxs":[]}"#, "field `ctxs` is empty"),
            (
                r#"{"question":"Q","answers":"A","ctxs":[{"title":"x"}]}"#,
                "field `ctxs[0].text` is missing",
            ),
            (r#"{"question":"Q","answers":"A","document":" "}"#, "field `document` is empty"),
            (
                r#"{"question":"Q","document_text":"a b","annotations":[{"short_answers":[{"start_token":1,"end_token":9}]}]}"#,
                "a range within the 2 tokens",
            ),
        ] {
            let error = read(line).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_json_makes_it_panic(value in any_json(), name in 0_usize..17) {
            let names: Vec<&str> = QUESTION.iter().chain(&ANSWERS).chain(&DOCUMENT).copied().collect();
            let mut row = serde_json::json!({"question": "Q", "answers": "A", "document": "D", "annotations": value.clone(), "document_text": "a b"});
            row[names[name]] = value;
            let _ = read(&row.to_string());
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            "\\PC{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 12, 4, |inner| {
            let key = prop_oneof![
                Just("text".to_owned()),
                Just("title".to_owned()),
                Just("short_answers".to_owned()),
                Just("start_token".to_owned()),
                Just("end_token".to_owned()),
            ];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((key, inner), 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }
}
