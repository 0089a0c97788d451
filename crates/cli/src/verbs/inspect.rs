//! `inspect`: the data doctor, before any training.

mod memory;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use bestof_checkpoints::ModelFolder;
use bestof_positional::hf::HfRope;
use bestof_tasks::rows::OnBadRow;
use bestof_trainer::config::{RunConfig, toml_path};
use bestof_trainer::data::{Colour, Encoder, Truncation, inspect};
use bestof_trainer::launch::resolve_extension;

use crate::bounds::{ITEMS, TOKENS, at_most};
use crate::console;
use crate::model::vocabulary_rows;
use memory::Memory;

/// Look at training data as the model will see it
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cargo xtask inspect --model models/smollm2-135m-instruct --data pairs.jsonl\n  cargo xtask inspect --config docs/examples/prefer.toml --set model.quantize=q4_0"
)]
pub(crate) struct Inspect {
    /// A run's settings: its model, rows and lengths are looked at, and whether it fits into memory
    #[arg(long)]
    config: Option<PathBuf>,
    /// Override a setting of the run, as `train.max_tokens_per_forward=1024`; may be given several times
    #[arg(long = "set", value_name = "KEY.PATH=VALUE", requires = "config")]
    set: Vec<String>,
    /// The model's folder or GGUF file; its weights are not read
    #[arg(long, required_unless_present = "config")]
    model: Option<PathBuf>,
    /// Rows: JSON lines, a JSON array, CSV or Parquet, compressed or not, a folder or a quoted pattern
    #[arg(long, required_unless_present = "config")]
    data: Option<PathBuf>,
    /// Longest row, in tokens, as `data.max_length` of a run, 1024 unless said; never more than the model's
    /// context
    #[arg(long, value_parser = at_most::<TOKENS>)]
    max_length: Option<usize>,
    /// What happens to longer ones: `drop`, `keep_start` or `keep_end`
    #[arg(long, value_parser = truncation)]
    truncation_mode: Option<Truncation>,
    /// Learn what the assistant says alone, as `data.assistant_only_loss` of a run
    #[arg(long)]
    assistant_only_loss: bool,
    /// Rows shown token by token
    #[arg(long, value_parser = at_most::<ITEMS>, default_value_t = 2)]
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
        let mut config = match &self.config {
            Some(path) => RunConfig::from_file(path, &self.set)?,
            None => self.plain()?,
        };
        let mut folder = ModelFolder::open(self.model.as_ref().unwrap_or(&config.model.path))?;
        if config.extend.is_some() {
            (config, folder.config) = resolve_extension(&config, &folder.config)?;
        }
        config.data.max_length = self.max_length.unwrap_or(config.data.max_length);
        config.data.truncation_mode = self.truncation_mode.unwrap_or(config.data.truncation_mode);
        config.data.assistant_only_loss |= self.assistant_only_loss;
        if self.config.is_some() {
            let memory = Memory::of(&config, &folder)?;
            if self.json {
                console::json(&memory.to_json())?;
            } else {
                console::line(&memory.to_string())?;
            }
        }
        let data = self.data.as_ref().map_or(config.data.train.paths(), std::slice::from_ref);
        data.iter().try_for_each(|path| self.look_at(path, &folder, &config))
    }

    /// The settings of a run of which only the model and the rows are known.
    fn plain(&self) -> Result<RunConfig> {
        let [model, data] = [&self.model, &self.data]
            .map(|path| toml_path(path.as_deref().unwrap_or(Path::new(""))));
        let text =
            format!("[model]\npath = {model}\n[data]\ntrain = {data}\n[output]\ndir = 'run'\n");
        Ok(RunConfig::from_toml(&text, &[])?)
    }

    fn look_at(&self, data: &Path, folder: &ModelFolder, config: &RunConfig) -> Result<()> {
        let vocabulary = vocabulary_rows(folder);
        folder.tokenizer()?.check_fits(vocabulary)?;
        let context = HfRope::of_model(&folder.config)
            .with_context(|| {
                format!("{} cannot be used", folder.files().join("config.json").display())
            })?
            .context_length();
        let longest = config.data.max_length;
        let longest = context.map_or(longest, |context| longest.min(context));
        let options = config.encode_options(longest, vocabulary);
        let encoder = Encoder::new(folder.tokenizer()?, folder.chat_template.as_ref(), options)?;
        let read = config.read_options().on_bad_row(OnBadRow::Skip);
        let found = inspect(data, &encoder, &read, self.examples)?;
        let (rows, none) = (&found.rows, found.rows.kept == 0 && found.rows.drops.is_empty());
        let no_rows = || anyhow!("{}: none of the {} lines is a row", data.display(), rows.total);
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
        console::coloured(&found.render_examples(colour))?;
        if none { Err(no_rows()) } else { Ok(()) }
    }
}
