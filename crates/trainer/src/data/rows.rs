//! The shapes of training rows, with TRL's implicit prompt.

use bestof_tasks::rows::{AnswerRow, ChatMessage, CompletionRow, Content, Fields, Row, RowProblem};

/// A preference pair. Without a `prompt` field, the prompt is what both answers begin with.
///
/// For conversations that is the list of messages both share. For texts it is the shared beginning,
/// cut back to the last white space, which goes to the answers: `"2 + 2 = 4"` and `"2 + 2 = 5"`
/// become `"2 + 2 ="` with `" 4"` and `" 5"`. Differs from TRL, which cuts inside a word where the
/// two answers differ there; a shared beginning without white space is cut as TRL cuts it.
///
/// A text `prompt` beside whole conversations (which begin with the same messages) is ignored in
/// favour of those messages, as in TRL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairRow {
    /// What is asked.
    pub prompt: Content,
    /// The preferred answer.
    pub chosen: Content,
    /// The other answer.
    pub rejected: Content,
}

impl Row for PairRow {
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
        match prompt {
            Some(prompt) if !whole_conversations => Ok(Self { prompt, chosen, rejected }),
            Some(prompt) => Ok(match split_shared(&chosen, &rejected) {
                Some(row) => row,
                None => Self { prompt, chosen, rejected },
            }),
            None => split_shared(&chosen, &rejected).ok_or_else(|| RowProblem::Inconsistent {
                field: "chosen".to_owned(),
                found: "no prompt, and answers that begin differently".to_owned(),
                expected: "a field `prompt`, or answers that begin with the same prompt".to_owned(),
            }),
        }
    }
}

/// Not there, or `null`; but a field with nearly this name is a misspelling, not an absence.
fn is_absent(problem: &RowProblem) -> bool {
    match problem {
        RowProblem::MissingField { nearest, .. } => nearest.is_none(),
        RowProblem::WrongType { found, .. } => found == "null",
        _ => false,
    }
}

fn names_both_answers(fields: &Fields) -> bool {
    fields.contains("chosen") && fields.contains("rejected")
}

fn split_shared(chosen: &Content, rejected: &Content) -> Option<PairRow> {
    match (chosen, rejected) {
        (Content::Text(chosen), Content::Text(rejected)) => {
            let cut = shared_text(chosen, rejected);
            (cut > 0).then(|| PairRow {
                prompt: chosen[..cut].into(),
                chosen: chosen[cut..].into(),
                rejected: rejected[cut..].into(),
            })
        }
        (Content::Messages(chosen), Content::Messages(rejected)) => {
            let cut = chosen.iter().zip(rejected).take_while(|(a, b)| a == b).count();
            (cut > 0).then(|| PairRow {
                prompt: Content::Messages(chosen[..cut].to_vec()),
                chosen: Content::Messages(chosen[cut..].to_vec()),
                rejected: Content::Messages(rejected[cut..].to_vec()),
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

/// Running text: `{"text"}`, or a whole conversation as `{"messages"}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextContentRow {
    /// The text or the conversation; all of it is learned.
    pub text: Content,
}

impl Row for TextContentRow {
    const SHAPE: &'static str = r#"{"text"}"#;

    fn from_fields(mut fields: Fields) -> Result<Self, RowProblem> {
        let name = if !fields.contains("text") && fields.contains("messages") {
            "messages"
        } else {
            "text"
        };
        Ok(Self { text: fields.content(name)? })
    }
}

/// A row for supervised training: a prompt with its completion, or running text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SupervisedRow {
    /// `{"prompt", "completion"}`: the completion is learned.
    Completion(CompletionContent),
    /// `{"text"}` or `{"messages"}`: all of it is learned.
    Text(TextContentRow),
}

/// A prompt and what should follow it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompletionContent {
    /// What is asked.
    pub prompt: Content,
    /// What should be said; a text may be empty here, and is dropped with a reason later.
    pub completion: Content,
}

impl Row for CompletionContent {
    const SHAPE: &'static str = CompletionRow::SHAPE;

    fn from_fields(mut fields: Fields) -> Result<Self, RowProblem> {
        Ok(Self { prompt: fields.content("prompt")?, completion: fields.content("completion")? })
    }
}

impl Row for SupervisedRow {
    const SHAPE: &'static str = r#"{"prompt", "completion"} or {"text"}"#;

    fn from_fields(fields: Fields) -> Result<Self, RowProblem> {
        if fields.contains("text") || fields.contains("messages") {
            TextContentRow::from_fields(fields).map(Self::Text)
        } else {
            CompletionContent::from_fields(fields).map(Self::Completion)
        }
    }
}

/// A row of any shape, told by its fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataRow {
    /// `{"prompt", "chosen", "rejected"}`.
    Pair(PairRow),
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
        if fields.contains("chosen") || fields.contains("rejected") {
            PairRow::from_fields(fields).map(Self::Pair)
        } else if fields.contains("answer") {
            AnswerRow::from_fields(fields).map(Self::Answer)
        } else if ["completion", "text", "messages"].iter().any(|name| fields.contains(name)) {
            SupervisedRow::from_fields(fields).map(Self::Supervised)
        } else if fields.contains("prompt") {
            CompletionContent::from_fields(fields)
                .map(|row| Self::Supervised(SupervisedRow::Completion(row)))
        } else {
            TextContentRow::from_fields(fields)
                .map(|row| Self::Supervised(SupervisedRow::Text(row)))
        }
    }
}

/// A content as messages, a plain text being one message of `role`.
pub(super) fn as_messages(content: &Content, role: &str) -> Vec<ChatMessage> {
    match content {
        Content::Messages(messages) => messages.clone(),
        Content::Text(text) => {
            vec![ChatMessage { role: role.to_owned(), content: text.clone() }]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn row<R: Row>(value: Value) -> Result<R, RowProblem> {
        let Value::Object(map) = value else { panic!("not an object") };
        R::from_fields(Fields::new(map))
    }

    fn pair(value: Value) -> (Content, Content, Content) {
        let row: PairRow = row(value).unwrap();
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
        let error = row::<PairRow>(json!({"chosen": "yes", "rejected": "no"})).unwrap_err();
        assert!(error.to_string().contains("field `prompt`"), "{error}");
        let error = row::<PairRow>(json!({"chosen": "yes", "rejected": [
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
