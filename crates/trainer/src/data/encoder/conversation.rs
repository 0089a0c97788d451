//! Conversations to text: what is left open, what is closed, and where a prompt ends.

use bestof_checkpoints::{CheckpointError, TemplateOptions, TemplateValue};
use bestof_tasks::rows::{ChatMessage, Content, Json, RowProblem, TemplateFields};

use super::{Cow, Encoder, Rendered};
use crate::data::{DropReason, Refusal};

/// The role whose turns are completions.
pub(super) const ASSISTANT: &str = "assistant";

impl Encoder<'_> {
    /// This encoder with what a row gives its chat template besides messages.
    ///
    /// # Errors
    /// [`Refusal::Bad`] for what the template does not use.
    pub fn for_row(&self, fields: &TemplateFields) -> Result<Cow<'_, Self>, Refusal> {
        if fields.is_empty() {
            return Ok(Cow::Borrowed(self));
        }
        let template = self.template.ok_or(Refusal::NoChatTemplate)?;
        let mut inputs = TemplateOptions::default();
        let used = |name: &str, field: &str| {
            if template.uses(name) { Ok(()) } else { Err(not_used(field)) }
        };
        if let Some(tools) = &fields.tools {
            used("tools", "tools")?;
            inputs.tools = Some(TemplateValue::new(tools));
        }
        if let Some(Json::Object(arguments)) = &fields.chat_template_kwargs {
            for (name, value) in arguments {
                used(name, &format!("chat_template_kwargs.{name}"))?;
                inputs.arguments.push((name.clone(), TemplateValue::new(value)));
            }
        }
        Ok(Cow::Owned(Self { inputs, ..self.clone() }))
    }

    /// The prompt as the model is given it: with a generation prompt, or open where it ends in a turn of
    /// the assistant, which is continued.
    pub(super) fn prompt(&self, prompt: &Content, chat: bool) -> Result<Rendered, Refusal> {
        let text = match prompt {
            Content::Text(text) if !chat => self.plain(text)?,
            _ => {
                let messages = prompt.to_messages("user");
                let open = is_open(&messages);
                let options = TemplateOptions {
                    add_generation_prompt: !open,
                    continue_final_message: open,
                    ..self.inputs.clone()
                };
                self.render_with("prompt", &messages, &options)?
            }
        };
        Ok(Rendered { text, chat })
    }

    /// The prompt and what follows it in each of the completions.
    ///
    /// Where the generation prompt ends in a marker that a rendered completion does not begin with, as
    /// `<think>` in templates of reasoning models, the prompt is cut back to the beginning that all
    /// renderings share.
    ///
    /// Source: `apply_chat_template` of TRL's `data_utils.py`, which cuts there too. Differs from it
    /// where the prompt ends in a turn of the assistant: a completion goes on with that turn.
    pub(super) fn rendered<const N: usize>(
        &self,
        prompt: &Content,
        completions: [(&str, &Content); N],
    ) -> Result<(Rendered, [String; N]), Refusal> {
        let chat = prompt.is_chat() || completions.iter().any(|(_, one)| one.is_chat());
        let mut rendered = self.prompt(prompt, chat)?;
        if completions.iter().any(|(_, completion)| completion.is_empty()) {
            return Err(DropReason::EmptyCompletion.into());
        }
        let mut texts = [const { String::new() }; N];
        for (text, (field, completion)) in texts.iter_mut().zip(completions) {
            *text = match completion {
                Content::Text(text) if !chat => text.clone(),
                _ => self.conversation(field, prompt, completion)?,
            };
        }
        if chat {
            let shares = texts.iter().map(|whole| shared(&rendered.text, whole));
            let cut = shares.min().unwrap_or(rendered.text.len());
            if cut < rendered.text.len() && cut < self.closed_length(prompt, &rendered.text)? {
                let parts = texts.iter().zip(completions);
                let mut apart = parts.filter(|(whole, _)| !whole.starts_with(&rendered.text));
                if let Some((whole, (field, _))) = apart.next() {
                    return Err(rewritten(field, &rendered.text, whole));
                }
            }
            rendered.text.truncate(cut);
            for text in &mut texts {
                text.drain(..cut);
            }
        }
        self.shorten_row(&mut rendered.text, &mut texts)?;
        Ok((rendered, texts))
    }

    /// Length of a rendered prompt without its generation prompt.
    fn closed_length(&self, prompt: &Content, rendered: &str) -> Result<usize, Refusal> {
        let messages = prompt.to_messages("user");
        if is_open(&messages) {
            return Ok(rendered.len());
        }
        let closed = self.render("prompt", &messages, false)?;
        Ok(if rendered.starts_with(&closed) { closed.len() } else { rendered.len() })
    }

    /// A running text or a whole conversation.
    pub(super) fn whole_text(&self, text: &Content) -> Result<Rendered, Refusal> {
        Ok(match text {
            Content::Text(text) => Rendered { text: self.plain(text)?, chat: false },
            Content::Messages(messages) => {
                all_learned("messages", messages)?;
                Rendered { text: self.render("messages", messages, false)?, chat: true }
            }
        })
    }

    /// A text that no template sees.
    fn plain(&self, text: &str) -> Result<String, Refusal> {
        let given = [
            ("tools", self.inputs.tools.is_some()),
            ("chat_template_kwargs", !self.inputs.arguments.is_empty()),
        ];
        match given.into_iter().find(|(_, given)| *given) {
            None => Ok(text.to_owned()),
            Some((field, _)) => Err(Refusal::Bad(RowProblem::Inconsistent {
                field: field.to_owned(),
                found: "what a chat template uses, in a row of plain text".to_owned(),
                expected: "chat messages".to_owned(),
            })),
        }
    }

    fn conversation(
        &self,
        field: &str,
        prompt: &Content,
        completion: &Content,
    ) -> Result<String, Refusal> {
        let mut messages = prompt.to_messages("user");
        let mut answer = completion.to_messages(ASSISTANT);
        all_learned(field, &answer)?;
        if is_open(&messages)
            && let Some(begun) = messages.last()
            && let Some(rest) = answer.first()
            && rest.role() == ASSISTANT
            && let Some(joined) = begun.followed_by(rest.text())
        {
            messages.pop();
            answer[0] = joined;
        }
        messages.extend(answer);
        self.render(field, &messages, false)
    }

    pub(super) fn render(
        &self,
        field: &str,
        messages: &[ChatMessage],
        add_generation_prompt: bool,
    ) -> Result<String, Refusal> {
        let options = TemplateOptions { add_generation_prompt, ..self.inputs.clone() };
        self.render_with(field, messages, &options)
    }

    fn render_with(
        &self,
        field: &str,
        messages: &[ChatMessage],
        options: &TemplateOptions,
    ) -> Result<String, Refusal> {
        let template = self.template.ok_or(Refusal::NoChatTemplate)?;
        for (index, message) in messages.iter().enumerate() {
            if let Some(name) = message.speaking_fields().find(|name| !template.uses(name)) {
                return Err(not_used(&format!("{field}[{index}].{name}")));
            }
        }
        let rendered = template.render_with(messages, options);
        rendered.map_err(|error| not_rendered(field, &error))
    }
}

/// Whether a conversation ends in a turn of the assistant that a model goes on with.
fn is_open(messages: &[ChatMessage]) -> bool {
    messages.last().is_some_and(|last| last.role() == ASSISTANT && !last.text().is_empty())
}

/// Refuses messages of weight 0 where all of them would be learned.
fn all_learned(field: &str, messages: &[ChatMessage]) -> Result<(), Refusal> {
    match messages.iter().position(|message| !message.is_learned()) {
        None => Ok(()),
        Some(index) => Err(Refusal::Bad(RowProblem::Inconsistent {
            field: format!("{field}[{index}].weight"),
            found: "a message that is not to be learned".to_owned(),
            expected: "weights in `messages`, with `data.assistant_only_loss = true`".to_owned(),
        })),
    }
}

fn not_used(field: &str) -> Refusal {
    Refusal::Bad(RowProblem::Inconsistent {
        field: field.to_owned(),
        found: "what the model's chat template does not use and would ignore".to_owned(),
        expected: "a model whose template uses it, or a row without it".to_owned(),
    })
}

/// A template that does not write what the assistant says.
pub(super) fn not_rendered_turn() -> Refusal {
    Refusal::Bad(RowProblem::Inconsistent {
        field: "messages".to_owned(),
        found: "a turn of the assistant that the chat template does not write as it is".to_owned(),
        expected: "a template that does, for a conversation of several turns".to_owned(),
    })
}

pub(super) fn not_rendered(field: &str, error: &CheckpointError) -> Refusal {
    Refusal::Bad(RowProblem::Inconsistent {
        field: field.to_owned(),
        found: format!("messages that the chat template refuses ({error})"),
        expected: "a conversation that the model's template renders".to_owned(),
    })
}

/// Bytes with which both texts begin.
pub(super) fn shared(a: &str, b: &str) -> usize {
    let equal = a.chars().zip(b.chars()).take_while(|(x, y)| x == y);
    equal.map(|(x, _)| x.len_utf8()).sum()
}

/// The template wrote something else than the prompt where it has completions too.
fn rewritten(field: &str, prompt: &str, whole: &str) -> Refusal {
    let cut = shared(prompt, whole);
    let start = |text: &str| text[cut..].chars().take(24).collect::<String>();
    Refusal::Bad(RowProblem::Inconsistent {
        field: field.to_owned(),
        found: format!(
            "a conversation in which the template writes {:?} where the prompt alone has {:?}",
            start(whole),
            start(prompt)
        ),
        expected: "a rendering that begins with the rendered prompt; use a template that does not \
                   rewrite earlier turns, or plain text"
            .to_owned(),
    })
}
