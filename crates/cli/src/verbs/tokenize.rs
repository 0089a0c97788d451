//! `tokenize`: texts or conversations to token ids, as the model will see them.

use std::path::PathBuf;

use anyhow::{Context, Result};
use bestof_checkpoints::{Message, ModelFolder};
use serde::Serialize;

use crate::model::template_of;
use crate::{console, input};

/// Show the token ids of texts or conversations
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Each line of stdin is a JSON string, or with --chat an array of messages.\n\n\
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
        for line in input::lines() {
            let (number, line) = line?;
            let (text, special) = if self.chat {
                let messages: Vec<Message> =
                    input::parse(number, &line, "an array of {\"role\", \"content\"} messages")?;
                let template = template_of(&folder)?;
                let rendered = template
                    .render(&messages, !self.no_generation_prompt)
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
}
