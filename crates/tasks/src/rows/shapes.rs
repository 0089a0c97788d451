//! The shapes of rows.

use serde::Serialize;
use serde_json::{Map, Value};

use super::content::Content;
use super::field::Fields;
use super::problem::RowProblem;
use super::row::Row;

/// A prompt with a preferred and a rejected completion.
///
/// Without a `prompt` field, the prompt is what both completions begin with. For conversations that
/// is the list of messages both share. For texts it is the shared beginning, cut back to the last
/// white space, which goes to the completions: `"2 + 2 = 4"` and `"2 + 2 = 5"` become `"2 + 2 ="`
/// with `" 4"` and `" 5"`. Differs from TRL, which cuts inside a word where the two texts differ
/// there; a shared beginning without white space is cut as TRL cuts it.
///
/// A text `prompt` beside whole conversations (which begin with the same messages) is ignored in
/// favour of those messages, as in TRL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PreferenceRow {
    /// What the model is given.
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
        let prompt = match fields.content("prompt") {
            Ok(prompt) => Some(prompt),
            Err(problem) if names_both_answers(&fields) && is_absent(&problem) => None,
            Err(problem) => return Err(problem),
        };
        let chosen = fields.content("chosen")?;
        let rejected = fields.content("rejected")?;
        let whole_conversations =
            matches!(prompt, Some(Content::Text(_))) && chosen.is_chat() && rejected.is_chat();
        let [prompt, chosen, rejected] = match prompt {
            Some(prompt) if !whole_conversations => [prompt, chosen, rejected],
            Some(prompt) => match split_shared(&chosen, &rejected) {
                Some(parts) => parts,
                None => [prompt, chosen, rejected],
            },
            None => split_shared(&chosen, &rejected).ok_or_else(|| RowProblem::Inconsistent {
                field: "chosen".to_owned(),
                found: "no prompt, and answers that begin differently".to_owned(),
                expected: "a field `prompt`, or answers that begin with the same prompt".to_owned(),
            })?,
        };
        Ok(Self { prompt, chosen, rejected, extra: fields.rest() })
    }
}

/// Whether the prompt is missing or `null`, and no field has a similar name that may be a misspelling.
fn is_absent(problem: &RowProblem) -> bool {
    match problem {
        RowProblem::MissingField { field, nearest, .. } => field == "prompt" && nearest.is_none(),
        RowProblem::WrongType { field, found, .. } => field == "prompt" && found == "null",
        _ => false,
    }
}

fn names_both_answers(fields: &Fields) -> bool {
    fields.contains("chosen") && fields.contains("rejected")
}

/// Prompt, chosen and rejected answer of two answers that begin alike.
fn split_shared(chosen: &Content, rejected: &Content) -> Option<[Content; 3]> {
    match (chosen, rejected) {
        (Content::Text(chosen), Content::Text(rejected)) => {
            let cut = shared_text(chosen, rejected);
            (cut > 0).then(|| [chosen[..cut].into(), chosen[cut..].into(), rejected[cut..].into()])
        }
        (Content::Messages(chosen), Content::Messages(rejected)) => {
            let cut = chosen.iter().zip(rejected).take_while(|(a, b)| a == b).count();
            (cut > 0).then(|| {
                [&chosen[..cut], &chosen[cut..], &rejected[cut..]]
                    .map(|part| Content::Messages(part.to_vec()))
            })
        }
        _ => None,
    }
}

/// Bytes of the shared beginning that make the prompt.
fn shared_text(a: &str, b: &str) -> usize {
    let shared: usize =
        a.chars().zip(b.chars()).take_while(|(x, y)| x == y).map(|(x, _)| x.len_utf8()).sum();
    match a[..shared].rfind(char::is_whitespace) {
        Some(space) if space > 0 => space,
        _ => shared,
    }
}

/// A prompt with the completion to learn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CompletionRow {
    /// What the model is given.
    pub prompt: Content,
    /// What it should answer.
    pub completion: Content,
    /// Every other field of the line.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl CompletionRow {
    /// A row without further fields.
    pub fn new(prompt: impl Into<Content>, completion: impl Into<Content>) -> Self {
        Self { prompt: prompt.into(), completion: completion.into(), extra: Map::new() }
    }
}

impl Row for CompletionRow {
    const SHAPE: &'static str = r#"{"prompt", "completion"}"#;

    fn from_fields(mut fields: Fields) -> Result<Self, RowProblem> {
        let prompt = fields.content("prompt")?;
        let completion = fields.content("completion")?;
        Ok(Self { prompt, completion, extra: fields.rest() })
    }
}

/// A prompt with a completion that was judged by itself: TRL's unpaired preferences.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LabelledRow {
    /// What the model is given.
    pub prompt: Content,
    /// What was answered.
    pub completion: Content,
    /// Whether the answer is a good one.
    pub label: bool,
    /// Every other field of the line.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Row for LabelledRow {
    const SHAPE: &'static str = r#"{"prompt", "completion", "label": true or false}"#;

    fn from_fields(mut fields: Fields) -> Result<Self, RowProblem> {
        let prompt = fields.content("prompt")?;
        let completion = fields.content("completion")?;
        let label = fields.flag("label")?;
        Ok(Self { prompt, completion, label, extra: fields.rest() })
    }
}

/// Running text: `{"text"}`, or a whole conversation as `{"text"}` or `{"messages"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TextRow {
    /// The text or the conversation; all of it is learned.
    pub text: Content,
    /// Every other field of the line.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl TextRow {
    /// A row without further fields.
    pub fn new(text: impl Into<Content>) -> Self {
        Self { text: text.into(), extra: Map::new() }
    }
}

impl Row for TextRow {
    const SHAPE: &'static str = r#"{"text"}"#;

    fn from_fields(mut fields: Fields) -> Result<Self, RowProblem> {
        let conversation = !fields.contains("text") && fields.contains("messages");
        let text = fields.content(if conversation { "messages" } else { "text" })?;
        Ok(Self { text, extra: fields.rest() })
    }
}

/// A prompt with the answer a verifier compares with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AnswerRow {
    /// What the model is given.
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
    const SHAPE: &'static str = r#"{"prompt", "completion"} or {"text"}"#;

    fn from_fields(fields: Fields) -> Result<Self, RowProblem> {
        if fields.contains("text") || fields.contains("messages") {
            TextRow::from_fields(fields).map(Self::Text)
        } else {
            CompletionRow::from_fields(fields).map(Self::Completion)
        }
    }
}

/// A row of any shape, recognised by its fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum DataRow {
    /// `{"prompt", "chosen", "rejected"}`.
    Pair(PreferenceRow),
    /// `{"prompt", "completion"}`, `{"text"}` or `{"messages"}`.
    Supervised(SupervisedRow),
    /// `{"prompt", "answer"}`.
    Answer(AnswerRow),
}

impl DataRow {
    /// The shape's name: `pairs`, `completions`, `texts` or `answers`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Pair(_) => "pairs",
            Self::Supervised(SupervisedRow::Completion(_)) => "completions",
            Self::Supervised(SupervisedRow::Text(_)) => "texts",
            Self::Answer(_) => "answers",
        }
    }
}

impl Row for DataRow {
    const SHAPE: &'static str = r#"{"prompt", "chosen", "rejected"}, {"prompt", "completion"}, {"text"} or {"prompt", "answer"}"#;

    fn from_fields(fields: Fields) -> Result<Self, RowProblem> {
        let has = |names: &[&str]| names.iter().any(|name| fields.contains(name));
        if has(&["chosen", "rejected"]) {
            PreferenceRow::from_fields(fields).map(Self::Pair)
        } else if has(&["answer"]) {
            AnswerRow::from_fields(fields).map(Self::Answer)
        } else if has(&["prompt", "completion"]) && !has(&["text", "messages"]) {
            CompletionRow::from_fields(fields)
                .map(|row| Self::Supervised(SupervisedRow::Completion(row)))
        } else {
            TextRow::from_fields(fields).map(|row| Self::Supervised(SupervisedRow::Text(row)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn row<R: Row>(value: Value) -> Result<R, RowProblem> {
        let Value::Object(map) = value else { panic!("not an object") };
        R::from_fields(Fields::new(map))
    }

    fn pair(value: Value) -> (Content, Content, Content) {
        let row: PreferenceRow = row(value).unwrap();
        (row.prompt, row.chosen, row.rejected)
    }

    #[test]
    fn implicit_prompts_of_texts_end_before_a_word() {
        for (chosen, rejected, prompt, rest) in [
            ("The sky is blue.", "The sky is green.", "The sky is", [" blue.", " green."]),
            ("It is 12 m", "It is 13 m", "It is", [" 12 m", " 13 m"]),
            ("A:\n\nYes", "A:\n\nNo", "A:\n", ["\nYes", "\nNo"]),
            ("日本語", "日本人", "日本", ["語", "人"]),
            ("one two", "one two", "one", [" two", " two"]),
        ] {
            let found = pair(json!({"chosen": chosen, "rejected": rejected}));
            assert_eq!(found, (prompt.into(), rest[0].into(), rest[1].into()));
            let with_null = json!({"prompt": null, "chosen": chosen, "rejected": rejected});
            assert_eq!(found, pair(with_null));
        }
    }

    #[test]
    fn implicit_prompts_of_conversations_are_shared_messages() {
        let (user, good, bad) = (
            json!({"role": "user", "content": "q"}),
            json!({"role": "assistant", "content": "good"}),
            json!({"role": "assistant", "content": "bad"}),
        );
        let explicit = json!({"prompt": [user], "chosen": [good], "rejected": [bad]});
        let implicit = json!({"chosen": [user, good], "rejected": [user, bad]});
        let redundant = json!({"prompt": "q", "chosen": [user, good], "rejected": [user, bad]});
        assert_eq!(pair(explicit.clone()), pair(implicit));
        assert_eq!(pair(explicit), pair(redundant));
        let answers_only = pair(json!({"prompt": "q", "chosen": [good], "rejected": [bad]}));
        assert_eq!(answers_only.0, "q".into());
    }

    #[test]
    fn nothing_shared_and_no_prompt_is_a_problem() {
        let error = row::<PreferenceRow>(json!({"chosen": "yes", "rejected": "no"})).unwrap_err();
        assert!(error.to_string().contains("field `prompt`"), "{error}");
        let error = row::<PreferenceRow>(json!({"chosen": "yes", "rejected": [
            {"role": "assistant", "content": "no"}
        ]}));
        assert!(error.is_err());
    }

    #[test]
    fn misspelt_fields_are_matched_with_the_shape_they_meant() {
        for (value, field, nearest) in [
            (json!({"prompt": "p", "choosen": "c", "rejected": "r"}), "chosen", "choosen"),
            (json!({"promt": "p", "chosen": "c", "rejectd": "r"}), "prompt", "promt"),
            (json!({"promt": "p", "chosen": "a b", "rejected": "a c"}), "prompt", "promt"),
            (json!({"promt": "p", "completion": "c"}), "prompt", "promt"),
            (json!({"prompt": "p", "completions": "c"}), "completion", "completions"),
            (json!({"Text": "p"}), "text", "Text"),
        ] {
            let message = row::<DataRow>(value).unwrap_err().to_string();
            assert!(message.contains(&format!("field `{field}` is missing")), "{message}");
            assert!(message.contains(&format!("did you mean `{nearest}`")), "{message}");
        }
    }

    #[test]
    fn labels_are_true_or_false_and_nothing_else() {
        let labelled = |label: Value| {
            row::<LabelledRow>(json!({"prompt": "p", "completion": "c", "label": label, "id": 7}))
        };
        let found = labelled(json!(false)).unwrap();
        assert_eq!((found.label, &found.extra["id"]), (false, &json!(7)));
        for (label, shown) in [
            (json!("true"), "the text \"true\""),
            (json!(1), "the number 1"),
            (json!(null), "null"),
        ] {
            let message = labelled(label).unwrap_err().to_string();
            assert!(message.contains(shown) && message.contains("true or false"), "{message}");
        }
        let missing = row::<LabelledRow>(json!({"prompt": "p", "completion": "c", "lable": true}));
        assert!(missing.unwrap_err().to_string().contains("did you mean `lable`"));
        let chat = json!({"prompt": [{"role": "user", "content": "q"}],
                          "completion": [{"role": "assistant", "content": "a"}], "label": true});
        assert!(row::<LabelledRow>(chat).unwrap().completion.is_chat());
    }

    #[test]
    fn every_shape_is_told_apart() {
        for (value, kind) in [
            (json!({"prompt": "p", "chosen": "c", "rejected": "r"}), "pairs"),
            (json!({"prompt": "p", "completion": "c"}), "completions"),
            (json!({"text": "t"}), "texts"),
            (json!({"messages": [{"role": "user", "content": "t"}]}), "texts"),
            (json!({"prompt": "p", "answer": 12}), "answers"),
        ] {
            assert_eq!(row::<DataRow>(value).unwrap().kind(), kind);
        }
    }
}
