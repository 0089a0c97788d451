//! Conversations of which only the assistant's turns are learned.

use std::ops::Range;

use bestof_tasks::rows::{ChatMessage, Content, RowProblem, SupervisedRow};

use super::{Encoder, not_rendered, template_messages};
use crate::data::{Boundary, DropReason, EncodedCompletion, Refusal, Truncation};

/// The field in messages.
const FIELD: &str = "messages";
/// The role whose turns are learned.
const ASSISTANT: &str = "assistant";

impl Encoder<'_> {
    /// A conversation whose learned tokens are those of the assistant's turns. What comes before the
    /// first of them is the prompt.
    ///
    /// The turns are what the chat template marks with `generation` blocks. Without such blocks a turn
    /// is what the rendering through it adds to the rendering before it with its generation prompt, as
    /// far as the template writes every turn as if it were the last. A token that is partly of a turn
    /// is learned.
    pub(super) fn encode_assistant_turns(
        &self,
        row: &SupervisedRow,
    ) -> Result<EncodedCompletion, Refusal> {
        let messages = conversation(row)?;
        if !messages.iter().any(|message| message.role == ASSISTANT) {
            return Err(bad(
                "a conversation without a turn of the assistant",
                "a message with the role `assistant` to learn, or `data.assistant_only_loss = false`",
            ));
        }
        let template = self.template.ok_or(Refusal::NoChatTemplate)?;
        let (text, turns) = if template.has_marks() {
            let rendered = template.render_marked(&template_messages(messages));
            rendered.map_err(|error| not_rendered(FIELD, &error))?
        } else {
            self.turn_by_turn(messages)?
        };
        if turns.is_empty() {
            return Err(bad(
                "turns of the assistant that the chat template's `generation` blocks do not mark",
                "a template that marks them, or one without such blocks",
            ));
        }
        let encoded = self.tokenizer.encode_with_offsets(&text, false);
        let mut tokens: Vec<(u32, bool)> = encoded
            .map_err(Refusal::Tokenizer)?
            .into_iter()
            .map(|(id, bytes)| (id, turns.iter().any(|turn| overlap(turn, &bytes))))
            .collect();
        let truncated = self.cut(&mut tokens)?;
        // Nothing predicts the very first token.
        let start = tokens.iter().skip(1).position(|(_, learned)| *learned);
        let start = start.ok_or(DropReason::NoAssistantToken)? + 1;
        let ids = |tokens: &[(u32, bool)]| tokens.iter().map(|(id, _)| *id).collect::<Vec<u32>>();
        let (prompt_ids, completion_ids) = (ids(&tokens[..start]), ids(&tokens[start..]));
        self.check_vocabulary(&[&prompt_ids, &completion_ids])?;
        let skipped = tokens[start..].iter().zip(0..).filter(|((_, learned), _)| !learned);
        let skipped = skipped.map(|(_, place)| place).collect();
        let boundary = Boundary::Joint;
        Ok(EncodedCompletion { prompt_ids, completion_ids, skipped, boundary, truncated })
    }

    /// The rendered conversation and the assistant's turns in it, from renderings of its beginnings.
    fn turn_by_turn(
        &self,
        messages: &[ChatMessage],
    ) -> Result<(String, Vec<Range<usize>>), Refusal> {
        let whole = self.render(FIELD, messages, false)?;
        let end_of = |count: usize, generation_prompt: bool| {
            let beginning = self.render(FIELD, &messages[..count], generation_prompt)?;
            if whole.starts_with(&beginning) {
                return Ok(beginning.len());
            }
            Err(bad(
                &format!(
                    "a conversation whose first {count} messages the chat template renders otherwise when \
                     others follow{}",
                    if generation_prompt { " the generation prompt" } else { "" }
                ),
                "a template that writes every turn as if it were the last, or one that marks the \
                 assistant's turns with `{% generation %}` and `{% endgeneration %}`",
            ))
        };
        let mut turns = Vec::new();
        for (place, message) in messages.iter().enumerate() {
            if message.role == ASSISTANT {
                turns.push(end_of(place, true)?..end_of(place + 1, false)?);
            }
        }
        Ok((whole, turns))
    }

    /// Brings a conversation within the maximum length; `true` if something was cut.
    fn cut(&self, tokens: &mut Vec<(u32, bool)>) -> Result<bool, Refusal> {
        let longest = self.options.max_length.unwrap_or(usize::MAX);
        let surplus = tokens.len().saturating_sub(longest);
        if surplus == 0 {
            return Ok(false);
        }
        match self.options.truncation {
            Truncation::Drop => return Err(DropReason::TooLong.into()),
            Truncation::KeepStart => tokens.truncate(longest),
            Truncation::KeepEnd => {
                let leading = tokens.iter().zip(&self.leading);
                let leading = if leading.clone().all(|((id, _), first)| id == first) {
                    self.leading.len()
                } else {
                    0
                };
                tokens.drain(leading..(leading + surplus).min(tokens.len()));
            }
        }
        Ok(true)
    }
}

/// The messages of a row that has them.
fn conversation(row: &SupervisedRow) -> Result<&[ChatMessage], Refusal> {
    let expected = "`messages`, of which `data.assistant_only_loss` learns the assistant's turns, or \
                    `data.assistant_only_loss = false`";
    match row {
        SupervisedRow::Text(row) => match &row.text {
            Content::Messages(messages) => Ok(messages),
            Content::Text(_) => Err(bad("a plain text", expected)),
        },
        SupervisedRow::Completion(_) => Err(bad("a prompt with its completion", expected)),
    }
}

fn overlap(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start < b.end && b.start < a.end
}

fn bad(found: &str, expected: &str) -> Refusal {
    Refusal::Bad(RowProblem::Inconsistent {
        field: FIELD.to_owned(),
        found: found.to_owned(),
        expected: expected.to_owned(),
    })
}
