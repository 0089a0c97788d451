//! The shapes of rows.

use serde::Serialize;
use serde_json::{Map, Value};

use super::columns::Meaning;
use super::content::{Content, TemplateFields};
use super::field::Fields;
use super::parts::{answer, completion, has_prompt, prompt, system, template_fields, with_system};
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
    /// What the chat template is given besides.
    #[serde(flatten)]
    pub template: TemplateFields,
    /// Every other field of the line.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl PreferenceRow {
    /// A row without further fields.
    pub fn new(
        prompt: impl Into<Content>,
        chosen: impl Into<Content>,
        rejected: impl Into<Content>,
    ) -> Self {
        let [prompt, chosen, rejected] = [prompt.into(), chosen.into(), rejected.into()];
        let (template, extra) = (TemplateFields::default(), Map::new());
        Self { prompt, chosen, rejected, template, extra }
    }
}

impl Row for PreferenceRow {
    const SHAPE: &'static str = r#"{"prompt", "chosen", "rejected"}"#;

    fn from_fields(mut fields: Fields) -> Result<Self, RowProblem> {
        let template = template_fields(&mut fields)?;
        let explicit = has_prompt(&fields) || fields.misspelt("prompt");
        let prompt = explicit.then(|| prompt(&mut fields)).transpose()?;
        let system = if explicit { None } else { system(&mut fields)? };
        let chosen = fields.content(&fields.called(Meaning::Chosen))?;
        let rejected = fields.content(&fields.called(Meaning::Rejected))?;
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
        let prompt = with_system(system, prompt)?;
        let extra = fields.finish(Self::SHAPE, &[&prompt, &chosen, &rejected], &[])?;
        Ok(Self { prompt, chosen, rejected, template, extra })
    }
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
    /// What the chat template is given besides.
    #[serde(flatten)]
    pub template: TemplateFields,
    /// Every other field of the line.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl CompletionRow {
    /// A row without further fields.
    pub fn new(prompt: impl Into<Content>, completion: impl Into<Content>) -> Self {
        Self {
            prompt: prompt.into(),
            completion: completion.into(),
            template: TemplateFields::default(),
            extra: Map::new(),
        }
    }
}

impl Row for CompletionRow {
    const SHAPE: &'static str = r#"{"prompt", "completion"}"#;

    fn from_fields(mut fields: Fields) -> Result<Self, RowProblem> {
        let template = template_fields(&mut fields)?;
        let prompt = prompt(&mut fields)?;
        let completion = completion(&mut fields)?;
        let extra = fields.finish(Self::SHAPE, &[&prompt, &completion], &[])?;
        Ok(Self { prompt, completion, template, extra })
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
    /// What the chat template is given besides.
    #[serde(flatten)]
    pub template: TemplateFields,
    /// Every other field of the line.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Row for LabelledRow {
    const SHAPE: &'static str = r#"{"prompt", "completion", "label": true or false}"#;

    fn from_fields(mut fields: Fields) -> Result<Self, RowProblem> {
        let template = template_fields(&mut fields)?;
        let prompt = prompt(&mut fields)?;
        let completion = completion(&mut fields)?;
        let label = fields.flag(&fields.called(Meaning::Label))?;
        let extra = fields.finish(Self::SHAPE, &[&prompt, &completion], &[])?;
        Ok(Self { prompt, completion, label, template, extra })
    }
}

/// Running text: `{"text"}`, or a whole conversation as `{"text"}` or `{"messages"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TextRow {
    /// The text or the conversation; all of it is learned.
    pub text: Content,
    /// What the chat template is given besides.
    #[serde(flatten)]
    pub template: TemplateFields,
    /// Every other field of the line.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl TextRow {
    /// A row without further fields.
    pub fn new(text: impl Into<Content>) -> Self {
        Self { text: text.into(), template: TemplateFields::default(), extra: Map::new() }
    }
}

impl Row for TextRow {
    const SHAPE: &'static str = r#"{"text"} or {"messages"}"#;

    fn from_fields(mut fields: Fields) -> Result<Self, RowProblem> {
        let template = template_fields(&mut fields)?;
        let text = match fields.column(Meaning::Messages) {
            Some(messages) if !fields.has(Meaning::Text) => {
                let system = system(&mut fields)?;
                with_system(system, Content::Messages(fields.messages(&messages)?))?
            }
            _ => fields.content(&fields.called(Meaning::Text))?,
        };
        let extra = fields.finish(Self::SHAPE, &[&text], &[])?;
        Ok(Self { text, template, extra })
    }
}

/// A prompt with the answer a verifier compares with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AnswerRow {
    /// What the model is given.
    pub prompt: Content,
    /// The right answer; a JSON number is kept as it is written.
    pub answer: String,
    /// What the chat template is given besides.
    #[serde(flatten)]
    pub template: TemplateFields,
    /// Every other field of the line, such as the numbers of a Countdown problem.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl AnswerRow {
    /// A row without further fields.
    pub fn new(prompt: impl Into<Content>, answer: impl Into<String>) -> Self {
        let (template, extra) = (TemplateFields::default(), Map::new());
        Self { prompt: prompt.into(), answer: answer.into(), template, extra }
    }
}

impl Row for AnswerRow {
    const SHAPE: &'static str = r#"{"prompt", "answer"}"#;

    fn from_fields(mut fields: Fields) -> Result<Self, RowProblem> {
        let template = template_fields(&mut fields)?;
        let prompt = prompt(&mut fields)?;
        let answer = answer(&mut fields)?;
        let said = Content::from(answer.as_str());
        // How an answer is found does not belong to the problem.
        let neutral = [Meaning::Solution, Meaning::Thoughts];
        let extra = fields.finish(Self::SHAPE, &[&prompt, &said], &neutral)?;
        Ok(Self { prompt, answer, template, extra })
    }
}
