//! `evaluate ruler`: RULER's tasks, generated or from rows.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use bestof_models::CausalLm;
use bestof_tasks::long_context::ruler::{
    Essay, RulerCase, RulerConfig, RulerRow, RulerSuite, RulerTask,
};
use bestof_trainer::data::{EncodeOptions, Encoder};
use bestof_trainer::progress::Progress;
use bestof_trainer::retrieval::RetrievalSettings;
use bestof_trainer::ruler::{self, RulerAnswer, RulerScore, cell, name, page, rows, summarise};

use super::long_prompts::{
    Answers, Samples, around, counter, lengths, model_facts, note_left_out, rows_of, wrong,
};
use crate::bounds::{ITEMS, TOKENS, at_most};
use crate::console::{self, Usage};
use crate::input::{self, read_options};
use crate::model::{EvalFactorArg, ModelArg, Opened, template_of};
use crate::progress::Bars;
use crate::ranks::is_first;

/// Score a model on RULER: needles in a haystack, variable tracking, common and frequent words
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cargo xtask evaluate ruler --model models/smollm2-135m-instruct --lengths 2048,4096 --cases 20 --report ruler.html\n  \
    cargo xtask evaluate ruler --model runs/extended/final --tasks niah_single_2,vt --haystack essays.txt --chat --json\n  \
    cargo xtask evaluate ruler --model runs/extended/final --data niah_single_1/validation.jsonl --data vt/validation.jsonl\n\n\
    Tasks: niah_single_1, niah_single_2, niah_single_3, niah_multikey_1, niah_multikey_2, niah_multikey_3, \
    niah_multivalue, niah_multiquery, vt, cwe, fwe; and, from rows, qa_1 and qa_2."
)]
pub(super) struct Ruler {
    #[command(flatten)]
    model: ModelArg,
    #[command(flatten)]
    factor: EvalFactorArg,
    /// Tasks by RULER's names; by default all eleven that are generated. With --data, the tasks that rows may
    /// name, and the one task of rows that name none and whose file or folder is not named after it
    #[arg(long, value_delimiter = ',')]
    tasks: Vec<RulerTask>,
    /// Tokens of the prompt with its answer; by default powers of two from 1024 up to the model's
    /// context, at most 8192
    #[arg(long, value_parser = at_most::<TOKENS>, value_delimiter = ',')]
    lengths: Vec<usize>,
    /// Where the needle stands, 0 at the beginning and 1 at the end, in tasks that ask for one; by default
    /// anywhere
    #[arg(long, value_delimiter = ',', conflicts_with = "data")]
    depths: Vec<f64>,
    /// Cases for each task, length and depth (RULER has 500)
    #[arg(long, value_parser = at_most::<ITEMS>, default_value_t = 10, conflicts_with = "data")]
    cases: usize,
    /// Seed of what is generated
    #[arg(long, default_value_t = 0, conflicts_with = "data")]
    seed: u64,
    /// Running text for haystacks, such as essays; by default documents about invented places and people
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    haystack: Option<PathBuf>,
    /// Rows in RULER's form (`input`, `outputs`, `answer_prefix`; or `context`, `question`, `answer`) to be asked in place of generated ones; may
    /// be given several times
    #[arg(long, value_name = "F.jsonl")]
    data: Vec<PathBuf>,
    /// Longest answer in tokens; by default the rows' or the task's own (128 for needles, vt 30, cwe 120, fwe 50, qa 32)
    #[arg(long, value_parser = at_most::<TOKENS>)]
    max_new_tokens: Option<usize>,
    /// Ask by a user's message in the model's chat template, with the answer prefix behind its generation
    /// prompt
    #[arg(long)]
    chat: bool,
    /// Leave out bad rows, and list them, instead of failing
    #[arg(long, requires = "data")]
    skip_bad_rows: bool,
    /// Write every generated case to this file, as rows in RULER's form
    #[arg(long, value_name = "F.jsonl", conflicts_with = "data")]
    cases_out: Option<PathBuf>,
    /// Write every answer to this file, as JSON lines
    #[arg(long, value_name = "F.jsonl")]
    samples_out: Option<PathBuf>,
    /// Write a page with the scores to this file
    #[arg(long, value_name = "F.html")]
    report: Option<PathBuf>,
    /// Print one JSON object a score
    #[arg(long)]
    json: bool,
}

impl Ruler {
    pub(super) fn run(&self) -> Result<()> {
        for out in self.samples_out.iter().chain(&self.report).chain(&self.cases_out) {
            let inputs = self.data.iter().chain(&self.haystack);
            input::keep_apart(out, inputs.map(PathBuf::as_path))?;
        }
        if self.max_new_tokens == Some(0) {
            bail!(Usage("--max-new-tokens 0: an answer needs at least 1 token".into()));
        }
        self.check_used()?;
        let opened = self.model.open_at(self.factor)?;
        if self.chat {
            template_of(&opened.folder)?;
        }
        let encoder = opened.encoder(EncodeOptions::scoring())?;
        let lengths = lengths(&self.lengths, opened.decoder.max_positions())?;
        let mut asking = Asking {
            opened: &opened,
            encoder: &encoder,
            chat: self.chat,
            answers: Answers::create(self.samples_out.as_deref())?,
        };
        if self.data.is_empty() {
            self.generated(lengths, &mut asking)?;
        } else {
            self.published(&lengths, &mut asking)?;
        }
        let (answers, too_long) = asking.answers.finish()?;
        note_left_out(too_long);
        let scores = summarise(&answers)?;
        if let Some(path) = self.report.as_ref().filter(|_| is_first()) {
            page(&scores, &self.facts(&opened)?).write(path)?;
        }
        if self.json { scores.iter().try_for_each(console::json) } else { show(&scores) }
    }

    /// The tasks that are generated.
    fn chosen(&self) -> &[RulerTask] {
        if self.tasks.is_empty() { &RulerTask::GENERATED } else { &self.tasks }
    }

    /// Refuses settings that no chosen task reads.
    fn check_used(&self) -> Result<()> {
        if !self.data.is_empty() {
            return Ok(());
        }
        let none = |has: fn(RulerTask) -> bool| !self.chosen().iter().any(|task| has(*task));
        let given = [
            ("--depths", "one needle", !self.depths.is_empty() && none(RulerTask::has_depth)),
            ("--haystack", "running text", self.haystack.is_some() && none(RulerTask::has_essay)),
        ];
        match given.iter().find(|(.., unused)| *unused) {
            Some((flag, what, _)) => bail!(Usage(format!(
                "{flag}: none of the tasks {} has {what}; leave it out",
                named(self.chosen())
            ))),
            None => Ok(()),
        }
    }

    fn generated(&self, lengths: Vec<usize>, asking: &mut Asking<'_>) -> Result<()> {
        let config = RulerConfig::new(self.chosen().to_vec())
            .lengths(lengths)
            .reserve(around(asking.opened, asking.encoder, self.chat)?)
            .max_new_tokens(self.max_new_tokens)
            .depths(self.depths.clone())
            .cases(self.cases)
            .seed(self.seed);
        let count = counter(asking.encoder);
        let mut suite = RulerSuite::new(config, &count).map_err(wrong)?;
        if let Some(path) = &self.haystack {
            let text = bestof_files::read_text(path)
                .with_context(|| format!("could not read {} as text", path.display()))?;
            let essay = Essay::of_text(&text).with_context(|| {
                format!("{}: there is no word in it to make a haystack of", path.display())
            })?;
            suite = suite.with_essay(essay);
        }
        let mut written = Samples::create(self.cases_out.as_deref())?;
        let (mut bars, expected) = (Bars::new(), suite.expected());
        for (done, case) in suite.enumerate() {
            let case = case.map_err(wrong)?;
            written.write(&RulerRow::from(&case))?;
            asking.ask(&case)?;
            bars.rows("answers", done + 1, expected);
        }
        written.finish()
    }

    /// Asks the rows of files, each under the smallest length asked for that holds it.
    fn published(&self, lengths: &[usize], asking: &mut Asking<'_>) -> Result<()> {
        let options = read_options(self.skip_bad_rows);
        let around = around(asking.opened, asking.encoder, self.chat)?;
        let count = counter(asking.encoder);
        for path in &self.data {
            let rows = rows_of::<RulerRow>(path, &options)?;
            self.check_among_tasks(path, &rows)?;
            let named = rows.iter().all(|(_, row)| row.task.is_some());
            // Not looked at where all rows name theirs.
            let task = if named { RulerTask::Qa1 } else { self.task_of(path)? };
            let (mut bars, expected) = (Bars::new(), rows.len());
            for (done, (line, row)) in rows.into_iter().enumerate() {
                let mut case = row.case(task, line);
                case.max_new_tokens = self.max_new_tokens.unwrap_or(case.max_new_tokens);
                let needed = count(&case.text()) + around + case.max_new_tokens;
                match lengths.iter().find(|length| **length >= needed) {
                    Some(length) => {
                        case.length = Some(*length);
                        asking.ask(&case)?;
                    }
                    None => asking.answers.take(|| Ok(None))?,
                }
                bars.rows("answers", done + 1, expected);
            }
        }
        Ok(())
    }

    /// Refuses a row of another task than those of --tasks.
    fn check_among_tasks(&self, path: &Path, rows: &[(usize, RulerRow)]) -> Result<()> {
        let other = |row: &RulerRow| row.task.filter(|task| !self.tasks.contains(task));
        let found = rows.iter().find_map(|(line, row)| Some((line, other(row)?)));
        match found {
            Some((line, task)) if !self.tasks.is_empty() => bail!(Usage(format!(
                "--tasks {}: {}, line {line}, is a row of {task}; name it too, or leave --tasks out",
                named(&self.tasks),
                path.display()
            ))),
            _ => Ok(()),
        }
    }

    /// The task of a file whose rows do not name it: the one of --tasks, or the one the file or its folder
    /// is named after.
    fn task_of(&self, path: &Path) -> Result<RulerTask> {
        match self.tasks.as_slice() {
            [task] => return Ok(*task),
            [] => {}
            _ => bail!(Usage(format!(
                "--tasks: {} tasks, but the rows of {} are of one; name it",
                self.tasks.len(),
                path.display()
            ))),
        }
        let folder = path.parent().and_then(Path::file_name);
        let mut names = [path.file_name(), folder].into_iter().flatten();
        // No task has a dot in its name, and a file may have several endings.
        let task = names.find_map(|name| name.to_str()?.split('.').next()?.parse().ok());
        task.ok_or_else(|| {
            Usage(format!(
                "{}: neither its rows nor its name say which of RULER's tasks this is, which decides how \
                 answers are scored; give --tasks",
                path.display()
            ))
            .into()
        })
    }

    fn facts(&self, opened: &Opened) -> Result<Vec<(String, String)>> {
        let paths = |paths: &[PathBuf]| {
            paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
        };
        let mut own = Vec::new();
        if self.data.is_empty() {
            own.extend([("data", "generated".to_owned()), ("seed", self.seed.to_string())]);
            if self.chosen().iter().any(|task| task.has_essay()) {
                let haystack = self.haystack.as_ref().map(|path| path.display().to_string());
                own.push(("running text", haystack.unwrap_or("invented documents".to_owned())));
            }
        } else {
            own.push(("data", paths(&self.data)));
        }
        let prompts = if self.chat { "a user's message" } else { "plain text" };
        own.extend([("prompts", prompts.to_owned()), ("decoding", "greedy".to_owned())]);
        let mut facts = model_facts(opened, &self.model, self.factor.eval_factor)?;
        facts.extend(own.into_iter().map(|(name, value)| (name.to_owned(), value)));
        Ok(facts)
    }
}

/// A model under questioning.
struct Asking<'a> {
    opened: &'a Opened,
    encoder: &'a Encoder<'a>,
    chat: bool,
    answers: Answers<RulerAnswer>,
}

impl Asking<'_> {
    fn ask(&mut self, case: &RulerCase) -> Result<()> {
        let settings = RetrievalSettings {
            max_new_tokens: case.max_new_tokens,
            eos_token_ids: self.opened.folder.generation.eos_token_ids.clone(),
        };
        let (model, encoder, chat) = (&self.opened.decoder, self.encoder, self.chat);
        self.answers.take(|| Ok(ruler::answer(model, encoder, case, chat, &settings)?))
    }
}

fn named(tasks: &[RulerTask]) -> String {
    tasks.iter().map(|task| task.name()).collect::<Vec<_>>().join(", ")
}

/// A table of tasks by lengths, then the scores by depth.
fn show(scores: &[RulerScore]) -> Result<()> {
    let lengths = ruler::lengths(scores);
    let at = |task: Option<RulerTask>, length: Option<usize>| {
        cell(scores, task, length).map_or_else(String::new, figure)
    };
    let columns: Vec<Option<usize>> =
        lengths.iter().copied().map(Some).chain((lengths.len() > 1).then_some(None)).collect();
    let line = |first: &str, cells: Vec<String>| {
        let cells: Vec<String> = cells.iter().map(|cell| format!("{cell:>14}")).collect();
        console::line(&format!("{first:16} {}", cells.join(" ")))
    };
    let head = |length: &Option<usize>| length.map_or("average".to_owned(), |l| l.to_string());
    line("task", columns.iter().map(head).collect())?;
    for task in rows(scores) {
        line(name(task), columns.iter().map(|length| at(task, *length)).collect())?;
    }
    for score in scores {
        if let Some(depth) = score.depth {
            let length = score.length.unwrap_or(0);
            let depth = format!("{:.0} %", 100.0 * depth);
            console::line(&format!(
                "{:16} tokens {length:>6}  depth {depth:>6}  {:>14}  n {}",
                name(score.task),
                figure(score),
                score.n
            ))?;
        }
    }
    let (n, nulls) = scores
        .iter()
        .filter(|score| score.task.is_some() && score.length.is_some() && score.depth.is_none())
        .fold((0, 0), |(n, nulls), score| (n + score.n, nulls + score.nulls));
    console::line(&format!("{n} answers, {nulls} of them empty; scores 0 to 100 ± standard error"))
}

fn figure(score: &RulerScore) -> String {
    match score.standard_error {
        Some(error) => format!("{:.1} ± {error:.1}", score.score),
        None => format!("{:.1}", score.score),
    }
}
