//! `pairs build`: preference pairs in the manner of DPOP.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use bestof_tasks::arithmetic::{ArithmeticConfig, ArithmeticProblems, NumberSize};
use bestof_tasks::pairs::{
    PairOptions, PairSet, PromptForm, PromptStyle, WorkedItem, choice_pairs, corrupted_pairs,
};
use bestof_tasks::rng::Split;
use bestof_tasks::rows::{Row, Rows, read_rows, write_rows};
use bestof_tasks::sets::{ChoiceRow, Gsm8kRow, MetaMathRow};
use bestof_tasks::worked::Annotations;
use clap::ValueEnum;
use serde_json::json;

use crate::bounds::at_most;
use crate::console::{self, Usage};
use crate::input;
use crate::input::read_options;

/// Build preference pairs whose only difference is what makes the answer wrong
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  cargo xtask pairs build --task arithmetic --count 300 --out pairs.jsonl"
)]
pub(crate) struct Pairs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    Build(Build),
}

/// Build pairs and write them as JSON lines
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cargo xtask pairs build --task arithmetic --count 300 --out pairs.jsonl\n  \
    cargo xtask pairs build --task gsm8k --from train.jsonl --shots 2 --out pairs.jsonl"
)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
struct Build {
    /// Where the questions come from
    #[arg(long, value_enum)]
    task: Task,
    /// The file to read: GSM8K's, `MetaMathQA`'s, ARC's or HellaSwag's JSON lines
    #[arg(long)]
    from: Option<PathBuf>,
    /// The file to write
    #[arg(long)]
    out: PathBuf,
    /// How many problems (arithmetic), or how many rows to read at most; up to 10,000,000
    #[arg(long, value_parser = count)]
    count: Option<usize>,
    /// Seed of the problems, the corruptions and the worked examples
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Worked examples in front of each question
    #[arg(long, value_parser = at_most::<10_000>, default_value_t = 0)]
    shots: usize,
    /// Steps of a solution, as `3` or `2-4` (arithmetic); by default 2-4
    #[arg(long, value_parser = steps)]
    steps: Option<(usize, usize)>,
    /// How large the numbers are: small, medium or large (arithmetic); by default medium
    #[arg(long, value_parser = size)]
    size: Option<NumberSize>,
    /// Problems of the held-out part, which no seed brings into the training part (arithmetic)
    #[arg(long)]
    held_out: bool,
    /// Chat messages instead of plain text
    #[arg(long)]
    chat: bool,
    /// Keep GSM8K's `<<48/2=24>>` annotations
    #[arg(long)]
    keep_annotations: bool,
    /// Leave out lines that are no rows, and list them, instead of failing
    #[arg(long)]
    skip_bad_rows: bool,
    /// Print one JSON object about what was built
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Task {
    /// Generated word problems with worked steps
    Arithmetic,
    /// `{"question", "answer"}` with GSM8K's worked answers
    Gsm8k,
    /// `{"query", "response"}` of `MetaMathQA`
    Metamath,
    /// ARC's or HellaSwag's rows: the right option against each wrong one
    MultipleChoice,
}

fn steps(text: &str) -> Result<(usize, usize), String> {
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    match (low.trim().parse(), high.trim().parse()) {
        (Ok(low), Ok(high)) => Ok((low, high)),
        _ => Err("write `3` or `2-4`".to_owned()),
    }
}

fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count @ 1..=10_000_000) => Ok(count),
        _ => Err("expected a whole number from 1 to 10000000".to_owned()),
    }
}

fn size(text: &str) -> Result<NumberSize, String> {
    match text {
        "small" => Ok(NumberSize::Small),
        "medium" => Ok(NumberSize::Medium),
        "large" => Ok(NumberSize::Large),
        _ => Err("known are small, medium and large".to_owned()),
    }
}

impl Pairs {
    pub(crate) fn run(self) -> Result<()> {
        match self.action {
            Action::Build(build) => build.run(),
        }
    }
}

impl Build {
    fn run(self) -> Result<()> {
        self.check_flags()?;
        input::keep_apart(&self.out, self.from.as_deref())?;
        let set = self.build()?;
        if set.pairs.is_empty() {
            bail!("no pair could be built: {set}");
        }
        let rows: Vec<_> =
            set.pairs.iter().map(bestof_tasks::pairs::PreferencePair::to_row).collect();
        write_rows(&self.out, &rows)?;
        if self.json {
            let mean = set.mean_distance();
            let unusable: serde_json::Map<String, serde_json::Value> = set
                .unusable_by_reason()
                .into_iter()
                .map(|(reason, count)| (reason.to_string(), json!(count)))
                .collect();
            return console::json(&json!({
                "out": self.out,
                "pairs": set.pairs.len(),
                "rows": set.rows,
                "mean_edit_distance_words": mean.map(|m| m.words),
                "mean_edit_distance_characters": mean.map(|m| m.characters),
                "unusable": unusable,
            }));
        }
        console::line(&format!("{}: {set}", self.out.display()))
    }

    fn build(&self) -> Result<PairSet> {
        let options = PairOptions::default()
            .seed(self.seed)
            .shots(self.shots)
            .form(if self.chat { PromptForm::Chat } else { PromptForm::Text })
            .annotations(if self.keep_annotations {
                Annotations::Keep
            } else {
                Annotations::Strip
            });
        let items = match self.task {
            Task::Arithmetic => self.problems()?,
            Task::Gsm8k => {
                let read = self.read::<Gsm8kRow>()?;
                let named = read.lines.iter().zip(&read.rows);
                named.map(|(line, row)| WorkedItem::from_gsm8k(*line, row)).collect()
            }
            Task::Metamath => {
                let read = self.read::<MetaMathRow>()?;
                let named = read.lines.iter().zip(&read.rows);
                named.map(|(line, row)| WorkedItem::from_metamath(*line, row)).collect()
            }
            Task::MultipleChoice => return self.choices(&options),
        };
        Ok(corrupted_pairs(&items, &options)?)
    }

    fn check_flags(&self) -> Result<()> {
        let generated = self.task == Task::Arithmetic;
        let task = self.task.to_possible_value();
        let task = task.as_ref().map_or("", clap::builder::PossibleValue::get_name);
        console::unread(
            &format!("--task {task}"),
            &[
                ("--steps", self.steps.is_some() && !generated),
                ("--size", self.size.is_some() && !generated),
                ("--held-out", self.held_out && !generated),
                ("--skip-bad-rows", self.skip_bad_rows && generated),
                ("--keep-annotations", self.keep_annotations && self.task != Task::Gsm8k),
            ],
        )
    }

    fn problems(&self) -> Result<Vec<WorkedItem>> {
        if let Some(from) = &self.from {
            bail!(Usage(format!(
                "--task arithmetic generates its problems and reads no file; leave out --from {}",
                from.display()
            )));
        }
        let (low, high) = self.steps.unwrap_or((2, 4));
        let config = ArithmeticConfig::default()
            .seed(self.seed)
            .steps(low..=high)
            .size(self.size.unwrap_or(NumberSize::Medium))
            .split(if self.held_out { Split::HeldOut } else { Split::Train });
        let problems = ArithmeticProblems::new(config)?.take_distinct(self.count.unwrap_or(300))?;
        Ok(problems.iter().enumerate().map(|(i, p)| WorkedItem::from_problem(i, p)).collect())
    }

    fn choices(&self, options: &PairOptions) -> Result<PairSet> {
        let (mut questions, mut continuations) = (Vec::new(), Vec::new());
        for row in self.read::<ChoiceRow>()?.rows {
            match row {
                ChoiceRow::Question(item) => questions.push(item),
                ChoiceRow::Continuation(item) => continuations.push(item),
            }
        }
        let (items, style) = match (questions.is_empty(), continuations.is_empty()) {
            (false, false) => bail!(
                "{} has questions with `choices` and texts with `endings`; put them into two files",
                self.file()?.display()
            ),
            (true, false) => (continuations, PromptStyle::Continuation),
            (_, true) => (questions, PromptStyle::QuestionAnswer),
        };
        Ok(choice_pairs(&items, style, options)?)
    }

    fn file(&self) -> Result<&Path> {
        let missing = || Usage("this task reads a file; name it with --from".into()).into();
        self.from.as_deref().ok_or_else(missing)
    }

    fn read<R: Row>(&self) -> Result<Rows<R>> {
        let options = read_options(self.skip_bad_rows).limit(self.count);
        let read = read_rows::<R>(self.file()?, &options)?;
        if read.skipped.count > 0 {
            console::note(&format!("{}", read.skipped));
        }
        Ok(read)
    }
}
