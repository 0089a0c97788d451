//! Conversations of which only the assistant's turns are learned.

use std::ops::Range;

use bestof_checkpoints::TemplateOptions;
use bestof_tasks::rows::{ChatMessage, Content, RowProblem, SupervisedRow, TemplateFields};

use super::Encoder;
use super::conversation::{ASSISTANT, not_rendered, shared};
use crate::data::{Boundary, DropReason, EncodedCompletion, Refusal, Truncation};

/// The field in messages.
const FIELD: &str = "messages";

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
        let (messages, template_fields) = conversation(row)?;
        let encoder = self.for_row(template_fields)?;
        if !messages.iter().any(|message| message.role() == ASSISTANT) {
            return Err(bad(
                "a conversation without a turn of the assistant",
                "a message with the role `assistant` to learn, or `data.assistant_only_loss = false`",
            ));
        }
        let template = self.template.ok_or(Refusal::NoChatTemplate)?;
        let (mut text, turns) = if template.has_marks() {
            encoder.marked(messages, &encoder.inputs)?
        } else {
            encoder.turn_by_turn(messages)?
        };
        if !messages.iter().any(is_taught) {
            return Err(DropReason::NoAssistantToken.into());
        }
        if turns.is_empty() {
            return Err(bad(
                "turns of the assistant that the chat template's `generation` blocks do not mark",
                "a template that marks them, or one without such blocks",
            ));
        }
        let gone = self.shorten(&mut text)?;
        let place = |byte: usize| if byte < gone.start { byte } else { byte + gone.len() };
        let encoded = self.tokenizer.encode_with_offsets(&text, false);
        let mut tokens: Vec<(u32, bool)> = encoded
            .map_err(Refusal::Tokenizer)?
            .into_iter()
            .map(|(id, bytes)| (id, place(bytes.start)..place(bytes.end)))
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

    /// The rendered conversation and the turns to learn in it, from the template's marks.
    fn marked(
        &self,
        messages: &[ChatMessage],
        inputs: &TemplateOptions,
    ) -> Result<(String, Vec<Range<usize>>), Refusal> {
        // What the template does not use is found before.
        self.render(FIELD, messages, false)?;
        let template = self.template.ok_or(Refusal::NoChatTemplate)?;
        let rendered = template.render_marked_with(messages, inputs);
        let (text, marks) = rendered.map_err(|error| not_rendered(FIELD, &error))?;
        let turns: Vec<_> = messages.iter().filter(|m| m.role() == ASSISTANT).collect();
        if turns.iter().all(|turn| turn.is_learned()) {
            return Ok((text, marks));
        }
        if turns.len() != marks.len() {
            return Err(bad(
                "messages of weight 0, and a template that does not mark every turn once",
                "a template with one `generation` block a turn of the assistant",
            ));
        }
        let learned = marks.into_iter().zip(turns).filter(|(_, turn)| turn.is_learned());
        Ok((text, learned.map(|(mark, _)| mark).collect()))
    }

    /// The rendered conversation and the turns to learn in it, from renderings of its beginnings.
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
            // A marker that ends the generation prompt and that no turn begins with is no turn's.
            if generation_prompt && count > 0 {
                let closed = self.render(FIELD, &messages[..count], false)?;
                let cut = shared(&whole, &beginning);
                if beginning.starts_with(&closed) && cut >= closed.len() {
                    return Ok(cut);
                }
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
            if is_taught(message) {
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

/// Whether a message is one to learn.
fn is_taught(message: &ChatMessage) -> bool {
    message.role() == ASSISTANT && message.is_learned()
}

/// The messages of a row that has them, and what its template is given besides.
fn conversation(row: &SupervisedRow) -> Result<(&[ChatMessage], &TemplateFields), Refusal> {
    let expected = "`messages`, of which `data.assistant_only_loss` learns the assistant's turns, or \
                    `data.assistant_only_loss = false`";
    match row {
        SupervisedRow::Text(row) => match &row.text {
            Content::Messages(messages) => Ok((messages, &row.template)),
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
