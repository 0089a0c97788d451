//! `evaluate longchat-lines`, `free-form-qa`, `altered-numeric-qa`, `passkey`: finding what a long
//! prompt hides.

use std::path::PathBuf;

use anyhow::{Result, bail};
use bestof_models::CausalLm;
use bestof_tasks::long_context::lines::LongChatRow;
use bestof_tasks::long_context::qa::{PoolOptions, QaPool, WikiQaRow};
use bestof_tasks::long_context::{
    Depths, QaSource, RetrievalCase, RetrievalTask, Suite, SuiteConfig, WholePromptRow,
};
use bestof_tasks::rows::{Content, ReadOptions, first_row};
use bestof_trainer::data::{EncodeOptions, Encoder};
use bestof_trainer::progress::Progress;
use bestof_trainer::retrieval::{
    Answer, Depth, RetrievalEstimate, RetrievalSettings, answer, page, paper_max_new_tokens,
    summarise,
};

use super::long_prompts::{
    Answers, around, counter, lengths, model_facts, note_left_out, rows_of, wrong,
};
use crate::bounds::{ITEMS, TOKENS, at_most};
use crate::console::{self, Usage};
use crate::input;
use crate::input::read_options;
use crate::model::{EvalFactorArg, ModelArg, Opened, template_of};
use crate::progress::Bars;
use crate::ranks::is_first;

/// Find the value of one line in a record of lines (Giraffe's LongChat-Lines)
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cargo xtask evaluate longchat-lines --model models/smollm2-135m-instruct --lengths 1024,2048,4096 --cases 10 --report lines.html\n  \
    cargo xtask evaluate longchat-lines --model runs/extended/final --eval-factor 8 --data published.jsonl --json"
)]
pub(super) struct LongchatLines {
    #[command(flatten)]
    pub(super) args: RetrievalArgs,
}

/// Answer questions about documents, padded to any length
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  cargo xtask evaluate free-form-qa --model models/smollm2-135m-instruct --data questions.jsonl --lengths 2048,4096"
)]
pub(super) struct FreeFormQa {
    #[command(flatten)]
    pub(super) args: RetrievalArgs,
}

/// The same with numbers for answers, altered everywhere, so that memory does not help
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  cargo xtask evaluate altered-numeric-qa --model models/smollm2-135m-instruct --lengths 2048,4096 --samples-out said.jsonl"
)]
pub(super) struct AlteredNumericQa {
    #[command(flatten)]
    pub(super) args: RetrievalArgs,
}

/// Find a number in nonsense
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  cargo xtask evaluate passkey --model models/smollm2-135m-instruct --lengths 1024,4096,8192 --depths 0,0.5,1 --cases 5"
)]
pub(super) struct Passkey {
    #[command(flatten)]
    pub(super) args: RetrievalArgs,
}

/// What all of these tasks are told.
#[derive(Debug, clap::Args)]
pub(super) struct RetrievalArgs {
    #[command(flatten)]
    model: ModelArg,
    #[command(flatten)]
    factor: EvalFactorArg,
    /// Tokens of the prompt with its answer; by default powers of two from 1024 up to the model's
    /// context, at most 8192
    #[arg(long, value_parser = at_most::<TOKENS>, value_delimiter = ',')]
    lengths: Vec<usize>,
    /// Where the answer stands, 0 at the beginning and 1 at the end; by default five depths, or for
    /// questions about documents the paper's three places
    #[arg(long, value_delimiter = ',')]
    depths: Vec<f64>,
    /// Cases for each length and depth (and, for questions about documents, for the question before
    /// and after them)
    #[arg(long, value_parser = at_most::<ITEMS>, default_value_t = 10)]
    cases: usize,
    /// JSON lines to take questions or whole prompts from: `question`, `answer` and `document`, or
    /// rows of the published data sets
    #[arg(long)]
    data: Option<PathBuf>,
    /// Seed of what is generated
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Longest answer in tokens; by default 35, or 50 for questions about documents
    #[arg(long, value_parser = at_most::<TOKENS>)]
    max_new_tokens: Option<usize>,
    /// Ask by a user's message in the model's chat template
    #[arg(long)]
    chat: bool,
    /// Leave out bad rows, and list them, instead of failing
    #[arg(long)]
    skip_bad_rows: bool,
    /// Write every answer to this file, as JSON lines
    #[arg(long, value_name = "F.jsonl")]
    samples_out: Option<PathBuf>,
    /// Write a page with a heat map to this file
    #[arg(long, value_name = "F.html")]
    report: Option<PathBuf>,
    /// Print one JSON object a number
    #[arg(long)]
    json: bool,
}

impl RetrievalArgs {
    pub(super) fn run(&self, task: RetrievalTask) -> Result<()> {
        for out in self.samples_out.iter().chain(&self.report) {
            input::keep_apart(out, self.data.as_deref())?;
        }
        let opened = self.model.open_at(self.factor)?;
        if self.chat {
            template_of(&opened.folder)?;
        }
        let encoder = opened.encoder(EncodeOptions::scoring())?;
        let settings = RetrievalSettings {
            max_new_tokens: self.max_new_tokens.unwrap_or_else(|| paper_max_new_tokens(task)),
            eos_token_ids: opened.folder.generation.eos_token_ids.clone(),
        };
        if settings.max_new_tokens == 0 {
            bail!(Usage("--max-new-tokens 0: an answer needs at least 1 token".into()));
        }
        let mut asking = Asking {
            opened: &opened,
            encoder: &encoder,
            settings: &settings,
            answers: Answers::create(self.samples_out.as_deref())?,
        };
        let lengths = lengths(&self.lengths, opened.decoder.max_positions())?;
        let published = self.published(task)?;
        let seed = published.is_none().then_some(self.seed);
        match published {
            Some(cases) => asking.published(cases, &lengths)?,
            None => self.generated(task, lengths, &mut asking)?,
        }
        let (answers, too_long) = asking.answers.finish()?;
        note_left_out(too_long);
        let estimates = summarise(&answers)?;
        if let Some(path) = self.report.as_ref().filter(|_| is_first()) {
            page(task, &estimates, &self.facts(&opened, &settings, seed)?).write(path)?;
        }
        estimates.iter().try_for_each(|estimate| self.show(estimate))
    }

    fn generated(
        &self,
        task: RetrievalTask,
        lengths: Vec<usize>,
        asking: &mut Asking<'_>,
    ) -> Result<()> {
        let mut config = SuiteConfig::new(task)
            .lengths(lengths)
            .reserve(asking.reserve(self.chat)?)
            .cases_per_cell(self.cases)
            .seed(self.seed)
            .chat(self.chat);
        if !self.depths.is_empty() {
            config.depths = Depths::At(self.depths.clone());
        } else if !task.needs_documents() {
            config.depths = Depths::At(vec![0.0, 0.25, 0.5, 0.75, 1.0]);
        }
        let options = PoolOptions::default().rows(read_options(self.skip_bad_rows));
        let pool = match &self.data {
            Some(path) => Some(QaPool::read(path, &options)?),
            None => None,
        };
        if let Some(pool) = pool.as_ref().filter(|pool| !pool.bad_rows.is_empty()) {
            console::note(&pool.bad_rows.to_string());
        }
        let source = pool.as_ref().map_or(QaSource::Invented, QaSource::Pool);
        let count = counter(asking.encoder);
        let mut suite = Suite::new(config, source, &count).map_err(wrong)?;
        let (mut bars, expected) = (Bars::new(), suite.expected());
        let mut done = 0;
        for case in suite.by_ref() {
            asking.ask(&case.map_err(wrong)?)?;
            done += 1;
            bars.rows("answers", done, expected);
        }
        if !suite.skips().is_empty() {
            console::note(&suite.skips().to_string());
        }
        for short in suite.short_cells() {
            console::note(&format!(
                "{} tokens: {} of {} cases, for want of documents",
                short.cell.length, short.cases, self.cases
            ));
        }
        Ok(())
    }

    /// The cases of a file of whole prompts, if `--data` is one.
    fn published(&self, task: RetrievalTask) -> Result<Option<Vec<RetrievalCase>>> {
        let Some(path) = &self.data else { return Ok(None) };
        let options = read_options(self.skip_bad_rows);
        let whole = || {
            let rows = rows_of::<WholePromptRow>(path, &options)?;
            let cases = rows.into_iter().map(|(line, row)| row.case(task, line, self.chat));
            Ok(Some(cases.collect()))
        };
        match task {
            RetrievalTask::Passkey => whole(),
            RetrievalTask::LongchatLines => {
                let rows = rows_of::<LongChatRow>(path, &options)?;
                let cases = rows.into_iter().map(|(line, row)| row.case(line, self.chat));
                Ok(Some(cases.collect()))
            }
            RetrievalTask::FreeFormQa | RetrievalTask::AlteredNumericQa => {
                let first = first_row(path, &ReadOptions::default())?;
                if WholePromptRow::fits(&first) {
                    return whole();
                }
                if !first.contains_key("conversations") {
                    return Ok(None);
                }
                let rows = rows_of::<WikiQaRow>(path, &options)?;
                let case = |(index, (line, row)): (usize, (usize, WikiQaRow))| {
                    row.case(task, index, line, self.chat)
                };
                Ok(Some(rows.into_iter().enumerate().map(case).collect()))
            }
        }
    }

    /// What the page names; `seed` of generated prompts.
    fn facts(
        &self,
        opened: &Opened,
        settings: &RetrievalSettings,
        seed: Option<u64>,
    ) -> Result<Vec<(String, String)>> {
        let data = self.data.as_ref().map_or("generated".to_owned(), |p| p.display().to_string());
        let mut facts = vec![("data", data)];
        facts.extend(seed.map(|seed| ("seed", seed.to_string())));
        facts.push(("decoding", format!("greedy, at most {} tokens", settings.max_new_tokens)));
        let mut all = model_facts(opened, &self.model, self.factor.eval_factor)?;
        all.extend(facts.into_iter().map(|(name, value)| (name.to_owned(), value)));
        Ok(all)
    }

    fn show(&self, found: &RetrievalEstimate) -> Result<()> {
        if self.json {
            return console::json(found);
        }
        let e = &found.estimate;
        let length = found.length.map_or("all".to_owned(), |length| length.to_string());
        let depth = found.depth.map_or("all".to_owned(), Depth::label);
        console::line(&format!(
            "{:16} tokens {length:>6}  depth {depth:>6}  {:6.3}   95 % interval {:.3} to {:.3}   n {}",
            e.metric, e.value, e.low, e.high, e.n
        ))
    }
}

/// A model under questioning.
struct Asking<'a> {
    opened: &'a Opened,
    encoder: &'a Encoder<'a>,
    settings: &'a RetrievalSettings,
    answers: Answers<Answer>,
}

impl Asking<'_> {
    /// Tokens that the prompt's text cannot have: first tokens or the template, and the answer.
    fn reserve(&self, chat: bool) -> Result<usize> {
        Ok(around(self.opened, self.encoder, chat)? + self.settings.max_new_tokens)
    }

    fn ask(&mut self, case: &RetrievalCase) -> Result<()> {
        let model = &self.opened.decoder;
        self.answers.take(|| Ok(answer(model, self.encoder, case, self.settings)?))
    }

    /// Asks prompts of given lengths, each under the smallest length asked for that holds it.
    fn published(&mut self, cases: Vec<RetrievalCase>, lengths: &[usize]) -> Result<()> {
        let (mut bars, expected) = (Bars::new(), cases.len());
        for (done, mut case) in cases.into_iter().enumerate() {
            let text = match &case.prompt {
                Content::Text(text) => text.as_str(),
                Content::Messages(_) => case.prompt.last_text(),
            };
            let tokens = self.encoder.tokenizer().encode(text, false)?.len();
            let needed = tokens + self.reserve(case.prompt.is_chat())?;
            match lengths.iter().find(|length| **length >= needed) {
                Some(length) => {
                    case.length_target = Some(*length);
                    self.ask(&case)?;
                }
                None => self.answers.take(|| Ok(None))?,
            }
            bars.rows("answers", done + 1, expected);
        }
        Ok(())
    }
}
