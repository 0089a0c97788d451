//! `puzzles build`: prompts with checkable answers.

use std::path::PathBuf;

use anyhow::{Result, bail};
use bestof_tasks::puzzles::{Level, MAX_PUZZLES, PuzzleTask};
use bestof_tasks::rng::Split;
use bestof_tasks::rows::{ChatMessage, Content, write_rows};
use serde_json::json;

use crate::console::{self, Usage};

/// Build prompts with checkable answers, which `reinforce` and `evaluate pass-at-k` take
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  cargo xtask puzzles build --task countdown --level 2 --count 1000 --out train.jsonl"
)]
pub(crate) struct Puzzles {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    Build(Build),
}

/// Build puzzles and write them as JSON lines
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cargo xtask puzzles build --task countdown --level 2 --count 1000 --out train.jsonl\n  \
    cargo xtask puzzles build --task countdown --level 2 --count 100 --held-out --out held-out.jsonl"
)]
struct Build {
    /// What is asked: countdown, chain-sum, grid or arithmetic
    #[arg(long, value_parser = task)]
    task: PuzzleTask,
    /// How many
    #[arg(long, default_value_t = 1000)]
    count: usize,
    /// Equal seeds give equal puzzles
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How hard, from 1 to 5
    #[arg(long, default_value = "2", value_parser = level)]
    level: Level,
    /// Puzzles of the held-out part, which no seed brings into the training part
    #[arg(long)]
    held_out: bool,
    /// Chat messages instead of plain text
    #[arg(long)]
    chat: bool,
    /// The file to write
    #[arg(long)]
    out: PathBuf,
    /// Print one JSON object about what was built
    #[arg(long)]
    json: bool,
}

fn task(name: &str) -> Result<PuzzleTask, String> {
    name.parse().map_err(|error: bestof_tasks::puzzles::PuzzleError| error.to_string())
}

fn level(text: &str) -> Result<Level, String> {
    let number = text.parse().map_err(|_| "choose a level from 1 to 5".to_owned())?;
    Level::new(number).map_err(|error| error.to_string())
}

impl Puzzles {
    pub(crate) fn run(self) -> Result<()> {
        match self.action {
            Action::Build(build) => build.run(),
        }
    }
}

impl Build {
    fn run(self) -> Result<()> {
        if self.count == 0 || self.count > MAX_PUZZLES {
            bail!(Usage(format!("--count {}: choose from 1 to {MAX_PUZZLES}", self.count)));
        }
        let split = if self.held_out { Split::HeldOut } else { Split::Train };
        let mut rows = self.task.take(self.count, self.seed, split, self.level)?;
        if self.chat {
            for row in &mut rows {
                row.prompt = Content::Messages(vec![ChatMessage::user(row.prompt.last_text())]);
            }
        }
        let written = write_rows(&self.out, &rows)?;
        let verifier = serde_json::to_value(self.task.verifier())?;
        if self.json {
            return console::json(&json!({
                "out": self.out, "rows": written, "task": self.task.name(), "verifier": verifier,
            }));
        }
        console::line(&format!(
            "{}: {written} puzzles; judge them with reward.verifier={}",
            self.out.display(),
            verifier.as_str().unwrap_or_default()
        ))
    }
}
