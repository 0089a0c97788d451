//! Problems: prompts, each with the verifier of its completions.

use std::path::Path;

use bestof_tasks::environment::{Environment, ProgramEnvironment};
use bestof_tasks::rows::{
    AnswerRow, ChatMessage, Content, ReadOptions, RowProblem, TemplateFields,
};
use bestof_tasks::sets::ProblemRow;
use bestof_tasks::verify::{ProgramVerifier, Verifier, VerifierError, VerifierKind};
use serde_json::{Map, Value};

use super::judge::WeightedVerifier;
use crate::data::{DataError, Encoder, Loaded, Refusal, load_each};
use crate::rows::TokenRow;

/// How a row becomes a [`Problem`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ProblemSettings {
    /// Render plain prompts as a user's message by the model's chat template.
    pub chat: bool,
    /// System message in front of every conversation.
    pub system_prompt: Option<String>,
    /// The environment that answers the policy, and what its rewards are multiplied by. Where there is one it says
    /// which episodes passed.
    pub environment: Option<(ProgramEnvironment, f64)>,
    /// What judges the completions; the first says which passed.
    pub verifiers: Vec<(VerifierSettings, f64)>,
}

impl Default for ProblemSettings {
    /// Prompts as they are, judged by equal numbers.
    fn default() -> Self {
        let verifiers = vec![(VerifierSettings::default(), 1.0)];
        Self { chat: false, system_prompt: None, environment: None, verifiers }
    }
}

/// A verifier, before it has a row's answer.
#[derive(Debug, Clone)]
pub enum VerifierSettings {
    /// One of those that are built in.
    BuiltIn(VerifierKind),
    /// A program of the user's, which is given the fields of the row.
    Program(ProgramVerifier),
}

impl Default for VerifierSettings {
    /// Equal numbers.
    fn default() -> Self {
        Self::BuiltIn(VerifierKind::Number)
    }
}

impl VerifierSettings {
    fn build(&self, row: &AnswerRow) -> Result<Box<dyn Verifier>, VerifierError> {
        match self {
            Self::BuiltIn(kind) => kind.for_row(row),
            Self::Program(program) => {
                let mut fields = fields_of(row);
                let prompt = serde_json::to_value(&row.prompt).unwrap_or(Value::Null);
                fields.insert("prompt".to_owned(), prompt);
                Ok(Box::new(program.with_fields(fields)))
            }
        }
    }
}

/// The other side of the conversations about a problem.
#[derive(Debug)]
pub struct Dialogue {
    /// Who answers.
    pub environment: Box<dyn Environment>,
    /// What its rewards are multiplied by.
    pub weight: f64,
    /// The prompt.
    pub messages: Vec<ChatMessage>,
    /// What the chat template is given besides messages.
    pub template: TemplateFields,
}

/// A prompt in token ids, and who judges what is answered to it.
#[derive(Debug)]
pub struct Problem {
    /// The prompt, ready for generation. Not empty.
    pub prompt_ids: Vec<u32>,
    /// The prompt as shown to a reader: the last message of a conversation.
    pub prompt: String,
    /// The answer the verifier compares with.
    pub answer: String,
    /// Who answers the policy, where it has more than one turn.
    pub dialogue: Option<Dialogue>,
    /// The verifiers of its completions, at least one unless there is a dialogue.
    pub verifiers: Vec<WeightedVerifier>,
    /// Answer and further fields as text, for the fingerprint.
    fields: String,
}

impl Problem {
    /// A problem from a row.
    ///
    /// # Errors
    /// [`Refusal`] of a row that cannot be encoded, or not be judged by the verifier.
    pub fn new(
        row: &AnswerRow,
        encoder: &Encoder<'_>,
        settings: &ProblemSettings,
    ) -> Result<Self, Refusal> {
        let encoder = encoder.for_row(&row.template)?;
        let conversation = conversation(&row.prompt, settings);
        let prompt_ids = encoder.encode_prompt(&conversation)?;
        let verifiers: Result<Vec<WeightedVerifier>, VerifierError> = settings
            .verifiers
            .iter()
            .map(|(verifier, weight)| {
                Ok(WeightedVerifier { verifier: verifier.build(row)?, weight: *weight })
            })
            .collect();
        Ok(Self {
            prompt_ids,
            prompt: row.prompt.last_text().to_owned(),
            answer: row.answer.clone(),
            dialogue: dialogue(row, conversation, settings)?,
            verifiers: verifiers.map_err(|error| Refusal::Bad(row_problem(&error)))?,
            fields: format!("{}{}", row.answer, Value::Object(row.extra.clone())),
        })
    }

    /// A problem without texts: a prompt in token ids and its verifier.
    pub fn judged_by(prompt_ids: Vec<u32>, verifier: Box<dyn Verifier>) -> Self {
        Self {
            prompt_ids,
            prompt: String::new(),
            answer: String::new(),
            dialogue: None,
            verifiers: vec![WeightedVerifier { verifier, weight: 1.0 }],
            fields: String::new(),
        }
    }
}

impl TokenRow for Problem {
    fn token_lists(&self) -> Vec<&[u32]> {
        vec![&self.prompt_ids]
    }

    fn text(&self) -> Option<&str> {
        Some(&self.fields)
    }
}

/// The prompt with the system message, and as a conversation where that is asked for.
fn conversation(prompt: &Content, settings: &ProblemSettings) -> Content {
    let system = settings.system_prompt.iter().map(|text| ChatMessage::system(text.as_str()));
    match prompt {
        Content::Text(text) if settings.chat || settings.system_prompt.is_some() => {
            Content::Messages(system.chain([ChatMessage::user(text.as_str())]).collect())
        }
        Content::Messages(messages) if messages.first().is_none_or(|m| m.role() != "system") => {
            Content::Messages(system.chain(messages.iter().cloned()).collect())
        }
        other => other.clone(),
    }
}

/// What a program is told of a row, but for its prompt.
fn fields_of(row: &AnswerRow) -> Map<String, Value> {
    let mut fields = row.extra.clone();
    fields.insert("answer".to_owned(), Value::String(row.answer.clone()));
    fields
}

fn dialogue(
    row: &AnswerRow,
    conversation: Content,
    settings: &ProblemSettings,
) -> Result<Option<Dialogue>, Refusal> {
    let Some((environment, weight)) = &settings.environment else { return Ok(None) };
    let wrong = |found: &str| {
        Err(Refusal::Bad(RowProblem::Inconsistent {
            field: "prompt".to_owned(),
            found: found.to_owned(),
            expected: "chat messages that the assistant answers, or `rollout.chat = true`: an environment takes part in \
                       a conversation"
                .to_owned(),
        }))
    };
    let messages = match conversation {
        Content::Text(_) => return wrong("a plain text"),
        Content::Messages(messages) => messages,
    };
    if messages.last().is_some_and(|last| last.role() == "assistant") {
        return wrong("a conversation whose last turn is the assistant's");
    }
    let environment = environment.with_fields(fields_of(row));
    let environment = environment.map_err(|error| Refusal::Bad(row_problem(&error)))?;
    let (environment, template) = (Box::new(environment), row.template.clone());
    Ok(Some(Dialogue { environment, weight: *weight, messages, template }))
}

fn row_problem(error: &VerifierError) -> RowProblem {
    let (field, found, expected) = match error {
        VerifierError::Answer { found, expected } => {
            ("answer", format!("{found:?}"), (*expected).to_owned())
        }
        VerifierError::Field { field, expected, .. } => {
            (*field, "nothing that fits".to_owned(), (*expected).to_owned())
        }
        other => ("answer", other.to_string(), "a row that the verifier reads".to_owned()),
    };
    RowProblem::Inconsistent {
        field: field.to_owned(),
        found,
        expected: format!("{expected}, which `reward.verifier` needs"),
    }
}

/// The problems of a file.
///
/// # Errors
/// Those of [`crate::data::load_pairs`]; a row that the verifier cannot judge is a bad row.
pub fn load_problems(
    path: &Path,
    encoder: &Encoder<'_>,
    options: &ReadOptions,
    settings: &ProblemSettings,
) -> Result<Loaded<Problem>, DataError> {
    load_each(path, options, |ProblemRow(row)| Problem::new(&row, encoder, settings))
}

#[cfg(test)]
mod tests {
    use bestof_tasks::rows::{Fields, Row};

    use super::*;
    use serde_json::json;

    fn row(value: Value) -> Result<ProblemRow, RowProblem> {
        let Value::Object(values) = value else { panic!() };
        ProblemRow::from_fields(Fields::new(values))
    }

    #[test]
    fn published_shapes_are_read_as_they_are() {
        for (value, prompt, answer) in [
            (json!({"prompt": "p", "answer": 4}), "p", "4"),
            (json!({"question": "q", "answer": "2+2=<<2+2=4>>4\n#### 4"}), "q", "4"),
            (json!({"question": "q", "answer": "4", "metadata": {"target": 4}}), "q", "4"),
            (
                json!({"prompt": [{"role": "user", "content": "v"}],
                       "reward_model": {"style": "rule", "ground_truth": "42"}}),
                "v",
                "42",
            ),
            (json!({"problem": "a", "solution": "s", "answer": 25, "year": 2024}), "a", "25"),
            (json!({"problem": "m", "solution": "so \\boxed{\\frac12}"}), "m", "\\frac12"),
        ] {
            let read = row(value).unwrap().0;
            assert_eq!((read.prompt.last_text(), read.answer.as_str()), (prompt, answer));
        }
    }

    #[test]
    fn rows_without_an_answer_are_named() {
        for (value, part) in [
            (json!({"prompt": "p"}), "field `answer` is missing"),
            (json!({"prompt": "p", "answer": " "}), "answer"),
            (json!({"prompt": "p", "answer": null}), "answer"),
            (json!({"problem": "m", "solution": "no box"}), "boxed"),
            (json!({"question": "q", "answer": "#### none"}), "####"),
        ] {
            let message = row(value).unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn system_prompts_stand_in_front_once() {
        let settings =
            ProblemSettings { system_prompt: Some("s".to_owned()), ..ProblemSettings::default() };
        let Content::Messages(messages) = conversation(&"q".into(), &settings) else { panic!() };
        let roles: Vec<&str> = messages.iter().map(ChatMessage::role).collect();
        assert_eq!(roles, ["system", "user"]);
        let again = conversation(&Content::Messages(messages.clone()), &settings);
        assert_eq!(again, Content::Messages(messages));
        assert_eq!(conversation(&"q".into(), &ProblemSettings::default()), "q".into());
    }
}
