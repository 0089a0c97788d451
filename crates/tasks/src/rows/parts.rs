//! The parts that shapes share: prompts, completions and answers under the names data sets give them.

use serde_json::Value;

use super::columns::Meaning;
use super::content::{Content, TemplateFields};
use super::field::Fields;
use super::json::Json;
use super::message::ChatMessage;
use super::problem::{RowProblem, wrong_type};

/// Whether a row has a prompt of its own.
pub(super) fn has_prompt(fields: &Fields) -> bool {
    fields.has(Meaning::Prompt) || fields.has(Meaning::Instruction)
}

/// The prompt of a row.
///
/// A text or messages stay what they are. An instruction (Alpaca) is what a user says, with its input
/// behind a line break as LLaMA-Factory puts it. A system message makes the prompt a conversation,
/// an empty one too, so that all rows of a file are rendered alike.
pub(super) fn prompt(fields: &mut Fields) -> Result<Content, RowProblem> {
    let has_system = fields.column(Meaning::System).is_some();
    let system = system(fields)?;
    let prompt = if fields.has(Meaning::Prompt) || !fields.has(Meaning::Instruction) {
        fields.content(&fields.called(Meaning::Prompt))?
    } else {
        instruction(fields)?
    };
    if has_system && !prompt.is_chat() {
        return with_system(system, Content::Messages(prompt.to_messages("user")));
    }
    with_system(system, prompt)
}

fn instruction(fields: &mut Fields) -> Result<Content, RowProblem> {
    let mut text = fields.text(&fields.called(Meaning::Instruction))?;
    if fields.has(Meaning::Input) {
        text = format!("{text}\n{}", fields.text(&fields.called(Meaning::Input))?);
    }
    let mut messages = history(fields)?;
    messages.push(ChatMessage::user(text));
    Ok(Content::Messages(messages))
}

/// Earlier turns as pairs of what the user and the assistant said.
fn history(fields: &mut Fields) -> Result<Vec<ChatMessage>, RowProblem> {
    const EXPECTED: &str = "a list of pairs of texts: what the user and the assistant said";
    let Some((name, value)) = fields.meant(Meaning::History) else { return Ok(Vec::new()) };
    let pair = |item: &Json| match item {
        Json::List(pair) => match pair.as_slice() {
            [user, assistant] => Some([
                ChatMessage::user(user.as_str()?),
                ChatMessage::assistant(assistant.as_str()?),
            ]),
            _ => None,
        },
        _ => None,
    };
    let pairs: Option<Vec<_>> = match &value {
        Json::List(items) => items.iter().map(pair).collect(),
        _ => None,
    };
    let pairs = pairs.ok_or_else(|| wrong_type(&name, &value, EXPECTED))?;
    Ok(pairs.into_iter().flatten().collect())
}

/// The system message of a column; none if it is empty.
pub(super) fn system(fields: &mut Fields) -> Result<Option<String>, RowProblem> {
    match fields.meant(Meaning::System) {
        None => Ok(None),
        Some((_, Json::Plain(Value::String(text)))) => {
            Ok(Some(text).filter(|text| !text.trim().is_empty()))
        }
        Some((name, other)) => Err(wrong_type(&name, &other, "text")),
    }
}

/// A prompt with a system message in front; a text becomes what the user says.
pub(super) fn with_system(system: Option<String>, prompt: Content) -> Result<Content, RowProblem> {
    let Some(system) = system else { return Ok(prompt) };
    let mut messages = prompt.to_messages("user");
    match messages.first() {
        Some(first) if first.role() == "system" && first.text() != system => {
            Err(RowProblem::Inconsistent {
                field: Meaning::System.name().to_owned(),
                found: "a system message beside messages that begin with another one".to_owned(),
                expected: "one system message".to_owned(),
            })
        }
        Some(first) if first.role() == "system" => Ok(prompt),
        _ => {
            messages.insert(0, ChatMessage::system(system));
            Ok(Content::Messages(messages))
        }
    }
}

/// The completion of a row: a worked solution where there is no other.
pub(super) fn completion(fields: &mut Fields) -> Result<Content, RowProblem> {
    let meanings = [Meaning::Completion, Meaning::Output, Meaning::Solution];
    let found = meanings.into_iter().find(|meaning| fields.has(*meaning));
    let found = found.or(meanings.into_iter().find(|meaning| fields.column(*meaning).is_some()));
    fields.content(&fields.called(found.unwrap_or(Meaning::Completion)))
}

/// The answer of a column, or of `reward_model.ground_truth` as verl has it.
pub(super) fn answer(fields: &mut Fields) -> Result<String, RowProblem> {
    const EXPECTED: &str = r#"an object {"style", "ground_truth"}"#;
    let judged = match fields.meant(Meaning::Judge) {
        None => None,
        Some((name, Json::Object(inner))) => {
            let mut inner = Fields::ordered(inner);
            let has = inner.column(Meaning::Answer).as_deref() == Some("ground_truth");
            let truth = has.then(|| inner.text_or_number("ground_truth")).transpose();
            truth.map_err(|problem| problem.inside(&name))?
        }
        Some((name, other)) => return Err(wrong_type(&name, &other, EXPECTED)),
    };
    if let Some(judged) = &judged
        && !fields.has(Meaning::Answer)
    {
        return Ok(judged.clone());
    }
    let name = fields.called(Meaning::Answer);
    let answer = fields.text_or_number(&name)?;
    match judged {
        Some(judged) if judged != answer => Err(RowProblem::Inconsistent {
            field: name,
            found: format!("{answer:?} beside {judged:?} in `reward_model.ground_truth`"),
            expected: "one right answer".to_owned(),
        }),
        _ => Ok(answer),
    }
}

/// The columns that a chat template is given besides messages; either may be JSON in a text.
pub(super) fn template_fields(fields: &mut Fields) -> Result<TemplateFields, RowProblem> {
    let mut read = |meaning, expected, fits: fn(&Json) -> bool| {
        let Some((name, value)) = fields.meant(meaning) else { return Ok(None) };
        let parsed = value.as_str().map(serde_json::from_str::<Json>);
        match parsed.unwrap_or_else(|| Ok(value.clone())) {
            Ok(inner) if fits(&inner) => Ok(Some(inner).filter(Json::has_content)),
            _ if !value.has_content() => Ok(None),
            _ => Err(wrong_type(&name, &value, expected)),
        }
    };
    let is_object = |value: &Json| matches!(value, Json::Object(_));
    let tools = read(Meaning::Tools, "a list of descriptions of tools", |value| match value {
        Json::List(items) => items.iter().all(|item| matches!(item, Json::Object(_))),
        _ => false,
    })?;
    let expected = "an object of variables by name";
    let chat_template_kwargs = read(Meaning::TemplateArguments, expected, is_object)?;
    Ok(TemplateFields { tools, chat_template_kwargs })
}
