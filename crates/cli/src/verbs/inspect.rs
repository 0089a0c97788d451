//! `inspect`: the data doctor, before any training.

use std::io::IsTerminal;
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow};
use bestof_checkpoints::ModelFolder;
use bestof_positional::hf::HfRope;
use bestof_tasks::rows::{OnBadRow, ReadOptions};
use bestof_trainer::data::{Colour, EncodeOptions, Encoder, Truncation, inspect};

use crate::console;
use crate::model::vocabulary_rows;

/// Look at training data as the model will see it
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  cargo xtask inspect --model models/smollm2-135m-instruct --data pairs.jsonl"
)]
pub(crate) struct Inspect {
    /// The model's folder; its weights are not read
    #[arg(long)]
    model: PathBuf,
    /// Rows: JSON lines, a JSON array, CSV or Parquet, compressed or not, a folder or a quoted pattern
    #[arg(long)]
    data: PathBuf,
    /// Longest row, in tokens, as `data.max_length` of a run; never more than the model's context
    #[arg(long, default_value_t = 1024)]
    max_length: usize,
    /// What happens to longer ones: `drop`, `keep_start` or `keep_end`
    #[arg(long, default_value = "drop", value_parser = truncation)]
    truncation_mode: Truncation,
    /// Learn what the assistant says alone, as `data.assistant_only_loss` of a run
    #[arg(long)]
    assistant_only_loss: bool,
    /// Rows shown token by token
    #[arg(long, default_value_t = 2)]
    examples: usize,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

fn truncation(text: &str) -> Result<Truncation, String> {
    match text {
        "drop" => Ok(Truncation::Drop),
        "keep_start" => Ok(Truncation::KeepStart),
        "keep_end" => Ok(Truncation::KeepEnd),
        _ => Err("known are drop, keep_start and keep_end".to_owned()),
    }
}

impl Inspect {
    pub(crate) fn run(self) -> Result<()> {
        let folder = ModelFolder::open(&self.model)?;
        folder.tokenizer()?.check_fits(vocabulary_rows(&folder))?;
        let context = HfRope::of_model(&folder.config)
            .with_context(|| {
                format!("{} cannot be used", self.model.join("config.json").display())
            })?
            .context_length();
        let options = EncodeOptions {
            max_length: Some(
                context.map_or(self.max_length, |longest| self.max_length.min(longest)),
            ),
            truncation: self.truncation_mode,
            vocab_size: Some(vocabulary_rows(&folder)),
            assistant_only: self.assistant_only_loss,
            ..EncodeOptions::training()
        };
        let encoder = Encoder::new(folder.tokenizer()?, folder.chat_template.as_ref(), options)?;
        let read = ReadOptions::default().on_bad_row(OnBadRow::Skip);
        let found = inspect(&self.data, &encoder, &read, self.examples)?;
        let (rows, none) = (&found.rows, found.rows.kept == 0 && found.rows.drops.is_empty());
        let no_rows =
            || anyhow!("{}: none of the {} lines is a row", self.data.display(), rows.total);
        if self.json {
            console::json(&found)?;
            return if none { Err(no_rows()) } else { Ok(()) };
        }
        let colour = if std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
            Colour::Ansi
        } else {
            Colour::Plain
        };
        console::line(&found.to_string())?;
        console::line(&found.render_examples(colour))?;
        if none { Err(no_rows()) } else { Ok(()) }
    }
}
