//! What stands between two turns of the assistant: messages of an environment, as the template writes them.

use bestof_tasks::rows::{ChatMessage, RowProblem};

use super::Encoder;
use super::conversation::{not_rendered_turn, shared};
use crate::data::Refusal;

/// What the assistant says in the conversation that messages are rendered behind.
const TURN: &str = "(a turn of the assistant)";

impl Encoder<'_> {
    /// The ids between the last token of a turn of the assistant and the first of the next one: what closes the
    /// turn, the messages, the generation prompt. `end` is the end token that the turn has, if it has one; what of
    /// the closing it stands for is not repeated.
    ///
    /// The messages are rendered behind a turn that no model said, so that a template that writes earlier turns
    /// otherwise once others follow changes nothing: the ids of the conversation so far stay as they are.
    ///
    /// Source: `_get_tool_suffix_ids` of TRL's `GRPOTrainer`, which renders behind such a conversation too.
    ///
    /// # Errors
    /// [`Refusal::Bad`] for messages that the template refuses or leaves out.
    pub fn encode_replies(
        &self,
        messages: &[ChatMessage],
        end: Option<u32>,
    ) -> Result<Vec<u32>, Refusal> {
        let said = [ChatMessage::user("?"), ChatMessage::assistant(TURN)];
        let with = [&said[..], messages].concat();
        let closed = behind_turn(&self.render("messages", &said, false)?)?;
        let silent = behind_turn(&self.render("messages", &said, true)?)?;
        let replies = behind_turn(&self.render("messages", &with, true)?)?;
        if replies == silent {
            let roles: Vec<&str> = messages.iter().map(ChatMessage::role).collect();
            return Err(Refusal::Bad(RowProblem::Inconsistent {
                field: "messages".to_owned(),
                found: format!(
                    "messages of the role {} that the chat template leaves out",
                    roles.join(", ")
                ),
                expected: "roles that the model's chat template writes".to_owned(),
            }));
        }
        let mut ids = self.alone(&replies)?;
        if let Some(end) = end {
            let closing = self.alone(&replies[..shared(&closed, &replies)])?.len();
            if let Some(at) = ids.iter().take(closing).position(|id| *id == end) {
                ids.drain(..=at);
            }
        }
        self.check_vocabulary(&[&ids])?;
        Ok(ids)
    }
}

/// What is rendered behind the assistant's turn.
fn behind_turn(rendered: &str) -> Result<String, Refusal> {
    let at = rendered.find(TURN).ok_or_else(not_rendered_turn)?;
    Ok(rendered[at + TURN.len()..].to_owned())
}
