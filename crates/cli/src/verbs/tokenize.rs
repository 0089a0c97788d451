//! `tokenize`: texts or conversations to token ids, as the model will see them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use bestof_checkpoints::{ModelFolder, TemplateOptions, TemplateValue};
use serde::{Deserialize, Serialize};

use crate::model::template_of;
use crate::{console, input};

/// Show the token ids of texts or conversations
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Each line of stdin is a JSON string, or with --chat an array of messages, or an object with\n    `messages`, `tools`, `documents` and `chat_template_kwargs`.\n\n\
    Example:\n  echo '\"The capital of France is\"' | cargo xtask tokenize --model models/smollm2-135m-instruct\n  \
    echo '[{\"role\":\"user\",\"content\":\"Hi\"}]' | cargo xtask tokenize --model models/smollm2-135m-instruct --chat"
)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct Tokenize {
    /// The model's folder
    #[arg(long)]
    model: PathBuf,
    /// Lines are arrays of messages, rendered by the model's chat template
    #[arg(long)]
    chat: bool,
    /// With --chat: end after the last message instead of opening the assistant's turn
    #[arg(long, requires = "chat")]
    no_generation_prompt: bool,
    /// With --chat: leave the last message open, to be continued
    #[arg(long, requires = "chat")]
    continue_final_message: bool,
    /// Leave out the special tokens that the tokenizer puts around a text
    #[arg(long)]
    no_special_tokens: bool,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Row {
    ids: Vec<u32>,
    pieces: Vec<String>,
    text: String,
}

impl Tokenize {
    pub(crate) fn run(self) -> Result<()> {
        let folder = ModelFolder::open(&self.model)?;
        let tokenizer = folder.tokenizer()?;
        for line in input::lines()? {
            let (number, line) = line?;
            let (text, special) = if self.chat {
                let (messages, options) = self.conversation(number, &line)?;
                let template = template_of(&folder)?;
                let rendered = template
                    .render_with(&messages, &options)
                    .with_context(|| format!("stdin, line {number}"))?;
                // The template writes the special tokens itself.
                (rendered, false)
            } else {
                (input::parse(number, &line, "a JSON string")?, !self.no_special_tokens)
            };
            let ids = tokenizer.encode(&text, special)?;
            let row = Row { pieces: tokenizer.pieces(&ids), ids, text };
            if self.json {
                console::json(&row)?;
            } else {
                let shown: Vec<String> = row
                    .ids
                    .iter()
                    .zip(&row.pieces)
                    .map(|(id, piece)| format!("{id}:{piece}"))
                    .collect();
                console::line(&shown.join(" "))?;
            }
        }
        Ok(())
    }

    /// The messages of a line and what stands beside them.
    fn conversation(
        &self,
        number: usize,
        line: &str,
    ) -> Result<(Vec<TemplateValue>, TemplateOptions)> {
        let mut options = TemplateOptions {
            add_generation_prompt: !self.no_generation_prompt && !self.continue_final_message,
            continue_final_message: self.continue_final_message,
            ..TemplateOptions::default()
        };
        let messages: Vec<TemplateValue> = if line.trim_start().starts_with('{') {
            let expected = "an object with `messages` and, where wanted, `tools`, `documents` and \
                            `chat_template_kwargs`";
            let whole: Whole = input::parse(number, line, expected)?;
            options.tools = whole.tools;
            options.documents = whole.documents;
            options.arguments = whole.chat_template_kwargs.into_iter().collect();
            whole.messages
        } else {
            input::parse(number, line, "an array of messages, or an object with `messages`")?
        };
        for (index, message) in messages.iter().enumerate() {
            // A template writes nothing for what is absent, and says nothing.
            let missing = match (message.field("role"), message.field("content")) {
                (None, _) => "`role`",
                (_, None) if message.field("tool_calls").is_none() => "`content`",
                _ => continue,
            };
            bail!("stdin, line {number}: message {} has no {missing}", index + 1);
        }
        Ok((messages, options))
    }
}

/// A line of `--chat` with more than messages.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    messages: Vec<TemplateValue>,
    tools: Option<TemplateValue>,
    documents: Option<TemplateValue>,
    #[serde(default)]
    chat_template_kwargs: BTreeMap<String, TemplateValue>,
}
